#include "wire/ipv6.h"

#include "base/cursor.h"

#include <errno.h>

enum {
	PAYLOAD_MOST = 65535,
	OPTION_PAD1 = 0,
	OPTION_JUMBO = 0xc2,
};

static struct ip
get_ip6(const uint8_t *p)
{
	struct ip a;
	memcpy(a.b, p, 16);
	return a;
}

/* Options of a hop-by-hop or destination header: those whose two high bits are not 00 say that a
 * node which does not know them must drop the packet (RFC 8200 4.2); we know none. */
static int
check_options(struct span opts)
{
	struct rd r = rd_init(opts);
	while (rd_left(&r)) {
		uint8_t type = rd_u8(&r);
		if (type == OPTION_PAD1)
			continue;
		rd_bytes(&r, rd_u8(&r));
		if (r.bad || type == OPTION_JUMBO)
			return -EBADMSG;
		if (type & 0xc0)
			return -EPROTONOSUPPORT;
	}
	return 0;
}

/* Cut a header of the generic form (next, length in eights beyond the first) off the payload. */
static int
skip_options(struct ippkt *k)
{
	struct span s = k->payload;
	size_t n = s.n >= 2 ? 8 + (size_t)s.p[1] * 8 : 0;
	if (!n || n > s.n)
		return -EBADMSG;
	int r = check_options(span(s.p + 2, n - 2));
	k->proto = s.p[0];
	k->payload = span_skip(s, n);
	return r;
}

static int
skip_routing(struct ippkt *k)
{
	struct span s = k->payload;
	size_t n = s.n >= 4 ? 8 + (size_t)s.p[1] * 8 : 0;
	if (!n || n > s.n)
		return -EBADMSG;
	if (s.p[3] != 0) /* segments left: we are no router on somebody's list */
		return -EPROTONOSUPPORT;
	k->proto = s.p[0];
	k->payload = span_skip(s, n);
	return 0;
}

static int
skip_fragment(struct ippkt *k)
{
	struct span s = k->payload;
	if (s.n < IPV6_FRAGMENT_HEAD)
		return -EBADMSG;
	k->proto = s.p[0];
	k->offset = get16(s.p + 2) & 0xfff8;
	k->more = s.p[3] & 1;
	k->id = get32(s.p + 4);
	k->payload = span_skip(s, IPV6_FRAGMENT_HEAD);
	return 0;
}

static int
walk(struct ippkt *k, bool at_start)
{
	for (int i = 0; i <= IPV6_CHAIN; i++) {
		int r;
		switch (k->proto) {
		case IPPROTO_HOPOPTS: r = i == 0 && at_start ? skip_options(k) : -EBADMSG; break;
		case IPPROTO_DSTOPTS: r = skip_options(k); break;
		case IPPROTO_ROUTING: r = skip_routing(k); break;
		case IPPROTO_FRAGMENT: r = at_start ? skip_fragment(k) : -EBADMSG; break;
		default: return 0;
		}
		if (r < 0 || ippkt_is_fragment(k))
			return r;
	}
	return -EBADMSG;
}

static int
get_head(struct span packet, struct ippkt *out)
{
	const uint8_t *p = packet.p;
	if (packet.n < IPV6_HEAD || p[0] >> 4 != 6)
		return -EBADMSG;
	*out = (struct ippkt){
	        .src = get_ip6(p + 8),
	        .dst = get_ip6(p + 24),
	        .tos = (uint8_t)(p[0] << 4 | p[1] >> 4),
	        .proto = p[6],
	        .ttl = p[7],
	        .dont_fragment = true,
	};
	/* v4-mapped addresses never travel (RFC 4291 2.5.5.2, RFC 6890); taken as IPv4 they would
	 * walk around rules for that family. */
	return ip_is4(&out->src) || ip_is4(&out->dst) ? -EBADMSG : 0;
}

int
ipv6_parse(struct span packet, struct ippkt *out)
{
	int r = get_head(packet, out);
	if (r < 0)
		return r;
	size_t total = IPV6_HEAD + (size_t)get16(packet.p + 4);
	if (total > packet.n)
		return -EBADMSG;
	out->whole = span_first(packet, total);
	out->payload = span_skip(out->whole, IPV6_HEAD);
	r = walk(out, true);
	if (r < 0)
		return r;
	if (out->more && (out->payload.n == 0 || out->payload.n % 8))
		return -EBADMSG;
	return out->offset + out->payload.n > PAYLOAD_MOST ? -EBADMSG : 0;
}

int
ipv6_parse_quoted(struct span quote, struct ippkt *out)
{
	int r = get_head(quote, out);
	if (r < 0)
		return r;
	out->whole = quote;
	out->payload = span_skip(quote, IPV6_HEAD);
	return walk(out, true);
}

int
ipv6_upper(struct ippkt *k)
{
	k->more = false;
	k->offset = 0;
	return walk(k, false);
}

static size_t
put_fragment(uint8_t *p, const struct ippkt *k)
{
	p[0] = k->proto;
	p[1] = 0;
	put16(p + 2, (uint16_t)(k->offset | k->more));
	put32(p + 4, k->id);
	return IPV6_FRAGMENT_HEAD;
}

size_t
ipv6_put(uint8_t *p, const struct ippkt *k, size_t payload_len)
{
	bool split = ippkt_is_fragment(k);
	put32(p, 6u << 28 | (uint32_t)k->tos << 20);
	put16(p + 4, (uint16_t)(payload_len + (split ? IPV6_FRAGMENT_HEAD : 0)));
	p[6] = split ? IPPROTO_FRAGMENT : k->proto;
	p[7] = k->ttl;
	memcpy(p + 8, k->src.b, 16);
	memcpy(p + 24, k->dst.b, 16);
	return IPV6_HEAD + (split ? put_fragment(p + IPV6_HEAD, k) : 0);
}
