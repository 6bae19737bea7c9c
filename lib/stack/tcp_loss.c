/* What the guest has not got.
 *
 * The tunnel keeps order, so whatever was sent before something that arrived, and has not arrived
 * itself, is lost (RFC 8985 with a reordering window of zero). That also holds for what was sent
 * again: each hole carries the order in which it was (stamp) and how far new data had come (mark);
 * when something sent later arrives first, it is lost once more. So there is at most one
 * retransmission of a hole in a round trip, without a clock.
 *
 * Loss here means that the guest's card was behind, not that the network is full. A stray loss
 * changes nothing but the hole. When more than an eighth of what was under way is lost at once,
 * the bytes in flight are halved; they grow back with each round trip that loses little.
 *
 * After a time-out everything is taken for lost, but only one segment is sent; if then more is
 * acknowledged than that, the guest had merely stood still, and the rest is taken to be under way
 * as before (the idea of RFC 5682). */
#include "stack/tcp_int.h"

enum {
	LOSS_PART = 8,   /* of a round: more than this is an overflow */
	LOSS_LEAST = 3,  /* and more segments than this */
	BURST_LEAST = 4, /* segments */
	BURST_MOST = 4 << 20,
	REPAIRS_MOST = 256,               /* of a tunnel */
	HOLES_ENOUGH = TCP_HOLES * 3 / 4, /* no new data until some are filled */
};

struct tcp_repair *
repair_get(struct tcp_flow *f)
{
	struct tcp_repair *r = f->repair;
	if (r)
		return r;
	if (f->st->tcp.repairs < REPAIRS_MOST)
		r = slab_alloc(batch_repairs(f->st));
	if (!r)
		return NULL;
	f->st->tcp.repairs++;
	r->burst = UINT32_MAX;
	r->round_end = r->recover = f->snd_nxt;
	r->round_flight = f->snd_nxt - f->snd_una;
	list_init(&r->pieces);
	return f->repair = r;
}

void
repair_free(struct tcp_flow *f)
{
	if (!f->repair)
		return;
	tcp_drop_pieces(f);
	f->st->tcp.repairs--;
	slab_free(batch_repairs(f->st), f->repair);
	f->repair = NULL;
}

void
repair_drop_if_idle(struct tcp_flow *f)
{
	const struct tcp_repair *r = f->repair;
	if (r && !r->n && !r->recovering && r->burst == UINT32_MAX && !r->has_fin &&
	        list_empty(&r->pieces))
		repair_free(f);
}

/* --- holes -------------------------------------------------------------------------------- */

static bool
add_hole(struct tcp_repair *r, unsigned at, uint32_t left, uint32_t right)
{
	if (r->n == TCP_HOLES)
		return false;
	memmove(&r->hole[at + 1], &r->hole[at], (r->n - at) * sizeof r->hole[0]);
	r->hole[at] = (struct hole){.left = left, .right = right};
	r->n++;
	return true;
}

static void
del_hole(struct tcp_repair *r, unsigned at)
{
	r->n--;
	memmove(&r->hole[at], &r->hole[at + 1], (r->n - at) * sizeof r->hole[0]);
}

/* The latest of what was sent again and has arrived: its stamp, and where it began. */
struct arrival {
	uint32_t stamp, at;
};

static void
note_arrival(struct arrival *a, const struct hole *h, uint32_t at)
{
	if (!h->stamp || h->stamp < a->stamp || (h->stamp == a->stamp && tcp_before(at, a->at)))
		return;
	a->stamp = h->stamp;
	a->at = at;
}

/* The bytes from left to right have arrived. */
static void
fill(struct tcp_repair *r, uint32_t left, uint32_t right, struct arrival *a)
{
	for (unsigned i = 0; i < r->n;) {
		struct hole *h = &r->hole[i];
		if (!tcp_before(left, h->right) || !tcp_before(h->left, right)) {
			i++;
			continue;
		}
		note_arrival(a, h, tcp_before(left, h->left) ? h->left : left);
		bool from_left = !tcp_before(h->left, left),
		     to_right = !tcp_before(right, h->right);
		if (from_left && to_right) {
			del_hole(r, i);
			continue;
		}
		if (from_left) {
			h->left = right;
		} else if (to_right) {
			h->right = left;
		} else if (add_hole(r, i + 1, right, h->right)) {
			r->hole[i + 1].mark = h->mark;
			r->hole[i + 1].stamp = h->stamp;
			h->right = left;
		}
		i++;
	}
}

static uint32_t
flight_of(const struct tcp_flow *f)
{
	return f->snd_nxt - f->snd_una;
}

