#include "net/conn.h"

#include "tests/unit/net/loop.h"

#include <netinet/tcp.h>

/* One connection and its peer, in each of the ways a kernel may offer. */
struct way {
	int family;
	bool peek;
};

struct side {
	struct conn c;
	int opened, failed, readable, writable, err;
	int free_in; /* which callback frees it: 'o', 'f', 'r', 'w' */
};

struct rig {
	struct way way;
	struct worker w;
	struct conn_net net;
	struct side a;
	int peer;
};

static void
maybe_free(struct side *s, int where)
{
	if (s->free_in == where) {
		conn_free(&s->c, false);
		memset(&s->c, 0xa5, sizeof s->c);
	}
}

static void
on_opened(struct conn *c)
{
	struct side *s = CONTAINER_OF(c, struct side, c);
	s->opened++;
	maybe_free(s, 'o');
}

static void
on_failed(struct conn *c, int err)
{
	struct side *s = CONTAINER_OF(c, struct side, c);
	s->failed++;
	s->err = err;
	maybe_free(s, 'f');
}

static void
on_readable(struct conn *c)
{
	struct side *s = CONTAINER_OF(c, struct side, c);
	s->readable++;
	maybe_free(s, 'r');
}

static void
on_writable(struct conn *c)
{
	struct side *s = CONTAINER_OF(c, struct side, c);
	s->writable++;
	maybe_free(s, 'w');
}

static const struct conn_ops ops = {on_opened, on_failed, on_readable, on_writable};

static struct conn_conf
conf_for(const struct way *way)
{
	struct conn_conf c = {.connect_ms = 2000,
	        .overflow = 64 << 10,
	        .room_max = 1 << 20,
	        .read_ahead = 256 << 10,
	        .linger_ms = 2000,
	        .linger_max = 2,
	        .pool = 8 << 20};
	if (way->peek)
		conn_probe(&c.caps);
	return c;
}

static void
rig_start(struct rig *r, const struct way *way, const struct conn_conf *conf)
{
	struct conn_conf usual = conf_for(way);
	*r = (struct rig){.way = *way, .peer = -1};
	loop_open(&r->w);
	conn_net_init(&r->net, &r->w, conf ? conf : &usual, &ops);
}

static void
rig_connect(struct rig *r)
{
	struct endpoint at;
	int l = loop_listen(r->way.family, 4, &at);
	assert_int_equal(conn_open(&r->net, &r->a.c, &at, 0), 0);
	assert_int_equal(r->a.opened, 0);
	r->peer = accept(l, NULL, NULL);
	assert_true(r->peer >= 0);
	close(l);
	LOOP_UNTIL(&r->w, r->a.opened == 1);
	loop_nonblock(r->peer);
}

static void
rig_end(struct rig *r)
{
	if (r->a.free_in != -1)
		conn_free(&r->a.c, false);
	if (r->peer >= 0)
		close(r->peer);
	assert_int_equal(r->net.pieces.used, 0);
	conn_net_fini(&r->net);
	loop_close(&r->w);
}

static void
setup(struct rig *r, void **state)
{
	rig_start(r, *state, NULL);
	rig_connect(r);
}

static ssize_t
peek(struct rig *r, uint32_t off, void *p, size_t n)
{
	struct iovec iov = {p, n};
	return conn_peek(&r->a.c, off, &iov, 1);
}

static int
put(struct rig *r, const void *p, size_t n, bool urgent)
{
	struct iovec iov = {(void *)p, n};
	return conn_write(&r->a.c, &iov, 1, urgent);
}

