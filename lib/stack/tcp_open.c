/* The handshake. The guest hears SYN-ACK only when upstream has answered, so a refused port looks
 * refused, a dead host dead, and clients that try several addresses choose well. SYNs that come
 * again meanwhile are ignored. A client that sends data without having heard SYN-ACK gets the
 * optimistic answer: SYN-ACK, and its data acknowledged and kept until upstream is there.
 *
 * Connects under way are bounded for the tunnel and for each destination. What is beyond waits for
 * its turn without a socket; only a connect that has hung for a while is reset to make room. So a
 * burst to a live host is merely spread over a few round trips, and one to a dead host can hold
 * neither the sockets nor the table: who waits is the first to be given up when that is full. */
#include "stack/tcp_int.h"

#include "base/cursor.h"
#include "wire/icmp.h"

#include <errno.h>

enum {
	HUNG_MS = 1000,   /* a connect that takes longer may be given up for another */
	IDLE_MS = 60000,  /* as may a connection that was silent for so long */
	OPEN_STEPS = 32,  /* waiting flows looked at in one go */
	ISN_PER_MS = 250, /* the clock of RFC 6528 3 */
};

uint16_t
tcp_our_mss(const struct stack *st, const struct ip *remote)
{
	size_t heads = ip_head_len(remote) - ETHER_HEAD + TCP_HEAD;
	size_t mtu = lan_mtu(st);
	size_t mss = mtu > heads ? mtu - heads : 0;
	if (mss < TCP_MSS_LEAST)
		mss = TCP_MSS_LEAST;
	return (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX);
}

/* --- limits ------------------------------------------------------------------------------- */

static struct tcp_flow *
first(struct list *l)
{
	return list_empty(l) ? NULL : LIST_ENTRY(l->next, struct tcp_flow, link);
}

/* Free the flow that matters least, if one may go. */
static bool
shed(struct stack *st)
{
	struct tcp_flow *f = first(&st->tcp.waiting);
	if (f) {
		flow_free(f, true);
	} else {
		f = first(&st->tcp.by_use);
		if (!f || (uint32_t)st->now - f->heard < IDLE_MS)
			return false;
		flow_reset(f);
	}
	stats_of(st)->tcp_shed++;
	return true;
}

static bool
shed_over(struct stack *st)
{
	struct tcp_flow *f = first(&st->tcp.time_wait);
	if (f)
		flow_free(f, false);
	return f;
}

static struct tcp_flow *
new_flow(struct stack *st)
{
	uint32_t most = conf_of(st)->tcp_max_flows;
	if (!most || (st->tcp.n_flows >= most && !shed(st)))
		return NULL;
	struct tcp_flow *f = ops_of(st)->tcp_alloc(st);
	if (!f && (shed_over(st) || shed(st)))
		f = ops_of(st)->tcp_alloc(st);
	return f;
}

static uint32_t
connects_to(const struct stack *st, const struct ip *remote)
{
	uint32_t n = 0;
	LIST_FOR_EACH (it, &st->tcp.half_open)
		n += ip_eq(&LIST_ENTRY(it, struct tcp_flow, link)->remote.ip, remote);
	return n;
}

/* May one more connect begin? One that hangs makes way when the tunnel has too many. */
static bool
may_connect(struct stack *st, const struct endpoint *remote)
{
	const struct stack_conf *c = conf_of(st);
	uint32_t n = st->tcp.n_half_open;
	if (n >= c->tcp_max_half_open_to && connects_to(st, &remote->ip) >= c->tcp_max_half_open_to)
		return false;
	if (n < c->tcp_max_half_open)
		return true;
	struct tcp_flow *oldest = first(&st->tcp.half_open);
	if (!oldest || (uint32_t)st->now - oldest->heard < HUNG_MS)
		return false;
	flow_reset(oldest);
	return true;
}

/* --- beginning ---------------------------------------------------------------------------- */

/* False: it failed at once, and the flow is gone. */
static bool
connect_flow(struct tcp_flow *f)
{
	struct stack *st = f->st;
	flow_change(f, FLOW_CONNECTING, 0);
	flow_rest(f);
	int r = ops_of(st)->tcp_open(st, f, &f->remote, f->tos);
	if (r >= 0) {
		tcp_arm(f);
		return true;
	}
	if (r == -EACCES) {
		stats_of(st)->tcp_refused++;
		flow_reset(f);
	} else {
		tcp_not_connected(f, -r);
	}
	return false;
}

void
tcp_open_next(struct stack *st)
{
	struct tcp_part *t = &st->tcp;
	for (int i = 0; i < OPEN_STEPS && !list_empty(&t->waiting); i++) {
		struct tcp_flow *f = first(&t->waiting);
		if (may_connect(st, &f->remote))
			connect_flow(f);
		else
			flow_rest(f);
	}
}

