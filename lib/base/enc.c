#include "base/enc.h"

#include <errno.h>

static const char hex_digits[] = "0123456789abcdef";
static const char std_alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void
hex_encode(struct span in, char *out)
{
	for (size_t i = 0; i < in.n; i++) {
		*out++ = hex_digits[in.p[i] >> 4];
		*out++ = hex_digits[in.p[i] & 15];
	}
	*out = 0;
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ssize_t
hex_decode(struct span in, uint8_t *out, size_t cap)
{
	if (in.n % 2)
		return -EBADMSG;
	if (in.n / 2 > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < in.n; i += 2) {
		int hi = hex_value(in.p[i]), lo = hex_value(in.p[i + 1]);
		if (hi < 0 || lo < 0)
			return -EBADMSG;
		*out++ = (uint8_t)(hi << 4 | lo);
	}
	return (ssize_t)(in.n / 2);
}

static size_t
encode64(struct span in, char *out, const char *alphabet, bool pad)
{
	char *start = out;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)in.p[i] << 16 | (left > 1 ? (uint32_t)in.p[i + 1] << 8 : 0) |
		             (left > 2 ? in.p[i + 2] : 0);
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		if (left > 1)
			*out++ = alphabet[v >> 6 & 63];
		else if (pad)
			*out++ = '=';
		if (left > 2)
			*out++ = alphabet[v & 63];
		else if (pad)
			*out++ = '=';
	}
	*out = 0;
	return (size_t)(out - start);
}

size_t
b64url_encode(struct span in, char *out)
{
	return encode64(in, out, url_alphabet, false);
}

size_t
b64_encode(struct span in, char *out)
{
	return encode64(in, out, std_alphabet, true);
}

static ssize_t
decode64(struct span in, uint8_t *out, size_t cap, const char *alphabet)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t n = 0;
	if (in.n % 4 == 1)
		return -EBADMSG;
	if (in.n / 4 * 3 + (in.n % 4 ? in.n % 4 - 1 : 0) > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < in.n; i++) {
		const char *at = in.p[i] ? strchr(alphabet, in.p[i]) : NULL;
		if (!at)
			return -EBADMSG;
		acc = acc << 6 | (uint32_t)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (uint8_t)(acc >> bits);
			acc &= (1u << bits) - 1;
		}
	}
	return acc ? -EBADMSG : (ssize_t)n;
}

ssize_t
b64url_decode(struct span in, uint8_t *out, size_t cap)
{
	return decode64(in, out, cap, url_alphabet);
}

ssize_t
b64_decode(struct span in, uint8_t *out, size_t cap)
{
	if (in.n % 4)
		return -EBADMSG;
	if (in.n && in.p[in.n - 1] == '=')
		in.n--;
	if (in.n && in.p[in.n - 1] == '=')
		in.n--;
	return decode64(in, out, cap, std_alphabet);
}

ssize_t
percent_decode(struct span in, uint8_t *out, size_t cap)
{
	size_t n = 0;
	for (size_t i = 0; i < in.n; i++) {
		int hi = -1, lo = -1;
		if (in.p[i] == '%' && in.n - i > 2) {
			hi = hex_value(in.p[i + 1]);
			lo = hex_value(in.p[i + 2]);
		}
		bool escape = hi >= 0 && lo >= 0;
		if (n >= cap)
			return -EMSGSIZE;
		out[n++] = escape ? (uint8_t)(hi << 4 | lo) : in.p[i];
		i += escape ? 2 : 0;
	}
	return (ssize_t)n;
}