static void
expect_peek(struct rig *r, uint32_t off, const char *want)
{
	char got[64] = {0};
	ssize_t n = -EAGAIN;
	LOOP_UNTIL(&r->w, (n = peek(r, off, got, strlen(want))) != -EAGAIN);
	assert_int_equal(n, strlen(want));
	assert_string_equal(got, want);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void
test_peek_again_and_discard(void **state)
{
	struct rig r;
	setup(&r, state);
	char p[16];
	assert_int_equal(peek(&r, 0, p, 4), -EAGAIN);
	assert_int_equal(send(r.peer, "abcdefghij", 10, 0), 10);
	LOOP_UNTIL(&r.w, r.a.readable);
	expect_peek(&r, 0, "abc");
	expect_peek(&r, 3, "def");
	expect_peek(&r, 1, "bcde"); /* sent again */
	expect_peek(&r, 5, "fghij");
	assert_int_equal(peek(&r, 10, p, 4), -EAGAIN);
	conn_discard(&r.a.c, 4);
	expect_peek(&r, 0, "efg");
	expect_peek(&r, 5, "j");
	conn_discard(&r.a.c, 6);
	assert_int_equal(peek(&r, 0, p, 4), -EAGAIN);
	int before = r.a.readable;
	assert_int_equal(send(r.peer, "kl", 2, 0), 2);
	LOOP_UNTIL(&r.w, r.a.readable > before);
	expect_peek(&r, 0, "kl");
	rig_end(&r);
}

static void
test_the_end_is_where_it_is(void **state)
{
	struct rig r;
	setup(&r, state);
	char p[16];
	assert_int_equal(send(r.peer, "abcde", 5, 0), 5);
	shutdown(r.peer, SHUT_WR);
	expect_peek(&r, 0, "abcde");
	LOOP_UNTIL(&r.w, peek(&r, 5, p, 4) == 0);
	expect_peek(&r, 3, "de"); /* still there to be sent again */
	conn_discard(&r.a.c, 2);
	assert_int_equal(peek(&r, 3, p, 4), 0);
	conn_discard(&r.a.c, 3);
	assert_int_equal(peek(&r, 0, p, 4), 0);
	/* The other direction lives on. */
	assert_int_equal(put(&r, "reply", 5, false), 0);
	LOOP_UNTIL(&r.w, recv(r.peer, p, 16, 0) == 5);
	rig_end(&r);
}

static void
test_scattered_peek(void **state)
{
	struct rig r;
	setup(&r, state);
	char a[3], b[4], c[8];
	struct iovec iov[] = {{a, 3}, {b, 4}, {c, 8}};
	assert_int_equal(send(r.peer, "0123456789", 10, 0), 10);
	LOOP_UNTIL(&r.w, r.a.readable);
	assert_int_equal(conn_peek(&r.a.c, 0, iov, 3), 10);
	assert_memory_equal(a, "012", 3);
	assert_memory_equal(b, "3456", 4);
	assert_memory_equal(c, "789", 3);
	assert_int_equal(conn_peek(&r.a.c, 1, iov, 2), 7);
	assert_memory_equal(b, "4567", 4);
	rig_end(&r);
}

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

static size_t
pump_pattern(int fd, size_t from, size_t to)
{
	uint8_t p[8192];
	size_t n = to - from < sizeof p ? to - from : sizeof p;
	for (size_t i = 0; i < n; i++)
		p[i] = pattern(from + i);
	ssize_t k = n ? send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	return from + (k > 0 ? (size_t)k : 0);
}

/* A megabyte, peeked in pieces of any size, with steps back to anything not yet discarded. */
static void
test_random_walk_through_a_download(void **state)
{
	struct rig r;
	setup(&r, state);
	const size_t total = 1 << 20;
	static uint8_t p[70000];
	size_t sent = 0, base = 0;
	uint32_t ahead = 0;
	srand(11);
	for (int round = 0; base < total; round++) {
		sent = pump_pattern(r.peer, sent, total);
		uint32_t off = rand() % 4 == 0 && ahead ? (uint32_t)rand() % ahead : ahead;
		ssize_t n = peek(&r, off, p, 1 + (size_t)rand() % sizeof p);
		if (n == -EAGAIN)
			loop_turn(&r.w);
		assert_true(n > 0 || n == -EAGAIN);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(p[i], pattern(base + off + (size_t)i));
		if (n > 0 && off + (uint32_t)n > ahead)
			ahead = off + (uint32_t)n;
		uint32_t give = rand() % 3 == 0 ? ahead : (uint32_t)rand() % (ahead + 1);
		conn_discard(&r.a.c, give);
		base += give;
		ahead -= give;
		assert_true(round < 100000);
	}
	assert_int_equal(base, total);
	rig_end(&r);
}

static void
test_reading_less_is_bounded(void **state)
{
	struct rig r;
	struct conn_conf conf = conf_for(*state);
	conf.caps = (struct conn_caps){0};
	conf.read_ahead = 8192;
	rig_start(&r, *state, &conf);
	rig_connect(&r);
	static uint8_t p[65536];
	size_t sent = 0;
	while (sent < 60000)
		sent = pump_pattern(r.peer, sent, 60000);
	LOOP_UNTIL(&r.w, r.a.readable);
	uint32_t have = 0;
	for (ssize_t n; (n = peek(&r, have, p, 5000)) > 0;)
		have += (uint32_t)n;
	assert_int_equal(have, 8192);
	int before = r.a.readable;
	loop_for(&r.w, 20);
	assert_int_equal(r.a.readable, before);
	conn_discard(&r.a.c, 100);
	assert_int_equal(r.a.readable, before); /* news come from the loop */
	LOOP_UNTIL(&r.w, r.a.readable == before + 1);
	assert_int_equal(peek(&r, 8092, p, 5000), 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], pattern(8192 + (size_t)i));
	conn_discard(&r.a.c, 8192);
	rig_end(&r);
}

