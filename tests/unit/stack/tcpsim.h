/* tcpsim: guests that really speak TCP, over a link with a rate, a delay and losses, in virtual
 * time. Servers send and take what far_byte says, so every byte is checked where it arrives. */
#pragma once

#include "tcplab.h"

#include <math.h>
#include <stdio.h>

enum { SIM_FLOWS = 64, SIM_SPANS = 512, SIM_QUEUE = 1 << 15 };

struct sim_frame {
	uint64_t at; /* arrival, in us */
	uint16_t n;
	uint8_t p[1600];
};

/* Frames on their way, in order. */
struct sim_link {
	double rate; /* bytes a us; 0 = any */
	uint32_t delay_us;
	double loss;
	uint64_t busy; /* until when the bottleneck works */
	uint64_t sent, lost;
	struct sim_frame *q;
	unsigned head, n;
};

struct range {
	uint32_t l, r;
};

/* One connection of the guest. */
struct sim_flow {
	struct far *far;
	uint16_t port;
	bool up_enabled, open, fin_seen, fin_sent, fin_acked;
	uint64_t opened_at;
	/* down */
	uint32_t irs, rcv_nxt;
	uint64_t want; /* bytes that the server will send */
	struct range ooo[SIM_SPANS];
	unsigned n_ooo;
	uint32_t newest;
	unsigned unacked; /* segments */
	uint64_t ack_at;  /* delayed; 0 = none */
	uint64_t bytes, frames, dup_frames;
	/* up */
	uint32_t iss, snd_una, snd_nxt, snd_wnd;
	uint64_t to_send;
	double cwnd;
	struct range sacked[SIM_SPANS];
	unsigned n_sacked;
	bool recovering, all_lost;
	uint32_t recover, rexmit;
	double threshold;
	uint64_t rto_at, rto_us;
	uint64_t up_frames, up_resent, rtos;
	/* ping-pong */
	bool ping;
	uint64_t ping_at;
	uint32_t *rtts;
	unsigned n_rtts;
};

struct sim {
	struct lab *l;
	uint64_t us;
	struct sim_link down, up;
	struct sim_flow flow[SIM_FLOWS];
	unsigned n;
	bool sack;
	uint32_t window; /* of the guest, per flow */
	size_t sndbuf;   /* bytes the transport takes ahead of the bottleneck */
	bool stalled;    /* the client does not read */
	unsigned ring;   /* frames the card takes between two looks of the guest; 0 = any */
	uint32_t look_us;
	uint64_t looked;
	unsigned in_ring;
	uint32_t up_mss;
	uint64_t acks, rng;
};

static double
sim_random(struct sim *s)
{
	s->rng = s->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(s->rng >> 11) / 9007199254740992.0;
}

static void
sim_put(struct sim *s, struct sim_link *k, const uint8_t *p, size_t n)
{
	uint64_t start = k->busy > s->us * 1000 ? k->busy : s->us * 1000;
	k->busy = start + (uint64_t)(k->rate > 0 ? (double)n / k->rate * 1000 : 0);
	k->sent++;
	if (sim_random(s) < k->loss) {
		k->lost++;
		return;
	}
	assert_true(k->n < SIM_QUEUE && n <= sizeof k->q->p);
	struct sim_frame *f = &k->q[(k->head + k->n++) % SIM_QUEUE];
	f->at = (k->busy + 999) / 1000 + k->delay_us;
	f->n = (uint16_t)n;
	memcpy(f->p, p, n);
}

/* --- guest -------------------------------------------------------------------------------- */

static void
range_add(struct range *v, unsigned *n, uint32_t l, uint32_t r)
{
	unsigned i = 0;
	while (i < *n && tcp_before(v[i].r, l))
		i++;
	unsigned j = i;
	for (; j < *n && !tcp_after(v[j].l, r); j++) {
		l = tcp_before(v[j].l, l) ? v[j].l : l;
		r = tcp_after(v[j].r, r) ? v[j].r : r;
	}
	if (j == i) {
		assert_true(*n < SIM_SPANS);
		memmove(v + i + 1, v + i, (*n - i) * sizeof *v);
		++*n;
	} else {
		memmove(v + i + 1, v + j, (*n - j) * sizeof *v);
		*n -= j - i - 1;
	}
	v[i] = (struct range){l, r};
}

