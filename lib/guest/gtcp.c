/* The life of a connection: opening, the calls of its holder, timers, the end. Once nobody holds
 * it (an orphan) it lives on until both sides have finished or patience is over. */
#include "guest/gtcp_int.h"

#include "base/crypto.h"
#include "wire/ether.h"

#include <errno.h>
#include <stdlib.h>

enum {
	BUF_USUAL = 256 << 10,
	BUF_MOST = 16 << 20,
	MSS_UNSAID = 536, /* RFC 9293 3.7.1 */
	CWND_SEGMENTS = 10,
	RTO_FIRST_MS = 1000,
	RTO_LEAST_MS = 200,
	RTO_MOST_MS = 60000,
	BACKOFFS_MOST = 8,
	SYNS_MOST = 6,
	ORPHAN_MS = 10000,
	TIME_WAIT_MS = 1000,
};

/* --- rings ------------------------------------------------------------------------------------ */

void
gring_put(struct gring *r, uint32_t off, const uint8_t *p, uint32_t n)
{
	uint32_t at = (r->head + off) % r->cap, first = r->cap - at < n ? r->cap - at : n;
	if (!n)
		return;
	memcpy(r->p + at, p, first);
	memcpy(r->p, p + first, n - first);
}

void
gring_get(const struct gring *r, uint32_t off, uint8_t *p, uint32_t n)
{
	uint32_t at = (r->head + off) % r->cap, first = r->cap - at < n ? r->cap - at : n;
	if (!n)
		return;
	memcpy(p, r->p + at, first);
	memcpy(p + first, r->p, n - first);
}

void
gring_drop(struct gring *r, uint32_t n)
{
	r->head = (r->head + n) % r->cap;
	r->n -= n;
}

/* --- timers ----------------------------------------------------------------------------------- */

static void
free_flow(struct gtcp *t)
{
	wheel_del(t->g->conf.wheel, &t->rtx);
	wheel_del(t->g->conf.wheel, &t->end);
	list_del(&t->node);
	list_del(&t->ready);
	free(t->snd.p);
	free(t->rcv.p);
	free(t);
}

void
gtcp_arm(struct gtcp *t, uint64_t now)
{
	uint64_t rto = t->srtt8 ? t->srtt8 / 8 + (t->rttvar4 > 1 ? t->rttvar4 : 1) : RTO_FIRST_MS;
	rto = rto < RTO_LEAST_MS ? RTO_LEAST_MS : rto;
	rto <<= t->backoff < BACKOFFS_MOST ? t->backoff : BACKOFFS_MOST;
	wheel_add(t->g->conf.wheel, &t->rtx, now + (rto > RTO_MOST_MS ? RTO_MOST_MS : rto));
}

/* Start again from the first byte that is not acknowledged; what the other side said it has is not
 * relied on any longer (RFC 2018 8). */
static void
time_out(struct gtcp *t)
{
	uint32_t flight = t->snd_nxt - t->snd_una, half = flight / 2;
	t->timeouts++;
	t->rtt_at = 0;
	t->recovering = false;
	t->dupacks = 0;
	t->sacked.n = 0;
	if (flight) {
		t->ssthresh = half > 2u * t->mss ? half : 2u * t->mss;
		t->cwnd = t->mss;
		t->snd_nxt = t->snd_una;
	}
	t->probe_due = t->snd_wnd < t->mss;
}

static void
on_rtx(struct timer *timer, uint64_t now)
{
	struct gtcp *t = CONTAINER_OF(timer, struct gtcp, rtx);
	bool opening = t->phase == GTCP_SYN_SENT;
	if (t->backoff++ == (opening ? SYNS_MOST : BACKOFFS_MOST)) {
		gtcp_die(t, ETIMEDOUT);
		return;
	}
	struct mac mac;
	if (guest_route(t->g, &t->remote.ip, &mac, now) == NEIGHBOUR_SILENT) {
		struct ip hop = guest_hop(t->g, &t->remote.ip);
		if (!ip_is_unspecified(&hop))
			guest_resolve(t->g, &hop, now);
	}
	if (opening)
		t->syn_due = true;
	else
		time_out(t);
	gtcp_arm(t, now);
	gtcp_ready(t);
}

