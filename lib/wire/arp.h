/* arp: address resolution for IPv4 on Ethernet.
 *
 * Errors   parse: -EBADMSG for anything but Ethernet/IPv4 of full length; trailing padding is fine.
 * Spec     RFC 826, RFC 5227. */
#pragma once

#include "base/addr.h"
#include "wire/mac.h"

#define ARP_LEN 28

enum arp_op {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

struct arp {
	uint16_t op;
	struct mac sender_mac, target_mac;
	struct ip sender, target;
};

int arp_parse(struct span payload, struct arp *out);
/* Writes ARP_LEN bytes. */
void arp_put(uint8_t *p, const struct arp *a);
