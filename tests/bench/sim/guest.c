/* The guest's link: frames out in batches, frames in through a "NIC" that loses some and a "WAN"
 * that takes its time, both played here. A rate is kept by reading no faster. */
#include "tests/bench/sim/sim.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

enum {
	LINE = 16384,         /* frames under way at most: 4 Gbit/s at 50 ms */
	CREDIT_MOST = 16384,  /* bytes read at once after a pause, at a rate */
	TIMER_SLACK_NS = 1000 /* waits are short */
};

void
sim_open(struct sim *s)
{
	s->rx = malloc(RX_BYTES);
	s->tx = malloc(TX_BYTES);
	s->flow = calloc((size_t)s->o.flows + 16, sizeof *s->flow);
	s->owing = calloc((size_t)s->o.flows + 16, sizeof(struct flow *));
	s->by_port = calloc(65536, sizeof(struct flow *));
	s->line = s->o.rtt_ms ? malloc(LINE * sizeof *s->line) : NULL;
	if (!s->rx || !s->tx || !s->flow || !s->owing || !s->by_port || (s->o.rtt_ms && !s->line))
		die("memory");
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	link_open(&s->link, &s->o.to);
}

/* --- out ------------------------------------------------------------------------------ */

/* What is not taken stays; sim_turn waits until it is. */
void
sim_flush(struct sim *s)
{
	size_t at = 0;
	while (at < s->tx_n) {
		ssize_t n = link_send(&s->link, s->tx + at, s->tx_n - at);
		if (n < 0 && errno != EAGAIN)
			die("tunnel");
		if (n < 0)
			break;
		at += (size_t)n;
	}
	memmove(s->tx, s->tx + at, s->tx_n - at);
	s->tx_n -= at;
}

uint8_t *
frame_begin(struct sim *s, size_t n)
{
	if (s->tx_n + LINK_HEAD + n > TX_BYTES)
		sim_flush(s);
	if (s->tx_n + LINK_HEAD + n > TX_BYTES)
		return NULL;
	s->begun = n;
	s->begun_head = link_head(&s->link, s->tx + s->tx_n, n);
	return s->tx + s->tx_n + s->begun_head;
}

void
frame_end(struct sim *s)
{
	link_seal(&s->link, s->tx + s->tx_n, s->begun_head, s->begun);
	s->tx_n += s->begun_head + s->begun;
	s->c.frames_out++;
}

uint8_t *
put_ip(uint8_t *frame, uint32_t dst, uint8_t proto, size_t n)
{
	static const uint8_t eth[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 8, 0};
	uint8_t *p = frame + sizeof eth;
	uint32_t sum = 0;
	memcpy(frame, eth, sizeof eth);
	memset(p, 0, 20);
	p[0] = 0x45;
	put16(p + 2, (uint16_t)(20 + n));
	p[6] = 0x40; /* don't fragment */
	p[8] = 64;
	p[9] = proto;
	put32(p + 12, 0x0a00020f); /* 10.0.2.15 */
	put32(p + 16, dst);
	for (int i = 0; i < 20; i += 2)
		sum += get16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(p + 10, (uint16_t)~sum);
	return p + 20;
}

/* --- in ------------------------------------------------------------------------------- */

static void
on_frame(struct sim *s, const uint8_t *p, size_t n)
{
	if (n < 34 || get16(p + 12) != 0x0800 || get16(p + 16) > n - 14)
		return;
	const uint8_t *ip = p + 14;
	size_t total = get16(ip + 2);
	if (ip[9] == IPPROTO_TCP && total >= 40)
		flow_input(s, ip, total);
	else if (ip[9] == IPPROTO_UDP && total >= 28 && s->on_udp)
		s->on_udp(s, ip + 28, total - 28);
}

bool
sim_unlucky(struct sim *s)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return s->o.drop_ppm && (s->seed >> 8) % 1000000 < (uint32_t)s->o.drop_ppm;
}

static void
arrive(struct sim *s, struct span f)
{
	s->c.frames_in++;
	if (sim_unlucky(s)) {
		s->c.dropped++;
		return;
	}
	if (!s->o.rtt_ms) {
		on_frame(s, f.p, f.n);
		return;
	}
	if (s->line_n == LINE || f.n > sizeof s->line->data) {
		s->c.dropped++;
		return;
	}
	struct delayed *d = &s->line[(s->line_head + s->line_n++) % LINE];
	d->at = now_us() + (uint64_t)s->o.rtt_ms * 1000;
	d->n = (uint32_t)f.n;
	memcpy(d->data, f.p, f.n);
}

static void
deliver(struct sim *s)
{
	uint64_t now = now_us();
	while (s->line_n && s->line[s->line_head].at <= now) {
		const struct delayed *d = &s->line[s->line_head];
		on_frame(s, d->data, d->n);
		s->line_head = (s->line_head + 1) % LINE;
		s->line_n--;
	}
}

