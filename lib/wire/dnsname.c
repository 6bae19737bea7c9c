#include "wire/dnsname.h"

#include "base/cursor.h"

#include <errno.h>
#include <stdio.h>

enum {
	LABEL_MOST = 63,
	POINTER = 0xc0,
	HEAD = 12,
};

/* Append one label with its length; the root label has none. */
static bool
add_label(struct dnsname *d, struct span label)
{
	if (label.n > LABEL_MOST || d->n + 1 + label.n > DNSNAME_MOST)
		return false;
	d->b[d->n++] = (uint8_t)label.n;
	if (label.n)
		memcpy(d->b + d->n, label.p, label.n);
	d->n = (uint8_t)(d->n + label.n);
	return true;
}

int
dnsname_at(struct span msg, size_t at, struct dnsname *out, size_t *end)
{
	size_t limit =
	        at; /* the next pointer must point before this, and what it points at end there */
	bool jumped = false;
	struct rd r = rd_init(span_skip(msg, at));
	out->n = 0;
	for (;;) {
		uint8_t len = rd_u8(&r);
		if (r.bad)
			return -EBADMSG;
		if ((len & POINTER) == POINTER) {
			size_t to = (size_t)(len & ~POINTER) << 8 | rd_u8(&r);
			if (r.bad || to < HEAD || to >= limit)
				return -EBADMSG;
			if (!jumped)
				*end = (size_t)(r.p - msg.p);
			jumped = true;
			r = rd_init(span(msg.p + to, limit - to));
			limit = to;
			continue;
		}
		struct span label = rd_bytes(&r, len);
		if (r.bad || !add_label(out, label))
			return -EBADMSG;
		if (len == 0)
			break;
	}
	if (!jumped)
		*end = (size_t)(r.p - msg.p);
	return 0;
}

bool
dnsname_label(const struct dnsname *d, size_t *at, struct span *label)
{
	if (*at >= d->n || d->b[*at] == 0)
		return false;
	*label = span(d->b + *at + 1, d->b[*at]);
	*at += 1 + label->n;
	return true;
}

static char *
put_label(char *to, struct span label)
{
	for (size_t i = 0; i < label.n; i++) {
		uint8_t c = label.p[i];
		if (c < 0x21 || c > 0x7e) {
			*to++ = '\\';
			*to++ = (char)('0' + c / 100);
			*to++ = (char)('0' + c / 10 % 10);
			*to++ = (char)('0' + c % 10);
			continue;
		}
		if (c == '.' || c == '\\')
			*to++ = '\\';
		*to++ = (char)c;
	}
	return to;
}

const char *
dnsname_text(const struct dnsname *d, char *buf)
{
	char *to = buf;
	struct span label;
	for (size_t at = 0; dnsname_label(d, &at, &label);) {
		if (to != buf)
			*to++ = '.';
		to = put_label(to, label);
	}
	if (to == buf)
		*to++ = '.';
	*to = 0;
	return buf;
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* One character of a label; -1 for a bad escape. */
static int
get_char(struct rd *r)
{
	uint8_t c = rd_u8(r);
	if (c != '\\')
		return c;
	c = rd_u8(r);
	if (r->bad || !is_digit(c))
		return r->bad ? -1 : c;
	uint8_t d1 = rd_u8(r), d0 = rd_u8(r);
	int v = (c - '0') * 100 + (d1 - '0') * 10 + (d0 - '0');
	return r->bad || !is_digit(d1) || !is_digit(d0) || v > 255 ? -1 : v;
}

int
dnsname_parse(struct span text, struct dnsname *out)
{
	struct dnsname d = {0};
	struct rd r = rd_init(text);
	if (span_is(text, "."))
		r.p = r.end;
	else if (!text.n)
		return -EBADMSG;
	while (rd_left(&r)) {
		uint8_t label[LABEL_MOST];
		size_t n = 0;
		while (rd_left(&r) && *r.p != '.') {
			int c = get_char(&r);
			if (c < 0 || n == LABEL_MOST)
				return -EBADMSG;
			label[n++] = (uint8_t)c;
		}
		if (!n || !add_label(&d, span(label, n)))
			return -EBADMSG;
		if (rd_left(&r))
			r.p++;
	}
	if (!add_label(&d, SPAN_NONE))
		return -EBADMSG;
	*out = d;
	return 0;
}

bool
dnsname_eq(const struct dnsname *a, const struct dnsname *b)
{
	return span_ieq(dnsname_span(a), dnsname_span(b));
}

/* Label lengths are below 'A', so the whole wire form may be folded. */
void
dnsname_lower(struct dnsname *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->b[i] >= 'A' && d->b[i] <= 'Z')
			d->b[i] |= 0x20;
}

bool
dnsname_under(const struct dnsname *d, const struct dnsname *parent)
{
	struct span label;
	size_t at = 0;
	while (at + parent->n <= d->n) {
		if (at + parent->n == d->n)
			return span_ieq(span_skip(dnsname_span(d), at), dnsname_span(parent));
		if (!dnsname_label(d, &at, &label))
			return false;
	}
	return false;
}

void
dnsname_of_ip(const struct ip *a, struct dnsname *out)
{
	static const char digits[] = "0123456789abcdef";
	char text[80];
	size_t n = 0;
	if (ip_is4(a)) {
		snprintf(text, sizeof text, "%u.%u.%u.%u.in-addr.arpa", a->b[15], a->b[14],
		        a->b[13], a->b[12]);
	} else {
		for (size_t i = 16; i-- > 0;) {
			text[n++] = digits[a->b[i] & 15];
			text[n++] = '.';
			text[n++] = digits[a->b[i] >> 4];
			text[n++] = '.';
		}
		memcpy(text + n, "ip6.arpa", sizeof "ip6.arpa");
	}
	dnsname_parse(span_str(text), out);
}

static bool
get_octets(const struct dnsname *d, struct ip *out)
{
	uint32_t v = 0;
	size_t at = 0;
	struct span label;
	for (int i = 0; i < 4; i++) {
		uint64_t octet;
		if (!dnsname_label(d, &at, &label) || !span_u64(label, 255, &octet))
			return false;
		v |= (uint32_t)octet << 8 * i;
	}
	*out = ip4(v);
	return true;
}

static int
nibble(struct span label)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = label.n == 1 && label.p[0] ? strchr(digits, label.p[0]) : NULL;
	return at ? (int)((at - digits) % 16) : -1;
}

static bool
get_nibbles(const struct dnsname *d, struct ip *out)
{
	struct ip a = {{0}};
	size_t at = 0;
	struct span label;
	for (int i = 31; i >= 0; i--) {
		int v = dnsname_label(d, &at, &label) ? nibble(label) : -1;
		if (v < 0)
			return false;
		a.b[i / 2] |= (uint8_t)(i % 2 ? v : v << 4);
	}
	*out = a;
	return true;
}

bool
dnsname_to_ip(const struct dnsname *d, struct ip *out)
{
	static const struct dnsname v4 = {14, "\7in-addr\4arpa"}, v6 = {10, "\3ip6\4arpa"};
	size_t labels = 0, at = 0;
	struct span label;
	while (dnsname_label(d, &at, &label))
		labels++;
	if (labels == 6 && dnsname_under(d, &v4))
		return get_octets(d, out);
	return labels == 34 && dnsname_under(d, &v6) && get_nibbles(d, out);
}
