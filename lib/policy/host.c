#include "policy/host.h"

#include "base/mem.h"

#include <stdio.h>

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool
all_digits(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static unsigned
digit_of(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10u : 99;
}

/* WHATWG "IPv4 number parser". "0x" alone is 0. Values stop growing once beyond any address. */
static bool
number_part(struct span s, uint64_t *out)
{
	unsigned radix = 10;
	uint64_t v = 0;
	if (!s.n)
		return false;
	if (s.n >= 2 && s.p[0] == '0') {
		bool hex = lower(s.p[1]) == 'x';
		radix = hex ? 16 : 8;
		s = span_skip(s, hex ? 2 : 1);
	}
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = digit_of(s.p[i]);
		if (d >= radix)
			return false;
		v = v >> 40 ? v : v * radix + d;
	}
	*out = v;
	return true;
}

static bool
ends_in_number(struct span s)
{
	uint64_t v;
	const uint8_t *dot = s.n ? memrchr(s.p, '.', s.n) : NULL;
	struct span last = dot ? span_skip(s, (size_t)(dot - s.p) + 1) : s;
	return all_digits(last) || number_part(last, &v);
}

int
host_number(struct span s, uint32_t *out)
{
	uint64_t part[4], v;
	size_t n = 0;
	struct span item;
	if (s.n > 1 && s.p[s.n - 1] == '.')
		s.n--;
	if (!ends_in_number(s))
		return 0;
	while (span_split(&s, '.', &item))
		if (n == 4 || !number_part(item, &part[n++]))
			return -1;
	v = part[n - 1];
	if (v >> (8 * (5 - n)))
		return -1;
	for (size_t i = 0; i + 1 < n; i++) {
		if (part[i] > 255)
			return -1;
		v |= part[i] << (8 * (3 - i));
	}
	*out = (uint32_t)v;
	return 1;
}

bool
host_bracketed(struct span s, struct ip *out)
{
	return s.n && memchr(s.p, ':', s.n) && ip_parse(s, out);
}

/* Start of the longest run of two or more zero groups, first on ties; *len 0 if there is none. */
static size_t
zero_run(const uint16_t g[8], size_t *len)
{
	size_t best = 0;
	*len = 0;
	for (size_t i = 0; i < 8; i++) {
		size_t j = i;
		while (j < 8 && g[j] == 0)
			j++;
		if (j - i >= 2 && j - i > *len) {
			*len = j - i;
			best = i;
		}
		i = j > i ? j : i;
	}
	return best;
}

const char *
host_ip6_text(const uint8_t b[16], char *buf)
{
	uint16_t g[8];
	size_t len, at = 0;
	for (size_t i = 0; i < 8; i++)
		g[i] = (uint16_t)(b[2 * i] << 8 | b[2 * i + 1]);
	size_t run = zero_run(g, &len);
	buf[0] = 0;
	for (size_t i = 0; i < 8; i++) {
		if (len && i == run) {
			at += (size_t)snprintf(buf + at, ADDR_TEXT - at, "::");
			i += len - 1;
			continue;
		}
		bool colon = i && !(len && i == run + len);
		at += (size_t)snprintf(buf + at, ADDR_TEXT - at, colon ? ":%x" : "%x", g[i]);
	}
	return buf;
}

/* Code points that no xn-- label may decode to. Not the whole of UTS 46: what is invisible, mapped
 * away or unassignable, which is what look-alike tricks are made of. */
static const struct {
	uint32_t lo, hi;
} ace_bad[] = {
        {0x80, 0xa0},
        {0xaa, 0xaa},
        {0xad, 0xad},
        {0xb2, 0xb3},
        {0xb9, 0xba},
        {0xbc, 0xbe},
        {0xc0, 0xd6},
        {0xd8, 0xde},
        {0x34f, 0x34f},
        {0x61c, 0x61c},
        {0x115f, 0x1160},
        {0x17b4, 0x17b5},
        {0x180b, 0x180f},
        {0x2000, 0x200b}, /* 200c and 200d join letters in some scripts */
        {0x200e, 0x206f},
        {0x2070, 0x209c},
        {0x2460, 0x24ff},
        {0x3000, 0x3000},
        {0x3002, 0x3002},
        {0x3164, 0x3164},
        {0xd800, 0xf8ff},
        {0xfdd0, 0xfdef},
        {0xfe00, 0xfe0f},
        {0xfeff, 0xfeff},
        {0xff00, 0xffff},
        {0x1d400, 0x1d7ff},
        {0x1fbf0, 0x1fbf9},
        {0xe0000, 0xffffffff},
};

static bool
ace_code_ok(uint32_t c)
{
	for (size_t i = 0; i < ARRAY_LEN(ace_bad); i++)
		if (c >= ace_bad[i].lo && c <= ace_bad[i].hi)
			return false;
	return (c & 0xfffe) != 0xfffe;
}

/* RFC 3492 6.1 */
static uint32_t
ace_adapt(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;
	delta = first ? delta / 700 : delta / 2;
	delta += delta / points;
	for (; delta > 455; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

static unsigned
ace_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)c - '0' + 26;
	c = lower(c);
	return c >= 'a' && c <= 'z' ? (unsigned)c - 'a' : 99;
}

