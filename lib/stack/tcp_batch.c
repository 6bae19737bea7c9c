/* What one batch of frames brought, flow by flow. The spans of accepted bytes are only remembered
 * here; when the batch ends each flow is written, discarded and answered once. There is one batch
 * for a worker, because batches of different tunnels do not overlap; if they did, the earlier one
 * would simply end early. */
#include "stack/tcp_int.h"

#include "stack/pace.h"

#include <stdlib.h>

enum {
	BATCH_FLOWS = 256,
	BATCH_PIECES = 1024, /* also what one write takes at most: IOV_MAX */
	BATCH_SPARE = 520,   /* one segment can bring a whole tunnel's kept pieces */
	REPAIRS = 1 << 16,
	NONE = UINT16_MAX,
};

struct entry {
	struct tcp_flow *f; /* NULL: gone */
	uint16_t head, tail, n;
	int err;
	uint32_t discard;
	uint32_t delivered; /* when it was touched */
};

struct tcp_batch {
	struct stack *st; /* whose it is while n_flows > 0 */
	uint32_t n_flows, n_pieces;
	struct tcp_flow *last;
	struct list spent;
	struct slab repairs;
	struct entry flow[BATCH_FLOWS];
	struct {
		struct iovec v;
		uint16_t next;
	} piece[BATCH_PIECES];
	struct iovec iov[BATCH_PIECES];
};

struct tcp_batch *
tcp_batch_new(void)
{
	struct tcp_batch *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	list_init(&b->spent);
	slab_init(&b->repairs, sizeof(struct tcp_repair), REPAIRS);
	return b;
}

void
tcp_batch_free(struct tcp_batch *b)
{
	if (!b)
		return;
	slab_fini(&b->repairs);
	free(b);
}

static struct tcp_batch *
batch_of(const struct stack *st)
{
	return st->sh->batch->tcp;
}

struct slab *
batch_repairs(const struct stack *st)
{
	return &batch_of(st)->repairs;
}

static struct entry *
entry_of(const struct tcp_flow *f)
{
	return &batch_of(f->st)->flow[f->batch - 1];
}

void
batch_begin(struct stack *st)
{
	struct tcp_batch *b = batch_of(st);
	if (b->n_flows && b->st != st)
		batch_end(b->st);
	if (b->n_flows == BATCH_FLOWS || b->n_pieces > BATCH_PIECES - BATCH_SPARE)
		batch_end(st);
	b->st = st;
}

struct tcp_flow *
batch_last(const struct stack *st, const struct endpoint *guest, const struct endpoint *remote)
{
	struct tcp_flow *f = batch_of(st)->last;
	if (f && endpoint_eq(&f->guest, guest) && endpoint_eq(&f->remote, remote))
		return f;
	return NULL;
}

void
batch_touch(struct tcp_flow *f)
{
	struct tcp_batch *b = batch_of(f->st);
	b->last = f;
	if (f->batch)
		return;
	b->flow[b->n_flows++] =
	        (struct entry){.f = f, .head = NONE, .tail = NONE, .delivered = loss_delivered(f)};
	f->batch = (uint16_t)b->n_flows;
}

void
batch_add(struct tcp_flow *f, const void *p, size_t n)
{
	struct tcp_batch *b = batch_of(f->st);
	struct entry *e = entry_of(f);
	uint16_t i = (uint16_t)b->n_pieces++;
	b->piece[i].v = (struct iovec){(void *)p, n};
	b->piece[i].next = NONE;
	if (e->tail == NONE)
		e->head = i;
	else
		b->piece[e->tail].next = i;
	e->tail = i;
	e->n++;
}

void
batch_drop(struct stack *st)
{
	struct tcp_batch *b = batch_of(st);
	if (b->st != st)
		return;
	tcp_free_pieces(st, &b->spent);
	b->n_flows = b->n_pieces = 0;
	b->st = NULL;
}

static void
write_out(struct tcp_batch *b, struct entry *e, bool urgent)
{
	int n = 0;
	for (uint16_t i = e->head; i != NONE; i = b->piece[i].next)
		b->iov[n++] = b->piece[i].v;
	e->head = e->tail = NONE;
	e->n = 0;
	if (n && e->err >= 0)
		e->err = far_write(e->f, b->iov, n, urgent);
}

void
batch_urgent(struct tcp_flow *f)
{
	write_out(batch_of(f->st), entry_of(f), true);
}

void
batch_discard(struct tcp_flow *f, uint32_t n)
{
	entry_of(f)->discard += n;
}

void
batch_spent(struct stack *st, struct list *piece)
{
	list_add(&batch_of(st)->spent, piece);
}

void
batch_forget(struct tcp_flow *f)
{
	struct tcp_batch *b = batch_of(f->st);
	if (b->last == f)
		b->last = NULL;
	if (f->batch)
		entry_of(f)->f = NULL;
	f->batch = 0;
}

/* Act upon what the batch brought for a flow; returns what the guest got meanwhile. */
static uint32_t
settle(struct entry *e)
{
	struct tcp_flow *f = e->f;
	if (f->flags & FLOW_FIN_RCVD && f->flags & FLOW_UP && !(f->flags & FLOW_SHUT)) {
		f->flags |= FLOW_SHUT;
		far_shutdown(f);
	}
	f->batch = 0;
	if (e->discard)
		far_discard(f, e->discard);
	uint32_t delivered = loss_delivered(f) - e->delivered;
	pace_account(f);
	if (f->flags & FLOW_FIN_RCVD && f->flags & FLOW_FIN_ACKED) {
		flow_finish(f);
		return delivered;
	}
	tcp_plan_ack(f);
	if (f->flags & FLOW_ROOM)
		tcp_window_update(f);
	flow_kick(f);
	if (!(f->flags & (FLOW_OWES | FLOW_BLOCKED)))
		flow_rest(f);
	tcp_arm(f);
	return delivered;
}

void
batch_end(struct stack *st)
{
	struct tcp_batch *b = batch_of(st);
	uint32_t delivered = 0;
	if (!b->n_flows || b->st != st)
		return;
	b->last = NULL;
	for (uint32_t i = 0; i < b->n_flows; i++) {
		struct entry *e = &b->flow[i];
		if (!e->f)
			continue;
		write_out(b, e, false);
		if (e->err < 0)
			flow_reset(e->f);
		else
			delivered += settle(e);
	}
	b->n_flows = b->n_pieces = 0;
	tcp_free_pieces(st, &b->spent);
	pace_delivered(st, delivered);
}