/* n more bytes are known to be lost. */
static void
note_lost(struct tcp_flow *f, uint32_t n)
{
	struct tcp_repair *r = f->repair;
	r->round_lost += n;
	if (r->cut || r->round_lost <= r->round_flight / LOSS_PART ||
	        r->round_lost <= (uint32_t)LOSS_LEAST * f->mss)
		return;
	uint32_t least = (uint32_t)BURST_LEAST * f->mss;
	uint32_t from = r->burst < r->round_flight ? r->burst : r->round_flight;
	r->burst = from / 2 > least ? from / 2 : least;
	r->threshold = r->burst;
	r->cut = true;
}

/* What was sent again before something that has now arrived is lost again. */
static void
lose_again(struct tcp_flow *f, const struct arrival *a)
{
	struct tcp_repair *r = f->repair;
	for (unsigned i = 0; i < r->n; i++) {
		struct hole *h = &r->hole[i];
		bool passed = h->stamp < a->stamp ||
		              (h->stamp == a->stamp && tcp_before(h->left, a->at)) ||
		              tcp_after(r->high, h->mark);
		if (!h->stamp || !passed)
			continue;
		h->stamp = 0;
		note_lost(f, h->right - h->left);
	}
}

/* --- acknowledgements --------------------------------------------------------------------- */

static void
grow_burst(struct tcp_flow *f, uint32_t n)
{
	struct tcp_repair *r = f->repair;
	if (r->burst < r->threshold)
		r->burst += n;
}

/* Everything that was under way when the round began has been acknowledged. */
static void
end_round(struct tcp_flow *f)
{
	struct tcp_repair *r = f->repair;
	if (r->round_lost <= r->round_flight / LOSS_PART / 2 && r->burst != UINT32_MAX) {
		r->burst += r->burst / 8 + f->mss;
		if (r->burst > r->threshold)
			r->threshold = r->burst;
		if (r->burst > f->snd_wnd || r->burst > BURST_MOST ||
		        r->round_flight < r->burst / 2)
			r->burst = UINT32_MAX;
	}
	r->round_lost = 0;
	r->cut = false;
	r->round_end = f->snd_nxt;
	r->round_flight = flight_of(f);
}

/* The guest had only stood still. */
static void
undo_timeout(struct tcp_flow *f)
{
	struct tcp_repair *r = f->repair;
	r->timed_out = false;
	r->burst = r->undo_burst;
	while (r->n && !tcp_before(r->hole[r->n - 1].left, r->undo_high))
		del_hole(r, r->n - 1u);
	if (r->n && tcp_after(r->hole[r->n - 1].right, r->undo_high))
		r->hole[r->n - 1].right = r->undo_high;
	r->high = r->n ? r->undo_high : f->snd_una;
}

/* A guest without SACK: each partial acknowledgement shows the next hole (RFC 6582 3.2). */
static void
next_blind_hole(struct tcp_flow *f)
{
	struct tcp_repair *r = f->repair;
	uint32_t flight = flight_of(f), n = flight < f->mss ? flight : f->mss;
	r->n = 0;
	add_hole(r, 0, f->snd_una, f->snd_una + n);
	r->high = f->snd_una + n;
	note_lost(f, n);
}

void
loss_acked(struct tcp_flow *f, uint32_t was)
{
	struct tcp_repair *r = f->repair;
	struct arrival a = {0};
	if (!r)
		return;
	uint32_t una = f->snd_una;
	fill(r, was, una, &a);
	if (tcp_after(una, r->high))
		r->high = una;
	lose_again(f, &a);
	grow_burst(f, una - was);
	if (r->timed_out && tcp_after(una, r->resent))
		undo_timeout(f);
	if (r->recovering && !tcp_before(una, r->recover))
		r->recovering = r->blind = r->timed_out = false;
	else if (r->recovering && r->blind)
		next_blind_hole(f);
	if (!tcp_before(una, r->round_end))
		end_round(f);
	repair_drop_if_idle(f);
}

static bool
sack_block(struct tcp_flow *f, const struct tcpsack *b, struct arrival *a)
{
	/* What lies below is a report of duplicates (RFC 2883), of no use here. */
	if (!tcp_before(b->left, b->right) || !tcp_after(b->left, f->snd_una) ||
	        tcp_after(b->right, f->snd_nxt))
		return false;
	struct tcp_repair *r = repair_get(f);
	if (!r)
		return false;
	if (!r->n)
		r->high = f->snd_una;
	uint32_t before = loss_delivered(f);
	fill(r, b->left, b->right, a);
	if (tcp_after(b->left, r->high)) {
		if (!add_hole(r, r->n, r->high, b->left))
			return loss_delivered(f) != before;
		if (!r->recovering) {
			r->recovering = true;
			r->recover = f->snd_nxt;
		}
		note_lost(f, b->left - r->high);
	}
	if (tcp_after(b->right, r->high))
		r->high = b->right;
	return loss_delivered(f) != before;
}

