/* guestsim: a guest without a kernel: Ethernet frames straight into the WebSocket, so that what is
 * measured is the server and not a TAP device.
 *
 * Its TCP is the least that loads the server like a good guest does: window scale, SACK, one ACK a
 * read batch (or every n segments), retransmission after a time-out that is counted. Upstream peers
 * are children of this process on loopback. The server's CPU time is read from /proc around the
 * measured interval, its descendants included. One JSON object on stdout.
 *
 *   guestsim MODE --port P [--token T] [--pid PID] [--seconds S] [--flows N] [--rtt MS]
 *            [--drop PPM] [--ack N] [--size BYTES] [--window N] [--rate MBIT] [--rcvbuf BYTES]
 *   MODE: down up rr crr udp pingpong synflood idle
 *         spread: --flows tunnels, each with an echo request to the gateway now and then, --window
 *         of them under way at a time: what a frame costs when nothing comes in batches
 *         memory: --flows connections that have carried something and rest */
#include "base/addr.h"
#include "base/cursor.h"
#include "base/enc.h"
#include "wire/checksum.h"
#include "wire/wsframe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MSS 1460
#define HEAD 54 /* Ethernet, IPv4, TCP without options */
#define WSHEAD (8 + 4)
#define RX_BYTES (256u << 10)
#define TX_BYTES (1u << 20)
#define MAX_FLOWS 20000
#define RANGES 256
#define WSCALE 8
#define GUEST 0x0a00020fu
#define RTO_US 300000

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct range {
	uint32_t from, to;
};

struct flow {
	uint16_t port;
	uint32_t dst;
	uint16_t dport;
	uint32_t snd_nxt, snd_una, snd_end, rcv_nxt, wnd, acked;
	uint32_t unacked_segments;
	bool up, want_ack, closed, refused;
	uint8_t shift;
	int n_ranges;
	struct range range[RANGES];
	uint64_t got, sent_at, rto_at;
	uint32_t recover;
};

struct opts {
	int port, pid, flows, rtt_ms, drop_ppm, ack_every, size, window, rate, rcvbuf;
	double seconds;
	const char *token;
};

struct delayed {
	uint64_t at;
	uint32_t n;
	uint8_t data[1600];
};

struct sim {
	struct opts o;
	int fd;
	uint8_t *rx, *tx;
	size_t rx_n, tx_n;
	struct flow *flow;
	int n_flows;
	uint64_t frames_in, frames_out, dropped, duplicates, bytes, rtos, acks_in, segs_out;
	uint64_t start, transactions, done_reads;
	uint64_t *lat;
	size_t n_lat;
	uint32_t seed;
	struct delayed *line; /* frames on their way, oldest first */
	size_t line_head, line_n, line_cap;
	uint16_t next_port;
};

static uint64_t
now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
die(const char *what)
{
	fprintf(stderr, "guestsim: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the server's CPU time --------------------------------------------------------------- */

static uint64_t
cpu_of(int pid)
{
	char path[64], text[128] = "";
	uint64_t ns = 0;
	snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
	FILE *f = fopen(path, "r");
	if (f && fgets(text, sizeof text, f))
		ns = strtoull(text, NULL, 10);
	if (f)
		fclose(f);
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	for (int child; f && fscanf(f, "%d", &child) == 1;)
		ns += cpu_of(child);
	if (f)
		fclose(f);
	return ns;
}

static long
rss_of(int pid)
{
	char path[64], text[256];
	long kb = 0;
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(text, sizeof text, f))
		if (strncmp(text, "Pss:", 4) == 0)
			kb += atol(text + 4);
	if (f)
		fclose(f);
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	for (int child; f && fscanf(f, "%d", &child) == 1;)
		kb += rss_of(child);
	if (f)
		fclose(f);
	return kb;
}

/* --- peers on loopback ------------------------------------------------------------------- */

static void
reno(int fd)
{
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static int
listen_on(int type, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, type, 0);
	if (type == SOCK_STREAM)
		reno(fd);
	if (bind(fd, (struct sockaddr *)&a, n) < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0))
		die("peer");
	getsockname(fd, (struct sockaddr *)&a, &n);
	*port = ntohs(a.sin_port);
	return fd;
}

/* One process for all connections of a kind: 's'ource, sin'k', 'e'cho, 'r'equest-close. */
static void
serve_tcp(int lfd, char kind)
{
	static uint8_t buf[256 << 10];
	static struct pollfd p[MAX_FLOWS];
	nfds_t n = 1;
	p[0] = (struct pollfd){lfd, POLLIN, 0};
	for (;;) {
		poll(p, n, -1);
		for (nfds_t i = n; i-- > 1;) {
			ssize_t got = 1;
			if (!p[i].revents)
				continue;
			if (kind == 's')
				got = send(p[i].fd, buf, sizeof buf, MSG_NOSIGNAL | MSG_DONTWAIT);
			else
				got = recv(p[i].fd, buf, sizeof buf, MSG_DONTWAIT);
			if (got > 0 && (kind == 'e' || kind == 'r'))
				send(p[i].fd, buf, (size_t)got, MSG_NOSIGNAL);
			if (got == 0 || (got < 0 && errno != EAGAIN) || (kind == 'r' && got > 0)) {
				close(p[i].fd);
				p[i] = p[--n];
			}
		}
		if (p[0].revents && n < MAX_FLOWS) {
			int fd = accept(lfd, NULL, NULL);
			if (fd >= 0)
				p[n++] = (struct pollfd){fd, kind == 's' ? POLLOUT : POLLIN, 0};
		}
	}
}

