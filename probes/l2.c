/* l2: the whole minimum LAN, in the order in which a guest needs it. Connecting comes before. */
#include "probes/rows.h"

#define NAME_USUAL "example.com"

static int
tunnel_ping(struct probe *p)
{
	struct lan *l = p->lan;
	enum lan_wait w = LAN_NEWS;
	uint32_t pongs = l->pongs;
	step_begin(p, "pong");
	uint64_t until = lan_patience(l);
	l2client_ping(&l->client);
	while (l->pongs == pongs && (w = lan_wait(l, until)) == LAN_NEWS)
		;
	if (l->pongs == pongs)
		return lan_give_up(l, w, "no PONG to a PING of the tunnel");
	step_ms(p, "rtt_ms", l->client.stats.rtt_us);
	return step_end(p, ANSWER_YES, EXIT_OK, "PING is answered");
}

static int
gateway(struct probe *p)
{
	struct ip ip = lan_gateway(p->lan);
	step_begin(p, "gateway");
	return probe_ping_ip(p, &ip, 1);
}

static int
dns_udp(struct probe *p)
{
	step_begin(p, "dns");
	return probe_ask(p, p->conf->name ? p->conf->name : NAME_USUAL, 1, false, true);
}

/* Without an echo service of the user's, the gateway's own resolver proves TCP. */
static int
tcp(struct probe *p)
{
	struct endpoint to;
	if (!p->conf->echo) {
		step_begin(p, "tcp");
		return probe_ask(p, p->conf->name ? p->conf->name : NAME_USUAL, 1, true, true);
	}
	int r = lan_target(p->lan, p->conf->echo, &to);
	if (r)
		return r;
	step_begin(p, "tcp");
	return probe_echo(p, &to);
}

int
probe_l2(struct probe *p)
{
	static int (*const steps[])(struct probe *) = {
	        tunnel_ping, probe_arp, lan_step, gateway, dns_udp, tcp};
	int r = EXIT_OK;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && r == EXIT_OK; i++)
		r = steps[i](p);
	return r;
}
