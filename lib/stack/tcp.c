/* The guest's TCP, terminated here. A flow is one connection of the guest; its far side is a socket
 * of the host behind the ops (or, for port 53 of the gateway, dnstcp.c).
 *
 * No flow has a buffer. Toward upstream, the segments of one batch of frames are gathered as spans
 * and written at its end; the window offered to the guest is what upstream promised to take, so
 * nothing inside it is ever dropped. Toward the guest, bytes are peeked from the socket straight
 * into frames; the socket keeps them until the guest has acknowledged them, and gives them again
 * when frames were lost.
 *
 * The link to the guest is special: it never reorders, but the guest's network card may drop when
 * it is behind, and a browser may stand still for seconds. So the first sign of a hole is proof of
 * a loss (RFC 8985 with no reordering window), only holes are sent again, and there is no
 * congestion window while nothing is lost: the guest's window bounds a flow, pace.c the tunnel.
 *
 * Everything a batch brought for a flow is acted upon once, when it ends (tcp_batch.c): one write,
 * one discard, one acknowledgement. Bare acknowledgements are not frames in a queue but a mark on
 * the flow, so what goes out is always the newest state, or travels with data.
 *
 * Each flow has one timer at the earliest of its deadlines; a deadline that moves away leaves it
 * where it is, and it looks again when it fires. */
#include "stack/tcp_int.h"

#include "stack/pace.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static_assert(sizeof(struct endpoint[2]) == 36, "endpoints are hashed as bytes");

void
tcp_part_init(struct stack *st)
{
	struct tcp_part *t = &st->tcp;
	hash_init(&t->flows);
	list_init(&t->waiting);
	list_init(&t->half_open);
	list_init(&t->by_use);
	list_init(&t->acks);
	list_init(&t->blocked);
	list_init(&t->time_wait);
	list_init(&t->dns);
}

/* An upload that the guest had not finished must not look complete to its server. */
static void
free_all(struct list *l)
{
	while (!list_empty(l)) {
		struct tcp_flow *f = LIST_ENTRY(l->next, struct tcp_flow, link);
		flow_free(f, !(f->flags & FLOW_FIN_RCVD));
	}
}

void
tcp_part_fini(struct stack *st)
{
	struct tcp_part *t = &st->tcp;
	free_all(&t->blocked);
	free_all(&t->waiting);
	free_all(&t->half_open);
	free_all(&t->by_use);
	free_all(&t->acks);
	free_all(&t->time_wait);
	batch_drop(st);
	hash_fini(&t->flows);
	free(t->pace);
}

size_t
tcp_memory(const struct stack *st)
{
	const struct tcp_part *t = &st->tcp;
	return t->flows.size * sizeof(struct hash_node *) + t->ooo_bytes +
	       t->repairs * sizeof(struct tcp_repair) + (t->pace ? sizeof *t->pace : 0) +
	       dnstcp_memory(st);
}

/* --- flows -------------------------------------------------------------------------------- */

static uint64_t
key(const struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	struct endpoint k[2] = {*guest, *remote};
	return siphash13(&st->sh->hash_key, k, sizeof k);
}

struct tcp_flow *
flow_find(struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	uint64_t h = key(st, guest, remote);
	HASH_FOR_EACH (it, &st->tcp.flows, h) {
		struct tcp_flow *f = CONTAINER_OF(it, struct tcp_flow, node);
		if (endpoint_eq(&f->guest, guest) && endpoint_eq(&f->remote, remote))
			return f;
	}
	return NULL;
}

/* A connect of it is under way. */
static bool
connecting(const struct tcp_flow *f)
{
	return f->state >= FLOW_CONNECTING && f->state <= FLOW_OPEN && !(f->flags & FLOW_UP);
}

static void
count(struct tcp_flow *f, int n)
{
	struct tcp_part *t = &f->st->tcp;
	t->n_half_open += (uint32_t)(connecting(f) ? n : 0);
	if (f->state < FLOW_TIME_WAIT)
		t->n_flows += (uint32_t)n;
	else
		t->n_over += (uint32_t)n;
}

bool
flow_enter(struct stack *st, struct tcp_flow *f, const struct endpoint *guest,
        const struct endpoint *remote)
{
	if (!hash_add(&st->tcp.flows, &f->node, key(st, guest, remote)))
		return false;
	f->st = st;
	f->guest = *guest;
	f->remote = *remote;
	f->state = FLOW_WAITING;
	f->quick = TCP_QUICK_ACKS;
	f->heard = (uint32_t)st->now;
	list_init(&f->link);
	sched_ent_init(&f->ent, &tcp_sched_ops);
	tcp_timer_init(f);
	count(f, 1);
	flow_rest(f);
	return true;
}

void
flow_change(struct tcp_flow *f, enum flow_state state, uint32_t more_flags)
{
	count(f, -1);
	f->state = (uint8_t)state;
	f->flags |= more_flags;
	count(f, 1);
}

