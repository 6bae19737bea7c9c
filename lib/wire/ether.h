/* ether: the Ethernet II header.
 *
 * Memory   payload is borrowed from the frame; link padding is still in it.
 * Errors   parse: -EBADMSG when shorter than a header. 802.3 lengths, VLAN tags and whatever else
 *          are simply types nobody knows. */
#pragma once

#include "wire/mac.h"

#define ETHER_HEAD 14
#define ETHER_LEAST 60 /* what a real wire pads to, without the check sequence */

enum ether_type {
	ETHER_IPV4 = 0x0800,
	ETHER_ARP = 0x0806,
	ETHER_IPV6 = 0x86dd,
};

struct ether {
	struct mac dst, src;
	uint16_t type;
	struct span payload;
};

int ether_parse(struct span frame, struct ether *out);
/* Writes ETHER_HEAD bytes. */
void ether_put(uint8_t *p, const struct mac *dst, const struct mac *src, uint16_t type);
