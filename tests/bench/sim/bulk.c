/* As many bytes as go through. */
#include "tests/bench/sim/sim.h"

enum { WARM_US = 300000 };

static uint64_t
warm_until(const struct sim *s)
{
	return now_us() + WARM_US + (uint64_t)s->o.rtt_ms * 20000;
}

void
mode_down(struct sim *s)
{
	struct upstream source = upstream_start(UPSTREAM_SOURCE);
	flows_open(s, s->o.flows, source.port);
	for (uint64_t until = warm_until(s); now_us() < until;)
		sim_turn(s, 1000);
	measure_start(s);
	while (measuring(s))
		sim_turn(s, 1000);
	measure_report(s, "down");
	out_close();
}

static void
push_all(struct sim *s)
{
	for (int i = 0; i < s->n_flows; i++)
		flow_push(s, &s->flow[i]);
	sim_turn(s, 1000);
}

void
mode_up(struct sim *s)
{
	struct upstream sink = upstream_start(UPSTREAM_SINK);
	s->sink = &sink;
	flows_open(s, s->o.flows, sink.port);
	for (uint64_t until = warm_until(s); now_us() < until;)
		push_all(s);
	measure_start(s);
	while (measuring(s))
		push_all(s);
	measure_report(s, "up");
	out_close();
}