static void
serve_udp(int fd)
{
	static uint8_t buf[65536];
	struct sockaddr_in a;
	for (;;) {
		socklen_t n = sizeof a;
		ssize_t got = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&a, &n);
		if (got >= 0)
			sendto(fd, buf, (size_t)got, 0, (struct sockaddr *)&a, n);
	}
}

static uint16_t
peer(char kind)
{
	uint16_t port;
	int fd = listen_on(kind == 'u' ? SOCK_DGRAM : SOCK_STREAM, &port);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (kind == 'u')
			serve_udp(fd);
		else
			serve_tcp(fd, kind);
	}
	close(fd);
	return port;
}

/* --- the tunnel -------------------------------------------------------------------------- */

static int
tunnel_open(const struct opts *o)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons((uint16_t)o->port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char req[1024];
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	reno(fd);
	if (o->rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o->rcvbuf, sizeof o->rcvbuf);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	int n = snprintf(req, sizeof req,
	        "GET /l2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	        "Sec-WebSocket-Protocol: aero-l2-tunnel-v1%s%s\r\n\r\n",
	        o->token ? ", aero-l2-token." : "", o->token ? o->token : "");
	if (write(fd, req, (size_t)n) != n)
		die("write");
	char head[2048] = "";
	for (size_t got = 0; !strstr(head, "\r\n\r\n"); got++)
		if (got + 1 >= sizeof head || read(fd, head + got, 1) != 1)
			die("no answer to the upgrade");
	if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "guestsim: %s\n", head);
		exit(1);
	}
	return fd;
}

static void
flush(struct sim *s)
{
	for (size_t at = 0; at < s->tx_n;) {
		ssize_t n = send(s->fd, s->tx + at, s->tx_n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			at += (size_t)n;
			continue;
		}
		if (errno != EAGAIN)
			die("tunnel");
		/* keep what is unsent; the caller polls for writing */
		memmove(s->tx, s->tx + at, s->tx_n - at);
		s->tx_n -= at;
		return;
	}
	s->tx_n = 0;
}

/* Room for a frame of n bytes, its headers in place. The mask is zero: masking costs nothing. */
static uint8_t *
frame(struct sim *s, size_t n)
{
	static const uint8_t mask[4];
	if (s->tx_n + WSHEAD + n + 8 > TX_BYTES)
		flush(s);
	if (s->tx_n + WSHEAD + n + 8 > TX_BYTES)
		return NULL;
	uint8_t *p = s->tx + s->tx_n;
	p += wsframe_put_head(p, WS_BINARY, n + 4, mask);
	memcpy(p, "\xa2\x03\0\0", 4);
	s->tx_n = (size_t)(p + 4 + n - s->tx);
	s->frames_out++;
	return p + 4;
}

static void
put_ip(uint8_t *p, size_t total, uint8_t proto, uint32_t dst)
{
	static const uint8_t eth[14] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 8, 0};
	memcpy(p, eth, 14);
	p += 14;
	memset(p, 0, 20);
	p[0] = 0x45;
	put16(p + 2, (uint16_t)total);
	p[8] = 64;
	p[9] = proto;
	put32(p + 12, GUEST);
	put32(p + 16, dst);
	uint32_t sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += get16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(p + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
}

static uint16_t
l4_sum(const uint8_t *l4, size_t n, uint8_t proto, uint32_t dst)
{
	struct ip src = ip4(GUEST), to = ip4(dst);
	return checksum_finish(
	        checksum_add(checksum_pseudo(&src, &to, proto, n), checksum_sum(l4, n)));
}

static void
segment(struct sim *s, struct flow *f, uint32_t seq, uint8_t flags, const uint8_t *opt, size_t nopt,
        size_t len)
{
	size_t tcp = 20 + nopt;
	uint8_t *p = frame(s, 34 + tcp + len);
	if (!p)
		return;
	put_ip(p, 20 + tcp + len, 6, f->dst);
	uint8_t *t = p + 34;
	put16(t, f->port);
	put16(t + 2, f->dport);
	put32(t + 4, seq);
	put32(t + 8, flags & ACK ? f->rcv_nxt : 0);
	t[12] = (uint8_t)(tcp / 4 << 4);
	t[13] = flags;
	put16(t + 14, flags & SYN ? 65535 : (uint16_t)(((unsigned)s->o.window << 10) >> WSCALE));
	put32(t + 16, 0);
	if (nopt)
		memcpy(t + 20, opt, nopt);
	if (len)
		memset(t + tcp, 'x', len);
	put16(t + 16, l4_sum(t, tcp + len, 6, f->dst));
	f->want_ack = false;
	f->unacked_segments = 0;
}

