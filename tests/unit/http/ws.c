#include "rig.h"

#include "base/buf.h"
#include "http/hconn.h"

#include <malloc.h>

struct end { /* the server's side */
	struct ws ws;
	struct buf log; /* what was called, in order */
	size_t pulled, pull_most, frame;
	size_t messages, bytes;
	bool quiet, echo, endless;
	void (*on_message)(struct end *e);
	struct req *later;
	int n_closed;
	uint16_t code;
};

static struct rig rig;
static struct end end;
static char key[] = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

static struct end *
of(struct ws *ws)
{
	assert_ptr_equal(ws, &end.ws);
	assert_int_equal(end.n_closed, 0);
	return &end;
}

static void
on_message(struct ws *ws, struct span s, bool text)
{
	struct end *e = of(ws);
	e->messages++;
	e->bytes += s.n;
	if (!e->quiet)
		buf_addf(&e->log, "%c(%.*s)", text ? 'T' : 'B', (int)(s.n < 40 ? s.n : 40), s.p);
	if (e->echo)
		assert_int_equal(ws_send(ws, text ? WS_TEXT : WS_BINARY, s), 0);
	if (e->on_message)
		e->on_message(e);
}

static void
on_control(struct ws *ws, bool ping, struct span s)
{
	struct end *e = of(ws);
	if (!e->quiet)
		buf_addf(&e->log, "%s(%.*s)", ping ? "ping" : "pong", (int)s.n, s.p);
}

static void
on_batch_end(struct ws *ws)
{
	struct end *e = of(ws);
	if (!e->quiet)
		buf_addc(&e->log, ';');
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	struct end *e = of(ws);
	assert_false(out->masked);
	assert_true(out->n < out->budget);
	assert_true(out->cap - out->budget >= 64 << 10);
	while (out->n < out->budget && (e->endless || e->pulled < e->pull_most)) {
		out->n += wsframe_put_head(out->p + out->n, WS_BINARY, e->frame, NULL);
		memset(out->p + out->n, 'p', e->frame);
		out->n += e->frame;
		e->pulled++;
	}
	return e->endless || e->pulled < e->pull_most;
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	struct end *e = of(ws);
	e->n_closed++;
	e->code = code;
	buf_addf(&e->log, "closed(%u %.*s)", code, (int)reason.n,
	        reason.n ? (const char *)reason.p : "");
}

static const struct ws_ops ops = {
        .message = on_message,
        .control = on_control,
        .batch_end = on_batch_end,
        .pull = on_pull,
        .closed = on_closed,
};

static void
upgrade(struct req *r, void *user)
{
	const char *body;
	int status = req_ws_check(r, &body);
	(void)user;
	if (status) {
		req_reply(r, status, NULL, "", span_str(body));
		return;
	}
	assert_null(end.ws.conn);
	req_upgrade(r, &end.ws, &ops, "sub-v1", 1000, 64 << 10);
	assert_string_equal(buf_str(&end.log), "");
}

static void
upgrade_later(struct req *r, void *user)
{
	(void)user;
	end.later = r;
}

static const struct route routes[] = {
        {"/ws", METHOD_GET | METHOD_HEAD, upgrade},
        {"/later", METHOD_GET, upgrade_later},
        {0},
};

static int
up(void **state)
{
	(void)state;
	end = (struct end){.frame = 1000};
	buf_init(&end.log, 1 << 20);
	rig_open(&rig, &rig_conf, routes, NULL);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	rig_close(&rig);
	buf_fini(&end.log);
	return 0;
}

/* --- the client's side ------------------------------------------------------------------------ */

static size_t
put(uint8_t *p, uint8_t first, const void *payload, size_t n)
{
	static const uint8_t mask[4] = {1, 2, 3, 4};
	size_t h = wsframe_put_head(p, WS_BINARY, n, mask);
	p[0] = first;
	memcpy(p + h, payload, n);
	wsframe_mask(p + h, n, mask, 0);
	return h + n;
}

static void
frame(int fd, uint8_t first, const char *text)
{
	uint8_t b[4096];
	rig_send(&rig, fd, b, put(b, first, text, strlen(text)));
}

static void
ask(int fd, const char *path)
{
	char head[400];
	snprintf(head, sizeof head,
	        "GET %s HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
	        "Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
	        path, key);
	rig_say(&rig, fd, head);
}

