/* Bytes of the guest: cut to what is new and inside the window, taken in order, or kept for a while
 * when something before them is missing. The tunnel is ordered, so that happens only when the
 * guest's own card dropped a frame. */
#include "stack/tcp_int.h"

struct piece {
	struct list node;
	uint32_t seq;
	uint16_t len;
	uint8_t data[];
};

enum { PIECE_MOST = STACK_NODE - sizeof(struct piece) };

static struct piece *
piece_at(struct list *n)
{
	return LIST_ENTRY(n, struct piece, node);
}

static uint32_t
end_of(const struct piece *p)
{
	return p->seq + p->len;
}

void
tcp_free_pieces(struct stack *st, struct list *pieces)
{
	for (struct list *n; (n = list_pop(pieces));) {
		st->tcp.ooo_bytes -= STACK_NODE;
		slab_free(st->sh->nodes, piece_at(n));
	}
}

/* --- out of order ------------------------------------------------------------------------- */

static struct piece *
new_piece(struct stack *st, struct list *before, uint32_t seq)
{
	if (st->tcp.ooo_bytes + STACK_NODE > conf_of(st)->tcp_ooo_tunnel)
		return NULL;
	struct piece *p = slab_alloc(st->sh->nodes);
	if (!p)
		return NULL;
	st->tcp.ooo_bytes += STACK_NODE;
	p->seq = seq;
	list_add(before, &p->node);
	return p;
}

/* Store what fits into one piece in front of `next`, behind the one before if that has room. */
static size_t
store(struct stack *st, struct list *all, struct list *next, uint32_t seq, struct span data)
{
	struct piece *p = next->prev == all ? NULL : piece_at(next->prev);
	if (!p || end_of(p) != seq || p->len == PIECE_MOST)
		p = new_piece(st, next, seq);
	if (!p)
		return 0;
	size_t n = (size_t)PIECE_MOST - p->len;
	if (n > data.n)
		n = data.n;
	memcpy(p->data + p->len, data.p, n);
	p->len = (uint16_t)(p->len + n);
	return n;
}

static void
keep(struct tcp_flow *f, uint32_t seq, struct span data, bool fin)
{
	struct tcp_repair *r = repair_get(f);
	if (!r)
		return;
	r->newest = seq;
	if (fin) {
		r->has_fin = true;
		r->fin = seq + (uint32_t)data.n;
	}
	struct list *it = r->pieces.next;
	while (data.n) {
		while (it != &r->pieces && !tcp_after(end_of(piece_at(it)), seq))
			it = it->next;
		bool held = it != &r->pieces && !tcp_after(piece_at(it)->seq, seq);
		size_t n = data.n, most;
		if (held) {
			most = end_of(piece_at(it)) - seq;
			n = n < most ? n : most;
		} else {
			most = it == &r->pieces ? data.n : piece_at(it)->seq - seq;
			n = store(f->st, &r->pieces, it, seq,
			        span_first(data, most < data.n ? most : data.n));
			if (!n)
				break;
		}
		seq += (uint32_t)n;
		data = span_skip(data, n);
	}
	repair_drop_if_idle(f);
}

/* Neighbouring pieces are one block. */
static struct list *
block_from(struct list *all, struct list *it, struct tcpsack *out)
{
	out->left = piece_at(it)->seq;
	out->right = end_of(piece_at(it));
	for (it = it->next; it != all && piece_at(it)->seq == out->right; it = it->next)
		out->right = end_of(piece_at(it));
	return it;
}

unsigned
tcp_sacks(const struct tcp_flow *f, struct tcpsack out[TCP_SACKS])
{
	struct tcp_repair *r = f->repair;
	unsigned n = 0;
	if (!r || !(f->flags & FLOW_SACK))
		return 0;
	for (struct list *it = r->pieces.next; it != &r->pieces;) {
		struct tcpsack b;
		it = block_from(&r->pieces, it, &b);
		bool newest = !tcp_before(r->newest, b.left) && tcp_before(r->newest, b.right);
		if (n < TCP_SACKS)
			out[n++] = b;
		else if (newest)
			out[n - 1] = b;
		if (newest && n > 1) { /* it goes first: RFC 2018 4 */
			out[n - 1] = out[0];
			out[0] = b;
		}
	}
	return n;
}