void
flow_free(struct tcp_flow *f, bool abort)
{
	struct stack *st = f->st;
	struct tcp_part *t = &st->tcp;
	batch_forget(f);
	count(f, -1);
	hash_del(&t->flows, &f->node);
	list_del(&f->link);
	sched_remove(st, &f->ent);
	wheel_del(st->sh->wheel, &f->timer);
	t->window_promised -= f->rcv_adv - f->rcv_nxt;
	t->in_flight -= f->piped;
	repair_free(f);
	far_free(f, abort);
}

void
flow_reset(struct tcp_flow *f)
{
	stats_of(f->st)->tcp_reset++;
	tcp_rst(f->st, &f->guest, &f->remote, f->snd_nxt, f->rcv_nxt);
	flow_free(f, true);
}

void
flow_rest(struct tcp_flow *f)
{
	struct tcp_part *t = &f->st->tcp;
	struct list *home = &t->by_use;
	if (f->state == FLOW_WAITING)
		home = &t->waiting;
	else if (connecting(f))
		home = &t->half_open;
	else if (f->state >= FLOW_TIME_WAIT)
		home = &t->time_wait;
	else if (f->flags & FLOW_BLOCKED)
		home = &t->blocked;
	list_del(&f->link);
	list_add(home, &f->link);
}

void
flow_owe(struct tcp_flow *f, uint32_t what)
{
	struct stack *st = f->st;
	bool listed = f->flags & FLOW_OWES;
	f->flags |= what;
	if (listed)
		return;
	list_del(&f->link);
	list_add(&st->tcp.acks, &f->link);
	ops_of(st)->wake(st);
}

void
flow_kick(struct tcp_flow *f)
{
	if (f->state != FLOW_OPEN)
		return;
	if (tcp_can_send(f))
		sched_ready(f->st, &f->ent);
	else
		tcp_watch(f, false);
}

void
flow_finish(struct tcp_flow *f)
{
	struct stack *st = f->st;
	struct tcp_part *t = &st->tcp;
	if (f->flags & (FLOW_LAST_ACK | FLOW_LOCAL)) {
		flow_free(f, false);
		return;
	}
	sched_remove(st, &f->ent);
	f->rtx = RTX_NONE;
	f->flags &= ~(uint32_t)FLOW_ACK_LATER;
	flow_change(f, FLOW_TIME_WAIT, 0);
	if (!(f->flags & FLOW_ACK_NOW))
		flow_rest(f);
	tcp_arm(f);
	ops_of(st)->tcp_release(st, f);
	if (t->n_over > conf_of(st)->tcp_max_flows && !list_empty(&t->time_wait))
		flow_free(LIST_ENTRY(t->time_wait.next, struct tcp_flow, link), false);
}

/* --- frames in ---------------------------------------------------------------------------- */

void
tcp_input(struct stack *st, const struct ippkt *k, uint64_t now)
{
	(void)now;
	struct tcpseg s;
	int r = tcp_parse(k, &s);
	if (r < 0) {
		stats_of(st)->tcp_checksum_bad += r == -EILSEQ;
		return;
	}
	batch_begin(st);
	struct endpoint guest = {k->src, s.sport}, remote = {k->dst, s.dport};
	struct tcp_flow *f = batch_last(st, &guest, &remote);
	if (!f)
		f = flow_find(st, &guest, &remote);
	if (f && f->state >= FLOW_TIME_WAIT) {
		if (!tcp_after_life(f, &s))
			return;
		f = NULL;
	}
	if (!f)
		tcp_listen(st, k, &s);
	else if (f->state == FLOW_OPEN)
		tcp_segment(f, &s);
	else
		tcp_handshake(f, k, &s);
}

void
tcp_rx_end(struct stack *st, uint64_t now)
{
	(void)now;
	batch_end(st);
	tcp_open_next(st);
}

/* --- news --------------------------------------------------------------------------------- */

void
stack_tcp_opened(struct stack *st, struct tcp_flow *f, uint64_t now)
{
	st->now = now;
	if (connecting(f))
		tcp_connected(f);
	tcp_open_next(st);
}

void
stack_tcp_failed(struct stack *st, struct tcp_flow *f, int err, uint64_t now)
{
	st->now = now;
	if (f->state < FLOW_OPEN)
		tcp_not_connected(f, err);
	else if (f->state == FLOW_OPEN)
		flow_reset(f);
	tcp_open_next(st);
	pace_release(st);
}

void
stack_tcp_readable(struct stack *st, struct tcp_flow *f, uint64_t now)
{
	st->now = now;
	f->flags |= FLOW_READABLE;
	flow_kick(f);
	if (f->state == FLOW_OPEN)
		tcp_arm(f);
}

void
stack_tcp_writable(struct stack *st, struct tcp_flow *f, uint64_t now)
{
	st->now = now;
	if (f->state == FLOW_OPEN)
		tcp_window_update(f);
}

void
tcp_rtt(struct stack *st, uint32_t rtt_us)
{
	st->tcp.tunnel_rtt_us = rtt_us;
	if (st->tcp.pace)
		pace_rtt(st->tcp.pace, rtt_us);
}
