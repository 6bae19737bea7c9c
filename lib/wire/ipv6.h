/* ipv6: the IPv6 header and its extension headers to and from struct ippkt, whose contract holds.
 *
 * Extension headers are walked up to the upper layer, at most IPV6_CHAIN of them. The walk stops
 * at a fragment header that really splits: what follows belongs to the datagram that reassembly
 * gives, and ipv6_upper finishes the walk there. An atomic fragment (RFC 6946) is no fragment.
 * Spec     RFC 8200, RFC 5095 (routing header 0 refused), RFC 7045. */
#pragma once

#include "wire/ippkt.h"

#define IPV6_HEAD 40
#define IPV6_FRAGMENT_HEAD 8
#define IPV6_CHAIN 8

int ipv6_parse(struct span packet, struct ippkt *out);
int ipv6_parse_quoted(struct span quote, struct ippkt *out);
/* proto and payload as reassembled: walk what extension headers are left in front of the upper
 * layer. Same errors as a parse. */
int ipv6_upper(struct ippkt *k);
/* Writes IPV6_HEAD bytes, and IPV6_FRAGMENT_HEAD more for a fragment; returns how many. */
size_t ipv6_put(uint8_t *p, const struct ippkt *k, size_t payload_len);
