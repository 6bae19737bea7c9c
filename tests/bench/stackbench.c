/* What the stack alone costs: guests and servers are memory, and only the time inside the stack's
 * calls counts. Prints JSON: nanoseconds per data frame (or per transaction), and what that comes
 * to in Gbit/s per core if nothing else had to be done. */
#include "base/cursor.h"
#include "base/mem.h"
#include "stack/stack.h"
#include "stack/tcp.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { OUT = 1 << 20, BUDGET = 256 << 10, FLOWS = 16, MSS = 1460, BATCH = 170 };

struct far {
	struct tcp_flow f;
	uint64_t avail, written;
	bool eof;
};

struct guest {
	uint16_t port;
	uint32_t seq, ack, first_ack;
	unsigned got; /* data frames in this pull */
	bool syn_ack, fin;
	struct far *far;
};

struct bench {
	struct stack_conf conf;
	struct stack_shared shared;
	struct stack_stats stats;
	struct wheel wheel;
	struct slab nodes;
	struct stack *st;
	uint64_t now, ns;
	uint8_t *out, *source;
	bool copy; /* peeked bytes are really copied, as a kernel would */
	struct far *last;
	struct guest g[FLOWS];
	uint64_t frames, acks;
};

static struct bench *
bench_of(struct stack *st)
{
	return stack_user(st);
}

/* --- ops ------------------------------------------------------------------------------ */

static void
op_wake(struct stack *st)
{
	(void)st;
}

static bool
op_filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	(void)st, (void)proto, (void)dst;
	return true;
}

static struct tcp_flow *
op_alloc(struct stack *st)
{
	bench_of(st)->last = calloc(1, sizeof(struct far));
	return &bench_of(st)->last->f;
}

static void
op_free(struct stack *st, struct tcp_flow *f, bool abort)
{
	(void)st, (void)abort;
	free(CONTAINER_OF(f, struct far, f));
}

static int
op_open(struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos)
{
	(void)st, (void)f, (void)dst, (void)tos;
	return 0;
}

static uint32_t
op_room(struct stack *st, struct tcp_flow *f)
{
	(void)st, (void)f;
	return 4 << 20;
}

static int
op_write(struct stack *st, struct tcp_flow *f, const struct iovec *v, int n, bool urgent)
{
	(void)st, (void)urgent;
	for (int i = 0; i < n; i++)
		CONTAINER_OF(f, struct far, f)->written += v[i].iov_len;
	return 0;
}

static void
op_shutdown(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	CONTAINER_OF(f, struct far, f)->eof = true;
}

static ssize_t
op_peek(struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *v, int n)
{
	struct bench *b = bench_of(st);
	struct far *far = CONTAINER_OF(f, struct far, f);
	uint64_t left = far->avail - off;
	size_t got = 0;
	for (int i = 0; i < n && got < left; i++) {
		size_t some = v[i].iov_len < left - got ? v[i].iov_len : left - got;
		if (b->copy)
			memcpy(v[i].iov_base, b->source + ((off + got) & 0xffff), some);
		got += some;
	}
	return got ? (ssize_t)got : far->eof ? 0 : -EAGAIN;
}

static void
op_discard(struct stack *st, struct tcp_flow *f, uint32_t n)
{
	(void)st;
	CONTAINER_OF(f, struct far, f)->avail -= n;
}

static void
op_release(struct stack *st, struct tcp_flow *f)
{
	(void)st, (void)f;
}

static const struct stack_ops ops = {
        .wake = op_wake,
        .filter = op_filter,
        .tcp_alloc = op_alloc,
        .tcp_free = op_free,
        .tcp_open = op_open,
        .tcp_room = op_room,
        .tcp_write = op_write,
        .tcp_shutdown = op_shutdown,
        .tcp_peek = op_peek,
        .tcp_discard = op_discard,
        .tcp_release = op_release,
};

static void
bench_start(struct bench *b)
{
	*b = (struct bench){
	        .conf =
	                {
	                        .gateway_mac = {{2, 0, 0, 0, 0, 1}},
	                        .gateway = ip4(0x0a000202),
	                        .guest = ip4(0x0a00020f),
	                        .prefix_bits = 120,
	                        .mtu = 1500,
	                        .max_frame = 2048,
	                        .tcp_max_flows = 1024,
	                        .tcp_max_half_open = 256,
	                        .tcp_max_half_open_to = 32,
	                        .tcp_window_flow = 1 << 20,
	                        .tcp_window_tunnel = 4 << 20,
	                        .tcp_ooo_tunnel = 32768,
	                        .tcp_half_open_ms = 75000,
	                        .tcp_fin_wait_ms = 60000,
	                        .tcp_time_wait_ms = 5000,
	                        .tcp_give_up_ms = 120000,
	                        .tcp_delayed_ack_ms = 4,
	                        .queue_delay_target_ms = 1,
	                },
	        .now = 1000,
	        .copy = true,
	        .out = xcalloc(1, OUT),
	        .source = xcalloc(1, 1 << 20),
	};
	b->shared = (struct stack_shared){
	        .conf = &b->conf,
	        .ops = &ops,
	        .wheel = &b->wheel,
	        .stats = &b->stats,
	        .hash_key = {1, 2},
	        .nodes = &b->nodes,
	        .batch = stack_batch_new(),
	};
	wheel_init(&b->wheel, b->now);
	slab_init(&b->nodes, 2048, 4096);
	b->st = stack_new(&b->shared, b);
}

