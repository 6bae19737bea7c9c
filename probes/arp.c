/* arp: who has the gateway's address. A guest asks this before everything else, even before it has
 * an address of its own. */
#include "probes/rows.h"

int
probe_arp(struct probe *p)
{
	struct lan *l = p->lan;
	struct ip ip = lan_gateway(l);
	struct mac mac;
	char text[ADDR_TEXT], mac_as_text[MAC_TEXT];
	enum lan_wait w = LAN_NEWS;
	step_begin(p, "arp");
	if (p->conf->target && !ip_parse(span_str(p->conf->target), &ip))
		return step_end(p, ANSWER_NO, EXIT_USAGE, "'%s' is no IP address", p->conf->target);
	step_str(p, "address", ip_text(&ip, text));
	uint64_t until = lan_patience(l);
	enum guest_neighbour state;
	guest_resolve(l->g, &ip, lan_now(l));
	while ((state = guest_neighbour(l->g, &ip, &mac)) == NEIGHBOUR_ASKED &&
	        (w = lan_wait(l, until)) == LAN_NEWS)
		;
	if (state == NEIGHBOUR_FOUND) {
		step_str(p, "mac", mac_text(&mac, mac_as_text));
		return step_end(p, ANSWER_YES, EXIT_OK, "%s is at %s", text, mac_as_text);
	}
	if (w == LAN_DOWN || w == LAN_INTERRUPTED)
		return lan_give_up(l, w, "");
	step_hint(p, "the gateway answers for itself alone; [lan] gateway says where it is");
	return step_end(p, ANSWER_UNKNOWN, EXIT_TIMEOUT, "nobody answers for %s", text);
}
