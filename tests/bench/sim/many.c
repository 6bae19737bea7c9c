/* Many of something: connects that lead nowhere, flows, tunnels. */
#include "tests/bench/sim/sim.h"

#include "base/addr.h"
#include "wire/checksum.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
	NOWHERE = 0xcb007100u, /* 203.0.113.0/24, RFC 5737 */
	PROBES = 20,
	SETTLE_US = 1000000,
	EVENTS = 512,
};

static void
idle(struct sim *s, uint64_t us)
{
	for (uint64_t until = now_us() + us; now_us() < until;)
		sim_turn(s, 1000);
}

/* --flows SYNs to --hosts addresses that do not answer, then connects to one that does. */
void
mode_synflood(struct sim *s)
{
	struct upstream echo = upstream_start(UPSTREAM_ECHO);
	struct usage before = usage_of(s->o.pid);
	struct flow *f = &s->flow[s->o.flows];
	int up = 0;
	measure_start(s);
	for (int i = 0; i < s->o.flows; i++) {
		flow_open(s, &s->flow[i], NOWHERE + (uint32_t)(i % s->o.hosts) + 1,
		        (uint16_t)(1 + i / s->o.hosts));
		if (i % 64 == 63)
			sim_turn(s, 0);
	}
	idle(s, 250000);
	for (int i = 0; i < PROBES; i++) {
		flow_open(s, f, s->o.host, echo.port);
		while (!f->up && !f->closed && now_us() - f->sent_at < 3000000)
			sim_turn(s, 1000);
		up += f->up;
		lat_add(&s->lat, now_us() - f->sent_at);
	}
	s->n_flows = s->o.flows;
	s->c.transactions = (uint64_t)s->o.flows;
	measure_report(s, "synflood");
	struct usage u = usage_of(s->o.pid);
	out_num("connected", up);
	out_num("probes", PROBES);
	out_num("more_fds", (double)(u.fds - before.fds));
	out_num("more_pss_kb", (double)(u.pss_kb - before.pss_kb));
	out_close();
}

/* --flows connections that have all carried --size bytes both ways. */
void
mode_flows(struct sim *s)
{
	struct upstream echo = upstream_start(UPSTREAM_ECHO);
	struct usage before = usage_of(s->o.pid);
	measure_start(s);
	flows_open(s, s->o.flows, echo.port);
	uint64_t opened = now_us() - s->at;
	for (int i = 0; i < s->n_flows; i++) {
		flow_send(s, &s->flow[i], s->flow[i].snd_nxt, (size_t)s->o.size);
		s->flow[i].snd_nxt += (uint32_t)s->o.size;
		sim_turn(s, 0);
	}
	idle(s, SETTLE_US);
	struct usage u = usage_of(s->o.pid);
	measure_report(s, "flows");
	out_num("open_s", (double)opened / 1e6);
	out_num("pss_before_kb", (double)before.pss_kb);
	out_num("pss_flow_bytes", (double)(u.pss_kb - before.pss_kb) * 1024 / s->n_flows);
	out_num("rss_flow_bytes", (double)(u.rss_kb - before.rss_kb) * 1024 / s->n_flows);
	out_close();
}

/* --- tunnels -------------------------------------------------------------------------- */

struct crowd {
	struct link *link;
	int n, epoll, next;
};

/* An echo request to the gateway, which answers by itself: one frame in, one out. */
static void
ping_gateway(struct sim *s, const struct link *l, uint16_t seq)
{
	static const uint32_t gateway = 0x0a000202;
	size_t head = link_head(l, s->tx, 34 + 40);
	uint8_t *p = put_ip(s->tx + head, gateway, IPPROTO_ICMP, 40);
	memset(p, 0, 40);
	p[0] = 8;
	put16(p + 4, 7);
	put16(p + 6, seq);
	put16(p + 2, checksum_finish(checksum_sum(p, 40)));
	link_seal(l, s->tx, head, 34 + 40);
	if (link_send((struct link *)l, s->tx, head + 74) != (ssize_t)head + 74)
		die("tunnel");
	s->c.frames_out++;
}

static void
read_crowd(struct sim *s, struct crowd *c, int wait_ms)
{
	struct epoll_event e[EVENTS];
	int n = epoll_wait(c->epoll, e, EVENTS, wait_ms);
	for (int i = 0; i < n; i++) {
		struct link *l = &c->link[e[i].data.u32];
		ssize_t got = link_recv(l, s->rx, RX_BYTES), len;
		struct span f;
		if (got == 0 || (got < 0 && errno != EAGAIN))
			die("tunnel");
		for (size_t at = 0;
		        got > 0 && (len = link_next(l, s->rx + at, (size_t)got - at, &f)) > 0;
		        at += (size_t)len)
			s->c.transactions += f.n > 0;
	}
}

static void
gather(struct sim *s, struct crowd *c)
{
	c->epoll = epoll_create1(0);
	c->link = calloc((size_t)c->n, sizeof *c->link);
	if (!c->link)
		die("memory");
	for (int i = 0; i < c->n; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
		link_open(&c->link[i], &s->o.to);
		epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->link[i].fd, &e);
	}
}

static void
send_due(struct sim *s, struct crowd *c, uint64_t due)
{
	while (s->c.frames_out < due) {
		ping_gateway(s, &c->link[c->next], (uint16_t)(s->c.frames_out / (uint64_t)c->n));
		c->next = (c->next + 1) % c->n;
		if (s->c.frames_out % 64 == 0)
			read_crowd(s, c, 0);
	}
}

/* --tunnels of them: what each takes while idle, and what a frame costs when --pps frames a second
 * come from all of them in turn. */
void
mode_tunnels(struct sim *s)
{
	struct crowd c = {.n = s->o.tunnels};
	struct usage before = usage_of(s->o.pid);
	gather(s, &c);
	idle(s, SETTLE_US);
	struct usage after = usage_of(s->o.pid);
	uint64_t cpu = cpu_of(s->o.pid), at = now_us();
	idle(s, SETTLE_US);
	double idle_cpu = (double)(cpu_of(s->o.pid) - cpu) / 1e3 / (double)(now_us() - at);
	measure_start(s);
	send_due(s, &c, (uint64_t)c.n); /* everybody once: addresses, first allocations */
	read_crowd(s, &c, 200);
	measure_start(s);
	while (measuring(s)) {
		send_due(s, &c, (now_us() - s->at) * (uint64_t)s->o.pps / 1000000);
		read_crowd(s, &c, 1);
	}
	read_crowd(s, &c, 100);
	s->c.frames_in = s->c.transactions;
	s->n_flows = 0;
	measure_report(s, "tunnels");
	out_num("tunnels", c.n);
	out_num("pss_before_kb", (double)before.pss_kb);
	out_num("pss_idle_kb", (double)after.pss_kb);
	out_num("rss_idle_kb", (double)after.rss_kb);
	out_num("tunnel_bytes", (double)(after.pss_kb - before.pss_kb) * 1024 / c.n);
	out_num("setup_cpu_us", (double)(cpu - s->opened_cpu) / 1e3 / c.n);
	out_num("idle_cpu_percent", idle_cpu * 100);
	out_close();
}