static void
send_ack(struct sim *s, struct flow *f)
{
	uint8_t opt[2 + 2 + 8 * 3];
	int n = f->n_ranges < 3 ? f->n_ranges : 3;
	if (!n) {
		segment(s, f, f->snd_nxt, ACK, NULL, 0, 0);
		return;
	}
	opt[0] = opt[1] = 1;
	opt[2] = 5;
	opt[3] = (uint8_t)(2 + 8 * n);
	for (int i = 0; i < n; i++) { /* the highest, which is the newest, first */
		put32(opt + 4 + 8 * i, f->range[f->n_ranges - 1 - i].from);
		put32(opt + 8 + 8 * i, f->range[f->n_ranges - 1 - i].to);
	}
	segment(s, f, f->snd_nxt, ACK, opt, (size_t)(4 + 8 * n), 0);
}

static void
send_syn(struct sim *s, struct flow *f)
{
	static const uint8_t opt[] = {2, 4, MSS >> 8, MSS & 255, 1, 3, 3, WSCALE, 1, 1, 4, 2};
	segment(s, f, f->snd_una, SYN, opt, sizeof opt, 0);
	f->sent_at = now_us();
}

static void
open_flow(struct sim *s, struct flow *f, uint32_t dst, uint16_t dport)
{
	*f = (struct flow){.port = s->next_port++, .dst = dst, .dport = dport};
	if (s->next_port < 1024)
		s->next_port = 1024;
	f->snd_una = 1000u * f->port;
	f->snd_nxt = f->snd_end = f->snd_una + 1;
	send_syn(s, f);
}

/* --- receiving --------------------------------------------------------------------------- */

static struct flow *
find(struct sim *s, uint16_t port)
{
	for (int i = 0; i < s->n_flows; i++)
		if (s->flow[i].port == port)
			return &s->flow[i];
	return NULL;
}

/* Into the sorted list of what is beyond a hole; returns the bytes that were new. */
static uint32_t
keep(struct flow *f, uint32_t from, uint32_t to)
{
	int i = 0;
	while (i < f->n_ranges && (int32_t)(f->range[i].to - from) < 0)
		i++;
	if (i < f->n_ranges && (int32_t)(f->range[i].from - to) <= 0) {
		struct range *r = &f->range[i];
		uint32_t was = r->to - r->from;
		if ((int32_t)(from - r->from) < 0)
			r->from = from;
		if ((int32_t)(to - r->to) > 0)
			r->to = to;
		while (i + 1 < f->n_ranges && (int32_t)(f->range[i + 1].from - r->to) <= 0) {
			if ((int32_t)(f->range[i + 1].to - r->to) > 0)
				r->to = f->range[i + 1].to;
			memmove(&f->range[i + 1], &f->range[i + 2],
			        (size_t)(f->n_ranges - i - 2) * sizeof *r);
			f->n_ranges--;
		}
		uint32_t is = r->to - r->from;
		return is > was ? is - was : 0;
	}
	if (f->n_ranges == RANGES)
		return 0;
	memmove(&f->range[i + 1], &f->range[i], (size_t)(f->n_ranges - i) * sizeof f->range[0]);
	f->range[i] = (struct range){from, to};
	f->n_ranges++;
	return to - from;
}

static void
take(struct sim *s, struct flow *f, uint32_t seq, uint32_t len)
{
	uint32_t end = seq + len;
	if ((int32_t)(end - f->rcv_nxt) <= 0) {
		s->duplicates++;
		f->want_ack = true;
		return;
	}
	if ((int32_t)(seq - f->rcv_nxt) > 0) {
		if (!keep(f, seq, end))
			s->duplicates++;
		send_ack(s, f); /* a duplicate ACK for each, as RFC 5681 asks */
		return;
	}
	f->got += end - f->rcv_nxt;
	s->bytes += end - f->rcv_nxt;
	f->rcv_nxt = end;
	while (f->n_ranges && (int32_t)(f->range[0].from - f->rcv_nxt) <= 0) {
		if ((int32_t)(f->range[0].to - f->rcv_nxt) > 0) {
			s->bytes += f->range[0].to - f->rcv_nxt;
			f->rcv_nxt = f->range[0].to;
		}
		memmove(f->range, f->range + 1, (size_t)--f->n_ranges * sizeof f->range[0]);
	}
	f->want_ack = true;
	f->unacked_segments++;
	if (s->o.ack_every && (int)f->unacked_segments >= s->o.ack_every)
		send_ack(s, f);
}