static void
take_offer(struct tcp_flow *f, const struct tcpseg *s)
{
	uint16_t mss = s->opt.mss ? s->opt.mss : TCP_MSS_DEFAULT, ours;
	ours = tcp_our_mss(f->st, &f->remote.ip);
	f->mss = mss < ours ? mss : ours;
	if (f->mss < TCP_MSS_LEAST)
		f->mss = TCP_MSS_LEAST;
	if (s->opt.has_wscale) {
		f->flags |= FLOW_SCALE;
		f->snd_shift = s->opt.wscale;
	}
	if (s->opt.sack_ok)
		f->flags |= FLOW_SACK;
	f->snd_wnd = s->window;
	f->rcv_nxt = f->rcv_adv = f->rcv_acked = f->grow_seq = s->seq + 1;
}

static bool
is_dns(const struct stack *st, const struct endpoint *remote)
{
	return remote->port == DNSTCP_PORT && lan_is_gateway(st, &remote->ip);
}

/* A SYN for which there is no flow (any more). */
static void
begin(struct stack *st, const struct ippkt *k, const struct tcpseg *s)
{
	struct endpoint guest = {k->src, s->sport}, remote = {k->dst, s->dport};
	bool local = is_dns(st, &remote);
	struct tcp_flow *f = NULL;
	if (!local && !ops_of(st)->filter(st, IPPROTO_TCP, &remote))
		stats_of(st)->filtered++;
	else
		f = local ? dnstcp_alloc(st) : new_flow(st);
	if (f)
		f->st = st;
	if (f && !flow_enter(st, f, &guest, &remote)) {
		far_free(f, true);
		f = NULL;
	}
	if (!f) {
		tcp_rst(st, &guest, &remote, 0, s->seq + 1);
		return;
	}
	f->tos = k->tos;
	take_offer(f, s);
	if (local) {
		flow_change(f, FLOW_CONNECTING, 0);
		tcp_connected(f);
	} else if (may_connect(st, &remote)) {
		connect_flow(f);
	} else {
		tcp_arm(f);
	}
}

void
tcp_listen(struct stack *st, const struct ippkt *k, const struct tcpseg *s)
{
	struct endpoint guest = {k->src, s->sport}, remote = {k->dst, s->dport};
	if (s->flags & TCPF_RST)
		return;
	if ((s->flags & (TCPF_SYN | TCPF_ACK | TCPF_FIN)) == TCPF_SYN)
		begin(st, k, s);
	else
		tcp_rst(st, &guest, &remote, s->flags & TCPF_ACK ? s->ack : 0,
		        s->seq + tcp_seg_len(s));
}

/* RFC 6528 3. */
static uint32_t
choose_isn(const struct tcp_flow *f)
{
	struct endpoint k[2] = {f->guest, f->remote};
	struct hash_key secret;
	memcpy(&secret, f->st->sh->isn_key, sizeof secret);
	return (uint32_t)(f->st->now * ISN_PER_MS + siphash13(&secret, k, sizeof k));
}

/* From here on the guest hears of the flow. */
static void
answer(struct tcp_flow *f, uint32_t more_flags)
{
	flow_change(f, FLOW_SYN_RCVD, more_flags);
	f->snd_una = choose_isn(f);
	f->snd_nxt = f->rtt_seq = f->snd_una + 1;
	tcp_open_window(f);
	flow_owe(f, FLOW_SYN_ACK);
	tcp_watch(f, false);
	tcp_arm(f);
}

void
tcp_connected(struct tcp_flow *f)
{
	struct tcp_part *t = &f->st->tcp;
	t->opened++;
	stats_of(f->st)->tcp_opened++;
	if (f->state == FLOW_CONNECTING) {
		answer(f, FLOW_UP);
		return;
	}
	flow_change(f, f->state, FLOW_UP);
	if (!(f->flags & FLOW_OWES))
		flow_rest(f);
	if (f->flags & FLOW_FIN_RCVD && !f->batch) { /* else when its bytes were written */
		f->flags |= FLOW_SHUT;
		far_shutdown(f);
	}
	tcp_window_update(f);
}

/* --- failure ------------------------------------------------------------------------------ */

/* The guest's SYN as an ICMP error quotes it. */
static void
tell_unreachable(const struct tcp_flow *f, enum icmp_kind kind)
{
	uint8_t buf[ICMP_FORGED_MOST], l4[8];
	struct ippkt k = {.src = f->guest.ip,
	        .dst = f->remote.ip,
	        .proto = IPPROTO_TCP,
	        .ttl = 64,
	        .tos = f->tos};
	struct icmpmsg m = {.kind = kind};
	put16(l4, f->guest.port);
	put16(l4 + 2, f->remote.port);
	put32(l4 + 4, f->rcv_nxt - 1);
	icmp_forge(buf, &k, l4, TCP_HEAD);
	icmp_error(f->st, NULL, &k, &m);
}