static void
range_below(struct range *v, unsigned *n, uint32_t seq)
{
	unsigned i = 0;
	while (i < *n && !tcp_after(v[i].r, seq))
		i++;
	memmove(v, v + i, (*n - i) * sizeof *v);
	*n -= i;
	if (*n && tcp_before(v[0].l, seq))
		v[0].l = seq;
}

static void
guest_send(struct sim *s, struct sim_flow *f, uint8_t flags, uint32_t seq, size_t len)
{
	static const struct mac gateway = {{2, 0, 0, 0, 0, 1}}, guest = {{2, 0, 0, 0, 0, 9}};
	uint8_t frame[1600] = {0}, *p = frame + ETHER_HEAD + 20;
	struct tcpseg g = {.sport = f->port,
	        .dport = 80,
	        .seq = seq,
	        .ack = flags & TCPF_ACK ? f->rcv_nxt + f->fin_seen : 0,
	        .flags = flags};
	if (flags & TCPF_SYN)
		g.opt = (struct tcpopts){
		        .mss = 1460, .has_wscale = true, .wscale = 10, .sack_ok = s->sack};
	g.window = (uint16_t)(s->window >> (flags & TCPF_SYN ? 0 : 10));
	if (flags & TCPF_SYN)
		g.window = 65535;
	for (unsigned i = 0; s->sack && i < f->n_ooo && g.opt.nsack < 3; i++) {
		struct range r = f->ooo[i];
		bool newest = !tcp_before(f->newest, r.l) && tcp_before(f->newest, r.r);
		if (newest || g.opt.nsack < 2 || tcp_after(r.l, f->newest))
			g.opt.sack[g.opt.nsack++] = (struct tcpsack){r.l, r.r};
	}
	struct ippkt k = {.src = GUEST, .dst = WORLD, .proto = IPPROTO_TCP, .ttl = 64};
	size_t head = tcp_head_len(&g.opt);
	for (size_t i = 0; i < len; i++)
		p[head + i] = far_byte(seq - f->iss - 1 + i);
	ether_put(frame, &gateway, &guest, ETHER_IPV4);
	ippkt_put(frame + ETHER_HEAD, &k, head + len);
	tcp_put(p, &g, &k.src, &k.dst, len, checksum_sum(p + head, len));
	sim_put(s, &s->up, frame, ETHER_HEAD + 20 + head + len);
	if (flags & TCPF_ACK) {
		f->unacked = 0;
		f->ack_at = 0;
	}
	s->acks += !len;
}

static void
guest_push(struct sim *s, struct sim_flow *f)
{
	uint32_t end = f->iss + 1 + (uint32_t)f->to_send;
	while (f->open && tcp_before(f->snd_nxt, end)) {
		uint32_t flight = f->snd_nxt - f->snd_una,
		         left = f->snd_una + f->snd_wnd - f->snd_nxt;
		uint32_t n = end - f->snd_nxt < s->up_mss ? end - f->snd_nxt : s->up_mss;
		if ((int32_t)left < (int32_t)n || flight + n > f->cwnd)
			break;
		guest_send(s, f, TCPF_ACK | TCPF_PSH, f->snd_nxt, n);
		f->up_frames++;
		f->snd_nxt += n;
		if (!f->rto_at)
			f->rto_at = s->us + f->rto_us;
	}
	if (f->open && f->up_enabled && f->snd_nxt == end && !f->fin_sent) {
		f->fin_sent = true;
		guest_send(s, f, TCPF_ACK | TCPF_FIN, f->snd_nxt++, 0);
		if (!f->rto_at)
			f->rto_at = s->us + f->rto_us;
	}
}

static void
guest_resend(struct sim *s, struct sim_flow *f, uint32_t from)
{
	uint32_t end = f->snd_nxt - f->fin_sent; /* of the bytes that were sent */
	uint32_t n = end - from < s->up_mss ? end - from : s->up_mss;
	f->up_resent++;
	if (from == end)
		guest_send(s, f, TCPF_ACK | (f->fin_sent ? TCPF_FIN : 0), from, 0);
	else
		guest_send(s, f, TCPF_ACK, from, n);
}