static void
on_syn_ack(struct flow *f, const uint8_t *t, size_t head)
{
	f->rcv_nxt = get32(t + 4) + 1;
	f->snd_una = get32(t + 8);
	f->wnd = get16(t + 14);
	for (size_t i = 20; i + 2 < head && t[i];) {
		if (t[i] == 1) {
			i++;
			continue;
		}
		if (t[i] == 3)
			f->shift = t[i + 2];
		if (t[i + 1] < 2)
			break;
		i += t[i + 1];
	}
	f->up = true;
	f->want_ack = true;
	f->acked = f->snd_una;
}

static void
on_tcp(struct sim *s, const uint8_t *ip, size_t total)
{
	const uint8_t *t = ip + 20;
	struct flow *f = find(s, get16(t + 2));
	size_t head = (size_t)(t[12] >> 4) * 4;
	if (!f || f->closed)
		return;
	if (t[13] & RST) {
		f->closed = f->refused = true;
		return;
	}
	if (t[13] & SYN) {
		if (!f->up)
			on_syn_ack(f, t, head);
		return;
	}
	uint32_t ack = get32(t + 8), len = (uint32_t)(total - 20 - head);
	s->acks_in += !len;
	if ((int32_t)(ack - f->snd_una) > 0) {
		f->snd_una = ack;
		f->rto_at = 0;
	}
	f->wnd = (uint32_t)get16(t + 14) << f->shift;
	if (len)
		take(s, f, get32(t + 4), len);
	if (t[13] & FIN && get32(t + 4) + len == f->rcv_nxt) {
		f->rcv_nxt++;
		f->closed = true;
		segment(s, f, f->snd_nxt, ACK | FIN, NULL, 0, 0);
	}
}

static void
on_frame(struct sim *s, const uint8_t *p, size_t n)
{
	if (n < HEAD - 12 || p[12] != 8 || p[13] != 0)
		return;
	size_t total = get16(p + 16);
	if (p[23] == 6)
		on_tcp(s, p + 14, total);
	else if (p[23] == 17)
		s->transactions++;
}

static bool
unlucky(struct sim *s)
{
	s->seed = s->seed * 1664525u + 1013904223u;
	return s->o.drop_ppm && (s->seed >> 8) % 1000000 < (uint32_t)s->o.drop_ppm;
}

/* From the wire: dropped by the "NIC", delayed by the "WAN", or at once. */
static void
arrive(struct sim *s, const uint8_t *p, size_t n)
{
	s->frames_in++;
	if (unlucky(s)) {
		s->dropped++;
		return;
	}
	if (!s->o.rtt_ms) {
		on_frame(s, p, n);
		return;
	}
	if (s->line_n == s->line_cap || n > sizeof s->line->data)
		return;
	struct delayed *d = &s->line[(s->line_head + s->line_n++) % s->line_cap];
	d->at = now_us() + (uint64_t)s->o.rtt_ms * 1000;
	d->n = (uint32_t)n;
	memcpy(d->data, p, n);
}

static void
deliver(struct sim *s)
{
	uint64_t now = now_us();
	while (s->line_n && s->line[s->line_head].at <= now) {
		struct delayed *d = &s->line[s->line_head];
		on_frame(s, d->data, d->n);
		s->line_head = (s->line_head + 1) % s->line_cap;
		s->line_n--;
	}
}

/* All whole messages of what was read; returns false when the server closed. */
static bool
parse(struct sim *s)
{
	size_t at = 0;
	while (s->rx_n - at >= 2) {
		const uint8_t *p = s->rx + at;
		size_t head = p[1] < 126 ? 2 : 4, n = p[1];
		if (s->rx_n - at < head)
			break;
		if (p[1] == 126)
			n = get16(p + 2);
		if (s->rx_n - at < head + n)
			break;
		if ((p[0] & 15) == WS_CLOSE)
			return false;
		if (n > 4 && p[head + 2] == 0)
			arrive(s, p + head + 4, n - 4);
		at += head + n;
	}
	memmove(s->rx, s->rx + at, s->rx_n - at);
	s->rx_n -= at;
	return true;
}

static void
send_acks(struct sim *s)
{
	for (int i = 0; i < s->n_flows; i++)
		if (s->flow[i].want_ack && !s->flow[i].closed)
			send_ack(s, &s->flow[i]);
}

/* Wait for the server at most `us`, then process what came. */
static void
turn(struct sim *s, uint64_t us, size_t most)
{
	if (s->tx_n)
		flush(s);
	if (s->line_n) {
		uint64_t now = now_us(), at = s->line[s->line_head].at;
		uint64_t left = at > now ? at - now : 0;
		us = left < us ? left : us;
	}
	struct pollfd p = {s->fd, (short)(POLLIN | (s->tx_n ? POLLOUT : 0)), 0};
	struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	ppoll(&p, 1, &ts, NULL);
	if (p.revents & (POLLIN | POLLHUP)) {
		size_t room = RX_BYTES - s->rx_n;
		ssize_t n = recv(s->fd, s->rx + s->rx_n, room < most ? room : most, MSG_DONTWAIT);
		if (n == 0)
			die("the server closed the tunnel");
		if (n > 0)
			s->rx_n += (size_t)n;
		if (!parse(s))
			die("the server sent Close");
	}
	if (s->o.rtt_ms)
		deliver(s);
	send_acks(s);
	if (s->tx_n)
		flush(s);
}

