#include "guest/gtcp_int.h"

#include "base/cursor.h"

#include <errno.h>

enum {
	DUPACKS = 3,
	CWND_SEGMENTS = 10,
	CWND_MOST = 16 << 20,
	MSS_LEAST = 64,
};

static void
ack_soon(struct gtcp *t)
{
	t->need_ack = true;
	gtcp_ready(t);
}

/* --- acknowledgements ------------------------------------------------------------------------- */

/* RFC 6298 2. */
static void
measured(struct gtcp *t, uint64_t now)
{
	uint32_t rtt = (uint32_t)(now - t->rtt_at);
	t->rtt_at = 0;
	if (!t->srtt8) {
		t->srtt8 = rtt * 8 + 1;
		t->rttvar4 = rtt * 2;
		return;
	}
	uint32_t srtt = t->srtt8 / 8, off = rtt > srtt ? rtt - srtt : srtt - rtt;
	t->rttvar4 += off - t->rttvar4 / 4;
	t->srtt8 += rtt - srtt;
	t->srtt8 = t->srtt8 ? t->srtt8 : 1;
}

static void
grow(struct gtcp *t, uint32_t acked)
{
	if (t->recovering)
		return;
	uint32_t step = t->cwnd < t->ssthresh ? acked : (uint32_t)t->mss * t->mss / t->cwnd + 1;
	t->cwnd = t->cwnd + step > CWND_MOST ? CWND_MOST : t->cwnd + step;
}

static void
enter_recovery(struct gtcp *t)
{
	uint32_t half = (t->snd_nxt - t->snd_una) / 2;
	t->recovering = true;
	t->recover = t->snd_max;
	t->rtx_nxt = t->snd_una;
	t->ssthresh = half > 2u * t->mss ? half : 2u * t->mss;
	t->cwnd = t->ssthresh;
	t->rtt_at = 0;
}

static void
advance(struct gtcp *t, uint32_t ack, uint64_t now)
{
	uint32_t acked = ack - t->snd_una, data = acked < t->snd.n ? acked : t->snd.n;
	bool fin = t->fin_wanted && acked > data;
	gring_drop(&t->snd, data);
	t->out += data;
	t->snd_una = ack;
	if (tcp_before(t->snd_nxt, ack))
		t->snd_nxt = ack;
	ranges_cut(&t->sacked, ack);
	t->fin_acked = t->fin_acked || fin;
	t->backoff = 0;
	t->dupacks = 0;
	if (t->rtt_at && !tcp_before(ack, t->rtt_seq))
		measured(t, now);
	grow(t, acked);
	if (t->recovering && !tcp_before(ack, t->recover))
		t->recovering = false;
	if (tcp_before(t->rtx_nxt, ack) || !t->sack)
		t->rtx_nxt = ack;
	if (t->snd_una == t->snd_max)
		wheel_del(t->g->conf.wheel, &t->rtx);
	else
		gtcp_arm(t, now);
	guest_event(t->g);
}

static void
take_sacks(struct gtcp *t, const struct tcpseg *s)
{
	for (uint8_t i = 0; t->sack && i < s->opt.nsack; i++) {
		struct tcpsack b = s->opt.sack[i];
		if (tcp_after(b.left, t->snd_una) && tcp_before(b.left, b.right) &&
		        !tcp_after(b.right, t->snd_max))
			ranges_add(&t->sacked, b.left, b.right);
	}
}

/* With nothing on the way, a window that lets nothing through is probed by the same timer. */
static void
take_window(struct gtcp *t, const struct tcpseg *s, uint64_t now)
{
	t->snd_wnd = (uint32_t)s->window << t->snd_shift;
	bool stuck = t->snd.n && t->snd_nxt == t->snd_una && t->snd_wnd < t->mss;
	if (t->snd_wnd == 0)
		t->backoff = t->backoff < DUPACKS ? t->backoff : DUPACKS;
	if (stuck && !timer_armed(&t->rtx))
		gtcp_arm(t, now);
	gtcp_ready(t);
}

static bool
take_ack(struct gtcp *t, const struct tcpseg *s, uint64_t now)
{
	if (tcp_after(s->ack, t->snd_max)) {
		ack_soon(t);
		return false;
	}
	bool same = s->ack == t->snd_una && !tcp_seg_len(s) &&
	            (uint32_t)s->window << t->snd_shift == t->snd_wnd;
	take_sacks(t, s);
	if (tcp_after(s->ack, t->snd_una))
		advance(t, s->ack, now);
	else if (same && t->snd_max != t->snd_una && ++t->dupacks == DUPACKS && !t->recovering)
		enter_recovery(t);
	if (!tcp_before(s->ack, t->snd_una))
		take_window(t, s, now);
	return true;
}

