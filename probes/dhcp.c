/* dhcp: a lease, its renewal, and INFORM: what a guest's kernel does at boot, at half time, and
 * what Windows does besides. */
#include "probes/rows.h"

#include "guest/gdhcp.h"

static int
renew(struct probe *p)
{
	struct lan *l = p->lan;
	enum lan_wait w = LAN_NEWS;
	uint32_t naks = gdhcp_count(l->g)->naks;
	step_begin(p, "renew");
	uint64_t until = lan_patience(l);
	gdhcp_renew(l->g, lan_now(l));
	while (gdhcp_state(l->g) == GDHCP_RENEWING && (w = lan_wait(l, until)) == LAN_NEWS)
		;
	if (w != LAN_NEWS)
		return lan_give_up(l, w, "no answer to a unicast REQUEST");
	if (gdhcp_count(l->g)->naks != naks)
		return step_end(p, ANSWER_NO, EXIT_FAILED, "the server took the lease back (NAK)");
	return step_end(p, ANSWER_YES, EXIT_OK, "unicast REQUEST acknowledged");
}

static int
inform(struct probe *p)
{
	struct lan *l = p->lan;
	enum lan_wait w = LAN_NEWS;
	step_begin(p, "inform");
	uint64_t until = lan_patience(l);
	gdhcp_inform(l->g, lan_now(l));
	while (gdhcp_state(l->g) != GDHCP_INFORMED && (w = lan_wait(l, until)) == LAN_NEWS)
		;
	if (w != LAN_NEWS)
		return lan_give_up(l, w, "no answer to INFORM");
	return step_end(p, ANSWER_YES, EXIT_OK, "INFORM acknowledged");
}

int
probe_dhcp(struct probe *p)
{
	int r = EXIT_OK;
	if (!p->conf->static_ip)
		r = lan_address(p->lan);
	if (r == EXIT_OK && !p->conf->static_ip)
		r = renew(p);
	if (p->conf->static_ip)
		lan_address(p->lan);
	return r == EXIT_OK ? inform(p) : r;
}