/* --- writing ---------------------------------------------------------------------------------- */

static size_t
drain_pattern(int fd, size_t at)
{
	static uint8_t p[65536];
	ssize_t n = recv(fd, p, sizeof p, MSG_DONTWAIT);
	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(p[i], pattern(at + (size_t)i));
	return at + (n > 0 ? (size_t)n : 0);
}

/* Always as much as was promised, into a peer that reads only now and then. */
static void
test_promised_room_is_kept(void **state)
{
	struct rig r;
	setup(&r, state);
	const size_t total = 8 << 20;
	static uint8_t p[1 << 20];
	size_t out = 0, in = 0;
	int full = 0, woken = 0;
	for (int round = 0; in < total; round++) {
		uint32_t room = conn_room(&r.a.c);
		size_t n = total - out < room ? total - out : room;
		for (size_t i = 0; i < n; i++)
			p[i] = pattern(out + i);
		struct iovec iov[3] = {
		        {p, n / 3}, {p + n / 3, n / 3}, {p + n / 3 * 2, n - n / 3 * 2}};
		assert_int_equal(conn_write(&r.a.c, iov, 3, false), 0);
		out += n;
		if (room == 0 && ++full) {
			int before = r.a.writable;
			LOOP_UNTIL(&r.w, (in = drain_pattern(r.peer, in), r.a.writable > before));
			assert_true(conn_room(&r.a.c) > 0);
			woken++;
		}
		if (out == total)
			in = drain_pattern(r.peer, in);
		loop_turn(&r.w);
	}
	assert_true(full > 0 && woken == full);
	assert_null(r.a.c.held); /* nothing is left behind */
	rig_end(&r);
}

static void
fill(struct rig *r, size_t *out)
{
	static uint8_t p[1 << 20];
	for (uint32_t room; (room = conn_room(&r->a.c)) > 0;) {
		for (size_t i = 0; i < room; i++)
			p[i] = pattern(*out + i);
		assert_int_equal(put(r, p, room, false), 0);
		*out += room;
	}
}

static void
test_shutdown_waits_for_the_overflow(void **state)
{
	struct rig r;
	setup(&r, state);
	size_t out = 0, in = 0;
	fill(&r, &out);
	conn_shutdown(&r.a.c);
	assert_int_equal(conn_room(&r.a.c), 0);
	char p[8];
	LOOP_UNTIL(&r.w, (in = drain_pattern(r.peer, in)) == out);
	LOOP_UNTIL(&r.w, recv(r.peer, p, 1, 0) == 0);
	assert_int_equal(put(&r, "x", 1, false), -EPIPE);
	rig_end(&r);
}

static void
test_shutdown_before_connected(void **state)
{
	struct rig r;
	struct endpoint at;
	char p[16];
	rig_start(&r, *state, NULL);
	int l = loop_listen(r.way.family, 4, &at);
	assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0), 0);
	assert_true(conn_room(&r.a.c) > 0);
	assert_int_equal(put(&r, "early", 5, false), 0);
	conn_shutdown(&r.a.c);
	r.peer = accept(l, NULL, NULL);
	close(l);
	loop_nonblock(r.peer);
	LOOP_UNTIL(&r.w, recv(r.peer, p, 16, 0) == 5);
	assert_memory_equal(p, "early", 5);
	LOOP_UNTIL(&r.w, recv(r.peer, p, 16, 0) == 0);
	assert_int_equal(r.a.opened, 1);
	rig_end(&r);
}