/* --- data ------------------------------------------------------------------------------------- */

static void
reached(struct gtcp *t)
{
	uint32_t end = ranges_end_of(&t->early, t->rcv_nxt), n = end - t->rcv_nxt;
	t->rcv.n += n;
	t->in += n;
	t->rcv_nxt = end;
	ranges_cut(&t->early, end);
	if (t->fin_seen && !t->fin_rcvd && t->fin_seq == t->rcv_nxt) {
		t->fin_rcvd = true;
		t->rcv_nxt++;
	}
	guest_event(t->g);
}

static void
take_data(struct gtcp *t, uint32_t seq, struct span data)
{
	uint32_t right = t->rcv_nxt + gtcp_window(t);
	if (tcp_before(seq, t->rcv_nxt)) {
		t->duplicates++;
		data = span_skip(data, t->rcv_nxt - seq);
		seq = t->rcv_nxt;
	}
	if (!data.n || !tcp_before(seq, right) || t->fin_rcvd)
		return;
	data = span_first(data, right - seq);
	uint32_t end = seq + (uint32_t)data.n;
	if (ranges_end_of(&t->early, seq) - seq >= data.n)
		t->duplicates++;
	else if (!ranges_add(&t->early, seq, end))
		return;
	gring_put(&t->rcv, t->rcv.n + (seq - t->rcv_nxt), data.p, (uint32_t)data.n);
	t->last_left = seq;
	if (seq == t->rcv_nxt)
		reached(t);
	else
		t->out_of_order++;
}

static void
take_fin(struct gtcp *t, uint32_t seq)
{
	if (!t->fin_seen && !tcp_before(seq, t->rcv_nxt)) {
		t->fin_seen = true;
		t->fin_seq = seq;
	}
	if (t->fin_seen && t->fin_seq == t->rcv_nxt)
		reached(t);
}

/* --- segments --------------------------------------------------------------------------------- */

static void
opened(struct gtcp *t, const struct tcpseg *s, uint64_t now)
{
	bool scaling = s->opt.has_wscale && t->sack;
	if (s->opt.mss)
		t->mss = s->opt.mss;
	uint16_t own = gtcp_own_mss(t);
	t->mss = t->mss > own ? own : t->mss < MSS_LEAST ? MSS_LEAST : t->mss;
	t->cwnd = CWND_SEGMENTS * t->mss;
	t->snd_shift = scaling ? s->opt.wscale : 0;
	t->rcv_shift = scaling ? t->rcv_shift : 0;
	t->sack = t->sack && s->opt.sack_ok;
	t->rcv_nxt = t->rcv_adv = s->seq + 1;
	t->snd_una = t->snd_nxt = t->snd_max = s->ack;
	t->snd_wnd = s->window;
	t->phase = GTCP_UP;
	t->backoff = 0;
	wheel_del(t->g->conf.wheel, &t->rtx);
	if (t->rtt_at)
		measured(t, now);
	ack_soon(t);
	guest_event(t->g);
}

static void
refuse(struct guest *g, const struct ippkt *k, const struct tcpseg *s, uint64_t now)
{
	uint8_t p[TCP_HEAD_MOST];
	if (s->flags & TCPF_RST || !ip_eq(&k->dst, &g->net.addr))
		return;
	bool acked = s->flags & TCPF_ACK;
	struct tcpseg r = {
	        .sport = s->dport,
	        .dport = s->sport,
	        .seq = acked ? s->ack : 0,
	        .ack = acked ? 0 : s->seq + tcp_seg_len(s),
	        .flags = acked ? TCPF_RST : TCPF_RST | TCPF_ACK,
	};
	size_t n = tcp_put(p, &r, &k->dst, &k->src, 0, 0);
	guest_send(g, &k->dst, &k->src, IPPROTO_TCP, 0, span(p, n), now);
}

static void
opening(struct gtcp *t, const struct ippkt *k, const struct tcpseg *s, uint64_t now)
{
	bool good = (s->flags & TCPF_ACK) && s->ack == t->iss + 1 && t->snd_max != t->iss;
	if ((s->flags & TCPF_ACK) && !good)
		refuse(t->g, k, s, now);
	else if (s->flags & TCPF_RST)
		good ? gtcp_die(t, ECONNREFUSED) : (void)0;
	else if (good && (s->flags & TCPF_SYN))
		opened(t, s, now);
}

