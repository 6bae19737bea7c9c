/* Frames for the guest. Bare segments first, from the list of flows that owe one; then, when sched
 * gives a flow its turn, what was lost, and then new bytes. Bytes come from upstream's socket
 * straight into the frames: many frames by one call, which then get their headers. */
#include "stack/tcp_int.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include <errno.h>

enum { SLOTS = 128 };

/* --- segments without data ---------------------------------------------------------------- */

static struct tcpseg
segment(const struct tcp_flow *f, uint32_t seq, uint32_t ack, uint8_t flags)
{
	return (struct tcpseg){
	        .sport = f->remote.port,
	        .dport = f->guest.port,
	        .seq = seq,
	        .ack = ack,
	        .flags = flags,
	        .window = tcp_window_field(f, ack, flags & TCPF_SYN),
	};
}

static void
write_bare(struct stack *st, uint8_t *p, const struct endpoint *guest,
        const struct endpoint *remote, const struct tcpseg *s)
{
	struct ippkt k = {.src = remote->ip, .dst = guest->ip, .proto = IPPROTO_TCP};
	p = ip_head(st, p, &k, tcp_head_len(&s->opt));
	tcp_put(p, s, &remote->ip, &guest->ip, 0, 0);
}

static bool
emit_bare(struct tcp_flow *f, struct emit *e, const struct tcpseg *s)
{
	size_t len = ip_head_len(&f->remote.ip) + tcp_head_len(&s->opt);
	uint8_t *p = stack_emit_frame(f->st, e, len);
	if (p)
		write_bare(f->st, p, &f->guest, &f->remote, s);
	return p || !e->full;
}

void
tcp_rst(struct stack *st, const struct endpoint *guest, const struct endpoint *remote, uint32_t seq,
        uint32_t ack)
{
	struct tcpseg s = {
	        .sport = remote->port,
	        .dport = guest->port,
	        .seq = seq,
	        .ack = ack,
	        .flags = TCPF_RST | TCPF_ACK,
	};
	uint8_t *p = ctl_frame(st, ip_head_len(&remote->ip) + TCP_HEAD);
	if (p)
		write_bare(st, p, guest, remote, &s);
}

static bool
send_syn_ack(struct tcp_flow *f, struct emit *e)
{
	/* grow_seq is still the byte behind the guest's SYN: early data may have moved rcv_nxt. */
	struct tcpseg s = segment(f, f->snd_una, f->grow_seq, TCPF_SYN | TCPF_ACK);
	s.opt.mss = tcp_our_mss(f->st, &f->remote.ip);
	s.opt.sack_ok = f->flags & FLOW_SACK;
	s.opt.has_wscale = f->flags & FLOW_SCALE;
	s.opt.wscale = TCP_OUR_SCALE;
	if (!emit_bare(f, e, &s))
		return false;
	if (f->backoff) {
		f->flags &= ~(uint32_t)FLOW_TIMED; /* Karn's rule, RFC 6298 3 */
	} else if (!(f->flags & FLOW_TIMED)) {
		f->flags |= FLOW_TIMED;
		f->rtt_at = (uint16_t)tcp_now(f);
	}
	f->flags &= ~(uint32_t)FLOW_SYN_ACK;
	return true;
}

/* While a flow is young a guest may open its congestion window by the number of acknowledgements,
 * so there is one for every two full segments, however many came at once. */
static bool
send_acks(struct tcp_flow *f, struct emit *e)
{
	while (f->quick && f->rcv_nxt - f->rcv_acked > 2u * f->mss) {
		struct tcpseg s = segment(f, f->snd_nxt, f->rcv_acked + 2u * f->mss, TCPF_ACK);
		if (!emit_bare(f, e, &s))
			return false;
		f->rcv_acked = s.ack;
		f->quick--;
	}
	struct tcpseg s = segment(f, f->snd_nxt, f->rcv_nxt, TCPF_ACK);
	s.opt.nsack = (uint8_t)tcp_sacks(f, s.opt.sack);
	if (!emit_bare(f, e, &s))
		return false;
	if (f->quick && f->rcv_nxt != f->rcv_acked)
		f->quick--;
	f->rcv_acked = f->rcv_nxt;
	f->flags &= ~(uint32_t)(FLOW_ACK_NOW | FLOW_ACK_LATER);
	return true;
}

/* A segment just below the guest's window: it must be answered with the window as it is. */
static bool
send_probe(struct tcp_flow *f, struct emit *e)
{
	struct tcpseg s = segment(f, f->snd_una - 1, f->rcv_nxt, TCPF_ACK);
	if (!emit_bare(f, e, &s))
		return false;
	f->flags &= ~(uint32_t)FLOW_PROBE;
	f->rcv_acked = f->rcv_nxt;
	return true;
}

