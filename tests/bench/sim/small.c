/* Little at a time: what one exchange costs, and how long it takes. */
#include "tests/bench/sim/sim.h"

#include <stdlib.h>
#include <time.h>

enum {
	PATIENCE_US = 200000, /* a datagram not back by then is lost */
	STALE_PORT = 10000,
	PACE_PORT = 9000,
	PORTS = 16, /* that the paced datagrams come from */
	SETTLE_US = 1500000,
};

/* --- request and response ------------------------------------------------------------- */

static void
ask(struct sim *s, struct flow *f, size_t n)
{
	f->sent_at = now_us();
	f->asked = true;
	f->got = 0;
	flow_send(s, f, f->snd_nxt, n);
	f->snd_nxt += (uint32_t)n;
}

static void
answered(struct sim *s, const struct flow *f)
{
	s->c.transactions++;
	lat_add(&s->lat, now_us() - f->sent_at);
}

static void
exchange(struct sim *s)
{
	for (int i = 0; i < s->n_flows; i++) {
		struct flow *f = &s->flow[i];
		if (f->asked && f->got < (uint64_t)s->o.size)
			continue;
		if (f->asked)
			answered(s, f);
		ask(s, f, (size_t)s->o.size);
	}
	sim_turn(s, 1000);
}

void
mode_rr(struct sim *s)
{
	struct upstream echo = upstream_start(UPSTREAM_ECHO);
	flows_open(s, s->o.flows, echo.port);
	for (uint64_t until = now_us() + 100000; now_us() < until;)
		exchange(s);
	measure_start(s);
	while (measuring(s))
		exchange(s);
	measure_report(s, "rr");
	out_close();
}

/* Connect, one request, one answer, close: --flows of them at a time. */
void
mode_crr(struct sim *s)
{
	struct upstream server = upstream_start(UPSTREAM_REQUEST);
	s->n_flows = s->o.flows;
	for (int i = 0; i < s->n_flows; i++)
		flow_open(s, &s->flow[i], s->o.host, server.port);
	measure_start(s);
	while (measuring(s)) {
		for (int i = 0; i < s->n_flows; i++) {
			struct flow *f = &s->flow[i];
			if (f->closed) {
				s->c.lost += !f->got;
				if (f->got)
					answered(s, f);
				flow_open(s, f, s->o.host, server.port);
			} else if (f->up && !f->asked) {
				uint64_t began = f->sent_at;
				ask(s, f, (size_t)s->o.size);
				f->sent_at = began;
			}
		}
		sim_turn(s, 1000);
	}
	measure_report(s, "crr");
	out_close();
}

/* --- datagrams ------------------------------------------------------------------------ */

struct stamp {
	uint64_t at, stale;
};

static void
send_stamped(struct sim *s, uint16_t from, uint16_t to, size_t n, bool stale)
{
	uint8_t payload[1472] = {0};
	struct stamp stamp = {now_us(), stale};
	memcpy(payload, &stamp, sizeof stamp);
	send_datagram(s, from, to, payload, n);
}

static void
on_echo(struct sim *s, const uint8_t *p, size_t n)
{
	struct stamp stamp;
	if (n < sizeof stamp)
		return;
	memcpy(&stamp, p, sizeof stamp);
	if (stamp.stale || stamp.at < s->at)
		return;
	s->c.transactions++;
	lat_add(&s->lat, now_us() - stamp.at);
}

/* --flows datagrams under way all the time. */
void
mode_udp(struct sim *s)
{
	struct upstream echo = upstream_start(UPSTREAM_UDP);
	uint64_t out = 0, seen = 0, moved = now_us();
	s->on_udp = on_echo;
	measure_start(s);
	while (measuring(s)) {
		for (; out - s->c.transactions - s->c.lost < (uint64_t)s->o.flows; out++)
			send_stamped(s, PACE_PORT, echo.port, (size_t)s->o.size, false);
		sim_turn(s, 1000);
		if (s->c.transactions != seen) {
			seen = s->c.transactions;
			moved = now_us();
		} else if (now_us() - moved > PATIENCE_US) {
			s->c.lost = out - s->c.transactions;
		}
	}
	measure_report(s, "udp");
	out_close();
}

static void
leave_stale(struct sim *s, uint16_t port)
{
	for (int i = 0; i < s->o.stale; i++) {
		send_stamped(s, (uint16_t)(STALE_PORT + i), port, 64, true);
		if (i % 32 == 31)
			sim_turn(s, 0);
	}
	for (uint64_t until = now_us() + 200000; now_us() < until;)
		sim_turn(s, 1000);
}

/* --pps datagrams a second, with --stale flows that were used once. */
void
mode_pace(struct sim *s)
{
	struct upstream echo = upstream_start(UPSTREAM_UDP);
	uint64_t out = 0;
	s->on_udp = on_echo;
	leave_stale(s, echo.port);
	measure_start(s);
	while (measuring(s)) {
		uint64_t due = (now_us() - s->at) * (uint64_t)s->o.pps / 1000000;
		for (; out < due; out++)
			send_stamped(s, (uint16_t)(PACE_PORT + out % PORTS), echo.port,
			        (size_t)s->o.size, false);
		sim_turn(s, 500);
	}
	for (uint64_t until = now_us() + PATIENCE_US; now_us() < until;)
		sim_turn(s, 1000);
	s->c.lost = out > s->c.transactions ? out - s->c.transactions : 0;
	measure_report(s, "pace");
	out_num("offered", (double)out);
	out_close();
}

/* --- latency beside bulk -------------------------------------------------------------- */

/* A byte back and forth beside --flows downloads, the tunnel read at --rate. */
void
mode_pingpong(struct sim *s)
{
	struct upstream echo = upstream_start(UPSTREAM_ECHO);
	struct upstream source = upstream_start(UPSTREAM_SOURCE);
	int bulk = s->o.flows;
	struct flow *f = &s->flow[bulk];
	uint64_t begin = now_us() + SETTLE_US;
	bool begun = false;
	if (bulk)
		flows_open(s, bulk, source.port);
	flow_open(s, f, s->o.host, echo.port);
	s->n_flows = bulk + 1;
	while (!begun || measuring(s)) {
		if (!begun && f->up && now_us() > begin) {
			begun = true;
			f->asked = false;
			measure_start(s);
		}
		if (f->asked && f->got && begun)
			answered(s, f);
		if (f->up && (!f->asked || f->got))
			ask(s, f, 1);
		sim_turn(s, 1000);
	}
	measure_report(s, "pingpong");
	out_close();
}