/* The next segment that is not reported as received, below one that is, or any after a time-out. */
static bool
guest_resend_next(struct sim *s, struct sim_flow *f)
{
	uint32_t top = f->all_lost   ? f->recover
	               : f->n_sacked ? f->sacked[f->n_sacked - 1].l
	                             : f->rexmit;
	for (unsigned i = 0; i < f->n_sacked; i++)
		if (!tcp_before(f->rexmit, f->sacked[i].l) && tcp_before(f->rexmit, f->sacked[i].r))
			f->rexmit = f->sacked[i].r;
	if (!tcp_before(f->rexmit, top))
		return false;
	guest_resend(s, f, f->rexmit);
	f->rexmit += s->up_mss;
	return true;
}

/* SACK recovery in the manner of RFC 6675, Reno's window. */
static void
guest_repair(struct sim *s, struct sim_flow *f, uint32_t acked)
{
	if (!f->recovering && f->n_sacked) {
		f->recovering = true;
		f->recover = f->snd_nxt;
		f->rexmit = f->snd_una;
		f->threshold = fmax((f->snd_nxt - f->snd_una) / 2.0, 2.0 * s->up_mss);
		f->cwnd = f->threshold;
	}
	if (f->recovering && !tcp_before(f->snd_una, f->recover))
		f->recovering = f->all_lost = false;
	if (!f->recovering || f->all_lost)
		f->cwnd += f->cwnd < f->threshold ? acked : (double)s->up_mss * acked / f->cwnd;
	if (!f->recovering)
		return;
	if (tcp_before(f->rexmit, f->snd_una))
		f->rexmit = f->snd_una;
	if (guest_resend_next(s, f) && f->all_lost)
		guest_resend_next(s, f);
}

static void
guest_take_ack(struct sim *s, struct sim_flow *f, const struct tcpseg *g)
{
	uint32_t acked = 0;
	f->snd_wnd = (uint32_t)g->window << 8;
	for (unsigned i = 0; i < g->opt.nsack; i++)
		range_add(f->sacked, &f->n_sacked, g->opt.sack[i].left, g->opt.sack[i].right);
	if (tcp_after(g->ack, f->snd_una)) {
		assert_false(tcp_after(g->ack, f->snd_nxt));
		acked = g->ack - f->snd_una;
		f->snd_una = g->ack;
		f->rto_us = 200000;
		range_below(f->sacked, &f->n_sacked, f->snd_una);
		f->rto_at = f->snd_una == f->snd_nxt ? 0 : s->us + f->rto_us;
	}
	guest_repair(s, f, acked);
	if (f->fin_sent && f->snd_una == f->snd_nxt)
		f->fin_acked = true;
	guest_push(s, f);
}

static void
guest_take_data(struct sim *s, struct sim_flow *f, const struct tcpseg *g)
{
	uint32_t end = g->seq + (uint32_t)g->payload.n;
	uint64_t at = (uint32_t)(g->seq - f->irs - 1);
	bool gap = f->n_ooo || g->seq != f->rcv_nxt;
	if (!tcp_seg_len(g))
		return;
	for (size_t i = 0; i < g->payload.n; i++)
		if (g->payload.p[i] != far_byte(f->far->seed + at + i))
			fail_msg("wrong byte at %llu", (unsigned long long)(at + i));
	f->frames++;
	if (!tcp_after(end, f->rcv_nxt) && g->payload.n)
		f->dup_frames++;
	if (g->payload.n) {
		range_add(f->ooo, &f->n_ooo, g->seq, end);
		f->newest = g->seq;
	}
	if (f->n_ooo && !tcp_after(f->ooo[0].l, f->rcv_nxt)) {
		if (tcp_after(f->ooo[0].r, f->rcv_nxt)) {
			f->bytes += f->ooo[0].r - f->rcv_nxt;
			f->rcv_nxt = f->ooo[0].r;
		}
		range_below(f->ooo, &f->n_ooo, f->rcv_nxt);
	}
	if (g->flags & TCPF_FIN && end == f->rcv_nxt)
		f->fin_seen = true;
	if (f->ping && f->ping_at) {
		f->rtts[f->n_rtts++] = (uint32_t)(s->us - f->ping_at);
		f->ping_at = 0;
	}
	if (gap || g->flags & TCPF_FIN || ++f->unacked >= 2)
		guest_send(s, f, TCPF_ACK, f->snd_nxt, 0);
	else if (!f->ack_at)
		f->ack_at = s->us + 40000;
}

