/* pace.c applied to the flows of a tunnel. What each has under way is counted as it stands in its
 * `piped`, so lost and reset flows leave no trace in the sum. The last segment of a flow that has
 * nothing more to send does not count: it lies in no queue but waits for the guest's delayed
 * acknowledgement. */
#include "stack/tcp_int.h"

#include "stack/pace.h"

#include <stdlib.h>

enum { PACE_FROM = 16 << 10 }; /* under way in all: less needs no pacing */

static void
begin(struct stack *st, const struct tcp_flow *f)
{
	struct tcp_part *t = &st->tcp;
	uint32_t rtt_us = f->srtt * 125u;
	if (t->tunnel_rtt_us && t->tunnel_rtt_us < rtt_us)
		rtt_us = t->tunnel_rtt_us;
	t->pace = malloc(sizeof *t->pace);
	if (t->pace)
		pace_init(t->pace, conf_of(st)->queue_delay_target_ms * 1000, rtt_us, st->now);
}

void
pace_account(struct tcp_flow *f)
{
	struct tcp_part *t = &f->st->tcp;
	uint32_t pipe = loss_pipe(f);
	if (pipe <= f->mss && !(f->flags & FLOW_READABLE))
		pipe = 0;
	t->in_flight += pipe - f->piped;
	f->piped = pipe;
	if (!t->pace && t->in_flight > PACE_FROM)
		begin(f->st, f);
}

uint32_t
pace_room(const struct stack *st)
{
	const struct tcp_part *t = &st->tcp;
	uint32_t budget = t->pace ? pace_budget(t->pace) : PACE_FIRST;
	return budget > t->in_flight ? budget - t->in_flight : 0;
}

void
pace_block(struct tcp_flow *f)
{
	f->flags |= FLOW_BLOCKED;
	if (!(f->flags & FLOW_OWES))
		flow_rest(f);
	if (f->st->tcp.pace)
		pace_limited(f->st->tcp.pace);
}

void
pace_release(struct stack *st)
{
	struct list *blocked = &st->tcp.blocked;
	for (uint32_t room = pace_room(st); !list_empty(blocked);) {
		struct tcp_flow *f = LIST_ENTRY(blocked->next, struct tcp_flow, link);
		if (room < f->mss)
			break;
		uint32_t take = 2u * f->mss;
		f->flags &= ~(uint32_t)FLOW_BLOCKED;
		flow_rest(f);
		flow_kick(f);
		room = room > take ? room - take : 0;
	}
}

void
pace_delivered(struct stack *st, uint32_t n)
{
	struct tcp_part *t = &st->tcp;
	if (t->pace)
		pace_arrived(t->pace, n, t->in_flight, st->now);
	pace_release(st);
}
