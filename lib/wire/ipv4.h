/* ipv4: the IPv4 header to and from struct ippkt, whose contract holds here.
 *
 * Options are skipped: nothing behind this stack is reached by a source route.
 * Spec     RFC 791, RFC 1122 3.2.1. */
#pragma once

#include "wire/ippkt.h"

#define IPV4_HEAD 20

int ipv4_parse(struct span packet, struct ippkt *out);
int ipv4_parse_quoted(struct span quote, struct ippkt *out);
/* Writes IPV4_HEAD bytes and returns that. */
size_t ipv4_put(uint8_t *p, const struct ippkt *k, size_t payload_len);
