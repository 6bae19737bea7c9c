/* udp: the UDP header.
 *
 * Memory   payload is borrowed from the packet.
 * Errors   parse: -EBADMSG for a broken length, -EILSEQ for a wrong checksum; none at all is fine
 *          in IPv4 and wrong in IPv6 (RFC 8200 8.1).
 * Spec     RFC 768. */
#pragma once

#include "wire/ippkt.h"

#define UDP_HEAD 8

struct udpdgram {
	uint16_t sport, dport;
	struct span payload;
};

/* k is a whole datagram whose proto is IPPROTO_UDP. */
int udp_parse(const struct ippkt *k, struct udpdgram *out);
/* Ports of a first fragment or a quoted packet, nothing else checked. */
int udp_ports(const struct ippkt *k, uint16_t *sport, uint16_t *dport);
/* Writes the UDP_HEAD bytes in front of len bytes whose partial sum is `sum`. */
void udp_put(uint8_t *p, uint16_t sport, uint16_t dport, const struct ip *src, const struct ip *dst,
        size_t len, uint16_t sum);
