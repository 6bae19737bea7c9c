/* What a connection sends, decided when the transport asks: the SYN; then holes the other side has
 * reported, new data as the windows allow, FIN behind it; a bare acknowledgement if nothing else
 * carried it. */
#include "guest/gtcp_int.h"

#include "wire/checksum.h"
#include "wire/ether.h"

#include <errno.h>

enum { TURN_SEGMENTS = 32 };

/* Never less than what was told before: a window is not taken back (RFC 9293 3.8.6). */
uint32_t
gtcp_window(const struct gtcp *t)
{
	uint32_t room = t->rcv.cap - t->rcv.n, told = t->rcv_adv - t->rcv_nxt;
	if (!t->rcv_shift && room > UINT16_MAX)
		room = UINT16_MAX;
	room = room >> t->rcv_shift << t->rcv_shift;
	return tcp_before(t->rcv_nxt, t->rcv_adv) && told > room ? told : room;
}

static void
syn_options(const struct gtcp *t, struct tcpopts *o)
{
	o->mss = gtcp_own_mss(t);
	o->sack_ok = t->sack;
	o->has_wscale = t->sack;
	o->wscale = t->rcv_shift;
}

/* What came last goes first (RFC 2018 4). */
static void
sack_options(const struct gtcp *t, struct tcpopts *o)
{
	for (int last = 1; last >= 0 && t->sack; last--)
		for (uint32_t i = 0; i < t->early.n && o->nsack < TCP_SACKS; i++) {
			const struct range *r = &t->early.v[i];
			bool is_last = !tcp_after(r->left, t->last_left) &&
			               tcp_before(t->last_left, r->right);
			if (is_last == last)
				o->sack[o->nsack++] = (struct tcpsack){r->left, r->right};
		}
}

static bool
put_segment(struct gtcp *t, struct emit *e, const struct mac *to, struct tcpseg *s, uint32_t off,
        uint32_t len)
{
	struct ippkt k = {
	        .src = t->local.ip,
	        .dst = t->remote.ip,
	        .proto = IPPROTO_TCP,
	        .ttl = GUEST_TTL,
	        .dont_fragment = true,
	        .id = t->g->ip_id,
	};
	size_t l4 = ETHER_HEAD + ippkt_head_len(&k), head = tcp_head_len(&s->opt);
	uint8_t *p = emit_frame(e, l4 + head + len);
	if (!p)
		return false;
	t->g->ip_id++;
	s->sport = t->local.port;
	s->dport = t->remote.port;
	ether_put(p, to, &t->g->conf.mac, ip_is4(&k.src) ? ETHER_IPV4 : ETHER_IPV6);
	ippkt_put(p + ETHER_HEAD, &k, head + len);
	gring_get(&t->snd, off, p + l4 + head, len);
	tcp_put(p + l4, s, &k.src, &k.dst, len, checksum_sum(p + l4 + head, len));
	t->g->stats.frames_out++;
	return true;
}

static bool
send_syn(struct gtcp *t, struct emit *e, const struct mac *to, uint64_t now)
{
	uint32_t window = gtcp_window(t);
	struct tcpseg s = {
	        .seq = t->iss,
	        .flags = TCPF_SYN,
	        .window = (uint16_t)(window > UINT16_MAX ? UINT16_MAX : window),
	};
	syn_options(t, &s.opt);
	if (!put_segment(t, e, to, &s, 0, 0))
		return false;
	t->syn_due = false;
	t->rtt_at = t->snd_max == t->iss ? now : 0;
	t->snd_nxt = t->snd_max = t->rtt_seq = t->iss + 1;
	return true;
}

static bool
send_at(struct gtcp *t, struct emit *e, const struct mac *to, uint32_t seq, uint32_t len, bool fin,
        uint64_t now)
{
	uint32_t window = gtcp_window(t);
	struct tcpseg s = {
	        .seq = seq,
	        .ack = t->rcv_nxt,
	        .flags = (uint8_t)(TCPF_ACK | (len ? TCPF_PSH : 0) | (fin ? TCPF_FIN : 0)),
	        .window = (uint16_t)(window >> t->rcv_shift),
	};
	if (!len && !fin)
		sack_options(t, &s.opt);
	if (!put_segment(t, e, to, &s, seq - t->snd_una, len))
		return false;
	t->rcv_adv = t->rcv_nxt + window;
	t->need_ack = false;
	uint32_t end = seq + len + fin;
	if (end == seq)
		return true;
	if (tcp_before(seq, t->snd_max)) {
		t->retransmits++;
	} else if (!t->rtt_at) {
		t->rtt_at = now;
		t->rtt_seq = end;
	}
	if (tcp_after(end, t->snd_nxt))
		t->snd_nxt = end;
	if (tcp_after(end, t->snd_max))
		t->snd_max = end;
	if (!timer_armed(&t->rtx))
		gtcp_arm(t, now);
	return true;
}

