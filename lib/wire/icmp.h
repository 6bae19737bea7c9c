/* icmp: ICMP and ICMPv6 messages, named by what they mean in either family.
 *
 * Memory   body is borrowed from the packet.
 * Errors   parse: -EBADMSG when too short, -EILSEQ for a wrong checksum.
 * Spec     RFC 792, RFC 1122 3.2.2, RFC 1191, RFC 1812 5.2.7, RFC 4443. */
#pragma once

#include "wire/ippkt.h"

#define ICMP_HEAD 8

enum icmp_kind {
	ICMP_KIND_OTHER, /* see type and code */
	ICMP_KIND_ECHO,
	ICMP_KIND_ECHO_REPLY,
	ICMP_KIND_NET_UNREACHABLE,
	ICMP_KIND_HOST_UNREACHABLE,
	ICMP_KIND_PROTO_UNREACHABLE,
	ICMP_KIND_PORT_UNREACHABLE,
	ICMP_KIND_TOO_BIG, /* with the MTU of the next hop */
	ICMP_KIND_PROHIBITED,
	ICMP_KIND_TTL_EXCEEDED,
	ICMP_KIND_REASSEMBLY_TIMEOUT,
	ICMP_KIND_BAD_PARAMETER,
};

struct icmpmsg {
	enum icmp_kind kind;
	uint8_t type, code; /* as on the wire; written only when kind is OTHER */
	uint16_t id, seq;   /* of an echo */
	uint32_t mtu;       /* of TOO_BIG; 0 when the router did not say */
	struct span body;   /* echo data, or the quoted packet: see ippkt_parse_quoted */
};

/* k is a whole datagram whose proto is IPPROTO_ICMP or IPPROTO_ICMPV6. */
int icmp_parse(const struct ippkt *k, struct icmpmsg *out);
/* Writes the ICMP_HEAD bytes in front of a body of len bytes whose partial sum is `sum`. The family
 * is that of src; m->body is not looked at. */
void icmp_put(uint8_t *p, const struct icmpmsg *m, const struct ip *src, const struct ip *dst,
        size_t len, uint16_t sum);
enum icmp_kind icmp_kind_of(bool v6, uint8_t type, uint8_t code);
static inline uint8_t
icmp_proto(const struct ip *a)
{
	return ip_is4(a) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}
bool icmp_is_error(const struct ippkt *k);
/* Whether an error about k may be sent: not about errors, later fragments, or packets from or to
 * more than one host (RFC 1122 3.2.2, RFC 4443 2.4 e). The subnet's broadcast is the caller's. */
bool icmp_may_answer(const struct ippkt *k);
/* As much of k as an error about it quotes: all, within 576 (RFC 1812 4.3.2.3) or 1280 bytes. */
struct span icmp_quote(const struct ippkt *k);