static void
test_graceful_free_delivers_the_rest(void **state)
{
	struct rig r;
	setup(&r, state);
	size_t out = 0, in = 0;
	char p[8];
	fill(&r, &out);
	/* Unread bytes from the peer must not turn the end into a reset. */
	assert_int_equal(send(r.peer, "unread", 6, 0), 6);
	LOOP_UNTIL(&r.w, r.a.readable);
	conn_free(&r.a.c, false);
	memset(&r.a.c, 0xa5, sizeof r.a.c);
	r.a.free_in = -1;
	LOOP_UNTIL(&r.w, (in = drain_pattern(r.peer, in)) == out);
	ssize_t n = -1;
	LOOP_UNTIL(&r.w, (n = recv(r.peer, p, 1, 0)) >= 0);
	assert_int_equal(n, 0);
	assert_int_equal(r.a.writable + r.a.failed, 0);
	rig_end(&r);
}

static void
test_lingering_ends(void **state)
{
	struct rig r;
	struct conn_conf conf = conf_for(*state);
	conf.linger_ms = 30;
	rig_start(&r, *state, &conf);
	rig_connect(&r);
	size_t out = 0;
	fill(&r, &out);
	conn_free(&r.a.c, false);
	assert_true(r.net.pieces.used > 0);
	LOOP_UNTIL(&r.w, r.net.pieces.used == 0);
	rig_end(&r);
}

static void
test_the_oldest_lingers_no_more(void **state)
{
	struct rig r;
	int peer[3];
	rig_start(&r, *state, NULL);
	for (int i = 0; i < 3; i++) {
		size_t out = 0;
		r.a = (struct side){0};
		rig_connect(&r);
		peer[i] = r.peer;
		fill(&r, &out);
		conn_free(&r.a.c, false);
	}
	assert_int_equal(r.net.n_lingering, 2);
	for (int i = 1; i < 3; i++) {
		size_t in = 0;
		uint32_t left = 2 - (uint32_t)i;
		LOOP_UNTIL(&r.w, (in = drain_pattern(peer[i], in), r.net.n_lingering == left));
	}
	for (int i = 0; i < 3; i++)
		close(peer[i]);
	r.peer = -1;
	r.a.free_in = -1;
	rig_end(&r);
}

static void
test_no_descriptor_for_a_guest(void **state)
{
	struct rig r;
	struct endpoint at;
	rig_start(&r, *state, NULL);
	int l = loop_listen(r.way.family, 4, &at);
	r.w.guest_fds = l;
	assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0), -EMFILE);
	r.w.guest_fds = l + 64;
	assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0), 0);
	close(l);
	rig_end(&r);
}

static void
test_lingering_ends_with_the_worker(void **state)
{
	struct rig r;
	setup(&r, state);
	size_t out = 0;
	fill(&r, &out);
	conn_free(&r.a.c, false);
	conn_net_fini(&r.net);
	close(r.peer);
	loop_close(&r.w);
}

static void
test_exhausted_pool(void **state)
{
	struct rig r;
	struct conn_conf conf = conf_for(*state);
	conf.pool = 16 << 10;
	rig_start(&r, *state, &conf);
	rig_connect(&r);
	static uint8_t p[1 << 20];
	int rc = 0;
	for (int i = 0; i < 200 && rc == 0; i++)
		rc = put(&r, p, 60000, false);
	assert_int_equal(rc, -ENOBUFS);
	assert_int_equal(conn_room(&r.a.c), 0);
	assert_int_equal(put(&r, p, 1, false), -EPIPE);
	loop_for(&r.w, 10);
	assert_int_equal(r.a.failed, 0);
	rig_end(&r);
}