static bool
acceptable(const struct gtcp *t, const struct tcpseg *s)
{
	uint32_t len = tcp_seg_len(s), window = gtcp_window(t), last = s->seq + len - (len > 0);
	uint32_t first_off = s->seq - t->rcv_nxt, last_off = last - t->rcv_nxt;
	if (!window)
		return s->seq == t->rcv_nxt;
	return first_off < window || last_off < window;
}

static void
going(struct gtcp *t, const struct tcpseg *s, uint64_t now)
{
	bool fits = acceptable(t, s);
	if (s->flags & TCPF_RST) {
		if (s->seq == t->rcv_nxt)
			gtcp_die(t, t->phase == GTCP_DONE ? 0 : ECONNRESET);
		else if (fits)
			ack_soon(t);
		return;
	}
	if (!fits || (s->flags & TCPF_SYN)) {
		t->duplicates += s->payload.n > 0;
		ack_soon(t);
		return;
	}
	if (!(s->flags & TCPF_ACK) || !take_ack(t, s, now))
		return;
	if (t->orphan && s->payload.n && !t->fin_rcvd) {
		gtcp_reset(t, now);
		gtcp_die(t, ECONNRESET);
		return;
	}
	take_data(t, s->seq, s->payload);
	if (s->flags & TCPF_FIN)
		take_fin(t, s->seq + (uint32_t)s->payload.n);
	if (tcp_seg_len(s))
		ack_soon(t);
	if (t->phase == GTCP_UP && t->fin_rcvd && t->fin_acked)
		gtcp_done(t, now);
}

static struct gtcp *
find(const struct guest *g, const struct endpoint *local, const struct endpoint *remote)
{
	LIST_FOR_EACH (it, &g->tcp) {
		struct gtcp *t = LIST_ENTRY(it, struct gtcp, node);
		if (t->local.port == local->port && endpoint_eq(&t->remote, remote) &&
		        ip_eq(&t->local.ip, &local->ip))
			return t;
	}
	return NULL;
}

void
gtcp_input(struct guest *g, const struct ippkt *k, uint64_t now)
{
	struct tcpseg s;
	if (tcp_parse(k, &s) < 0) {
		g->stats.bad++;
		return;
	}
	struct endpoint local = {k->dst, s.dport}, remote = {k->src, s.sport};
	struct gtcp *t = find(g, &local, &remote);
	if (!t || t->phase == GTCP_DEAD)
		refuse(g, k, &s, now);
	else if (t->phase == GTCP_SYN_SENT)
		opening(t, k, &s, now);
	else
		going(t, &s, now);
}

/* A router's word ends an attempt, but not a connection that stands (RFC 1122 4.2.3.9). */
void
gtcp_error(struct guest *g, const struct ippkt *k, const struct icmpmsg *m,
        const struct ippkt *quoted, uint64_t now)
{
	(void)now;
	if (quoted->payload.n < 8) {
		g->stats.bad++;
		return;
	}
	struct endpoint local = {quoted->src, get16(quoted->payload.p)};
	struct endpoint remote = {quoted->dst, get16(quoted->payload.p + 2)};
	struct gtcp *t = find(g, &local, &remote);
	if (!t || t->phase >= GTCP_DONE)
		return;
	t->icmp = m->kind;
	t->icmp_from = k->src;
	guest_event(g);
	if (m->kind == ICMP_KIND_TOO_BIG && m->mtu > MSS_LEAST + 40 && m->mtu - 40 < t->mss)
		t->mss = (uint16_t)(m->mtu - 40);
	if (t->phase != GTCP_SYN_SENT)
		return;
	switch (m->kind) {
	case ICMP_KIND_NET_UNREACHABLE: gtcp_die(t, ENETUNREACH); break;
	case ICMP_KIND_HOST_UNREACHABLE: gtcp_die(t, EHOSTUNREACH); break;
	case ICMP_KIND_PORT_UNREACHABLE:
	case ICMP_KIND_PROTO_UNREACHABLE: gtcp_die(t, ECONNREFUSED); break;
	case ICMP_KIND_PROHIBITED: gtcp_die(t, EACCES); break;
	default: break;
	}
}
