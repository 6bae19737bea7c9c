/* How much the guest may send, and when it hears about it.
 *
 * The window is what upstream promised to take (op tcp_room), within a limit that doubles for each
 * round trip in which the guest used at least half of it, and within a fair part of what the tunnel
 * may promise in all. Its right edge never moves back: with a scaled window it is kept on multiples
 * of the scale, by rounding up as long as upstream has the room. */
#include "stack/tcp_int.h"

enum {
	SCALE_UNIT = 1 << TCP_OUR_SCALE,
	GROW_LEAST_MS = 4,
	WINDOW_LEAST = 4096, /* promised to a flow even when the tunnel has promised all it may */
	TUNNEL_SHARE = 4,    /* a flow may get one part in this of what the tunnel has left */
};

static uint32_t
min32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t
limit_of(const struct tcp_flow *f)
{
	uint64_t w = (uint64_t)TCP_FIRST_WINDOW << f->win_shift;
	uint32_t most = conf_of(f->st)->tcp_window_flow;
	return w < most ? (uint32_t)w : most;
}

/* Its part of what the tunnel may still promise; its own promise does not count. */
static uint32_t
share_of(const struct tcp_flow *f)
{
	uint32_t others = f->st->tcp.window_promised - (f->rcv_adv - f->rcv_nxt);
	uint32_t most = conf_of(f->st)->tcp_window_tunnel;
	uint32_t share = most > others ? (most - others) / TUNNEL_SHARE : 0;
	return share > WINDOW_LEAST ? share : WINDOW_LEAST;
}

static uint32_t
room_of(struct tcp_flow *f)
{
	if (f->flags & FLOW_UP)
		return far_room(f);
	uint32_t held = f->rcv_nxt - f->grow_seq, most = conf_of(f->st)->tcp_early_bytes;
	return most > held ? most - held : 0;
}

static void
move_edge(struct tcp_flow *f, uint32_t n)
{
	f->rcv_adv += n;
	f->st->tcp.window_promised += n;
}

/* Units the edge is away from a multiple of the scale, counted from rcv_nxt. */
static uint32_t
unaligned(const struct tcp_flow *f, uint32_t window)
{
	return f->flags & FLOW_SCALE && f->state == FLOW_OPEN ? window % SCALE_UNIT : 0;
}

void
tcp_open_window(struct tcp_flow *f)
{
	uint32_t now = f->rcv_adv - f->rcv_nxt, room = room_of(f), limit = limit_of(f);
	uint32_t want = min32(min32(room, limit), share_of(f));
	uint32_t step = min32(f->mss, limit / 2); /* RFC 9293 3.8.6.2.2 */
	if (!(f->flags & FLOW_SCALE) || f->state != FLOW_OPEN)
		want = min32(want, UINT16_MAX);
	want -= unaligned(f, want);
	if (want > now && (want - now >= step || f->state != FLOW_OPEN)) {
		move_edge(f, want - now);
	} else {
		uint32_t more = unaligned(f, now) ? SCALE_UNIT - unaligned(f, now) : 0;
		if (more && now + more <= room)
			move_edge(f, more);
	}
}

uint16_t
tcp_window_field(const struct tcp_flow *f, uint32_t ack, bool syn)
{
	uint32_t w = f->rcv_adv - ack;
	if (f->flags & FLOW_SCALE && !syn)
		w >>= TCP_OUR_SCALE;
	return (uint16_t)min32(w, UINT16_MAX);
}

void
tcp_advance(struct tcp_flow *f, uint32_t n)
{
	/* A FIN may stand right behind the window. */
	uint32_t promised = f->rcv_adv - f->rcv_nxt;
	if (n > promised)
		move_edge(f, n - promised);
	f->rcv_nxt += n;
	f->st->tcp.window_promised -= n;
}

static void
grow(struct tcp_flow *f)
{
	uint16_t elapsed = (uint16_t)(tcp_now(f) - f->grow_at);
	uint32_t rtt = f->srtt / 8u, got = f->rcv_nxt - f->grow_seq, limit = limit_of(f);
	bool used = got >= limit / 2, late = elapsed > (rtt > GROW_LEAST_MS ? rtt : GROW_LEAST_MS);
	if (!used && !late)
		return;
	if (used && !late && limit < conf_of(f->st)->tcp_window_flow)
		f->win_shift++;
	f->grow_seq = f->rcv_nxt;
	f->grow_at = (uint16_t)tcp_now(f);
}

void
tcp_ack_now(struct tcp_flow *f)
{
	flow_owe(f, FLOW_ACK_NOW);
}

void
tcp_acked(struct tcp_flow *f)
{
	bool in_order = !f->repair || list_empty(&f->repair->pieces);
	f->rcv_acked = f->rcv_nxt;
	f->flags &= ~(uint32_t)FLOW_ACK_LATER;
	if (f->flags & FLOW_ACK_NOW && in_order) { /* else it owes the SACK blocks */
		f->flags &= ~(uint32_t)FLOW_ACK_NOW;
		if (!(f->flags & FLOW_OWES))
			flow_rest(f);
	}
}

void
tcp_plan_ack(struct tcp_flow *f)
{
	uint32_t owed = f->rcv_nxt - f->rcv_acked;
	uint32_t later = conf_of(f->st)->tcp_delayed_ack_ms;
	if (!owed && !(f->flags & FLOW_ACK_NOW))
		return;
	if (f->flags & FLOW_UP && f->state == FLOW_OPEN)
		grow(f);
	uint32_t was = f->rcv_adv - f->rcv_nxt;
	tcp_open_window(f);
	if (f->flags & FLOW_ACK_NOW)
		return;
	if (owed >= 2u * f->mss || was < 2u * f->mss || !later) {
		tcp_ack_now(f);
	} else if (!(f->flags & FLOW_ACK_LATER)) {
		f->flags |= FLOW_ACK_LATER;
		f->ack_at = (uint16_t)(tcp_now(f) + later);
	}
}

void
tcp_window_update(struct tcp_flow *f)
{
	uint32_t was = f->rcv_adv - f->rcv_nxt;
	if (f->flags & FLOW_FIN_RCVD)
		return;
	if (f->batch) { /* what is not written yet is not in the room either */
		f->flags |= FLOW_ROOM;
		return;
	}
	f->flags &= ~(uint32_t)FLOW_ROOM;
	tcp_open_window(f);
	uint32_t gain = f->rcv_adv - f->rcv_nxt - was;
	if (gain && (was < 2u * f->mss || gain >= limit_of(f) / 2))
		tcp_ack_now(f);
}