static void
test_more_than_promised_is_refused(void **state)
{
	struct rig r;
	struct conn_conf conf = conf_for(*state);
	conf.room_max = 100000;
	rig_start(&r, *state, &conf);
	rig_connect(&r);
	static uint8_t p[50000];
	int rc = 0;
	for (int i = 0; i < 1000 && rc == 0; i++)
		rc = put(&r, p, sizeof p, false);
	assert_int_equal(rc, -ENOBUFS);
	rig_end(&r);
}

/* --- urgent ----------------------------------------------------------------------------------- */

static void
expect_urgent(struct rig *r, char want)
{
	char c = 0;
	LOOP_UNTIL(&r->w, recv(r->peer, &c, 1, MSG_OOB | MSG_DONTWAIT) == 1);
	assert_int_equal(c, want);
}

static void
test_urgent_out(void **state)
{
	struct rig r;
	setup(&r, state);
	char p[16] = {0};
	assert_int_equal(put(&r, "abU", 3, true), 0);
	expect_urgent(&r, 'U');
	assert_int_equal(put(&r, "cd", 2, false), 0);
	LOOP_UNTIL(&r.w, recv(r.peer, p, 2, MSG_PEEK) == 2);
	assert_int_equal(recv(r.peer, p, 2, 0), 2);
	assert_memory_equal(p, "ab", 2);
	assert_int_equal(put(&r, "!", 1, true), 0);
	expect_urgent(&r, '!');
	struct iovec iov[] = {{"x", 1}, {"", 0}, {"yz", 2}};
	assert_int_equal(conn_write(&r.a.c, iov, 3, true), 0);
	expect_urgent(&r, 'z');
	rig_end(&r);
}

static void
test_urgent_through_the_overflow(void **state)
{
	struct rig r;
	setup(&r, state);
	size_t out = 0, in = 0;
	fill(&r, &out);
	assert_non_null(r.a.c.held);
	assert_int_equal(put(&r, "U", 1, true), 0);
	assert_int_equal(put(&r, "x", 1, false), 0);
	int inline_too = 1;
	char p[4];
	setsockopt(r.peer, SOL_SOCKET, SO_OOBINLINE, &inline_too, sizeof inline_too);
	LOOP_UNTIL(&r.w, (in = drain_pattern(r.peer, in)) == out); /* stops at the mark */
	LOOP_UNTIL(&r.w, sockatmark(r.peer));
	LOOP_UNTIL(&r.w, recv(r.peer, p, 1, 0) == 1 && p[0] == 'U');
	LOOP_UNTIL(&r.w, recv(r.peer, p, 1, 0) == 1 && p[0] == 'x');
	rig_end(&r);
}

static void
test_urgent_in_stays_in_line(void **state)
{
	struct rig r;
	setup(&r, state);
	char p[16] = {0};
	size_t n = 0;
	assert_int_equal(send(r.peer, "ab", 2, 0), 2);
	assert_int_equal(send(r.peer, "U", 1, MSG_OOB), 1);
	assert_int_equal(send(r.peer, "cd", 2, 0), 2);
	uint64_t end = worker_now(&r.w) + 3000;
	while (n < 5 && worker_now(&r.w) < end) {
		ssize_t k = peek(&r, (uint32_t)n, p + n, sizeof p - n);
		n += k > 0 ? (size_t)k : 0;
		loop_turn(&r.w);
	}
	assert_string_equal(p, "abUcd");
	expect_peek(&r, 1, "b");
	conn_discard(&r.a.c, 3);
	expect_peek(&r, 0, "cd");
	rig_end(&r);
}

/* --- failures --------------------------------------------------------------------------------- */

static void
test_refused(void **state)
{
	struct rig r;
	struct way *way = *state;
	struct endpoint at = loop_closed_port(way->family, SOCK_STREAM);
	rig_start(&r, way, NULL);
	int rc = conn_open(&r.net, &r.a.c, &at, 0);
	if (rc == 0) {
		LOOP_UNTIL(&r.w, r.a.failed);
		rc = -r.a.err;
	}
	assert_int_equal(rc, -ECONNREFUSED);
	assert_int_equal(r.a.opened, 0);
	rig_end(&r);
}

