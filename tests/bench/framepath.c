/* framepath: what carrying frames over a WebSocket costs when there is no stack: the least that any
 * server of tunnels must do, with the same codec. A child plays the server, this process the
 * client; everything on loopback, 1514-byte frames in batches of 64.
 *
 *   frames-down   headers in front of bytes that lie there, one send a batch
 *   frames-up     one recv of 256 KiB, unmask, parse
 *   down          read a server's bytes straight into frames, checksum, one send a batch; read
 *                 acknowledgements
 *   up            unmask, parse, checksum, one writev to a server a batch; one acknowledgement
 *   rr            a frame in, one byte to a server and back, a frame out
 *   udp           datagrams to a server and back as frames, --flows of them under way */
#include "tests/bench/kit/kit.h"

#include "base/cursor.h"
#include "wire/checksum.h"
#include "wire/l2tun.h"
#include "wire/wsparse.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BATCH = 64,
	WS_HEAD = 8, /* WebSocket and tunnel header toward the client */
	HEAD = 54,   /* Ethernet, IPv4, TCP */
	HEAD_UDP = 42,
	PAYLOAD = 1460,
	FRAME = HEAD + PAYLOAD,
	ACK_FRAME = 60,
	SLOT = WS_HEAD + FRAME,
	READ_MOST = 256 << 10,
	WARM_US = 300000,
};

static const uint8_t mask[4] = {0x5a, 0xc3, 0x96, 0x0f};

/* The server end, for one tunnel and one connection beyond it. */
struct relay {
	int tunnel, far;
	bool sum; /* checksum what goes through */
	int head; /* of a frame, before the bytes that go on */
	struct wsparse parse;
	struct iovec iov[1024];
	int n;
	uint8_t in[READ_MOST];
	uint8_t out[BATCH * SLOT + 64];
	volatile uint16_t sink; /* sums must not be optimised away */
};

/* --- ends ----------------------------------------------------------------------------- */

static int
stream_to(uint16_t port, int type)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	        .sin_port = htons(port),
	        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, type, 0), one = 1;
	if (type == SOCK_STREAM) {
		pin_reno(fd);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
		die("connect");
	return fd;
}

static void
send_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			_exit(0); /* the other end is done */
		p += k;
		n -= (size_t)k;
	}
}

static size_t
put_message(uint8_t *p, size_t frame, const uint8_t *key)
{
	size_t n = wsframe_put_head(p, WS_BINARY, frame + L2TUN_HEAD, key);
	l2tun_put_head(p + n, L2TUN_FRAME);
	return n + L2TUN_HEAD;
}

static size_t
put_masked(uint8_t *p, size_t frame)
{
	size_t head = put_message(p, frame, mask);
	memset(p + head, 'x', frame);
	wsframe_mask(p + head - L2TUN_HEAD, frame + L2TUN_HEAD, mask, 0);
	return head + frame;
}

/* --- the server ----------------------------------------------------------------------- */

static void
on_message(struct wsparse *p, enum ws_op op, struct span m)
{
	struct relay *r = (struct relay *)((char *)p - offsetof(struct relay, parse));
	(void)op;
	if (m.n <= (size_t)(L2TUN_HEAD + r->head) || r->n == 1024)
		return;
	if (r->sum)
		r->sink ^= checksum_sum(m.p + L2TUN_HEAD + 34, m.n - L2TUN_HEAD - 34);
	r->iov[r->n++] = (struct iovec){
	        (void *)(m.p + L2TUN_HEAD + r->head), m.n - L2TUN_HEAD - (size_t)r->head};
}

static void
on_end(struct wsparse *p)
{
	(void)p;
}

static const struct wsparse_ops parse_ops = {.message = on_message, .batch_end = on_end};

/* What the client sent, into r->iov; the caller uses it before the next call. */
static void
take(struct relay *r, int flags)
{
	r->n = 0;
	ssize_t n = recv(r->tunnel, r->in, READ_MOST, flags);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		_exit(0);
	if (n > 0)
		wsparse_feed(&r->parse, r->in, (size_t)n);
}

static void
serve_frames_down(struct relay *r)
{
	size_t n = 0;
	for (int i = 0; i < BATCH; i++)
		n += put_message(r->out + n, FRAME, NULL) + FRAME;
	for (;;) {
		for (int i = 0; i < BATCH; i++)
			put_message(r->out + (size_t)i * SLOT, FRAME, NULL);
		send_all(r->tunnel, r->out, n);
	}
}

static void
serve_frames_up(struct relay *r)
{
	for (;;)
		take(r, 0);
}

static void
finish_slot(struct relay *r, uint8_t *slot, size_t len)
{
	put_message(slot, HEAD + len, NULL);
	memset(slot + WS_HEAD, 0, HEAD);
	put16(slot + WS_HEAD + 50, checksum_finish(checksum_sum(slot + WS_HEAD + 34, 20 + len)));
	put16(slot + WS_HEAD + 24, checksum_finish(checksum_sum(slot + WS_HEAD + 14, 20)));
	(void)r;
}