/* One generalised variable-length integer (RFC 3492 6.2), added to *i. */
static bool
ace_delta(struct span *s, uint32_t bias, uint32_t *i)
{
	uint64_t sum = *i, w = 1;
	for (uint32_t k = 36;; k += 36) {
		unsigned d = s->n ? ace_digit(s->p[0]) : 99;
		if (d >= 36)
			return false;
		*s = span_skip(*s, 1);
		sum += d * w;
		if (sum >> 31)
			return false;
		uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
		if (d < t)
			break;
		w *= 36 - t;
		if (w >> 31)
			return false;
	}
	*i = (uint32_t)sum;
	return true;
}

static bool
ace_label_ok(struct span s)
{
	const uint8_t *dash = s.n ? memrchr(s.p, '-', s.n) : NULL;
	uint32_t points = dash ? (uint32_t)(dash - s.p) : 0, n = 128, i = 0, bias = 72;
	bool first = true;
	if (dash)
		s = span_skip(s, points + 1);
	if (!s.n)
		return false;
	while (s.n) {
		uint32_t old = i;
		if (!ace_delta(&s, bias, &i))
			return false;
		points++;
		bias = ace_adapt(i - old, points, first);
		first = false;
		n += i / points;
		i = i % points + 1;
		if (n > 0x10ffff || !ace_code_ok(n))
			return false;
	}
	return true;
}

bool
host_ace_ok(struct span name)
{
	struct span label;
	while (span_split(&name, '.', &label))
		if (span_istarts(label, "xn--") && !ace_label_ok(span_skip(label, 4)))
			return false;
	return true;
}

bool
host_lower(struct span name, char out[HOST_NAME_MAX_LEN + 1])
{
	while (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n > HOST_NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < name.n; i++)
		out[i] = (char)lower(name.p[i]);
	out[name.n] = 0;
	return true;
}

/* What compatibility characters stand for (UTS 46 maps them so): ranges of digits and letters, and
 * the dots of other scripts. */
static const struct {
	uint32_t lo, hi;
	char to;     /* what `lo` becomes, counting up ... */
	uint8_t mod; /* ... and starting over after this many, 0 = never */
} fold[] = {
        {0xb9, 0xb9, '1', 0},
        {0xb2, 0xb3, '2', 0},
        {0x2070, 0x2070, '0', 0},
        {0x2074, 0x2079, '4', 0},
        {0x2080, 0x2089, '0', 0},
        {0x2460, 0x2468, '1', 0},
        {0x24b6, 0x24cf, 'a', 0},
        {0x24d0, 0x24e9, 'a', 0},
        {0x24ea, 0x24ea, '0', 0},
        {0x3002, 0x3002, '.', 0},
        {0xff01, 0xff5e, '!', 0},
        {0xff61, 0xff61, '.', 0},
        {0x1d7ce, 0x1d7ff, '0', 10},
        {0x1fbf0, 0x1fbf9, '0', 0},
};

static int
fold_code(uint32_t c)
{
	if (c < 0x80)
		return (int)c;
	for (size_t i = 0; i < ARRAY_LEN(fold); i++) {
		uint32_t off = c - fold[i].lo;
		if (c >= fold[i].lo && c <= fold[i].hi)
			return fold[i].to + (int)(fold[i].mod ? off % fold[i].mod : off);
	}
	return -1;
}

/* Lengths of UTF-8 sequences are taken from the first byte; what is malformed folds to nothing. */
static int
fold_next(struct span *s)
{
	uint8_t c = s->p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	uint32_t code = n == 1 ? c : c & (0x7fu >> n);
	if (s->n < n || (c >= 0x80 && c < 0xc2))
		return -1;
	for (size_t i = 1; i < n; i++) {
		if ((s->p[i] & 0xc0) != 0x80)
			return -1;
		code = code << 6 | (s->p[i] & 0x3f);
	}
	*s = span_skip(*s, n);
	return fold_code(code);
}

static bool
fold_to_ascii(struct span s, char out[HOST_NAME_MAX_LEN + 3], size_t *len)
{
	size_t n = 0;
	while (s.n) {
		int c = fold_next(&s);
		if (c <= ' ' || c > '~' || n == HOST_NAME_MAX_LEN + 2)
			return false;
		out[n++] = (char)c;
	}
	*len = n;
	return n > 0;
}

static bool
name_ok(const char *name)
{
	struct span rest = span_str(name), label;
	if (!rest.n || strpbrk(name, "#/:<>?@[\\]^|%\"'`{}*,;&=+$!~()"))
		return false;
	while (span_split(&rest, '.', &label))
		if (!label.n || label.n > 63)
			return false;
	return host_ace_ok(span_str(name));
}

struct host
host_classify(struct span s)
{
	struct host h = {0};
	char ascii[HOST_NAME_MAX_LEN + 3];
	uint32_t v4;
	size_t n;
	s = span_trim(s);
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		if (host_bracketed(span(s.p + 1, s.n - 2), &h.ip))
			h.kind = HOST_IP;
		return h;
	}
	if (ip_parse(s, &h.ip)) {
		h.kind = HOST_IP;
		return h;
	}
	if (!fold_to_ascii(s, ascii, &n) || !host_lower(span(ascii, n), h.name))
		return h;
	int number = host_number(span_str(h.name), &v4);
	if (number > 0)
		h = (struct host){.kind = HOST_IP, .ip = ip4(v4)};
	else if (number == 0 && name_ok(h.name))
		h.kind = HOST_NAME;
	return h;
}