static void
open_black_hole(struct rig *r, int *listener, int filler[8], struct endpoint *at)
{
	struct sockaddr_storage ss;
	*listener = loop_listen(r->way.family, 0, at);
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	for (int i = 0; i < 8; i++) {
		filler[i] = socket(r->way.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(filler[i], (struct sockaddr *)&ss, len);
	}
}

static void
test_timeout(void **state)
{
	static const uint32_t patience[] = {0, 40};
	for (int i = 0; i < 2; i++) {
		struct rig r;
		struct conn_conf conf = conf_for(*state);
		struct endpoint at;
		int l, filler[8];
		conf.connect_ms = patience[i];
		rig_start(&r, *state, &conf);
		open_black_hole(&r, &l, filler, &at);
		uint64_t start = worker_now(&r.w);
		assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0), 0);
		LOOP_UNTIL(&r.w, r.a.failed);
		assert_int_equal(r.a.err, ETIMEDOUT);
		assert_true(worker_now(&r.w) - start >= patience[i]);
		assert_true(worker_now(&r.w) - start < patience[i] + 500);
		for (int k = 0; k < 8; k++)
			close(filler[k]);
		close(l);
		rig_end(&r);
	}
}

static void
test_close_while_connecting(void **state)
{
	struct rig r;
	struct endpoint at;
	int l, filler[8];
	rig_start(&r, *state, NULL);
	open_black_hole(&r, &l, filler, &at);
	assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0), 0);
	assert_int_equal(put(&r, "early", 5, false), 0);
	conn_free(&r.a.c, false);
	conn_free(&r.a.c, true);
	loop_for(&r.w, 10);
	assert_int_equal(r.a.opened + r.a.failed, 0);
	for (int k = 0; k < 8; k++)
		close(filler[k]);
	close(l);
	rig_end(&r);
}

static void
test_reset_by_peer(void **state)
{
	struct rig r;
	setup(&r, state);
	char p[4];
	struct linger now = {1, 0};
	setsockopt(r.peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(r.peer);
	r.peer = -1;
	LOOP_UNTIL(&r.w, r.a.failed == 1);
	assert_int_equal(r.a.err, ECONNRESET);
	assert_int_equal(peek(&r, 0, p, 4), -EPIPE);
	assert_int_equal(put(&r, "x", 1, false), -EPIPE);
	loop_for(&r.w, 5);
	assert_int_equal(r.a.failed, 1);
	rig_end(&r);
}

static void
test_abort_resets_the_peer(void **state)
{
	struct rig r;
	setup(&r, state);
	char p[16];
	assert_int_equal(put(&r, "partial", 7, false), 0);
	LOOP_UNTIL(&r.w, recv(r.peer, p, 16, 0) == 7);
	conn_free(&r.a.c, true);
	ssize_t n = -1;
	LOOP_UNTIL(&r.w, (n = recv(r.peer, p, 16, 0)) == 0 || errno != EAGAIN);
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	rig_end(&r);
}

static void
test_free_inside_callbacks(void **state)
{
	for (const char *where = "ofrw"; *where; where++) {
		struct rig r;
		struct endpoint at;
		rig_start(&r, *state, NULL);
		int l = loop_listen(r.way.family, 4, &at);
		if (*where == 'o') /* everything that could follow is there already */
			r.a.free_in = 'o';
		assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0), 0);
		r.peer = accept(l, NULL, NULL);
		close(l);
		assert_int_equal(send(r.peer, "data", 4, 0), 4);
		if (*where == 'o')
			assert_int_equal(put(&r, "early", 5, false), 0);
		if (*where == 'w') {
			assert_true(conn_room(&r.a.c) > 0);
			r.a.free_in = 'w';
		}
		LOOP_UNTIL(&r.w, r.a.opened);
		if (*where == 'r' || *where == 'f')
			r.a.free_in = *where;
		if (*where == 'r')
			assert_int_equal(send(r.peer, "more", 4, 0), 4);
		if (*where == 'f') {
			struct linger now = {1, 0};
			setsockopt(r.peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
			close(r.peer);
			r.peer = -1;
		}
		LOOP_UNTIL(&r.w, ((uint8_t *)&r.a.c)[0] == 0xa5);
		int seen = r.a.opened + r.a.failed + r.a.readable + r.a.writable;
		loop_for(&r.w, 5);
		assert_int_equal(r.a.opened + r.a.failed + r.a.readable + r.a.writable, seen);
		r.a.free_in = -1;
		rig_end(&r);
	}
}