/* --- modes ------------------------------------------------------------------------------- */

static void
open_all(struct sim *s, uint16_t port)
{
	for (int i = 0; i < s->n_flows; i++)
		open_flow(s, &s->flow[i], INADDR_LOOPBACK, port);
	uint64_t until = now_us() + 5000000;
	for (int up = 0; up < s->n_flows;) {
		turn(s, 10000, RX_BYTES);
		up = 0;
		for (int i = 0; i < s->n_flows; i++)
			up += s->flow[i].up;
		if (now_us() > until) {
			fprintf(stderr, "guestsim: only %d of %d flows opened\n", up, s->n_flows);
			exit(1);
		}
	}
}

struct meter {
	uint64_t at, cpu;
};

static struct meter
meter_start(struct sim *s)
{
	s->bytes = s->frames_in = s->frames_out = s->dropped = s->duplicates = s->acks_in = 0;
	s->segs_out = s->rtos = s->transactions = 0;
	return (struct meter){now_us(), s->o.pid ? cpu_of(s->o.pid) : 0};
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void
report(struct sim *s, const char *mode, struct meter m)
{
	double secs = (double)(now_us() - m.at) / 1e6;
	double cpu = s->o.pid ? (double)(cpu_of(s->o.pid) - m.cpu) / 1e9 : 0;
	printf("{\"mode\":\"%s\",\"flows\":%d,\"rtt_ms\":%d,\"drop_ppm\":%d,\"seconds\":%.3f,"
	       "\"cpu_s\":%.4f,\"bytes\":%llu,\"gbit_s\":%.3f,\"gbit_core\":%.2f,"
	       "\"frames_in\":%llu,\"frames_out\":%llu,\"cpu_ns_frame\":%.0f,\"dropped\":%llu,"
	       "\"duplicates\":%llu,\"acks_in\":%llu,\"rtos\":%llu,\"transactions\":%llu,"
	       "\"cpu_us_trans\":%.2f,\"trans_s\":%.0f",
	        mode, s->n_flows, s->o.rtt_ms, s->o.drop_ppm, secs, cpu,
	        (unsigned long long)s->bytes, (double)s->bytes * 8 / secs / 1e9,
	        cpu > 0 ? (double)s->bytes * 8 / cpu / 1e9 : 0, (unsigned long long)s->frames_in,
	        (unsigned long long)s->frames_out,
	        cpu * 1e9 / (double)(s->frames_in + s->frames_out + 1),
	        (unsigned long long)s->dropped, (unsigned long long)s->duplicates,
	        (unsigned long long)s->acks_in, (unsigned long long)s->rtos,
	        (unsigned long long)s->transactions,
	        s->transactions ? cpu * 1e6 / (double)s->transactions : 0,
	        (double)s->transactions / secs);
	if (s->n_lat) {
		qsort(s->lat, s->n_lat, sizeof *s->lat, by_value);
		printf(",\"p50_us\":%llu,\"p99_us\":%llu", (unsigned long long)s->lat[s->n_lat / 2],
		        (unsigned long long)s->lat[s->n_lat * 99 / 100]);
	}
	if (s->o.pid)
		printf(",\"pss_kb\":%ld", rss_of(s->o.pid));
	printf("}\n");
}

static void
mode_down(struct sim *s)
{
	open_all(s, peer('s'));
	uint64_t warm = now_us() + 300000 + (uint64_t)s->o.rtt_ms * 10000;
	while (now_us() < warm)
		turn(s, 1000, RX_BYTES);
	struct meter m = meter_start(s);
	uint64_t end = m.at + (uint64_t)(s->o.seconds * 1e6);
	while (now_us() < end)
		turn(s, 1000, RX_BYTES);
	report(s, "down", m);
}

static void
push(struct sim *s, struct flow *f)
{
	uint64_t now = now_us();
	if (f->rto_at && now > f->rto_at && (int32_t)(f->snd_nxt - f->snd_una) > 0) {
		f->snd_nxt = f->snd_una; /* go back: only counted, it should not happen */
		s->rtos++;
		f->rto_at = 0;
	}
	while ((int32_t)(f->snd_una + f->wnd - f->snd_nxt) >= MSS && s->tx_n < TX_BYTES / 2) {
		uint32_t seq = f->snd_nxt;
		f->snd_nxt += MSS;
		s->segs_out++;
		if (unlucky(s)) {
			s->dropped++;
			continue;
		}
		segment(s, f, seq, ACK | PSH, NULL, 0, MSS);
	}
	if (!f->rto_at && f->snd_nxt != f->snd_una)
		f->rto_at = now + RTO_US + (uint64_t)s->o.rtt_ms * 1000;
}

static uint64_t
acked(struct sim *s)
{
	uint64_t sum = 0;
	for (int i = 0; i < s->n_flows; i++) {
		sum += s->flow[i].snd_una - s->flow[i].acked;
		s->flow[i].acked = s->flow[i].snd_una;
	}
	return sum;
}

static void
mode_up(struct sim *s)
{
	uint64_t total = 0;
	open_all(s, peer('k'));
	struct meter m = meter_start(s);
	uint64_t warm = m.at + 300000 + (uint64_t)s->o.rtt_ms * 20000, end = 0;
	while (!end || now_us() < end) {
		for (int i = 0; i < s->n_flows; i++)
			push(s, &s->flow[i]);
		turn(s, 1000, RX_BYTES);
		total += acked(s);
		if (!end && now_us() > warm) {
			m = meter_start(s);
			total = 0;
			end = m.at + (uint64_t)(s->o.seconds * 1e6);
		}
	}
	s->bytes = total;
	report(s, "up", m);
}

static void
mode_rr(struct sim *s)
{
	open_all(s, peer('e'));
	struct meter m = meter_start(s);
	uint64_t end = m.at + (uint64_t)(s->o.seconds * 1e6);
	uint64_t *sent = calloc((size_t)s->n_flows, sizeof *sent),
	         *got = calloc((size_t)s->n_flows, 8);
	for (int i = 0; i < s->n_flows; i++)
		got[i] = (uint64_t)-1;
	while (now_us() < end) {
		for (int i = 0; i < s->n_flows; i++) {
			struct flow *f = &s->flow[i];
			if (f->got == got[i])
				continue;
			uint64_t now = now_us();
			if (got[i] != (uint64_t)-1) {
				s->transactions++;
				if (s->n_lat < 1000000)
					s->lat[s->n_lat++] = now - sent[i];
			}
			got[i] = f->got;
			sent[i] = now;
			segment(s, f, f->snd_nxt, ACK | PSH, NULL, 0, (size_t)s->o.size);
			f->snd_nxt += (uint32_t)s->o.size;
		}
		turn(s, 1000, RX_BYTES);
	}
	report(s, "rr", m);
}

/* Connect, one request, one answer, close: --flows of them at a time. */
static void
mode_crr(struct sim *s)
{
	uint16_t port = peer('r');
	struct meter m = meter_start(s);
	uint64_t end = m.at + (uint64_t)(s->o.seconds * 1e6);
	for (int i = 0; i < s->n_flows; i++)
		open_flow(s, &s->flow[i], INADDR_LOOPBACK, port);
	while (now_us() < end) {
		for (int i = 0; i < s->n_flows; i++) {
			struct flow *f = &s->flow[i];
			if (f->closed) {
				s->transactions += f->got > 0;
				if (s->n_lat < 1000000)
					s->lat[s->n_lat++] = now_us() - f->sent_at;
				open_flow(s, f, INADDR_LOOPBACK, port);
			} else if (f->up && f->snd_nxt == f->snd_end) {
				segment(s, f, f->snd_nxt, ACK | PSH, NULL, 0, (size_t)s->o.size);
				f->snd_nxt += (uint32_t)s->o.size;
			}
		}
		turn(s, 1000, RX_BYTES);
	}
	report(s, "crr", m);
}

static void
datagram(struct sim *s, uint16_t port, size_t len)
{
	uint8_t *p = frame(s, 42 + len);
	if (!p)
		return;
	put_ip(p, 28 + len, 17, INADDR_LOOPBACK);
	put16(p + 34, 5555);
	put16(p + 36, port);
	put16(p + 38, (uint16_t)(8 + len));
	put16(p + 40, 0);
	memset(p + 42, 'u', len);
}

static void
mode_udp(struct sim *s)
{
	uint16_t port = peer('u');
	struct meter m = meter_start(s);
	uint64_t end = m.at + (uint64_t)(s->o.seconds * 1e6), out = 0, stuck = m.at, last = 0;
	while (now_us() < end) {
		while (out - s->transactions < (uint64_t)s->o.flows) {
			datagram(s, port, (size_t)s->o.size);
			out++;
		}
		turn(s, 1000, RX_BYTES);
		if (s->transactions != last) {
			last = s->transactions;
			stuck = now_us();
		} else if (now_us() - stuck > 100000) { /* lost: refill the window */
			s->dropped += out - s->transactions;
			out = s->transactions;
		}
	}
	report(s, "udp", m);
}

/* A byte back and forth beside --flows downloads, read from the tunnel at --rate. */
static void
mode_pingpong(struct sim *s)
{
	int bulk = s->n_flows;
	uint16_t echo = peer('e'), source = peer('s');
	struct flow *f = &s->flow[bulk];
	for (int i = 0; i < bulk; i++)
		open_flow(s, &s->flow[i], INADDR_LOOPBACK, source);
	s->n_flows = bulk + 1;
	open_flow(s, f, INADDR_LOOPBACK, echo);
	double per_us = (double)s->o.rate / 8, credit = 0;
	uint64_t last = now_us(), sent = 0, got = 0, begin = last + 1500000;
	struct meter m = {0};
	while (!m.at || now_us() < m.at + (uint64_t)(s->o.seconds * 1e6)) {
		uint64_t now = now_us();
		credit += (double)(now - last) * per_us;
		last = now;
		if (credit > 1514 * 4)
			credit = 1514 * 4;
		size_t before = s->rx_n;
		uint64_t in = s->frames_in;
		if (credit >= 1514) {
			turn(s, 100, (size_t)credit);
			credit -= s->frames_in > in || s->rx_n > before
			                  ? 1514.0 * (double)(s->frames_in - in)
			                  : 0;
		} else {
			struct timespec ts = {0, 50000};
			nanosleep(&ts, NULL);
		}
		if (!m.at && now > begin && f->up) {
			m = meter_start(s);
			sent = 0;
		}
		if (f->up && (!sent || f->got != got)) {
			if (sent && m.at && s->n_lat < 1000000)
				s->lat[s->n_lat++] = now - sent;
			s->transactions += sent && m.at;
			got = f->got;
			sent = now_us();
			segment(s, f, f->snd_nxt, ACK | PSH, NULL, 0, 1);
			f->snd_nxt++;
			flush(s);
		}
	}
	report(s, "pingpong", m);
}

/* --flows SYNs to an address that does not answer, then one connect to one that does. */
static void
mode_synflood(struct sim *s)
{
	int n = s->n_flows;
	uint16_t echo = peer('e');
	struct meter m = meter_start(s);
	for (int i = 0; i < n; i++)
		open_flow(s, &s->flow[i], 0xc0000201u, (uint16_t)(1 + i % 60000)); /* 192.0.2.1 */
	s->n_flows = n + 1;
	for (int i = 0; i < 200; i++)
		turn(s, 1000, RX_BYTES);
	uint64_t t0 = now_us();
	open_flow(s, &s->flow[n], INADDR_LOOPBACK, echo);
	while (!s->flow[n].up && now_us() - t0 < 5000000)
		turn(s, 1000, RX_BYTES);
	s->lat[s->n_lat++] = now_us() - t0;
	report(s, "synflood", m);
}

/* --flows tunnels that do nothing: what does each cost? */
static void
mode_idle(struct sim *s)
{
	struct meter m = meter_start(s);
	long before = rss_of(s->o.pid);
	for (int i = 1; i < s->o.flows; i++)
		if (tunnel_open(&s->o) < 0)
			die("tunnel");
	struct timespec settle = {1, 0};
	nanosleep(&settle, NULL);
	long after = rss_of(s->o.pid);
	uint64_t cpu = cpu_of(s->o.pid);
	struct timespec wait = {(time_t)s->o.seconds, 0};
	nanosleep(&wait, NULL);
	printf("{\"mode\":\"idle\",\"tunnels\":%d,\"pss_before_kb\":%ld,\"pss_after_kb\":%ld,"
	       "\"kb_per_tunnel\":%.2f,\"setup_cpu_us\":%.1f,\"idle_cpu_ms_s\":%.2f}\n",
	        s->o.flows, before, after, (double)(after - before) / s->o.flows,
	        (double)(cpu - m.cpu) / 1e3 / s->o.flows,
	        (double)(cpu_of(s->o.pid) - cpu) / 1e6 / s->o.seconds);
}

/* An echo request to the gateway as one WebSocket message; returns its length. */
static size_t
put_echo(struct sim *s, int id)
{
	s->tx_n = 0;
	uint8_t *p = frame(s, 34 + 8 + 56);
	put_ip(p, 20 + 8 + 56, 1, 0x0a000202);
	memset(p + 34, 0, 8 + 56);
	p[34] = 8;
	put16(p + 38, (uint16_t)id);
	put16(p + 36, checksum_finish(checksum_sum(p + 34, 8 + 56)));
	size_t n = s->tx_n;
	s->tx_n = 0;
	return n;
}

/* Every answer is one message, as long as its request less the mask. */
static void
mode_spread(struct sim *s)
{
	int n = s->o.flows, ep = epoll_create1(EPOLL_CLOEXEC), under_way = 0, next = 0;
	int *fd = calloc((size_t)n, sizeof *fd);
	size_t *left = calloc((size_t)n, sizeof *left);
	static struct epoll_event ev[256];
	for (int i = 0; i < n; i++) {
		fd[i] = i ? tunnel_open(&s->o) : s->fd;
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
		epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &e);
	}
	long pss = s->o.pid ? rss_of(s->o.pid) : 0;
	size_t len = put_echo(s, 1);
	struct meter m = meter_start(s);
	uint64_t end = m.at + (uint64_t)(s->o.seconds * 1e6);
	int most = s->o.window < n ? s->o.window : n;
	while (now_us() < end) {
		while (under_way < most && !left[next]) {
			if (send(fd[next], s->tx, len, MSG_NOSIGNAL) != (ssize_t)len)
				die("tunnel");
			left[next] = len - 4;
			next = (next + 1) % n;
			under_way++;
			s->frames_out++;
		}
		int got = epoll_wait(ep, ev, 256, 10);
		for (int i = 0; i < got; i++) {
			uint32_t k = ev[i].data.u32;
			ssize_t r = recv(fd[k], s->rx, RX_BYTES, MSG_DONTWAIT);
			if (r == 0 || (r < 0 && errno != EAGAIN))
				die("the server closed a tunnel");
			if (r < 0 || (left[k] -= (size_t)r))
				continue;
			under_way--;
			s->frames_in++;
			s->transactions++;
		}
	}
	s->n_flows = n;
	fprintf(stderr, "guestsim: %d tunnels, %ld kB before traffic\n", n, pss);
	report(s, "spread", m);
}