static void
serve_down(struct relay *r)
{
	struct iovec slots[BATCH];
	for (int i = 0; i < BATCH; i++)
		slots[i] = (struct iovec){r->out + (size_t)i * SLOT + WS_HEAD + HEAD, PAYLOAD};
	for (;;) {
		ssize_t n = readv(r->far, slots, BATCH);
		size_t out = 0;
		if (n <= 0)
			_exit(0);
		for (size_t left = (size_t)n; left;) {
			size_t len = left < PAYLOAD ? left : PAYLOAD;
			finish_slot(r, r->out + out, len);
			out += WS_HEAD + HEAD + len;
			left -= len;
		}
		send_all(r->tunnel, r->out, out);
		take(r, MSG_DONTWAIT);
	}
}

static void
serve_up(struct relay *r)
{
	size_t ack = put_message(r->out, ACK_FRAME, NULL) + ACK_FRAME;
	for (;;) {
		take(r, 0);
		struct iovec *v = r->iov;
		for (int n = r->n; n;) {
			struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)n};
			ssize_t k = sendmsg(r->far, &m, MSG_NOSIGNAL);
			if (k < 0)
				_exit(0);
			for (; n && (size_t)k >= v->iov_len; v++, n--)
				k -= (ssize_t)v->iov_len;
			if (n) {
				v->iov_base = (uint8_t *)v->iov_base + k;
				v->iov_len -= (size_t)k;
			}
		}
		if (r->n)
			send_all(r->tunnel, r->out, ack);
	}
}

static void
to_far(struct relay *r)
{
	struct mmsghdr m[BATCH] = {0};
	take(r, MSG_DONTWAIT);
	for (int at = 0; at < r->n;) {
		int n = r->n - at < BATCH ? r->n - at : BATCH;
		for (int i = 0; i < n; i++)
			m[i].msg_hdr = (struct msghdr){.msg_iov = &r->iov[at + i], .msg_iovlen = 1};
		n = sendmmsg(r->far, m, (unsigned)n, MSG_NOSIGNAL);
		if (n <= 0)
			_exit(0);
		at += n;
	}
}

static void
from_far(struct relay *r)
{
	struct mmsghdr m[BATCH] = {0};
	struct iovec slots[BATCH];
	size_t out = 0, head = (size_t)r->head;
	for (int i = 0; i < BATCH; i++) {
		slots[i] = (struct iovec){r->out + (size_t)i * SLOT + WS_HEAD + head, PAYLOAD};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &slots[i], .msg_iovlen = 1};
	}
	int n = recvmmsg(r->far, m, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		uint8_t *slot = r->out + (size_t)i * SLOT;
		size_t len = m[i].msg_len + head, ws = put_message(slot, len, NULL);
		r->sink ^= checksum_sum(slot + WS_HEAD + 34, len - 34);
		memmove(r->out + out, slot, ws);
		memmove(r->out + out + ws, slot + WS_HEAD, len);
		out += ws + len;
	}
	if (out)
		send_all(r->tunnel, r->out, out);
}

static void
serve_relay(struct relay *r)
{
	for (;;) {
		struct pollfd p[2] = {{r->tunnel, POLLIN, 0}, {r->far, POLLIN, 0}};
		poll(p, 2, -1);
		if (p[0].revents)
			to_far(r);
		if (p[1].revents)
			from_far(r);
	}
}

/* --- the client ----------------------------------------------------------------------- */

struct client {
	int fd;
	int flows;
	size_t frame; /* length of what it sends */
	uint64_t frames_in, frames_out, bytes_in;
	uint8_t buf[READ_MOST], out[BATCH * (SLOT + 16)];
	size_t n;
};

/* Whole messages of what was read are counted, the rest waits. */
static void
read_messages(struct client *c, int flags)
{
	ssize_t k = recv(c->fd, c->buf + c->n, READ_MOST - c->n, flags);
	size_t at = 0;
	if (k == 0 || (k < 0 && errno != EAGAIN))
		die("tunnel");
	c->n += k > 0 ? (size_t)k : 0;
	while (c->n - at >= 4) {
		const uint8_t *p = c->buf + at;
		size_t len = p[1] < 126 ? 2u + p[1] : 4u + get16(p + 2);
		if (c->n - at < len)
			break;
		at += len;
		c->frames_in++;
		c->bytes_in += len;
	}
	memmove(c->buf, c->buf + at, c->n - at);
	c->n -= at;
}

static void
send_frames(struct client *c, int n)
{
	size_t len = 0;
	for (int i = 0; i < n; i++)
		len += put_masked(c->out + len, c->frame);
	send_all(c->fd, c->out, len);
	c->frames_out += (uint64_t)n;
}

static void
step_read(struct client *c)
{
	read_messages(c, 0);
}

static void
step_read_ack(struct client *c)
{
	read_messages(c, 0);
	send_frames(c, 1);
}