static void
on_end(struct timer *timer, uint64_t now)
{
	struct gtcp *t = CONTAINER_OF(timer, struct gtcp, end);
	if (!t->orphan)
		return;
	if (t->phase == GTCP_UP)
		gtcp_reset(t, now);
	free_flow(t);
}

/* --- life ------------------------------------------------------------------------------------- */

/* Nothing is freed here: whoever is in the middle of a segment still holds it. An orphan goes with
 * its timer, in the next turn. */
void
gtcp_die(struct gtcp *t, int err)
{
	if (t->phase == GTCP_DEAD)
		return;
	t->phase = GTCP_DEAD;
	t->err = err;
	wheel_del(t->g->conf.wheel, &t->rtx);
	list_del(&t->ready);
	if (t->orphan)
		wheel_add(t->g->conf.wheel, &t->end, 0);
	guest_event(t->g);
}

void
gtcp_done(struct gtcp *t, uint64_t now)
{
	t->phase = GTCP_DONE;
	wheel_del(t->g->conf.wheel, &t->rtx);
	if (t->orphan)
		wheel_add(t->g->conf.wheel, &t->end, now + TIME_WAIT_MS);
	guest_event(t->g);
}

void
gtcp_ready(struct gtcp *t)
{
	if (t->phase == GTCP_DEAD || !list_empty(&t->ready))
		return;
	list_add(&t->g->ready, &t->ready);
	guest_wake(t->g);
}

void
gtcp_reset(struct gtcp *t, uint64_t now)
{
	uint8_t p[TCP_HEAD_MOST];
	struct tcpseg s = {
	        .sport = t->local.port,
	        .dport = t->remote.port,
	        .seq = t->snd_nxt,
	        .ack = t->rcv_nxt,
	        .flags = TCPF_RST | TCPF_ACK,
	};
	size_t n = tcp_put(p, &s, &t->local.ip, &t->remote.ip, 0, 0);
	guest_send(t->g, &t->local.ip, &t->remote.ip, IPPROTO_TCP, 0, span(p, n), now);
}

static bool
port_free(const struct guest *g, uint16_t port, const struct endpoint *to)
{
	LIST_FOR_EACH (it, &g->tcp) {
		const struct gtcp *t = LIST_ENTRY(it, struct gtcp, node);
		if (t->local.port == port && endpoint_eq(&t->remote, to))
			return false;
	}
	return true;
}

static bool
make_ring(struct gring *r, uint32_t cap)
{
	r->cap = !cap ? BUF_USUAL : cap > BUF_MOST ? BUF_MOST : cap;
	r->p = malloc(r->cap);
	return r->p != NULL;
}

struct gtcp *
gtcp_open(struct guest *g, const struct endpoint *to, const struct gtcp_opts *opts, uint64_t now)
{
	static const struct gtcp_opts usual = {0};
	struct gtcp *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	opts = opts ? opts : &usual;
	t->g = g;
	t->remote = *to;
	t->local = (struct endpoint){guest_source(g, &to->ip), opts->sport};
	while (!t->local.port || (!opts->sport && !port_free(g, t->local.port, to)))
		t->local.port = guest_port(g);
	list_init(&t->ready);
	timer_init(&t->rtx, on_rtx);
	timer_init(&t->end, on_end);
	list_add(&g->tcp, &t->node);
	if (!make_ring(&t->snd, opts->sndbuf) || !make_ring(&t->rcv, opts->rcvbuf)) {
		free_flow(t);
		return NULL;
	}
	random_bytes(&t->iss, sizeof t->iss);
	t->snd_una = t->snd_nxt = t->snd_max = t->iss;
	t->mss = MSS_UNSAID;
	t->cwnd = CWND_SEGMENTS * t->mss;
	t->ssthresh = UINT32_MAX;
	t->sack = !opts->plain;
	while (!opts->plain && t->rcv.cap >> t->rcv_shift > UINT16_MAX)
		t->rcv_shift++;
	t->syn_due = true;
	gtcp_arm(t, now);
	gtcp_ready(t);
	return t;
}

