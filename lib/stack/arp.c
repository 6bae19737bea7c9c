/* The gateway answers for itself and for nobody else: not for the guest's own address, which the
 * guest may be probing, nor for the rest of its network, where nobody is. It never asks. */
#include "stack/stack_int.h"

#include "wire/arp.h"

static void
reply(struct stack *st, const struct arp *ask)
{
	const struct mac *us = &conf_of(st)->gateway_mac;
	uint8_t *p = ctl_frame(st, ETHER_HEAD + ARP_LEN);
	struct arp answer = {
	        .op = ARP_REPLY,
	        .sender_mac = *us,
	        .sender = ask->target,
	        .target_mac = ask->sender_mac,
	        .target = ask->sender,
	};
	if (!p)
		return;
	ether_put(p, &ask->sender_mac, us, ETHER_ARP);
	arp_put(p + ETHER_HEAD, &answer);
}

void
arp_input(struct stack *st, struct span payload)
{
	struct arp a;
	stats_of(st)->arp_in++;
	if (arp_parse(payload, &a) < 0 || mac_is_multicast(&a.sender_mac)) {
		stats_of(st)->frames_bad++;
		return;
	}
	if (lan_is_guest(st, &a.sender))
		lan_learn(st, &a.sender, &a.sender_mac);
	if (a.op == ARP_REQUEST && lan_is_gateway(st, &a.target))
		reply(st, &a);
}