static void
step_write(struct client *c)
{
	send_frames(c, BATCH);
	read_messages(c, MSG_DONTWAIT);
}

static void
step_exchange(struct client *c)
{
	int missing = c->flows - (int)(c->frames_out - c->frames_in);
	for (int n; missing > 0; missing -= n) {
		n = missing < BATCH ? missing : BATCH;
		send_frames(c, n);
	}
	read_messages(c, 0);
}

/* --- one measurement ------------------------------------------------------------------ */

static const struct mode {
	const char *name;
	void (*serve)(struct relay *r);
	void (*step)(struct client *c);
	int far; /* enum upstream_kind, -1: none */
	size_t head, frame;
	bool counts_out;
} modes[] = {
        {"frames-down", serve_frames_down, step_read, -1, HEAD, FRAME, false},
        {"frames-up", serve_frames_up, step_write, -1, HEAD, FRAME, true},
        {"down", serve_down, step_read_ack, UPSTREAM_SOURCE, HEAD, ACK_FRAME, false},
        {"up", serve_up, step_write, UPSTREAM_SINK, HEAD, FRAME, true},
        {"rr", serve_relay, step_exchange, UPSTREAM_ECHO, HEAD, HEAD + 1, false},
        {"udp", serve_relay, step_exchange, UPSTREAM_UDP, HEAD_UDP, 0, false},
};

static pid_t
start_server(const struct mode *m, int tunnel, uint16_t far)
{
	static struct relay r;
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	r.tunnel = tunnel;
	r.head = (int)m->head;
	r.sum = m->far >= 0;
	wsparse_init(&r.parse, &parse_ops, false, 2048);
	if (m->far >= 0)
		r.far = stream_to(far, m->far == UPSTREAM_UDP ? SOCK_DGRAM : SOCK_STREAM);
	m->serve(&r);
	_exit(0);
}

/* Two connected TCP sockets. */
static void
pair(int out[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t n = sizeof a;
	int one = 1, l = socket(AF_INET, SOCK_STREAM, 0);
	if (l < 0)
		die("socket");
	pin_reno(l);
	if (bind(l, (struct sockaddr *)&a, n) < 0 || listen(l, 1) < 0)
		die("listen");
	getsockname(l, (struct sockaddr *)&a, &n);
	out[0] = stream_to(ntohs(a.sin_port), SOCK_STREAM);
	out[1] = accept(l, NULL, NULL);
	setsockopt(out[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	close(l);
}

static void
run(const struct mode *m, struct client *c, double seconds)
{
	struct upstream far = {0};
	int ends[2];
	if (m->far >= 0)
		far = upstream_start((enum upstream_kind)m->far);
	pair(ends);
	pid_t server = start_server(m, ends[1], far.port);
	close(ends[1]);
	c->fd = ends[0];
	for (uint64_t until = now_us() + WARM_US; now_us() < until;)
		m->step(c);
	uint64_t cpu = cpu_of(server), at = now_us(), in = c->frames_in, out = c->frames_out;
	while ((double)(now_us() - at) < seconds * 1e6)
		m->step(c);
	double secs = (double)(now_us() - at) / 1e6, used = (double)(cpu_of(server) - cpu) / 1e9;
	double n = (double)(m->counts_out ? c->frames_out - out : c->frames_in - in);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	out_open(m->name);
	out_num("seconds", secs);
	out_num("cpu_s", used);
	if (m->step == step_exchange) {
		out_num("transactions", n);
		out_num("trans_s", n / secs);
		out_num("cpu_us_trans", used * 1e6 / n);
	} else {
		out_num("bytes", n * PAYLOAD);
		out_num("gbit_s", n * PAYLOAD * 8 / secs / 1e9);
		out_num("gbit_core", n * PAYLOAD * 8 / used / 1e9);
		out_num("cpu_ns_frame", used * 1e9 / n);
	}
	out_close();
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
	        {"seconds", 1, 0, 's'}, {"flows", 1, 0, 'f'}, {"size", 1, 0, 'n'}, {0, 0, 0, 0}};
	static struct client c = {.flows = 1};
	double seconds = 1;
	size_t size = 1;
	for (int o; (o = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (o == 's')
			seconds = atof(optarg);
		else if (o == 'f')
			c.flows = atoi(optarg);
		else if (o == 'n')
			size = (size_t)atoi(optarg);
		else
			return 2;
	}
	for (size_t i = 0; optind < argc && i < sizeof modes / sizeof modes[0]; i++) {
		if (strcmp(argv[optind], modes[i].name) != 0)
			continue;
		c.frame = modes[i].frame ? modes[i].frame : HEAD_UDP + size;
		if (c.frame > FRAME || c.flows < 1 || c.flows > 512)
			return 2;
		run(&modes[i], &c, seconds);
		return 0;
	}
	fprintf(stderr, "framepath frames-down|frames-up|down|up|rr|udp "
	                "[--seconds S] [--flows N] [--size BYTES]\n");
	return 2;
}