static bool
send_owed(struct tcp_flow *f, struct emit *e)
{
	if (f->flags & FLOW_SYN_ACK && !send_syn_ack(f, e))
		return false;
	if (f->flags & FLOW_PROBE && !send_probe(f, e))
		return false;
	return !(f->flags & FLOW_ACK_NOW) || send_acks(f, e);
}

bool
tcp_pull_control(struct stack *st, struct emit *e, uint64_t now)
{
	(void)now;
	struct list *acks = &st->tcp.acks;
	batch_end(st);
	while (!list_empty(acks)) {
		struct tcp_flow *f = LIST_ENTRY(acks->next, struct tcp_flow, link);
		if (!send_owed(f, e))
			return false;
		flow_rest(f);
	}
	pace_release(st); /* who waited for both was not seen when the room came */
	return true;
}

/* --- segments with data ------------------------------------------------------------------- */

/* A flow's turn. */
struct turn {
	struct tcp_flow *f;
	struct emit *e;
	size_t head;   /* bytes in front of the payload */
	size_t left;   /* bytes the turn may still take */
	uint32_t sent; /* frames */
	bool full, dead;
	bool again; /* bytes that were sent before */
	bool eof;   /* upstream ends behind the run at hand */
	/* the run of frames at hand */
	uint8_t *slot;
	size_t stride;
	uint8_t *l4;  /* of its first frame */
	uint16_t sum; /* of what the TCP headers of all its frames have in common */
};

/* The payload parts of the slots, behind the first `done` bytes of the run. */
static int
slot_iov(const struct turn *t, struct iovec *v, size_t done, size_t len)
{
	size_t mss = t->f->mss;
	int n = 0;
	for (size_t i = done / mss, skip = done % mss; done < len; i++, skip = 0) {
		size_t some = mss - skip < len - done ? mss - skip : len - done;
		v[n++] = (struct iovec){t->slot + i * t->stride + t->head + skip, some};
		done += some;
	}
	return n;
}

/* Peek until the slots are full or upstream has no more. */
static uint32_t
fill_slots(struct turn *t, uint32_t off, uint32_t len)
{
	struct tcp_flow *f = t->f;
	struct iovec v[SLOTS];
	uint32_t got = 0;
	while (got < len) {
		int n = slot_iov(t, v, got, len);
		ssize_t r = far_peek(f, off + got, v, n);
		if (r > 0) {
			got += (uint32_t)r;
			continue;
		}
		if (r == 0)
			t->eof = true;
		else if (r != -EAGAIN)
			t->dead = true;
		else if (!t->again)
			f->flags &= ~(uint32_t)FLOW_READABLE;
		break;
	}
	return got;
}

static void
first_head(struct turn *t, size_t payload)
{
	struct tcp_flow *f = t->f;
	struct ippkt k = {.src = f->remote.ip, .dst = f->guest.ip, .proto = IPPROTO_TCP};
	uint8_t *p = t->l4 = ip_head(f->st, t->slot, &k, TCP_HEAD + payload);
	put16(p, f->remote.port);
	put16(p + 2, f->guest.port);
	put32(p + 4, 0);
	put32(p + 8, f->rcv_nxt);
	put16(p + 12, TCP_HEAD / 4 << 12 | TCPF_ACK);
	put16(p + 14, tcp_window_field(f, f->rcv_nxt, false));
	put32(p + 16, 0);
	t->sum = checksum_add(
	        checksum_sum(p, TCP_HEAD), checksum_pseudo(&k.src, &k.dst, IPPROTO_TCP, TCP_HEAD));
}

/* The IP header of a later frame of the run: as the first one's, but for its id and perhaps its
 * length. */
static uint8_t *
next_head(struct turn *t, uint8_t *frame, size_t payload, bool same_len)
{
	struct tcp_flow *f = t->f;
	size_t l4 = (size_t)(t->l4 - t->slot);
	if (same_len && ip_is4(&f->remote.ip)) {
		uint8_t *ip = frame + ETHER_HEAD;
		memcpy(frame, t->slot, t->head);
		uint16_t was = get16(ip + 4), id = ++f->st->lan.ip_id;
		put16(ip + 4, id);
		put16(ip + 10, checksum_update16(get16(ip + 10), was, id));
		return frame + l4;
	}
	struct ippkt k = {.src = f->remote.ip, .dst = f->guest.ip, .proto = IPPROTO_TCP};
	uint8_t *p = ip_head(f->st, frame, &k, TCP_HEAD + payload);
	memcpy(p, t->l4, TCP_HEAD);
	return p;
}