static void
mode_memory(struct sim *s)
{
	uint16_t port = peer('e');
	for (int i = 0; i < 100; i++)
		turn(s, 1000, RX_BYTES);
	long before = rss_of(s->o.pid);
	for (int i = 0; i < s->n_flows; i++) {
		open_flow(s, &s->flow[i], INADDR_LOOPBACK, port);
		while (!s->flow[i].up && !s->flow[i].closed)
			turn(s, 100000, RX_BYTES);
		segment(s, &s->flow[i], s->flow[i].snd_nxt, ACK | PSH, NULL, 0, 100);
		s->flow[i].snd_nxt += 100;
	}
	uint64_t until = now_us() + 1000000;
	while (now_us() < until)
		turn(s, 10000, RX_BYTES);
	int up = 0;
	for (int i = 0; i < s->n_flows; i++)
		up += s->flow[i].up && s->flow[i].got == 100;
	long after = rss_of(s->o.pid);
	printf("{\"mode\":\"memory\",\"flows\":%d,\"answered\":%d,\"pss_before_kb\":%ld,"
	       "\"pss_after_kb\":%ld,\"bytes_per_flow\":%.0f}\n",
	        s->n_flows, up, before, after, (double)(after - before) * 1024 / s->n_flows);
}

static const struct {
	const char *name;
	void (*run)(struct sim *s);
} modes[] = {{"down", mode_down}, {"up", mode_up}, {"rr", mode_rr}, {"crr", mode_crr},
        {"udp", mode_udp}, {"pingpong", mode_pingpong}, {"synflood", mode_synflood},
        {"idle", mode_idle}, {"spread", mode_spread}, {"memory", mode_memory}};

