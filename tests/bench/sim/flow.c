#include "tests/bench/sim/sim.h"

#include "base/addr.h"
#include "wire/checksum.h"

#include <stdio.h>
#include <stdlib.h>

enum { ACK_DELAY_US = 40000, RTO_US = 300000, OPEN_US = 10000000, SACKS = 3 };

uint16_t
l4_checksum(const uint8_t *l4, size_t n, uint8_t proto, uint32_t dst)
{
	struct ip from = ip4(0x0a00020f), to = ip4(dst);
	return checksum_finish(
	        checksum_add(checksum_pseudo(&from, &to, proto, n), checksum_sum(l4, n)));
}

/* --- out ------------------------------------------------------------------------------ */

static void
segment(struct sim *s, struct flow *f, uint32_t seq, uint8_t flags, struct span opt, size_t len)
{
	size_t head = 20 + opt.n;
	uint8_t *p = frame_begin(s, 34 + head + len);
	if (!p)
		return;
	uint8_t *t = put_ip(p, f->dst, IPPROTO_TCP, head + len);
	unsigned window = (unsigned)s->o.window_kb << 10 >> SHIFT;
	put16(t, f->port);
	put16(t + 2, f->dport);
	put32(t + 4, seq);
	put32(t + 8, flags & ACK ? f->rcv_nxt : 0);
	t[12] = (uint8_t)(head / 4 << 4);
	t[13] = flags;
	put16(t + 14, flags & SYN || window > UINT16_MAX ? UINT16_MAX : (uint16_t)window);
	put32(t + 16, 0);
	if (opt.n)
		memcpy(t + 20, opt.p, opt.n);
	memset(t + head, 'x', len);
	put16(t + 16, l4_checksum(t, head + len, IPPROTO_TCP, f->dst));
	frame_end(s);
	f->ack_now = false;
	f->ack_at = 0;
	f->unacked = 0;
}

static void
send_ack(struct sim *s, struct flow *f, uint8_t flags)
{
	uint8_t opt[4 + 8 * SACKS] = {1, 1, 5};
	int n = f->n_ranges < SACKS ? f->n_ranges : SACKS;
	opt[3] = (uint8_t)(2 + 8 * n);
	for (int i = 0; i < n; i++) { /* the highest, which is the newest, first */
		const struct range *r = &f->range[f->n_ranges - 1 - i];
		put32(opt + 4 + 8 * i, r->from);
		put32(opt + 8 + 8 * i, r->to);
	}
	segment(s, f, f->snd_nxt, ACK | flags, span(opt, n ? (size_t)(4 + 8 * n) : 0), 0);
}

void
flow_open(struct sim *s, struct flow *f, uint32_t dst, uint16_t dport)
{
	static const uint8_t opt[] = {2, 4, MSS >> 8, MSS & 255, 1, 3, 3, SHIFT, 1, 1, 4, 2};
	struct range *range = f->range;
	bool owes = f->owes;
	if (s->by_port[f->port] == f)
		s->by_port[f->port] = NULL;
	if (s->next_port < 1024)
		s->next_port = 1024;
	*f = (struct flow){.dst = dst,
	        .dport = dport,
	        .port = s->next_port++,
	        .range = range,
	        .owes = owes,
	        .sent_at = now_us()};
	s->by_port[f->port] = f;
	f->snd_una = (uint32_t)(f->sent_at >> 2); /* ever greater: a port may come again */
	f->snd_nxt = f->snd_una + 1;
	segment(s, f, f->snd_una, SYN, span(opt, sizeof opt), 0);
}

void
flows_open(struct sim *s, int n, uint16_t dport)
{
	uint64_t until = now_us() + OPEN_US;
	for (int i = 0; i < n; i++)
		flow_open(s, &s->flow[i], s->o.host, dport);
	s->n_flows = n;
	for (int up = 0; up < n;) {
		sim_turn(s, 10000);
		for (up = 0; up < n && s->flow[up].up;)
			up++;
		if (now_us() > until) {
			fprintf(stderr, "guestsim: only %d of %d flows opened\n", up, n);
			exit(1);
		}
	}
}

void
flow_send(struct sim *s, struct flow *f, uint32_t seq, size_t len)
{
	segment(s, f, seq, ACK | PSH, SPAN_NONE, len);
}

void
flow_push(struct sim *s, struct flow *f)
{
	uint64_t now = now_us();
	if (f->rto_at && now > f->rto_at && f->snd_nxt != f->snd_una) {
		f->snd_nxt = f->snd_una;
		s->c.rtos++;
		f->rto_at = 0;
	}
	while ((int32_t)(f->snd_una + f->wnd - f->snd_nxt) >= MSS && s->tx_n < TX_BYTES / 2) {
		flow_send(s, f, f->snd_nxt, MSS);
		f->snd_nxt += MSS;
	}
	if (!f->rto_at && f->snd_nxt != f->snd_una)
		f->rto_at = now + RTO_US + (uint64_t)s->o.rtt_ms * 1000;
}

/* --- acknowledging -------------------------------------------------------------------- */

static void
owe(struct sim *s, struct flow *f)
{
	if (!f->owes)
		s->owing[s->n_owing++] = f;
	f->owes = true;
}

