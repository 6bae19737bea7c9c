/* ippkt: one IP packet of either family, as the layers above want to see it.
 *
 * For      everything above IP: nobody else asks which version a packet had.
 * Memory   payload and whole are borrowed from the parsed bytes; link padding is cut off.
 * Errors   parse: -EBADMSG for a broken header, -EILSEQ for a wrong header checksum,
 *          -EPROTONOSUPPORT for what is well formed but not for us (another version, an IPv6
 *          option or routing header that must not be skipped).
 * Spec     RFC 791, RFC 8200. */
#pragma once

#include "base/addr.h"

#include <netinet/in.h> /* IPPROTO_* */

#define IPPKT_HEAD_MOST 48 /* what ippkt_put writes at most */

struct ippkt {
	struct ip src, dst;
	uint8_t proto; /* of the payload, behind IPv6 extension headers */
	uint8_t ttl, tos;
	bool dont_fragment; /* always so in IPv6 */
	bool more;          /* another fragment follows this one */
	uint16_t offset;    /* of this fragment in the datagram, in bytes */
	uint32_t id;        /* IPv6: only with a fragment header */
	struct span payload;
	struct span whole; /* header and payload: what an ICMP error quotes */
};

static inline bool
ippkt_is_fragment(const struct ippkt *k)
{
	return k->more || k->offset;
}

int ippkt_parse(struct span packet, struct ippkt *out);
/* The start of a packet that an ICMP error sends back: its checksum is not checked, and payload is
 * whatever is left of it. */
int ippkt_parse_quoted(struct span quote, struct ippkt *out);

/* Bytes that ippkt_put writes for it: 20; or 40, and 48 with an IPv6 fragment header. */
size_t ippkt_head_len(const struct ippkt *k);
/* A header without options in front of payload_len bytes, family by src; returns its length.
 * Takes every field but payload and whole; id matters for IPv4 and for fragments. */
size_t ippkt_put(uint8_t *p, const struct ippkt *k, size_t payload_len);
