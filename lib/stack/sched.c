/* Deficit round robin with a preference for flows that send little, after Shreedhar and Varghese
 * (1996) and the idea of RFC 8290 4.2.
 *
 * A flow's credit grows with time, up to two frames, but not while it is one of the bulk. Waking up
 * with credit it is fresh and goes ahead of all bulk flows, but only as far as the credit goes. So
 * a bulk flow that keeps running dry for a moment, because the guest's window is full, cannot pass
 * for a sparse one. In its turn a bulk flow may write its share of what the transport takes now:
 * on a slow link that is two frames, on a fast one enough to make a read of its socket pay. */
#include "stack/stack_int.h"

enum {
	EARN_MS = 16, /* earn the whole credit of a fresh flow */
	WORTH_A_READ = 32 << 10,
};

static int32_t
two_frames(const struct stack *st)
{
	return (int32_t)(2 * (ETHER_HEAD + lan_mtu(st)));
}

void
sched_init(struct sched *s)
{
	*s = (struct sched){0};
	list_init(&s->fresh);
	list_init(&s->bulk);
}

void
sched_ent_init(struct sched_ent *ent, const struct sched_ops *ops)
{
	*ent = (struct sched_ent){.ops = ops, .credit = INT32_MAX};
	list_init(&ent->node);
}

static void
earn(const struct stack *st, struct sched_ent *ent)
{
	int32_t most = two_frames(st);
	uint32_t ms = (uint32_t)st->now - ent->earned_at;
	int64_t credit = ent->credit + (int64_t)most * (ms < EARN_MS ? ms : EARN_MS) / EARN_MS;
	ent->credit = credit < most ? (int32_t)credit : most;
	ent->earned_at = (uint32_t)st->now;
}

void
sched_ready(struct stack *st, struct sched_ent *ent)
{
	if (sched_waits(ent))
		return;
	earn(st, ent);
	if (ent->credit > 0) {
		list_add(&st->sched.fresh, &ent->node);
	} else {
		list_add(&st->sched.bulk, &ent->node);
		st->sched.n_bulk++;
		ent->bulk = true;
	}
	ops_of(st)->wake(st);
}

static void
leave(struct sched *s, struct sched_ent *ent)
{
	list_del(&ent->node);
	s->n_bulk -= ent->bulk;
	ent->bulk = false;
}

void
sched_remove(struct stack *st, struct sched_ent *ent)
{
	leave(&st->sched, ent);
}

static void
to_bulk(struct sched *s, struct sched_ent *ent)
{
	leave(s, ent);
	list_add(&s->bulk, &ent->node);
	s->n_bulk++;
	ent->bulk = true;
}

/* What a bulk flow may write in one turn: its part of this pull, but enough to make the read of its
 * socket pay where that leaves turns for others in the same pull; two frames at the least. */
static int32_t
share(const struct stack *st, const struct emit *e)
{
	int32_t least = two_frames(st);
	size_t part = e->budget / st->sched.n_bulk, worth = e->budget / 4;
	if (worth > WORTH_A_READ)
		worth = WORTH_A_READ;
	if (part < worth)
		part = worth;
	if (part > INT32_MAX / 4)
		part = INT32_MAX / 4;
	return (int32_t)part > least ? (int32_t)part : least;
}

static void
turn(struct stack *st, struct sched_ent *ent, struct emit *e, uint64_t now)
{
	bool more = false;
	size_t n = ent->ops->pull(st, ent, e, (size_t)ent->credit, now, &more);
	if (n == SCHED_GONE)
		return;
	ent->credit -= (int32_t)n;
	if (more && e->full)
		return; /* it keeps its place and its credit for the next pull */
	if (more && n > 0) {
		to_bulk(&st->sched, ent);
		return;
	}
	if (ent->bulk) {
		ent->earned_at = (uint32_t)now;
		if (ent->credit > 0)
			ent->credit = 0;
	}
	leave(&st->sched, ent);
}

static struct sched_ent *
next(struct stack *st, const struct emit *e)
{
	struct sched *s = &st->sched;
	if (!list_empty(&s->fresh))
		return LIST_ENTRY(s->fresh.next, struct sched_ent, node);
	while (!list_empty(&s->bulk)) {
		struct sched_ent *ent = LIST_ENTRY(s->bulk.next, struct sched_ent, node);
		if (ent->credit <= 0)
			ent->credit += share(st, e);
		if (ent->credit > 0)
			return ent;
		to_bulk(s, ent);
	}
	return NULL;
}

bool
sched_pull(struct stack *st, struct emit *e, uint64_t now)
{
	for (struct sched_ent *ent; !e->full && (ent = next(st, e));)
		turn(st, ent, e, now);
	return !list_empty(&st->sched.fresh) || !list_empty(&st->sched.bulk);
}