void
flows_ack(struct sim *s)
{
	size_t kept = 0;
	uint64_t now = s->n_owing ? now_us() : 0;
	for (size_t i = 0; i < s->n_owing; i++) {
		struct flow *f = s->owing[i];
		if (f->ack_now || f->unacked >= 2 || (f->ack_at && f->ack_at <= now))
			send_ack(s, f, 0);
		f->owes = f->ack_at != 0;
		if (f->owes)
			s->owing[kept++] = f;
	}
	s->n_owing = kept;
}

/* --- in ------------------------------------------------------------------------------- */

static void
remove_range(struct flow *f, int i)
{
	memmove(&f->range[i], &f->range[i + 1], (size_t)(f->n_ranges - i - 1) * sizeof f->range[0]);
	f->n_ranges--;
}

static bool
insert_range(struct flow *f, int i, struct range r)
{
	if (!f->range)
		f->range = calloc(RANGES, sizeof *f->range);
	if (!f->range)
		die("memory");
	if (f->n_ranges == RANGES)
		return false;
	memmove(&f->range[i + 1], &f->range[i], (size_t)(f->n_ranges - i) * sizeof r);
	f->range[i] = r;
	f->n_ranges++;
	return true;
}

/* Into the sorted list of what lies beyond a hole; false when nothing of it was new. */
static bool
keep(struct flow *f, uint32_t from, uint32_t to)
{
	int i = 0;
	while (i < f->n_ranges && (int32_t)(f->range[i].to - from) < 0)
		i++;
	if (i == f->n_ranges || (int32_t)(f->range[i].from - to) > 0)
		return insert_range(f, i, (struct range){from, to});
	struct range *r = &f->range[i];
	uint32_t was = r->to - r->from;
	if ((int32_t)(from - r->from) < 0)
		r->from = from;
	if ((int32_t)(to - r->to) > 0)
		r->to = to;
	bool is_new = r->to - r->from > was;
	while (i + 1 < f->n_ranges && (int32_t)(r[1].from - r->to) <= 0) {
		if ((int32_t)(r[1].to - r->to) > 0)
			r->to = r[1].to;
		remove_range(f, i + 1);
	}
	return is_new;
}

static void
advance(struct sim *s, struct flow *f, uint32_t to)
{
	f->got += to - f->rcv_nxt;
	s->c.bytes += to - f->rcv_nxt;
	f->rcv_nxt = to;
}

static void
take(struct sim *s, struct flow *f, uint32_t seq, uint32_t len)
{
	owe(s, f);
	if ((int32_t)(seq + len - f->rcv_nxt) <= 0) {
		s->c.duplicates++;
		f->ack_now = true;
		return;
	}
	if ((int32_t)(seq - f->rcv_nxt) > 0) {
		s->c.duplicates += !keep(f, seq, seq + len);
		send_ack(s, f, 0); /* one for each, as RFC 5681 asks */
		return;
	}
	advance(s, f, seq + len);
	f->ack_now |= f->n_ranges > 0;
	while (f->n_ranges && (int32_t)(f->range[0].from - f->rcv_nxt) <= 0) {
		if ((int32_t)(f->range[0].to - f->rcv_nxt) > 0)
			advance(s, f, f->range[0].to);
		remove_range(f, 0);
	}
	f->unacked++;
	if (!f->ack_at)
		f->ack_at = now_us() + ACK_DELAY_US;
}

static void
on_syn_ack(struct sim *s, struct flow *f, const uint8_t *t, size_t head)
{
	f->rcv_nxt = get32(t + 4) + 1;
	f->snd_una = get32(t + 8);
	f->wnd = get16(t + 14);
	for (size_t i = 20; i + 1 < head && t[i]; i += t[i] == 1 ? 1u : t[i + 1] ? t[i + 1] : 40u)
		if (t[i] == 3)
			f->shift = t[i + 2];
	f->up = f->ack_now = true;
	owe(s, f);
}

void
flow_input(struct sim *s, const uint8_t *ip, size_t n)
{
	const uint8_t *t = ip + 20;
	struct flow *f = s->by_port[get16(t + 2)];
	size_t head = (size_t)(t[12] >> 4) * 4;
	if (!f || f->closed || head < 20 || head > n - 20)
		return;
	if (t[13] & RST) {
		f->closed = true;
		return;
	}
	if (t[13] & SYN) {
		if (!f->up)
			on_syn_ack(s, f, t, head);
		return;
	}
	uint32_t seq = get32(t + 4), ack = get32(t + 8), len = (uint32_t)(n - 20 - head);
	s->c.acks_in += !len;
	if ((int32_t)(ack - f->snd_una) > 0) {
		f->snd_una = ack;
		f->rto_at = 0;
	}
	f->wnd = (uint32_t)get16(t + 14) << f->shift;
	if (len)
		take(s, f, seq, len);
	if (t[13] & FIN && seq + len == f->rcv_nxt) {
		f->rcv_nxt++;
		f->closed = true;
		send_ack(s, f, FIN);
	}
}

/* --- datagrams ------------------------------------------------------------------------ */

void
send_datagram(struct sim *s, uint16_t from, uint16_t to, const void *payload, size_t n)
{
	uint8_t *p = frame_begin(s, 42 + n);
	if (!p)
		return;
	uint8_t *u = put_ip(p, s->o.host, IPPROTO_UDP, 8 + n);
	put16(u, from);
	put16(u + 2, to);
	put16(u + 4, (uint16_t)(8 + n));
	put16(u + 6, 0);
	memcpy(u + 8, payload, n);
	put16(u + 6, l4_checksum(u, 8 + n, IPPROTO_UDP, s->o.host));
	frame_end(s);
}