static void
guest_segment(struct sim *s, struct span frame)
{
	struct ether eth;
	struct ippkt k;
	struct tcpseg g;
	assert_int_equal(ether_parse(frame, &eth), 0);
	assert_int_equal(ippkt_parse(eth.payload, &k), 0);
	assert_int_equal(tcp_parse(&k, &g), 0);
	struct sim_flow *f = &s->flow[g.dport - 1];
	assert_false(g.flags & TCPF_RST);
	if (g.flags & TCPF_SYN) {
		f->irs = g.seq;
		f->rcv_nxt = g.seq + 1;
		f->open = true;
		f->snd_una = f->snd_nxt = f->iss + 1;
		f->snd_wnd = g.window;
		f->rto_at = 0;
		f->rto_us = 200000;
		guest_send(s, f, TCPF_ACK, f->snd_nxt, 0);
		guest_push(s, f);
		return;
	}
	guest_take_ack(s, f, &g);
	guest_take_data(s, f, &g);
}

/* --- the world ---------------------------------------------------------------------------- */

static void
sim_seal(struct emit *e, uint8_t *frame, size_t n)
{
	struct sim *s = e->user;
	sim_put(s, &s->down, frame, n);
}

static size_t
sim_backlog(const struct sim *s)
{
	uint64_t now = s->us * 1000;
	return s->down.busy > now ? (size_t)((double)(s->down.busy - now) / 1000 * s->down.rate)
	                          : 0;
}

static void
sim_pull(struct sim *s)
{
	struct lab *l = s->l;
	size_t queued = sim_backlog(s);
	if ((!l->wakes && !l->more) || queued + 1514 > s->sndbuf || s->stalled)
		return;
	struct emit e;
	size_t room = s->sndbuf - queued;
	l->wakes = 0;
	emit_init(&e, l->out, LAB_OUT, room < 262144 ? room : 262144, l->max_frame);
	e.head_len = no_head;
	e.seal = sim_seal;
	e.user = s;
	l->more = stack_pull(l->st, &e, l->now);
	emit_end(&e);
}

static uint64_t
sooner_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
sim_next(struct sim *s, uint64_t end)
{
	uint64_t t = end, w = wheel_next(&s->l->wheel);
	if (w != UINT64_MAX)
		t = sooner_of(t, w * 1000);
	if (s->down.n && !s->stalled)
		t = sooner_of(t, s->down.q[s->down.head].at);
	if (s->up.n)
		t = sooner_of(t, s->up.q[s->up.head].at);
	for (unsigned i = 0; i < s->n; i++) {
		if (s->flow[i].ack_at)
			t = sooner_of(t, s->flow[i].ack_at);
		if (s->flow[i].rto_at)
			t = sooner_of(t, s->flow[i].rto_at);
	}
	if ((s->l->wakes || s->l->more) &&
	        !s->stalled) /* look again when the bottleneck has drained */
		t = sooner_of(t, s->us + 50);
	return t > s->us ? t : s->us + 1;
}

static void
sim_guest_timers(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_flow *f = &s->flow[i];
		if (f->ack_at && f->ack_at <= s->us)
			guest_send(s, f, TCPF_ACK, f->snd_nxt, 0);
		if (f->rto_at && f->rto_at <= s->us) {
			f->rtos++;
			f->rto_us *= 2;
			f->rto_at = s->us + f->rto_us;
			f->recovering = f->all_lost = true;
			f->recover = f->snd_nxt;
			f->rexmit = f->snd_una + s->up_mss;
			f->threshold = fmax((f->snd_nxt - f->snd_una) / 2.0, 2.0 * s->up_mss);
			f->cwnd = s->up_mss;
			if (!f->open)
				guest_send(s, f, TCPF_SYN, f->iss, 0);
			else
				guest_resend(s, f, f->snd_una);
		}
	}
}