static void
parse_args(struct opts *o, int argc, char **argv)
{
	static const struct option longs[] = {{"port", 1, 0, 'p'}, {"token", 1, 0, 't'},
	        {"pid", 1, 0, 'P'}, {"seconds", 1, 0, 's'}, {"flows", 1, 0, 'f'},
	        {"rtt", 1, 0, 'r'}, {"drop", 1, 0, 'd'}, {"ack", 1, 0, 'a'}, {"size", 1, 0, 'n'},
	        {"window", 1, 0, 'w'}, {"rate", 1, 0, 'R'}, {"rcvbuf", 1, 0, 'b'}, {0, 0, 0, 0}};
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'p': o->port = atoi(optarg); break;
		case 't': o->token = optarg; break;
		case 'P': o->pid = atoi(optarg); break;
		case 's': o->seconds = atof(optarg); break;
		case 'f': o->flows = atoi(optarg); break;
		case 'r': o->rtt_ms = atoi(optarg); break;
		case 'd': o->drop_ppm = atoi(optarg); break;
		case 'a': o->ack_every = atoi(optarg); break;
		case 'n': o->size = atoi(optarg); break;
		case 'w': o->window = atoi(optarg); break;
		case 'R': o->rate = atoi(optarg); break;
		case 'b': o->rcvbuf = atoi(optarg); break;
		default: exit(2);
		}
	}
}

int
main(int argc, char **argv)
{
	struct sim s = {.o = {.flows = 1, .seconds = 3, .size = 1, .window = 4096, .rate = 50},
	        .seed = 7,
	        .next_port = 20000};
	if (argc < 2)
		return 2;
	parse_args(&s.o, argc - 1, argv + 1);
	if (s.o.flows < 1 || s.o.flows > MAX_FLOWS - 2)
		return 2;
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	s.rx = malloc(RX_BYTES);
	s.tx = malloc(TX_BYTES);
	s.flow = calloc((size_t)s.o.flows + 2, sizeof *s.flow);
	s.lat = malloc(1000001 * sizeof *s.lat);
	s.n_flows = s.o.flows;
	s.line_cap = s.o.rtt_ms ? 200000 : 1;
	s.line = malloc(s.line_cap * sizeof *s.line);
	s.fd = tunnel_open(&s.o);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(argv[1], modes[i].name) == 0) {
			modes[i].run(&s);
			return 0;
		}
	fprintf(stderr, "guestsim: no mode %s\n", argv[1]);
	return 2;
}
