#include "conf/item.h"

#include <errno.h>

static int
wanted(bool ok, struct err *e, const char *form)
{
	return ok ? 0 : err_set(e, -EINVAL, "must be %s", form);
}

/* Cut at the first `sep`; both sides trimmed and not empty. */
static bool
halves(struct span s, char sep, struct span *left, struct span *right)
{
	const uint8_t *at = s.n ? memchr(s.p, sep, s.n) : NULL;
	if (!at)
		return false;
	*left = span_trim(span(s.p, (size_t)(at - s.p)));
	*right = span_trim(span(at + 1, s.n - (size_t)(at + 1 - s.p)));
	return left->n && right->n;
}

static bool
read_port(struct span s, uint16_t *out)
{
	uint64_t v;
	if (!span_u64(s, 65535, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

bool
item_read_ports(struct span s, uint16_t *first, uint16_t *last)
{
	struct span a, b;
	uint16_t lo, hi;
	if (!halves(s, '-', &a, &b))
		a = b = s;
	if (!read_port(a, &lo) || !read_port(b, &hi) || lo > hi)
		return false;
	*first = lo;
	*last = hi;
	return true;
}

bool
item_read_route(struct span s, struct cidr *to, struct ip *via)
{
	struct span a, b;
	struct cidr range;
	struct ip router;
	if (!halves(s, '=', &a, &b) || !cidr_parse(a, &range) || !ip_parse(b, &router))
		return false;
	*to = range;
	*via = router;
	return true;
}

static bool
is_label_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

/* RFC 1123 2.1, with the underscore that service names have. */
static bool
is_hostname(struct span s)
{
	struct span rest = s, label;
	if (!s.n || s.n > 253)
		return false;
	while (span_split(&rest, '.', &label)) {
		if (!label.n || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_label_char(label.p[i]))
				return false;
	}
	return true;
}

/* "host:port": a name, an IPv4 address or a bracketed IPv6 address. */
static bool
read_target(struct span s, struct span *host, uint16_t *port)
{
	struct endpoint e;
	if (s.n && s.p[0] == '[') {
		const uint8_t *at = memchr(s.p, ']', s.n);
		if (!at || !endpoint_parse(s, &e) || !e.port)
			return false;
		*host = span(s.p + 1, (size_t)(at - s.p - 1));
		*port = e.port;
		return true;
	}
	struct span name, digits;
	uint16_t n;
	if (!halves(s, ':', &name, &digits) || !read_port(digits, &n) || !n || !is_hostname(name))
		return false;
	*host = name;
	*port = n;
	return true;
}

bool
item_read_forward(struct span s, struct endpoint *from, struct span *host, uint16_t *port)
{
	struct span a, b;
	struct endpoint key;
	if (!halves(s, '=', &a, &b) || !endpoint_parse(a, &key) || !read_target(b, host, port))
		return false;
	*from = key;
	return true;
}

bool
item_read_static_a(struct span s, struct span *name, struct ip *ip)
{
	struct span a, b;
	struct ip to;
	if (!halves(s, '=', &a, &b) || !is_hostname(a) || !ip_parse(b, &to))
		return false;
	*name = a;
	*ip = to;
	return true;
}

bool
item_read_dns_server(struct span s, struct endpoint *out)
{
	struct endpoint e = {.port = 53};
	if (!ip_parse(s, &e.ip) && (!endpoint_parse(s, &e) || !e.port))
		return false;
	*out = e;
	return true;
}

/* The shape only; policy/origin knows every rule and has the last word. */
static bool
is_origin(struct span s)
{
	if (span_is(s, "*") || span_is(s, "null"))
		return true;
	size_t scheme = span_istarts(s, "https://") ? 8 : span_istarts(s, "http://") ? 7 : 0;
	struct span host = span_skip(s, scheme);
	if (!scheme || !host.n || host.p[0] == '/')
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] <= ' ' || host.p[i] > '~' || strchr("%{}\\`@?#", host.p[i]) ||
		        (host.p[i] == '/' && i + 1 < host.n))
			return false;
	return true;
}

int
item_origin(struct span s, struct err *e)
{
	return wanted(is_origin(s), e, "an origin like https://app.example:8443, or * or null");
}

int
item_ip(struct span s, struct err *e)
{
	struct ip ip;
	return wanted(ip_parse(s, &ip), e, "an IP address");
}

int
item_cidr(struct span s, struct err *e)
{
	struct cidr c;
	return wanted(cidr_parse(s, &c), e,
	        "a range like 10.0.0.0/8 or 2001:db8::/32, with no bits set beyond the prefix");
}

int
item_ports(struct span s, struct err *e)
{
	uint16_t lo, hi;
	return wanted(item_read_ports(s, &lo, &hi), e, "a port 0..65535 or a range like 8000-8100");
}

int
item_route(struct span s, struct err *e)
{
	struct cidr to;
	struct ip via;
	return wanted(item_read_route(s, &to, &via), e, "a route like 10.1.0.0/16=10.0.2.2");
}

int
item_forward(struct span s, struct err *e)
{
	struct endpoint from;
	struct span host;
	uint16_t port;
	return wanted(item_read_forward(s, &from, &host, &port), e,
	        "a forward like 192.0.2.1:80=localhost:8080");
}

int
item_static_a(struct span s, struct err *e)
{
	struct span name;
	struct ip ip;
	return wanted(item_read_static_a(s, &name, &ip), e, "an answer like name.test=192.0.2.1");
}

int
item_dns_server(struct span s, struct err *e)
{
	struct endpoint ep;
	return wanted(item_read_dns_server(s, &ep), e,
	        "a server like 9.9.9.9, 10.0.0.1:5353 or [::1]:53");
}

int
item_hostname(struct span s, struct err *e)
{
	return wanted(is_hostname(s), e, "a host or domain name");
}
