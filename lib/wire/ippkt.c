#include "wire/ippkt.h"

#include "wire/ipv4.h"
#include "wire/ipv6.h"

#include <errno.h>

int
ippkt_parse(struct span packet, struct ippkt *out)
{
	if (!packet.n)
		return -EBADMSG;
	switch (packet.p[0] >> 4) {
	case 4: return ipv4_parse(packet, out);
	case 6: return ipv6_parse(packet, out);
	default: return -EPROTONOSUPPORT;
	}
}

int
ippkt_parse_quoted(struct span quote, struct ippkt *out)
{
	if (!quote.n)
		return -EBADMSG;
	switch (quote.p[0] >> 4) {
	case 4: return ipv4_parse_quoted(quote, out);
	case 6: return ipv6_parse_quoted(quote, out);
	default: return -EPROTONOSUPPORT;
	}
}

size_t
ippkt_head_len(const struct ippkt *k)
{
	if (ip_is4(&k->src))
		return IPV4_HEAD;
	return ippkt_is_fragment(k) ? IPV6_HEAD + IPV6_FRAGMENT_HEAD : IPV6_HEAD;
}

size_t
ippkt_put(uint8_t *p, const struct ippkt *k, size_t payload_len)
{
	return ip_is4(&k->src) ? ipv4_put(p, k, payload_len) : ipv6_put(p, k, payload_len);
}