static void
finish_head(const struct turn *t, uint8_t *p, uint32_t seq, size_t payload, uint8_t flags)
{
	put32(p + 4, seq);
	p[13] = flags;
	uint64_t sum = (uint64_t)t->sum + (seq >> 16) + (seq & 0xffff) + payload +
	               (uint8_t)(flags - TCPF_ACK) + checksum_sum(p + TCP_HEAD, payload);
	put16(p + 16, checksum_finish(checksum_fold(sum)));
}

static void
put_heads(struct turn *t, uint32_t seq, uint32_t len, uint8_t last_flags)
{
	uint32_t mss = t->f->mss, first = len < mss ? len : mss;
	size_t i = 0;
	first_head(t, first);
	for (uint32_t at = 0; at < len; at += mss, i++) {
		uint32_t n = len - at < mss ? len - at : mss;
		uint8_t flags = at + n == len ? last_flags : TCPF_ACK, *p = t->l4;
		if (i)
			p = next_head(t, t->slot + i * t->stride, n, n == first);
		finish_head(t, p, seq + at, n, flags);
	}
}

/* A FIN of its own. */
static bool
send_fin(struct turn *t, uint32_t seq)
{
	struct tcpseg s = segment(t->f, seq, t->f->rcv_nxt, TCPF_FIN | TCPF_ACK);
	t->full = !emit_bare(t->f, t->e, &s);
	t->sent += !t->full;
	return !t->full;
}

/* Send up to len bytes from seq on; `fin`: what follows them is a FIN, sent before. Returns what
 * of the sequence space went out. */
static uint32_t
send_run(struct turn *t, uint32_t seq, uint32_t len, bool fin)
{
	struct tcp_flow *f = t->f;
	size_t frame = t->head + f->mss, want = (len + f->mss - 1) / f->mss;
	size_t most = (t->left + 2 * frame - 1) / (2 * frame) * 2; /* in pairs, see paced */
	if (!len)
		return fin && send_fin(t, seq);
	if (want > most)
		want = most;
	if (want > SLOTS)
		want = SLOTS;
	size_t n = emit_slots(t->e, frame, want, &t->slot, &t->stride);
	if (n < want)
		t->full = true;
	uint8_t push = TCPF_PSH; /* the guest need not wait for what comes in the next turn */
	if (len > n * f->mss) {
		len = (uint32_t)(n * f->mss);
		fin = false;
		push = 0;
	}
	uint32_t got = len ? fill_slots(t, seq - f->snd_una, len) : 0;
	if (!got)
		return 0;
	fin = t->eof || (fin && got == len);
	if (got < len)
		push = TCPF_PSH;
	put_heads(t, seq, got, TCPF_ACK | push | (fin ? TCPF_FIN : 0));
	size_t used = (got + f->mss - 1) / f->mss, last = got - (used - 1) * f->mss;
	size_t last_len = lan_frame_len(f->st, t->head + last);
	memset(t->slot + (used - 1) * t->stride + t->head + last, 0, last_len - t->head - last);
	emit_commit(t->e, used, last_len);
	size_t cost = used * t->head + got;
	t->left = cost < t->left ? t->left - cost : 0;
	t->sent += (uint32_t)used;
	return got + fin;
}

static bool
may_go_on(const struct turn *t)
{
	return t->left && !t->full && !t->dead;
}

/* `seq` up to `end` went out before. Returns how much went out again. */
static uint32_t
send_again(struct turn *t, uint32_t seq, uint32_t end)
{
	struct tcp_flow *f = t->f;
	bool fin = f->flags & FLOW_FIN_SENT && end == f->snd_nxt;
	uint32_t frames = t->sent;
	t->again = true;
	uint32_t n = send_run(t, seq, end - seq - fin, fin);
	t->again = false;
	t->dead |= t->eof; /* what was there once is not there any more */
	stats_of(f->st)->tcp_retransmits += t->sent - frames;
	return n;
}

static void
send_marked(struct turn *t)
{
	struct tcp_flow *f = t->f;
	uint32_t flight = f->snd_nxt - f->snd_una, n = flight < f->mss ? flight : f->mss;
	uint32_t from = f->flags & FLOW_HEAD ? f->snd_una : f->snd_nxt - n;
	if (n && !send_again(t, from, from + n))
		return;
	f->flags &= ~(uint32_t)(FLOW_HEAD | FLOW_TAIL | FLOW_TIMED);
}