bool
loss_sacked(struct tcp_flow *f, const struct tcpopts *o)
{
	struct arrival a = {0};
	bool news = false;
	/* From below: a block far up must not make a hole of what another one covers. */
	uint32_t done = f->snd_una;
	for (unsigned i = 0; i < o->nsack; i++) {
		const struct tcpsack *next = NULL;
		for (unsigned j = 0; j < o->nsack; j++)
			if (tcp_after(o->sack[j].left, done) &&
			        (!next || tcp_before(o->sack[j].left, next->left)))
				next = &o->sack[j];
		if (!next)
			break;
		done = next->left;
		news |= sack_block(f, next, &a);
	}
	if (f->repair) {
		lose_again(f, &a);
		repair_drop_if_idle(f);
	}
	return news;
}

void
loss_duplicate(struct tcp_flow *f)
{
	struct tcp_repair *r = repair_get(f);
	if (!r)
		return;
	if (!r->recovering) {
		r->recovering = r->blind = true;
		r->recover = f->snd_nxt;
		next_blind_hole(f);
	} else if (r->blind) {
		/* One more segment got there; which one does not matter to what was sent before. */
		struct arrival none = {0};
		uint32_t left = f->snd_nxt - r->high;
		r->high += left < f->mss ? left : f->mss;
		lose_again(f, &none);
	}
}

/* --- sending again ------------------------------------------------------------------------ */

void
loss_timeout(struct tcp_flow *f)
{
	struct tcp_repair *r = repair_get(f);
	uint32_t flight = flight_of(f), least = (uint32_t)BURST_LEAST * f->mss;
	if (!r) {
		f->flags |= FLOW_HEAD;
		return;
	}
	if (!r->timed_out) {
		r->undo_high = r->n ? r->high : f->snd_una;
		r->undo_burst = r->burst;
	}
	if (!r->n)
		r->high = f->snd_una;
	/* What a guest without SACK has is not known; and one with it may have thrown away what it
	 * reported, if it still asks for something else (RFC 2018 8). */
	if (r->blind || f->backoff > 1) {
		r->n = 0;
		r->high = f->snd_una;
	}
	for (unsigned i = 0; i < r->n; i++)
		r->hole[i].stamp = 0;
	if (tcp_after(f->snd_nxt, r->high) && !add_hole(r, r->n, r->high, f->snd_nxt))
		r->hole[r->n - 1].right = f->snd_nxt;
	r->high = f->snd_nxt;
	r->threshold = flight / 2 > least ? flight / 2 : least;
	r->burst = f->mss;
	r->resent = f->snd_una;
	r->recover = f->snd_nxt;
	r->recovering = r->timed_out = true;
	r->blind = false;
}

struct hole *
loss_next(const struct tcp_flow *f)
{
	struct tcp_repair *r = f->repair;
	for (unsigned i = 0; r && i < r->n; i++)
		if (!r->hole[i].stamp)
			return &r->hole[i];
	return NULL;
}

void
loss_resent(struct tcp_flow *f, struct hole *h, uint32_t n)
{
	struct tcp_repair *r = f->repair;
	if (tcp_after(h->left + n, r->resent))
		r->resent = h->left + n;
	if (n < h->right - h->left &&
	        add_hole(r, (unsigned)(h - r->hole) + 1, h->left + n, h->right))
		h->right = h->left + n;
	if (!++r->stamp)
		r->stamp = 1;
	h->stamp = r->stamp;
	h->mark = f->snd_nxt;
	if (r->blind) /* what is acknowledged short of this shows the next hole */
		r->recover = f->snd_nxt;
}

bool
loss_is_crowded(const struct tcp_flow *f)
{
	return f->repair && f->repair->n >= HOLES_ENOUGH;
}

/* --- sums --------------------------------------------------------------------------------- */

uint32_t
loss_pipe(const struct tcp_flow *f)
{
	const struct tcp_repair *r = f->repair;
	if (!r || !r->n)
		return flight_of(f);
	uint32_t n = f->snd_nxt - r->high;
	for (unsigned i = 0; i < r->n; i++)
		if (r->hole[i].stamp)
			n += r->hole[i].right - r->hole[i].left;
	return n;
}

uint32_t
loss_reached(const struct tcp_flow *f)
{
	const struct tcp_repair *r = f->repair;
	return r && r->n && tcp_after(r->high, f->snd_una) ? r->high : f->snd_una;
}

uint32_t
loss_delivered(const struct tcp_flow *f)
{
	const struct tcp_repair *r = f->repair;
	if (!r || !r->n)
		return f->snd_una;
	uint32_t n = r->high;
	for (unsigned i = 0; i < r->n; i++)
		n -= r->hole[i].right - r->hole[i].left;
	return n;
}

uint32_t
loss_room(const struct tcp_flow *f)
{
	const struct tcp_repair *r = f->repair;
	if (!r || r->burst == UINT32_MAX)
		return UINT32_MAX;
	uint32_t pipe = loss_pipe(f);
	return r->burst > pipe ? r->burst - pipe : 0;
}