static void
bench_stop(struct bench *b)
{
	stack_free(b->st);
	stack_batch_free(b->shared.batch);
	slab_fini(&b->nodes);
	free(b->out);
	free(b->source);
}

/* --- the guest ------------------------------------------------------------------------ */

static uint64_t
ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t
head_len(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 8;
}

/* As cheap as a look at a frame can be. */
static void
seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct bench *b = e->user;
	struct guest *g = &b->g[get16(frame + 36) - 1];
	size_t payload = len - 34 - (size_t)(frame[46] >> 4) * 4;
	memset(frame - 8, 0, 8);
	if (frame[47] & TCPF_SYN) {
		g->syn_ack = true;
		g->ack = get32(frame + 38) + 1;
	} else if (payload || frame[47] & TCPF_FIN) {
		g->ack = get32(frame + 38) + (uint32_t)payload + (frame[47] & TCPF_FIN);
		g->fin |= frame[47] & TCPF_FIN;
		g->got++;
		b->frames += payload > 0;
	} else {
		b->acks++;
	}
}

static bool
pull(struct bench *b)
{
	struct emit e;
	emit_init(&e, b->out, OUT, BUDGET, 2048);
	e.head_len = head_len;
	e.seal = seal;
	e.user = b;
	uint64_t from = ns();
	bool more = stack_pull(b->st, &e, b->now);
	emit_end(&e);
	b->ns += ns() - from;
	return more;
}

static size_t
make(const struct guest *g, uint8_t *frame, uint8_t flags, size_t len, const struct tcpopts *o)
{
	static const struct mac gateway = {{2, 0, 0, 0, 0, 1}}, guest = {{2, 0, 0, 0, 0, 9}};
	struct tcpseg s = {.sport = g->port,
	        .dport = 80,
	        .seq = g->seq,
	        .ack = g->ack,
	        .flags = flags,
	        .window = 65535};
	struct ippkt k = {
	        .src = ip4(0x0a00020f), .dst = ip4(0x08080808), .proto = IPPROTO_TCP, .ttl = 64};
	if (o)
		s.opt = *o;
	size_t head = tcp_head_len(&s.opt);
	ether_put(frame, &gateway, &guest, ETHER_IPV4);
	ippkt_put(frame + 14, &k, head + len);
	tcp_put(frame + 34, &s, &k.src, &k.dst, len, checksum_sum(frame + 34 + head, len));
	return 34 + head + len;
}

static void
put(struct bench *b, const uint8_t *frame, size_t n)
{
	uint64_t from = ns();
	stack_frame(b->st, span(frame, n), b->now);
	stack_rx_end(b->st, b->now);
	b->ns += ns() - from;
}

static void
send_one(struct bench *b, struct guest *g, uint8_t flags, size_t len)
{
	uint8_t f[2048] = {0};
	put(b, f, make(g, f, flags, len, NULL));
	g->seq += (uint32_t)len + !!(flags & (TCPF_SYN | TCPF_FIN));
}

static void
open_flow(struct bench *b, struct guest *g, uint16_t port)
{
	static const struct tcpopts o = {
	        .mss = MSS, .has_wscale = true, .wscale = 7, .sack_ok = true};
	uint8_t f[2048] = {0};
	*g = (struct guest){.port = port, .seq = g->seq + 1000000};
	put(b, f, make(g, f, TCPF_SYN, 0, &o));
	g->seq++;
	g->far = b->last;
	uint64_t from = ns();
	stack_tcp_opened(b->st, &g->far->f, b->now);
	b->ns += ns() - from;
	pull(b);
	send_one(b, g, TCPF_ACK, 0);
}

/* --- what is measured ----------------------------------------------------------------- */

static void
tick(struct bench *b)
{
	uint64_t from = ns();
	wheel_advance(&b->wheel, ++b->now);
	b->ns += ns() - from;
}