void
tcp_not_connected(struct tcp_flow *f, int err)
{
	struct stack *st = f->st;
	stats_of(st)->tcp_refused++;
	if (f->state == FLOW_SYN_RCVD) {
		flow_reset(f);
		return;
	}
	switch (err) {
	case ETIMEDOUT: flow_free(f, true); break;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
		tell_unreachable(f, err == ENETUNREACH || err == ENETDOWN
		                            ? ICMP_KIND_NET_UNREACHABLE
		                            : ICMP_KIND_HOST_UNREACHABLE);
		flow_change(f, FLOW_REFUSED, 0);
		flow_rest(f);
		ops_of(st)->tcp_release(st, f);
		tcp_arm(f);
		break;
	case EACCES:
	case EPERM:
		tell_unreachable(f, ICMP_KIND_PROHIBITED);
		flow_reset(f);
		break;
	default: flow_reset(f); break;
	}
}

/* --- segments before and after the flow was open ------------------------------------------ */

static void
start_over(struct tcp_flow *f, const struct ippkt *k, const struct tcpseg *s)
{
	struct stack *st = f->st;
	flow_free(f, true);
	tcp_listen(st, k, s);
}

/* The optimistic answer; tcp_take enforces the limit. */
static void
early_data(struct tcp_flow *f, const struct tcpseg *s)
{
	if (f->state == FLOW_WAITING && !connect_flow(f))
		return;
	answer(f, 0);
	batch_touch(f);
	tcp_take(f, s);
}

static void
before_answer(struct tcp_flow *f, const struct ippkt *k, const struct tcpseg *s)
{
	uint32_t isn = f->rcv_nxt - 1;
	if (s->flags & TCPF_RST) {
		if (s->seq == f->rcv_nxt || s->seq == isn)
			flow_free(f, true);
	} else if ((s->flags & (TCPF_SYN | TCPF_ACK)) == TCPF_SYN) {
		if (s->seq != isn)
			start_over(f, k, s);
	} else if (s->flags & TCPF_ACK && s->payload.n && s->seq == f->rcv_nxt) {
		early_data(f, s);
	}
}

static void
established(struct tcp_flow *f, const struct tcpseg *s)
{
	f->snd_una = s->ack;
	f->snd_wnd = (uint32_t)s->window << f->snd_shift;
	f->flags &= ~(uint32_t)FLOW_SYN_ACK;
	flow_change(f, FLOW_OPEN, 0);
	if (!(f->flags & FLOW_OWES))
		flow_rest(f);
	if (f->flags & FLOW_TIMED)
		tcp_rtt_sample(f, (uint16_t)(tcp_now(f) - f->rtt_at));
	f->backoff = 0;
	f->rtx = RTX_NONE;
}

/* Until the first acceptable acknowledgement, what the guest acknowledges does not matter to the
 * payload it brings. */
static void
after_answer(struct tcp_flow *f, const struct ippkt *k, const struct tcpseg *s)
{
	if (s->flags & TCPF_RST) {
		if (s->seq == f->rcv_nxt)
			flow_free(f, true);
	} else if (s->flags & TCPF_SYN) {
		if (s->flags & TCPF_ACK)
			return;
		if (s->seq + 1 == f->grow_seq)
			flow_owe(f, FLOW_SYN_ACK);
		else
			start_over(f, k, s);
	} else if (s->flags & TCPF_ACK && s->ack == f->snd_nxt) {
		established(f, s);
		tcp_segment(f, s);
	} else if (s->flags & TCPF_ACK && s->payload.n && s->seq == f->rcv_nxt) {
		batch_touch(f);
		tcp_take(f, s);
	}
}

void
tcp_handshake(struct tcp_flow *f, const struct ippkt *k, const struct tcpseg *s)
{
	if (f->state < FLOW_SYN_RCVD)
		before_answer(f, k, s);
	else
		after_answer(f, k, s);
}

bool
tcp_after_life(struct tcp_flow *f, const struct tcpseg *s)
{
	bool syn = (s->flags & (TCPF_SYN | TCPF_ACK | TCPF_RST)) == TCPF_SYN;
	if (f->state == FLOW_REFUSED) {
		bool insists = syn && s->seq + 1 == f->rcv_nxt;
		if (insists)
			flow_reset(f);
		else
			flow_free(f, false);
		return !insists;
	}
	if (syn && !tcp_before(s->seq, f->rcv_nxt)) { /* RFC 9293 3.10.7.4, RFC 6191 */
		flow_free(f, false);
		return true;
	}
	if (s->flags & TCPF_RST) {
		if (s->seq == f->rcv_nxt)
			flow_free(f, false);
	} else if (tcp_seg_len(s)) {
		f->heard = tcp_now(f);
		flow_owe(f, FLOW_ACK_NOW);
	}
	return false;
}