size_t
gtcp_write(struct gtcp *t, struct span s)
{
	if (t->fin_wanted || t->phase > GTCP_UP)
		return 0;
	s = span_first(s, t->snd.cap - t->snd.n);
	gring_put(&t->snd, t->snd.n, s.p, (uint32_t)s.n);
	t->snd.n += (uint32_t)s.n;
	if (s.n && t->phase == GTCP_UP)
		gtcp_ready(t);
	return s.n;
}

/* The window is told again when reading has opened it by two segments or a quarter. */
size_t
gtcp_read(struct gtcp *t, void *p, size_t cap)
{
	uint32_t n = cap < t->rcv.n ? (uint32_t)cap : t->rcv.n;
	gring_get(&t->rcv, 0, p, n);
	gring_drop(&t->rcv, n);
	uint32_t told = t->rcv_adv - t->rcv_nxt, now = gtcp_window(t);
	uint32_t step = t->rcv.cap / 4 < 2u * t->mss ? t->rcv.cap / 4 : 2u * t->mss;
	if (n && t->phase == GTCP_UP && !t->fin_rcvd && now >= told + step) {
		t->need_ack = true;
		gtcp_ready(t);
	}
	return n;
}

void
gtcp_shutdown(struct gtcp *t)
{
	if (t->fin_wanted)
		return;
	t->fin_wanted = true;
	if (t->phase == GTCP_UP)
		gtcp_ready(t);
}

void
gtcp_abort(struct gtcp *t, uint64_t now)
{
	if (t->phase == GTCP_UP)
		gtcp_reset(t, now);
	free_flow(t);
}

void
gtcp_close(struct gtcp *t, uint64_t now)
{
	if (t->phase == GTCP_SYN_SENT || t->phase == GTCP_DEAD || t->rcv.n) {
		gtcp_abort(t, now);
		return;
	}
	t->orphan = true;
	gtcp_shutdown(t);
	wheel_add(t->g->conf.wheel, &t->end,
	        now + (t->phase == GTCP_DONE ? TIME_WAIT_MS : ORPHAN_MS));
}

void
gtcp_info(const struct gtcp *t, struct gtcp_info *out)
{
	*out = (struct gtcp_info){
	        .up = t->phase == GTCP_UP || t->phase == GTCP_DONE,
	        .eof = t->fin_rcvd && !t->rcv.n,
	        .sent = !t->snd.n && (!t->fin_wanted || t->fin_acked),
	        .over = t->phase >= GTCP_DONE,
	        .err = t->err,
	        .icmp = t->icmp,
	        .icmp_from = t->icmp_from,
	        .unread = t->rcv.n,
	        .unacked = t->snd.n,
	        .room = t->snd.cap - t->snd.n,
	        .rtt_ms = t->srtt8 / 8,
	        .in = t->in,
	        .out = t->out,
	        .retransmits = t->retransmits,
	        .timeouts = t->timeouts,
	        .duplicates = t->duplicates,
	        .out_of_order = t->out_of_order,
	        .mss = t->mss,
	        .sack = t->sack,
	        .wscale = t->snd_shift,
	};
}

const struct endpoint *
gtcp_local(const struct gtcp *t)
{
	return &t->local;
}

void
gtcp_fini(struct guest *g)
{
	while (!list_empty(&g->tcp))
		free_flow(LIST_ENTRY(g->tcp.next, struct gtcp, node));
}

void
gtcp_neighbour(struct guest *g, const struct ip *hop, bool found, uint64_t now)
{
	(void)now;
	LIST_FOR_EACH (it, &g->tcp) {
		struct gtcp *t = LIST_ENTRY(it, struct gtcp, node);
		struct ip mine = guest_hop(g, &t->remote.ip);
		if (!ip_eq(&mine, hop))
			continue;
		if (found)
			gtcp_ready(t);
		else if (t->phase == GTCP_SYN_SENT)
			gtcp_die(t, EHOSTUNREACH);
	}
}