static int
dial(int rcvbuf)
{
	int fd = rig_connect(&rig, rcvbuf);
	ask(fd, "/ws");
	rig_answer(&rig, fd, true);
	assert_int_equal(rig_status(&rig), 101);
	assert_non_null(end.ws.conn);
	return fd;
}

#define LOG(text) RIG_UNTIL(&rig, !strcmp(buf_str(&end.log), text))

static void
bytes_are(const char *want, size_t n)
{
	assert_int_equal(rig.n, n);
	assert_memory_equal(rig.got, want, n);
}

/* --- the handshake ---------------------------------------------------------------------------- */

static void
checks(void **state)
{
	(void)state;
	static const struct {
		const char *request;
		int status;
		const char *body;
	} all[] = {
	        {"HEAD /ws HTTP/1.1\r\n\r\n", 405, NULL},
	        {"POST /ws HTTP/1.1\r\n\r\n", 405, NULL},
	        {"GET /ws HTTP/1.1\r\n\r\n", 400, "Connection header did not include 'upgrade'"},
	        {"GET /ws HTTP/1.1\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n", 400,
	                "Connection header did not include 'upgrade'"},
	        {"GET /ws HTTP/1.1\r\nConnection: UPGRADE\r\n\r\n", 400,
	                "`Upgrade` header did not include 'websocket'"},
	        {"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 400,
	                "`Upgrade` header did not include 'websocket'"},
	        {"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n", 400,
	                "`Sec-WebSocket-Version` header did not include '13'"},
	        {"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Version: 8\r\n\r\n",
	                400, "`Sec-WebSocket-Version` header did not include '13'"},
	        {"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Version: 13\r\n\r\n",
	                400, "`Sec-WebSocket-Key` header missing"},
	        {"GET /ws HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n\r\n",
	                426, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		int fd = rig_connect(&rig, 0);
		rig_say(&rig, fd, all[i].request);
		rig_answer(&rig, fd, i == 0);
		assert_int_equal(rig_status(&rig), all[i].status);
		if (all[i].body)
			assert_string_equal(strstr((char *)rig.got, "\r\n\r\n") + 4, all[i].body);
		close(fd);
	}
}

static void
answer(void **state)
{
	(void)state;
	int fd = dial(0);
	bytes_are(
	        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	        "Sec-WebSocket-Protocol: sub-v1\r\n\r\n",
	        161);
	close(fd);
	LOG("closed(1006 )");
}

/* Frames in the same segment as the request are kept, whether the answer comes now or later. */
static void
early_data(void **state)
{
	(void)state;
	uint8_t b[64];
	size_t n = put(b, 0x82, "one", 3);
	n += put(b + n, 0x81, "two", 3);
	for (int late = 0; late < 2; late++) {
		int fd = rig_connect(&rig, 0);
		int cork = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
		ask(fd, late ? "/later" : "/ws");
		rig_send(&rig, fd, b, n);
		cork = 0;
		setsockopt(fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
		if (late) {
			RIG_UNTIL(&rig, end.later);
			rig_spin(&rig, 5);
			frame(fd, 0x82, "three");
			rig_spin(&rig, 5);
			upgrade(end.later, NULL);
			ws_pause(&end.ws); /* what was read is delivered nevertheless */
			LOG("B(one)T(two);");
			ws_resume(&end.ws);
			LOG("B(one)T(two);B(three);");
		} else {
			LOG("B(one)T(two);");
		}
		close(fd);
		RIG_UNTIL(&rig, end.n_closed);
		end.n_closed = 0;
		buf_clear(&end.log);
	}
}

static void
lost_between_answer_and_early_data(void **state)
{
	(void)state;
	int fd = rig_connect(&rig, 0);
	ask(fd, "/later");
	frame(fd, 0x82, "never");
	RIG_UNTIL(&rig, end.later);
	rig_spin(&rig, 10);
	upgrade(end.later, NULL);
	ws_drop(&end.ws);
	LOG("closed(1006 )");
	close(fd);
}

/* --- messages --------------------------------------------------------------------------------- */

static void
fragments_and_cuts(void **state)
{
	(void)state;
	uint8_t b[256];
	size_t n = put(b, 0x01, "he", 2);
	n += put(b + n, 0x89, "P", 1);
	n += put(b + n, 0x00, "l", 1);
	n += put(b + n, 0x80, "lo", 2);
	n += put(b + n, 0x82, "", 0);
	int fd = dial(0);
	rig_send(&rig, fd, b, n);
	LOG("ping(P)T(hello)B();");
	buf_clear(&end.log);
	for (size_t i = 0; i < n; i++) {
		rig_send(&rig, fd, b + i, 1);
		rig_spin(&rig, 2);
	}
	LOG("ping(P)T(hello);B();");
	rig_read(&rig, fd, 6);
	bytes_are("\x8a\x01P\x8a\x01P", 6);
	close(fd);
}

static void
sent_goes_before_pulled(void **state)
{
	(void)state;
	int fd = dial(0);
	end.pull_most = 2;
	end.frame = 3;
	ws_want(&end.ws);
	assert_int_equal(ws_send(&end.ws, WS_TEXT, SPAN_LIT("first")), 0);
	rig_read(&rig, fd, 7 + 10);
	bytes_are("\x81\x05"
	          "first\x82\x03ppp\x82\x03ppp",
	        17);
	end.echo = true;
	frame(fd, 0x81, "echo");
	rig_read(&rig, fd, 6);
	bytes_are("\x81\x04"
	          "echo",
	        6);
	close(fd);
}

static void
sending_is_bounded(void **state)
{
	(void)state;
	static uint8_t big[200000];
	int fd = dial(0);
	assert_int_equal(ws_send(&end.ws, WS_BINARY, span(big, sizeof big)), 0);
	assert_int_equal(ws_send(&end.ws, WS_BINARY, span(big, 1)), -ENOBUFS);
	rig_read(&rig, fd, sizeof big + 10);
	assert_int_equal(rig.n, sizeof big + 10);
	int r = 0;
	size_t n = 0;
	for (; !r; n += 1000)
		r = ws_send(&end.ws, WS_BINARY, span(big, 1000));
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(n, 64 << 10, 66 << 10);
	close(fd);
}

/* --- pace ------------------------------------------------------------------------------------- */

static size_t
heap(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

/* The peer does not read: what is pulled stops at about unsent_max beyond what its window took,
 * nothing piles up here, the loop sleeps, and what it sends still arrives. */
static void
stalled_reader(void **state)
{
	(void)state;
	int fd = dial(4096);
	size_t before = heap();
	end.endless = true;
	ws_want(&end.ws);
	rig_spin(&rig, 50);
	size_t pulled = end.pulled;
	assert_in_range(pulled * 1000, 30 << 10, 200 << 10);
	assert_true(heap() - before < 300 << 10);
	for (int i = 0; i < 5; i++) {
		frame(fd, 0x82, "still heard");
		ws_want(&end.ws);
	}
	RIG_UNTIL(&rig, end.messages == 5);
	rig_spin(&rig, 20);
	assert_in_range(end.pulled, pulled, pulled + 20); /* its window may open a little */
	assert_false(end.ws.conn->paused);
	uint32_t unacked, rtt;
	ws_stat(&end.ws, &unacked, &rtt);
	assert_in_range(unacked, 30 << 10, 200 << 10);
	/* it reads again, and all comes in order */
	size_t got = 0, at = 0;
	while (got < 3000000) {
		rig.n = 0;
		assert_true(rig_take(&rig, fd));
		for (size_t i = 0; i < rig.n; i++, at = (at + 1) % 1004)
			assert_int_equal(rig.got[i], at >= 4 ? 'p' : "\x82\x7e\x03\xe8"[at] & 0xff);
		got += rig.n;
	}
	close(fd);
	RIG_UNTIL(&rig, end.n_closed);
}

/* A loop that waits must really wait: no turns without an event. */
static void
stalled_loop_sleeps(void **state)
{
	(void)state;
	int fd = dial(4096);
	end.endless = true;
	ws_want(&end.ws);
	rig_spin(&rig, 30);
	frame(fd, 0x82, "x");
	rig_spin(&rig, 10);
	int turns = 0;
	uv_update_time(&rig.w.loop);
	uint64_t stop = uv_now(&rig.w.loop) + 100;
	while (uv_now(&rig.w.loop) < stop) {
		int ms = uv_backend_timeout(&rig.w.loop);
		struct pollfd p = {uv_backend_fd(&rig.w.loop), POLLIN, 0};
		if (ms != 0)
			poll(&p, 1, ms < 0 || ms > 20 ? 20 : ms);
		rig_turn(&rig);
		turns++;
	}
	assert_true(turns < 40);
	close(fd);
}

static void
ping_flood_without_reading(void **state)
{
	(void)state;
	uint8_t b[65536];
	size_t before, n = 0;
	int fd = dial(4096);
	end.quiet = true;
	end.endless = true; /* so that pongs find no room */
	ws_want(&end.ws);
	rig_spin(&rig, 30);
	before = heap();
	for (int i = 0; i < 5000; i++) {
		char text[12];
		snprintf(text, sizeof text, "%08d", i);
		n += put(b + n, 0x89, text, 8);
		if (n > sizeof b - 100 || i == 4999) {
			rig_send(&rig, fd, b, n);
			n = 0;
		}
	}
	rig_spin(&rig, 30);
	assert_true(hconn_queued(end.ws.conn) < 17 << 10);
	assert_true(heap() - before < 100 << 10);
	end.endless = false;
	while (!memmem(rig.got, rig.n, "00004999", 8)) {
		rig.n = 0;
		assert_true(rig_take(&rig, fd));
	}
	close(fd);
}

static void
pause_and_resume(void **state)
{
	(void)state;
	int fd = dial(0);
	ws_pause(&end.ws);
	frame(fd, 0x82, "held");
	rig_spin(&rig, 20);
	assert_string_equal(buf_str(&end.log), "");
	ws_resume(&end.ws);
	LOG("B(held);");
	close(fd);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void
peer_closes(void **state)
{
	(void)state;
	int fd = dial(0);
	end.pull_most = 1000;
	frame(fd, 0x88,
	        "\x03\xe8"
	        "bye");
	assert_true(rig_read_end(&rig, fd));
	bytes_are("\x88\x02\x03\xe8", 4);
	assert_int_equal(end.n_closed, 0); /* its FIN is missing */
	close(fd);
	LOG("closed(1000 bye)");
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
}

static void
peer_closes_without_a_code(void **state)
{
	(void)state;
	int fd = dial(0);
	frame(fd, 0x88, "");
	assert_true(rig_read_end(&rig, fd));
	bytes_are("\x88\x00", 2);
	LOG("closed(1005 )"); /* FIN or not: a second is enough */
	close(fd);
}

static void
we_close(void **state)
{
	(void)state;
	int fd = dial(0);
	end.pull_most = 10;
	ws_want(&end.ws);
	assert_int_equal(ws_send(&end.ws, WS_BINARY, SPAN_LIT("last")), 0);
	ws_close(&end.ws, 1008, "idle timeout", 1000);
	ws_close(&end.ws, 1000, "again", 1000);
	assert_int_equal(ws_send(&end.ws, WS_BINARY, SPAN_LIT("more")), -EPIPE);
	frame(fd, 0x82, "not heard");
	rig_read(&rig, fd, 22);
	bytes_are("\x82\x04last\x88\x0e\x03\xf0idle timeout", 22);
	frame(fd, 0x88, "\x03\xf0");
	assert_true(rig_read_end(&rig, fd));
	assert_int_equal(rig.n, 0);
	close(fd);
	LOG("closed(1008 idle timeout)");
}

/* A peer that never answers Close and goes on sending. */
static void
we_close_and_are_ignored(void **state)
{
	(void)state;
	int fd = dial(0);
	ws_pause(&end.ws); /* closing reads again by itself */
	ws_close(&end.ws, 1001, "", 50);
	uv_update_time(&rig.w.loop);
	uint64_t t0 = uv_now(&rig.w.loop);
	for (int i = 0; i < 30; i++) {
		frame(fd, 0x82, "not heard");
		rig_spin(&rig, 5);
	}
	assert_true(rig_read_end(&rig, fd));
	bytes_are("\x88\x02\x03\xe9", 4);
	RIG_UNTIL(&rig, end.n_closed);
	assert_in_range(uv_now(&rig.w.loop) - t0, 1000, 3000);
	LOG("closed(1001 )");
	close(fd);
}

static void
violations(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		uint16_t code;
	} all[] = {
	        {"\x82\x01x", 3, 1002},                /* no mask */
	        {"\xc2\x80\0\0\0\0", 6, 1002},         /* RSV */
	        {"\x83\x80\0\0\0\0", 6, 1002},         /* opcode */
	        {"\x80\x80\0\0\0\0", 6, 1002},         /* continues nothing */
	        {"\x09\x80\0\0\0\0", 6, 1002},         /* control in pieces */
	        {"\x89\xfe", 2, 1002},                 /* control too long */
	        {"\x82\xfe\0\x01\0\0\0\0x", 9, 1002},  /* length too long */
	        {"\x81\x81\0\0\0\0\xff", 7, 1007},     /* UTF-8 */
	        {"\x88\x81\0\0\0\0x", 7, 1002},        /* half a code */
	        {"\x88\x82\0\0\0\0\x03\xed", 8, 1002}, /* 1005 on the wire */
	        {"\x82\xfe\x03\xe9\0\0\0\0", 8, 1009}, /* 1001 bytes */
	};
	static uint8_t junk[300000];
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		int fd = dial(0);
		rig_send(&rig, fd, all[i].bytes, all[i].n);
		rig_send(&rig, fd, junk, sizeof junk); /* must not cost the peer our Close */
		assert_true(rig_read_end(&rig, fd));
		uint8_t want[] = {0x88, 2, (uint8_t)(all[i].code >> 8), (uint8_t)all[i].code};
		bytes_are((char *)want, 4);
		close(fd);
		RIG_UNTIL(&rig, end.n_closed);
		assert_int_equal(end.code, all[i].code);
		end.n_closed = 0;
		buf_clear(&end.log);
	}
}

static void
close_inside(struct end *e)
{
	ws_close(&e->ws, 1008, "", 10);
}

static void
drop_inside(struct end *e)
{
	ws_drop(&e->ws);
	ws_drop(&e->ws);
	ws_want(&e->ws);
}

static void
end_inside_a_callback(void **state)
{
	(void)state;
	for (int drop = 0; drop < 2; drop++) {
		uint8_t b[64];
		size_t n = put(b, 0x82, "1", 1);
		n += put(b + n, 0x82, "2", 1);
		int fd = dial(0);
		end.on_message = drop ? drop_inside : close_inside;
		rig_send(&rig, fd, b, n);
		close(fd);
		LOG(drop ? "B(1)closed(1006 )" : "B(1)closed(1008 )");
		buf_clear(&end.log);
		end.n_closed = 0;
	}
}

static void
connection_lost(void **state)
{
	(void)state;
	int fd = dial(0);
	struct linger hard = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fd);
	LOG("closed(1006 )");
	assert_null(end.ws.conn);
	ws_want(&end.ws);
	ws_close(&end.ws, 1000, "", 0);
	ws_drop(&end.ws);
	assert_int_equal(ws_send(&end.ws, WS_TEXT, SPAN_NONE), -EPIPE);
}

static void
on_drained(void *user)
{
	*(bool *)user = true;
}

static void
draining_waits_for_owners(void **state)
{
	(void)state;
	bool done = false;
	int fd = dial(0);
	server_drain(rig.s, on_drained, &done);
	rig_spin(&rig, 20);
	assert_false(done);
	ws_close(&end.ws, 1001, "shutting down", 100);
	rig_read(&rig, fd, 17);
	frame(fd, 0x88, "\x03\xe9");
	close(fd);
	RIG_UNTIL(&rig, done);
	assert_int_equal(end.n_closed, 1);
}

static void
free_drops(void **state)
{
	(void)state;
	int fd = dial(4096);
	end.endless = true;
	ws_want(&end.ws);
	rig_spin(&rig, 20);
	server_free(rig.s);
	rig.s = NULL;
	assert_string_equal(buf_str(&end.log), "closed(1006 )");
	close(fd);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
	        T(checks),
	        T(answer),
	        T(early_data),
	        T(lost_between_answer_and_early_data),
	        T(fragments_and_cuts),
	        T(sent_goes_before_pulled),
	        T(sending_is_bounded),
	        T(stalled_reader),
	        T(stalled_loop_sleeps),
	        T(ping_flood_without_reading),
	        T(pause_and_resume),
	        T(peer_closes),
	        T(peer_closes_without_a_code),
	        T(we_close),
	        T(we_close_and_are_ignored),
	        T(violations),
	        T(end_inside_a_callback),
	        T(connection_lost),
	        T(draining_waits_for_owners),
	        T(free_drops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