static void
down(const char *what, unsigned flows, unsigned every, bool copy, bool first)
{
	static struct bench b;
	static uint8_t acks[4096][64];
	size_t len[4096];
	bench_start(&b);
	b.copy = copy;
	for (unsigned i = 0; i < flows; i++)
		open_flow(&b, &b.g[i], (uint16_t)(i + 1));
	for (unsigned i = 0; i < flows; i++)
		stack_tcp_readable(b.st, &b.g[i].far->f, b.now);
	b.ns = b.frames = 0;
	while (b.frames < 2000000) {
		for (unsigned i = 0; i < flows; i++) {
			b.g[i].got = 0;
			b.g[i].first_ack = b.g[i].ack;
			b.g[i].far->avail = UINT32_MAX;
		}
		pull(&b);
		unsigned n = 0;
		for (unsigned i = 0; i < flows; i++) {
			struct guest *g = &b.g[i];
			uint32_t end = g->ack, step = every ? every * MSS : UINT32_MAX;
			for (uint32_t at = g->first_ack; at != end && n < 4096;) {
				at = end - at > step ? at + step : end;
				g->ack = at;
				len[n] = make(g, acks[n], TCPF_ACK, 0, NULL);
				n++;
			}
			g->ack = end;
		}
		uint64_t from = ns();
		for (unsigned i = 0; i < n; i++)
			stack_frame(b.st, span(acks[i], len[i]), b.now);
		stack_rx_end(b.st, b.now);
		b.ns += ns() - from;
		if (b.frames % 8 == 0 || n == 0)
			tick(&b);
	}
	if (!first)
		printf(", ");
	printf("\"%s\": {\"ns\": %.1f, \"gbit\": %.1f}", what, (double)b.ns / (double)b.frames,
	        (double)MSS * 8 * (double)b.frames / (double)b.ns);
	fflush(stdout);
	bench_stop(&b);
}

static void
up(const char *what, unsigned flows)
{
	static struct bench b;
	static uint8_t frame[BATCH][1600];
	uint64_t frames = 0;
	bench_start(&b);
	for (unsigned i = 0; i < flows; i++)
		open_flow(&b, &b.g[i], (uint16_t)(i + 1));
	b.ns = b.acks = 0;
	size_t sent = 0;
	while (frames < 2000000) {
		unsigned per = BATCH / flows, n = 0;
		if (sent < 200)
			per = 30 / flows + 1; /* until the windows have grown */
		for (unsigned k = 0; k < per; k++)
			for (unsigned i = 0; i < flows; i++, n++) {
				make(&b.g[i], frame[n], TCPF_ACK, MSS, NULL);
				b.g[i].seq += MSS;
			}
		uint64_t from = ns();
		for (unsigned i = 0; i < n; i++)
			stack_frame(b.st, span(frame[i], 54 + MSS), b.now);
		stack_rx_end(b.st, b.now);
		b.ns += ns() - from;
		pull(&b);
		frames += n;
		tick(&b);
		sent++;
	}
	uint64_t written = 0;
	for (unsigned i = 0; i < flows; i++)
		written += b.g[i].far->written;
	if (written != frames * MSS)
		fprintf(stderr, "%s: %llu of %llu bytes arrived\n", what,
		        (unsigned long long)written, (unsigned long long)frames * MSS);
	printf(", \"%s\": {\"ns\": %.1f, \"gbit\": %.1f, \"acks\": %.3f}", what,
	        (double)b.ns / (double)frames, (double)MSS * 8 * (double)frames / (double)b.ns,
	        (double)b.acks / (double)frames);
	fflush(stdout);
	bench_stop(&b);
}

static void
request_response(void)
{
	static struct bench b;
	enum { N = 300000 };
	bench_start(&b);
	struct guest *g = &b.g[0];
	open_flow(&b, g, 1);
	b.ns = b.acks = b.frames = 0;
	for (unsigned i = 0; i < N; i++) {
		send_one(&b, g, TCPF_ACK | TCPF_PSH, 1);
		g->far->avail++;
		uint64_t from = ns();
		stack_tcp_readable(b.st, &g->far->f, b.now);
		b.ns += ns() - from;
		pull(&b);
		if (i % 16 == 0)
			tick(&b);
	}
	printf(", \"rr\": {\"ns\": %.1f, \"frames\": %.2f}", (double)b.ns / N,
	        (double)(b.frames + b.acks) / N);
	bench_stop(&b);
}

static void
connect_close(void)
{
	static struct bench b;
	enum { N = 100000 };
	bench_start(&b);
	struct guest *g = &b.g[0];
	b.ns = b.acks = 0;
	for (unsigned i = 0; i < N; i++) {
		open_flow(&b, g, 1);
		send_one(&b, g, TCPF_ACK | TCPF_PSH, 100);
		g->far->avail = 1000;
		g->far->eof = true;
		uint64_t from = ns();
		stack_tcp_readable(b.st, &g->far->f, b.now);
		b.ns += ns() - from;
		pull(&b);
		send_one(&b, g, TCPF_ACK | TCPF_FIN, 0);
		pull(&b);
		tick(&b);
	}
	printf(", \"crr\": {\"ns\": %.1f}", (double)b.ns / N);
	bench_stop(&b);
}

int
main(void)
{
	printf("{");
	down("down_1", 1, 2, true, true);
	down("down_1_ack_per_batch", 1, 0, true, false);
	down("down_1_no_copy", 1, 2, false, false);
	down("down_16", 16, 2, true, false);
	up("up_1", 1);
	up("up_16", 16);
	request_response();
	connect_close();
	printf("}\n");
	return 0;
}