/* Bytes believed to be on the way (RFC 6675, pipe): holes not sent again are not. */
static uint32_t
in_flight(const struct gtcp *t)
{
	uint32_t n = t->snd_nxt - t->snd_una - ranges_bytes(&t->sacked);
	struct range gap;
	for (uint32_t at = t->rtx_nxt; t->recovering && ranges_gap(&t->sacked, at, &gap);
	        at = gap.right)
		n -= gap.right - gap.left;
	return n;
}

/* The next hole that was not filled in this recovery; without SACK only the first segment is known
 * to be one. */
static bool
next_hole(const struct gtcp *t, struct range *gap)
{
	if (!t->recovering)
		return false;
	if (ranges_gap(&t->sacked, t->rtx_nxt, gap))
		return true;
	*gap = (struct range){t->snd_una, gtcp_data_end(t)};
	return !t->sack && t->rtx_nxt == t->snd_una && tcp_before(gap->left, gap->right);
}

static uint32_t
min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t m = a < b ? a : b;
	return m < c ? m : c;
}

static bool
fill_hole(struct gtcp *t, struct emit *e, const struct mac *to, uint64_t now)
{
	struct range gap;
	if (!next_hole(t, &gap))
		return false;
	uint32_t len = min3(gap.right - gap.left, t->mss, gtcp_data_end(t) - gap.left);
	bool fin = gap.left + len == gtcp_data_end(t) && t->fin_wanted &&
	           tcp_after(t->snd_max, gtcp_data_end(t));
	if ((!len && !fin) || !send_at(t, e, to, gap.left, len, fin, now))
		return false;
	t->rtx_nxt = gap.left + len + fin;
	return true;
}

/* New data, or after a time-out old data again. */
static bool
send_new(struct gtcp *t, struct emit *e, const struct mac *to, uint64_t now)
{
	uint32_t end = gtcp_data_end(t);
	bool past_fin = t->fin_acked || tcp_after(t->snd_nxt, end);
	uint32_t left = past_fin ? 0 : end - t->snd_nxt, used = t->snd_nxt - t->snd_una;
	uint32_t room = t->snd_wnd > used ? t->snd_wnd - used : 0;
	if (!room && t->probe_due && left)
		room = 1;
	uint32_t len = min3(left, t->mss, room);
	bool fin = !past_fin && t->fin_wanted && len == left;
	if ((!len && !fin) || !send_at(t, e, to, t->snd_nxt, len, fin, now))
		return false;
	t->probe_due = false;
	return true;
}

/* False: e is full. */
static bool
pull_data(struct gtcp *t, struct emit *e, const struct mac *to, uint64_t now, bool *more)
{
	for (uint32_t i = 0; i < TURN_SEGMENTS; i++) {
		bool sent = fill_hole(t, e, to, now);
		if (!sent && !e->full && (in_flight(t) < t->cwnd || t->probe_due))
			sent = send_new(t, e, to, now);
		if (!sent)
			break;
		*more = i + 1 == TURN_SEGMENTS;
	}
	if (!e->full && t->need_ack)
		send_at(t, e, to, t->snd_nxt, 0, false, now);
	return !e->full;
}

static bool
pull_flow(struct gtcp *t, struct emit *e, uint64_t now, bool *more)
{
	struct mac to;
	enum guest_neighbour known = guest_route(t->g, &t->remote.ip, &to, now);
	if (known == NEIGHBOUR_SILENT && t->phase == GTCP_SYN_SENT)
		gtcp_die(t, ENETUNREACH);
	if (known != NEIGHBOUR_FOUND || t->phase == GTCP_DEAD)
		return true;
	if (t->phase == GTCP_SYN_SENT)
		return !t->syn_due || send_syn(t, e, &to, now) || !e->full;
	return pull_data(t, e, &to, now, more);
}

/* A flow that has more goes to the end of the line, one that found no room stays in front. */
bool
gtcp_pull(struct guest *g, struct emit *e, uint64_t now)
{
	for (struct list *n; (n = list_pop(&g->ready));) {
		struct gtcp *t = LIST_ENTRY(n, struct gtcp, ready);
		bool more = false;
		if (!pull_flow(t, e, now, &more)) {
			list_push(&g->ready, &t->ready);
			return false;
		}
		if (more)
			list_add(&g->ready, &t->ready);
	}
	return true;
}
