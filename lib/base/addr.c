#include "base/addr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct ip
ip4(uint32_t v)
{
	struct ip a;
	memcpy(a.b, mapped, 12);
	a.b[12] = (uint8_t)(v >> 24);
	a.b[13] = (uint8_t)(v >> 16);
	a.b[14] = (uint8_t)(v >> 8);
	a.b[15] = (uint8_t)v;
	return a;
}

bool
ip_is4(const struct ip *a)
{
	return memcmp(a->b, mapped, 12) == 0;
}

uint32_t
ip_u32(const struct ip *a)
{
	return (uint32_t)a->b[12] << 24 | (uint32_t)a->b[13] << 16 | (uint32_t)a->b[14] << 8 |
	       a->b[15];
}

bool
ip_eq(const struct ip *a, const struct ip *b)
{
	return memcmp(a->b, b->b, 16) == 0;
}

bool
ip_is_unspecified(const struct ip *a)
{
	static const struct ip zero;
	return ip_eq(a, &zero) || (ip_is4(a) && ip_u32(a) == 0);
}

bool
ip_parse(struct span s, struct ip *out)
{
	char text[INET6_ADDRSTRLEN + 1];
	uint8_t four[4];
	if (!s.n || s.n >= sizeof text || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	if (inet_pton(AF_INET, text, four) == 1) {
		*out = ip4((uint32_t)four[0] << 24 | (uint32_t)four[1] << 16 |
		           (uint32_t)four[2] << 8 | four[3]);
		return true;
	}
	struct ip six;
	if (inet_pton(AF_INET6, text, six.b) != 1)
		return false;
	*out = six;
	return true;
}

const char *
ip_text(const struct ip *a, char *buf)
{
	if (ip_is4(a))
		inet_ntop(AF_INET, a->b + 12, buf, ADDR_TEXT);
	else
		inet_ntop(AF_INET6, a->b, buf, ADDR_TEXT);
	return buf;
}

bool
endpoint_parse(struct span s, struct endpoint *out)
{
	struct endpoint e;
	uint64_t port;
	const uint8_t *colon = s.n ? memrchr(s.p, ':', s.n) : NULL;
	if (!colon)
		return false;
	struct span host = span(s.p, (size_t)(colon - s.p));
	if (!span_u64(span_skip(s, host.n + 1), 65535, &port))
		return false;
	bool bracket = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracket)
		host = span(host.p + 1, host.n - 2);
	if (!ip_parse(host, &e.ip) || bracket != (memchr(host.p, ':', host.n) != NULL))
		return false;
	e.port = (uint16_t)port;
	*out = e;
	return true;
}

const char *
endpoint_text(const struct endpoint *e, char *buf)
{
	char ip[ADDR_TEXT];
	ip_text(&e->ip, ip);
	snprintf(buf, ADDR_TEXT, ip_is4(&e->ip) ? "%.46s:%u" : "[%.46s]:%u", ip, e->port);
	return buf;
}

bool
endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

static bool
host_bits_zero(const struct cidr *c)
{
	for (unsigned i = c->bits; i < 128; i++)
		if (c->ip.b[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

bool
cidr_parse(struct span s, struct cidr *out)
{
	struct cidr c;
	uint64_t bits;
	const uint8_t *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
	struct span host = slash ? span(s.p, (size_t)(slash - s.p)) : s;
	if (!ip_parse(host, &c.ip))
		return false;
	bool dotted = !memchr(host.p, ':', host.n);
	bits = dotted ? 32 : 128;
	if (slash && !span_u64(span_skip(s, host.n + 1), bits, &bits))
		return false;
	c.bits = (uint8_t)(dotted ? 96 + bits : bits);
	if (!host_bits_zero(&c))
		return false;
	*out = c;
	return true;
}

/* Bytes from..from+7 of a XOR b as a number. */
static uint64_t
differ(const struct ip *a, const struct ip *b, size_t from)
{
	uint64_t x, y;
	memcpy(&x, a->b + from, 8);
	memcpy(&y, b->b + from, 8);
	return be64toh(x ^ y);
}

bool
cidr_has(const struct cidr *c, const struct ip *a)
{
	uint64_t high = differ(&c->ip, a, 0);
	if (c->bits <= 64)
		return c->bits == 0 || high >> (64 - c->bits) == 0;
	return high == 0 && differ(&c->ip, a, 8) >> (128 - c->bits) == 0;
}

const char *
cidr_text(const struct cidr *c, char *buf)
{
	char ip[ADDR_TEXT];
	bool four = ip_is4(&c->ip) && c->bits >= 96;
	snprintf(buf, ADDR_TEXT, "%.46s/%d", ip_text(&c->ip, ip), four ? c->bits - 96 : c->bits);
	return buf;
}

socklen_t
endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (ip_is4(&e->ip)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->ip.b + 12, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(e->port);
	memcpy(&in6->sin6_addr, e->ip.b, 16);
	return sizeof *in6;
}

bool
endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
		out->ip = ip4(ntohl(in->sin_addr.s_addr));
		out->port = ntohs(in->sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
		memcpy(out->ip.b, &in6->sin6_addr, 16);
		out->port = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}