static void
send_holes(struct turn *t)
{
	struct tcp_flow *f = t->f;
	struct hole *h;
	while (may_go_on(t) && (h = loss_next(f))) {
		uint32_t n = h->right - h->left, room = loss_room(f);
		if (!room)
			break;
		if (n > room) /* whole segments, so that no crumbs are left */
			n = (room + f->mss - 1) / f->mss * f->mss;
		if (n > h->right - h->left)
			n = h->right - h->left;
		n = send_again(t, h->left, h->left + n);
		if (!n)
			break;
		loss_resent(f, h, n);
	}
}

/* Window and burst, and no crumbs while something is under way (RFC 9293 3.8.6.2.1). */
static uint32_t
sendable(const struct tcp_flow *f)
{
	int32_t window = (int32_t)(f->snd_una + f->snd_wnd - f->snd_nxt);
	if (window <= 0 || loss_is_crowded(f))
		return 0;
	uint32_t n = loss_room(f);
	if (n > (uint32_t)window)
		n = (uint32_t)window;
	if (n < f->mss)
		return f->snd_nxt == f->snd_una ? n : 0;
	return n / f->mss * f->mss;
}

bool
tcp_can_send(const struct tcp_flow *f)
{
	if (f->state != FLOW_OPEN)
		return false;
	if (f->flags & (FLOW_TAIL | FLOW_HEAD) || (loss_next(f) && loss_room(f)))
		return true;
	if (f->flags & (FLOW_FIN_SENT | FLOW_BLOCKED))
		return false;
	return f->flags & FLOW_EOF || (f->flags & FLOW_READABLE && sendable(f));
}

/* What the tunnel as a whole allows of n. Whoever has nothing under way gets two segments out, so
 * that a keystroke does not wait for downloads; unless it has waited before and so is one. And
 * always pairs: a guest acknowledges one segment alone only after a while. */
static uint32_t
paced(struct tcp_flow *f, uint32_t n)
{
	uint32_t room = pace_room(f->st), pair = 2u * f->mss;
	if (room >= n)
		return n;
	if (room < f->mss && loss_pipe(f)) {
		pace_block(f);
		return 0;
	}
	room = room < pair ? pair : room / pair * pair;
	return n < room ? n : room;
}

static void
note_sent(struct tcp_flow *f, uint32_t n)
{
	if (!(f->flags & FLOW_TIMED)) {
		f->flags |= FLOW_TIMED;
		f->rtt_seq = f->snd_nxt + (n < f->mss ? n : f->mss);
		f->rtt_at = (uint16_t)tcp_now(f);
	}
	f->snd_nxt += n;
	pace_account(f);
}

static void
send_new(struct turn *t)
{
	struct tcp_flow *f = t->f;
	while (may_go_on(t) && f->flags & FLOW_READABLE &&
	        !(f->flags & (FLOW_BLOCKED | FLOW_EOF))) {
		uint32_t n = sendable(f);
		if (n)
			n = paced(f, n);
		if (n)
			n = send_run(t, f->snd_nxt, n, false);
		if (n)
			note_sent(f, n);
		if (t->eof)
			f->flags |= n ? FLOW_EOF | FLOW_FIN_SENT : FLOW_EOF;
		if (!n || t->eof)
			break;
	}
	/* Slots that were asked for in vain do not mean that a FIN has no room: it may be the last
	 * thing to send, and nobody would ask again. */
	if (f->flags & FLOW_EOF && t->left && !t->dead && !(f->flags & FLOW_FIN_SENT) &&
	        send_fin(t, f->snd_nxt)) {
		f->flags |= FLOW_FIN_SENT;
		note_sent(f, 1);
	}
}

static size_t
pull(struct stack *st, struct sched_ent *ent, struct emit *e, size_t bytes, uint64_t now,
        bool *more)
{
	(void)st, (void)now;
	struct tcp_flow *f = CONTAINER_OF(ent, struct tcp_flow, ent);
	struct turn t = {.f = f, .e = e, .left = bytes};
	size_t before = e->n;
	if (f->state != FLOW_OPEN)
		return 0;
	t.head = ip_head_len(&f->remote.ip) + TCP_HEAD;
	t.dead = t.head + f->mss > e->max_frame;
	if (f->flags & (FLOW_HEAD | FLOW_TAIL) && may_go_on(&t))
		send_marked(&t);
	send_holes(&t);
	if (!(f->flags & FLOW_FIN_SENT))
		send_new(&t);
	if (t.dead) {
		flow_reset(f);
		return SCHED_GONE;
	}
	if (t.sent)
		tcp_acked(f);
	pace_account(f);
	tcp_watch(f, false);
	tcp_arm(f);
	*more = tcp_can_send(f); /* not just t.full: upstream may have run dry in the last slots */
	return e->n - before;
}

const struct sched_ops tcp_sched_ops = {.pull = pull};