/* The card holds `ring` frames until the guest looks. */
static bool
sim_ring_drops(struct sim *s)
{
	if (!s->ring)
		return false;
	if (s->us - s->looked >= s->look_us) {
		s->looked = s->us;
		s->in_ring = 0;
	}
	if (s->in_ring++ < s->ring)
		return false;
	s->down.lost++;
	return true;
}

static void
sim_step(struct sim *s, uint64_t end)
{
	struct lab *l = s->l;
	s->us = sim_next(s, end);
	l->now = s->us / 1000;
	wheel_advance(&l->wheel, l->now);
	while (s->down.n && s->down.q[s->down.head].at <= s->us && !s->stalled) {
		struct sim_frame *f = &s->down.q[s->down.head];
		s->down.head = (s->down.head + 1) % SIM_QUEUE;
		s->down.n--;
		if (!sim_ring_drops(s))
			guest_segment(s, span(f->p, f->n));
	}
	sim_guest_timers(s);
	unsigned in = 0;
	while (s->up.n && s->up.q[s->up.head].at <= s->us && in < 200) {
		struct sim_frame *f = &s->up.q[s->up.head];
		stack_frame(l->st, span(f->p, f->n), l->now);
		s->up.head = (s->up.head + 1) % SIM_QUEUE;
		s->up.n--;
		in++;
	}
	if (in)
		stack_rx_end(l->st, l->now);
	for (unsigned i = 0; i < l->n_far; i++) {
		struct far *far = l->far[i];
		if (far->flow && far->opened && !far->answered) {
			far->answered = true;
			stack_tcp_opened(l->st, &far->flow->f, l->now);
			stack_tcp_readable(l->st, &far->flow->f, l->now);
		}
	}
	sim_pull(s);
}

static struct sim
sim_new(struct lab *l, double mbit, uint32_t delay_us, double loss)
{
	struct sim s = {.l = l, .us = l->now * 1000, .sack = true, .window = 16 << 20, .rng = 42};
	s.down = (struct sim_link){.rate = mbit / 8, .delay_us = delay_us, .loss = loss};
	s.up = s.down;
	s.down.q = malloc(SIM_QUEUE * sizeof *s.down.q);
	s.up.q = malloc(SIM_QUEUE * sizeof *s.up.q);
	s.sndbuf = 1 << 20;
	s.up_mss = 1460;
	l->check_only = true;
	return s;
}

static void
sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		free(s->flow[i].rtts);
	free(s->down.q);
	free(s->up.q);
}

/* A connection over which the server sends `down` bytes and the guest `up`. */
static struct sim_flow *
sim_flow(struct sim *s, uint64_t down, uint64_t up)
{
	struct sim_flow *f = &s->flow[s->n++];
	f->port = (uint16_t)s->n;
	f->iss = (uint32_t)(sim_random(s) * 4294967296.0);
	f->want = down;
	f->to_send = up;
	f->up_enabled = up;
	f->cwnd = 14600;
	f->threshold = 1e9;
	f->rto_us = 1000000;
	f->rto_at = s->us + f->rto_us;
	f->opened_at = s->us;
	guest_send(s, f, TCPF_SYN, f->iss, 0);
	unsigned before = s->l->n_far;
	while (s->l->n_far == before)
		sim_step(s, UINT64_MAX);
	f->far = s->l->far[before];
	f->far->sent = down;
	f->far->eof = down > 0 && !up;
	return f;
}

static bool
sim_done(const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct sim_flow *f = &s->flow[i];
		if (f->bytes < f->want || (f->up_enabled && !f->fin_acked))
			return false;
	}
	return true;
}

/* Until everything has arrived, or for so long. Returns seconds. */
static double
sim_run(struct sim *s, double seconds)
{
	uint64_t from = s->us, end = from + (uint64_t)(seconds * 1e6);
	while (s->us < end && !sim_done(s))
		sim_step(s, end);
	return (double)(s->us - from) / 1e6;
}

static uint64_t
sim_bytes(const struct sim *s)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < s->n; i++)
		n += s->flow[i].bytes;
	return n;
}