static void
parse(struct sim *s)
{
	size_t at = 0;
	struct span f;
	ssize_t n;
	while ((n = link_next(&s->link, s->rx + at, s->rx_n - at, &f)) > 0) {
		if (f.n)
			arrive(s, f);
		at += (size_t)n;
	}
	errno = 0;
	if (n < 0)
		die("the server closed the tunnel");
	memmove(s->rx, s->rx + at, s->rx_n - at);
	s->rx_n -= at;
}

/* Bytes that may be read now; at a rate, none of them is worth waking up for less than a frame. */
static size_t
allowance(struct sim *s)
{
	size_t room = RX_BYTES - s->rx_n;
	uint64_t now = now_us();
	if (!s->o.rate_mbit)
		return room;
	s->credit += s->credit_at ? (double)(now - s->credit_at) * s->o.rate_mbit / 8 : 0;
	s->credit_at = now;
	if (s->credit > CREDIT_MOST)
		s->credit = CREDIT_MOST;
	return s->credit < FRAME_MOST ? 0 : (size_t)s->credit < room ? (size_t)s->credit : room;
}

static void
receive(struct sim *s, size_t most)
{
	ssize_t n = link_recv(&s->link, s->rx + s->rx_n, most);
	if (n == 0)
		errno = ECONNRESET;
	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("tunnel");
	if (n < 0)
		return;
	s->rx_n += (size_t)n;
	s->credit -= (double)n;
	parse(s);
}

static uint64_t
wait_for(const struct sim *s, uint64_t us, size_t most)
{
	uint64_t now = now_us();
	if (s->line_n) {
		uint64_t at = s->line[s->line_head].at, left = at > now ? at - now : 0;
		us = left < us ? left : us;
	}
	if (!most) {
		uint64_t left = (uint64_t)((FRAME_MOST - s->credit) * 8 / s->o.rate_mbit) + 1;
		us = left < us ? left : us;
	}
	return us;
}

void
sim_turn(struct sim *s, uint64_t us)
{
	if (s->tx_n)
		sim_flush(s);
	size_t most = allowance(s);
	us = wait_for(s, us, most);
	struct pollfd p = {s->link.fd, 0, 0};
	struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	p.events = (short)((most ? POLLIN : 0) | (s->tx_n ? POLLOUT : 0));
	ppoll(&p, 1, &ts, NULL);
	if (p.revents & (POLLIN | POLLHUP) && most)
		receive(s, most);
	if (s->line_n)
		deliver(s);
	flows_ack(s);
	if (s->tx_n)
		sim_flush(s);
}

/* --- what is measured ----------------------------------------------------------------- */

void
measure_start(struct sim *s)
{
	s->c = (struct count){0};
	s->lat.n = 0;
	s->up_bytes = s->sink ? s->sink->count->bytes : 0;
	s->cpu = cpu_of(s->o.pid);
	s->aux_cpu = cpu_of(s->o.aux);
	s->at = now_us();
}

bool
measuring(const struct sim *s)
{
	return (double)(now_us() - s->at) < s->o.seconds * 1e6;
}

void
measure_report(struct sim *s, const char *mode)
{
	double secs = (double)(now_us() - s->at) / 1e6;
	double cpu = (double)(cpu_of(s->o.pid) - s->cpu) / 1e9;
	double aux = (double)(cpu_of(s->o.aux) - s->aux_cpu) / 1e9;
	struct usage u = usage_of(s->o.pid);
	const struct count *c = &s->c;
	double bytes = s->sink ? (double)(s->sink->count->bytes - s->up_bytes) : (double)c->bytes;
	out_open(mode);
	out_num("flows", s->n_flows);
	out_num("seconds", secs);
	out_num("cpu_s", cpu);
	if (s->o.aux)
		out_num("aux_cpu_s", aux);
	out_num("bytes", bytes);
	out_num("gbit_s", bytes * 8 / secs / 1e9);
	out_num("gbit_core", bytes * 8 / cpu / 1e9);
	out_num("frames_in", (double)c->frames_in);
	out_num("frames_out", (double)c->frames_out);
	out_num("cpu_ns_frame", cpu * 1e9 / (double)(c->frames_in + c->frames_out));
	out_num("dropped", (double)c->dropped);
	out_num("duplicates", (double)c->duplicates);
	out_num("acks_in", (double)c->acks_in);
	out_num("rtos", (double)c->rtos);
	if (c->transactions) {
		out_num("transactions", (double)c->transactions);
		out_num("trans_s", (double)c->transactions / secs);
		out_num("cpu_us_trans", cpu * 1e6 / (double)c->transactions);
		out_num("lost", (double)c->lost);
	}
	out_lat(&s->lat);
	out_num("pss_kb", (double)u.pss_kb);
	out_num("rss_kb", (double)u.rss_kb);
	out_num("fds", (double)u.fds);
}