static void
test_options(void **state)
{
	struct rig r;
	struct conn_conf conf = conf_for(*state);
	conf.recv_max = 32768;
	rig_start(&r, *state, &conf);
	struct endpoint at;
	int l = loop_listen(r.way.family, 4, &at), v = 0;
	socklen_t len = sizeof v;
	assert_int_equal(conn_open(&r.net, &r.a.c, &at, 0xb8), 0);
	int fd = r.a.c.poll.fd;
	if (r.way.family == AF_INET)
		assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_TOS, &v, &len), 0);
	else
		assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &v, &len), 0);
	assert_int_equal(v, 0xb8);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &len), 0);
	assert_int_equal(v, 1);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &v, &len), 0);
	assert_int_equal(v, 32768);
	conn_keepalive(&r.a.c, 75);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &v, &len), 0);
	assert_int_equal(v, 1);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &v, &len), 0);
	assert_int_equal(v, 75);
	close(l);
	rig_end(&r);
}

static void
test_many(void **state)
{
	enum { N = 300 };
	struct rig r;
	struct endpoint at;
	rig_start(&r, *state, NULL);
	struct side *s = calloc(N, sizeof *s);
	int peer[N], l = loop_listen(r.way.family, N, &at), opened = 0, failed = 0;
	for (int i = 0; i < N; i++)
		assert_int_equal(conn_open(&r.net, &s[i].c, &at, 0), 0);
	for (int i = 0; i < N; i++)
		peer[i] = accept(l, NULL, NULL);
	LOOP_UNTIL(&r.w, (opened = 0, ({
		for (int i = 0; i < N; i++)
			opened += s[i].opened;
	}),
	                         opened == N));
	for (int i = 0; i < N; i += 2)
		conn_free(&s[i].c, true);
	for (int i = 0; i < N; i++)
		close(peer[i]);
	loop_for(&r.w, 20);
	for (int i = 1; i < N; i += 2) {
		failed += s[i].failed;
		assert_true(s[i].readable > 0);
		conn_free(&s[i].c, false);
	}
	assert_int_equal(failed, 0);
	close(l);
	free(s);
	rig_end(&r);
}

#define EVERY_TEST(X)                           \
	X(test_peek_again_and_discard)          \
	X(test_the_end_is_where_it_is)          \
	X(test_scattered_peek)                  \
	X(test_random_walk_through_a_download)  \
	X(test_reading_less_is_bounded)         \
	X(test_promised_room_is_kept)           \
	X(test_shutdown_waits_for_the_overflow) \
	X(test_shutdown_before_connected)       \
	X(test_graceful_free_delivers_the_rest) \
	X(test_lingering_ends)                  \
	X(test_the_oldest_lingers_no_more)      \
	X(test_no_descriptor_for_a_guest)       \
	X(test_lingering_ends_with_the_worker)  \
	X(test_exhausted_pool)                  \
	X(test_more_than_promised_is_refused)   \
	X(test_urgent_out)                      \
	X(test_urgent_through_the_overflow)     \
	X(test_urgent_in_stays_in_line)         \
	X(test_refused)                         \
	X(test_timeout)                         \
	X(test_close_while_connecting)          \
	X(test_reset_by_peer)                   \
	X(test_abort_resets_the_peer)           \
	X(test_free_inside_callbacks)           \
	X(test_options)                         \
	X(test_many)

#define WITH_0(t) cmocka_unit_test_prestate(t, (void *)&way[0]),
#define WITH_1(t) cmocka_unit_test_prestate(t, (void *)&way[1]),
#define WITH_2(t) cmocka_unit_test_prestate(t, (void *)&way[2]),
#define WITH_3(t) cmocka_unit_test_prestate(t, (void *)&way[3]),

int
main(void)
{
	static const struct way way[] = {
	        {AF_INET, true}, {AF_INET, false}, {AF_INET6, true}, {AF_INET6, false}};
	const struct CMUnitTest tests[] = {
	        EVERY_TEST(WITH_0) EVERY_TEST(WITH_1) EVERY_TEST(WITH_2) EVERY_TEST(WITH_3)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