void
tcp_drop_pieces(struct tcp_flow *f)
{
	if (f->repair)
		tcp_free_pieces(f->st, &f->repair->pieces);
}

/* --- in order ----------------------------------------------------------------------------- */

static void
accept_bytes(struct tcp_flow *f, const void *p, size_t n)
{
	batch_add(f, p, n);
	tcp_advance(f, (uint32_t)n);
}

static void
accept_fin(struct tcp_flow *f)
{
	tcp_advance(f, 1);
	f->flags |= FLOW_FIN_RCVD;
	if (!(f->flags & FLOW_FIN_SENT))
		f->flags |= FLOW_LAST_ACK;
	tcp_ack_now(f);
	tcp_drop_pieces(f);
	if (f->repair)
		f->repair->has_fin = false;
	repair_drop_if_idle(f);
}

/* What was kept and is in order now. */
static void
drain(struct tcp_flow *f)
{
	struct tcp_repair *r = f->repair;
	if (!r)
		return;
	while (!list_empty(&r->pieces)) {
		struct piece *p = piece_at(r->pieces.next);
		uint32_t skip = f->rcv_nxt - p->seq;
		if (tcp_after(p->seq, f->rcv_nxt))
			break;
		list_del(&p->node);
		if (skip < p->len)
			accept_bytes(f, p->data + skip, p->len - skip);
		batch_spent(f->st, &p->node);
		tcp_ack_now(f);
	}
	if (r->has_fin && r->fin == f->rcv_nxt)
		accept_fin(f);
	else
		repair_drop_if_idle(f);
}

/* Urgent data is its last byte, and the pointer points behind it (RFC 6093 2.2, 3.1). */
static struct span
take_urgent(struct tcp_flow *f, const struct tcpseg *s, struct span data)
{
	uint32_t behind = s->seq + s->urgent, n = behind - f->rcv_nxt;
	if (!(s->flags & TCPF_URG) || !tcp_after(behind, f->rcv_nxt) || n > data.n)
		return data;
	accept_bytes(f, data.p, n);
	batch_urgent(f);
	return span_skip(data, n);
}

/* Bytes that upstream is not there for yet; false: more than is kept, and the flow is gone. */
static bool
within_early_limit(struct tcp_flow *f, size_t n)
{
	if (f->flags & FLOW_UP)
		return true;
	size_t held = f->rcv_nxt - f->grow_seq;
	if (held + n <= conf_of(f->st)->tcp_early_bytes)
		return true;
	flow_reset(f);
	return false;
}

/* Cut off what was taken before and what is beyond the window. */
static bool
trim(struct tcp_flow *f, uint32_t *seq, struct span *data, bool *fin)
{
	uint32_t whole = (uint32_t)data->n + *fin;
	if (tcp_before(*seq, f->rcv_nxt)) {
		uint32_t old = f->rcv_nxt - *seq;
		tcp_ack_now(f);
		if (old >= whole)
			return false;
		*data = span_skip(*data, old);
		*seq = f->rcv_nxt;
	}
	uint32_t room = f->rcv_adv - *seq;
	if (data->n > room) {
		*data = span_first(*data, room);
		*fin = false;
		tcp_ack_now(f);
	}
	return data->n || *fin;
}

void
tcp_take(struct tcp_flow *f, const struct tcpseg *s)
{
	uint32_t seq = s->seq;
	struct span data = s->payload;
	bool fin = s->flags & TCPF_FIN;
	if (!data.n && !fin)
		return;
	if (f->flags & FLOW_FIN_RCVD) {
		tcp_ack_now(f);
		return;
	}
	if (!(f->flags & FLOW_UP) && seq == f->rcv_nxt && !within_early_limit(f, data.n))
		return;
	if (!trim(f, &seq, &data, &fin))
		return;
	if (seq != f->rcv_nxt) {
		keep(f, seq, data, fin);
		tcp_ack_now(f);
		return;
	}
	data = take_urgent(f, s, data);
	if (data.n)
		accept_bytes(f, data.p, data.n);
	if (fin)
		accept_fin(f);
	else
		drain(f);
}
