#include "rig.h"

#include <malloc.h>

static struct req *waiting; /* what /later has not answered yet */
static int gone;

static void
hello(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 200, "text/plain; charset=utf-8", "", SPAN_LIT("hello"));
}

static void
echo(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 200, NULL, "X-Extra: 1\r\n", req_body(r));
}

static void
on_gone(struct req *r)
{
	assert_ptr_equal(r, waiting);
	waiting = NULL;
	gone++;
}

static void
later(struct req *r, void *user)
{
	(void)user;
	waiting = r;
	req_on_gone(r, on_gone);
}

static void
big(struct req *r, void *user)
{
	(void)user;
	static uint8_t zeros[300000];
	req_reply(r, 200, NULL, "", span(zeros, sizeof zeros));
}

static void
show(struct req *r, void *user)
{
	char out[512];
	struct span q = req_query(r), h = req_header(r, "x-a", 1), name, value;
	unsigned n = 0;
	while (req_header_at(r, n, &name, &value))
		n++;
	assert_ptr_equal(user, req_user(r));
	int k = snprintf(out, sizeof out, "%u|%.*s|%.*s|%d|%.*s|%u", req_method(r),
	        (int)req_path(r).n, req_path(r).p, (int)q.n, q.p ? (const char *)q.p : "",
	        q.p != NULL, (int)h.n, h.p ? (const char *)h.p : "", n);
	req_reply(r, 200, NULL, "", span(out, (size_t)k));
}

static const struct route routes[] = {
        {"/", METHOD_GET | METHOD_HEAD, hello},
        {"/echo", METHOD_POST, echo},
        {"/later", METHOD_GET, later},
        {"/big", METHOD_GET, big},
        {"/show", METHOD_GET | METHOD_OPTIONS, show},
        {0},
};

static struct rig rig;

static int
up(void **state)
{
	(void)state;
	waiting = NULL;
	gone = 0;
	rig_open(&rig, &rig_conf, routes, &rig);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

struct shot {
	const char *request;
	int status;
	const char *has;
	bool stays;
};

#define H "Host: a\r\n"

static const struct shot shots[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", 200, "\r\n\r\nhello", true},
        {"GET / HTTP/1.1\r\n\r\n", 200, "hello", true},
        {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 200, "hello", true},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", 200, "Connection: close\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n", 200, "Connection: close\r\n",
                false},
        {"GET / HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "Connection: keep-alive\r\n",
                true},
        {"GET http://b.c/?q HTTP/1.1\r\n" H "\r\n", 200, "hello", true},
        {"GET https://[::1]:80 HTTP/1.1\r\n" H "\r\n", 200, "hello", true},
        {"GET /nope HTTP/1.1\r\n" H "\r\n", 404, "Content-Length: 0\r\n", true},
        {"BREW /nope HTTP/1.1\r\n" H "\r\n", 404, NULL, true},
        {"DELETE / HTTP/1.1\r\n" H "\r\n", 405, "Allow: GET,HEAD\r\n", true},
        {"BREW / HTTP/1.1\r\n" H "\r\n", 405, "Allow: GET,HEAD\r\n", true},
        {"GET /echo HTTP/1.1\r\n" H "\r\n", 405, "Allow: POST\r\n", true},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 405, "Connection: close\r\n",
                false},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 404, NULL, true},
        {"OPTIONS /show HTTP/1.1\r\n" H "\r\n", 200, "8|/show||0||1", true},
        {"GET /show?a=b%20?c HTTP/1.1\r\nX-A: 1\r\nx-a: \t 2 \t\r\n\r\n", 200,
                "1|/show|a=b%20?c|1|2|2", true},
        {"GET /show? HTTP/1.1\r\n\r\n", 200, "1|/show||1||0", true},
        {"GET /a%2fb HTTP/1.1\r\n" H "\r\n", 404, NULL, true},
        {"POST /echo HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 200, "X-Extra: 1\r\n\r\nabc",
                true},
        {"POST /echo HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 200, "X-Extra: 1\r\n\r\n", true},
        {"POST /echo HTTP/1.1\r\n" H "\r\n", 200, "X-Extra: 1\r\n\r\n", true},
        {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
         "2;x=\"y\"\r\nab\r\n01\r\nc\r\n0\r\nTrailer: t\r\n\r\n",
                200, "\r\n\r\nabc", true},
        {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200, NULL,
                true},
        /* what is wrong */
        {"GET / HTTP/1.1\n" H "\r\n", 400, "Connection: close\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\n: a\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\nX: a\x01\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\nnocolon\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400, NULL, false},
        {"GET  / HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET /  HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.1 \r\n\r\n", 400, NULL, false},
        {"GET /\x80 HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET /#f HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET * HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET a HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET ftp://a/ HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET http://u@a/ HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"CONNECT a:80 HTTP/1.1\r\n\r\n", 400, NULL, false},
        {"GET /\r\n\r\n", 400, NULL, false},
        {"GET / HTTX/1.1\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/1.11\r\n\r\n", 400, NULL, false},
        {"GET / HTTP/2.0\r\n\r\n", 505, NULL, false},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, NULL, false},
        {"\x16\x03\x01\x02", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, NULL,
                false},
        {"POST /echo HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: 0x3\r\n\r\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length:\r\n\r\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
                NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                501, NULL, false},
        {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\rXabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400, NULL, false},
        {"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400,
                NULL, false},
        {"POST /echo HTTP/1.1\r\nExpect: magic\r\nContent-Length: 3\r\n\r\n", 417, NULL, false},
};

/* Each request whole, then again a byte at a time: the answer is the same. */
static void
matrix(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(shots); i++)
		for (int slow = 0; slow < 2; slow++) {
			const struct shot *s = &shots[i];
			int fd = rig_connect(&rig, 0);
			for (const char *p = s->request; slow && *p; p++)
				rig_send(&rig, fd, p, 1);
			if (!slow)
				rig_say(&rig, fd, s->request);
			rig_answer(&rig, fd, false);
			if (rig_status(&rig) != s->status || (s->has && !rig_has(&rig, s->has)))
				fail_msg("%s\n-> %s", s->request, rig.got);
			if (s->stays) {
				assert_false(rig_has(&rig, "Connection: close"));
				rig_say(&rig, fd, "GET / HTTP/1.1\r\n\r\n");
				rig_answer(&rig, fd, false);
				assert_int_equal(rig_status(&rig), 200);
			} else {
				assert_true(rig_has(&rig, "Connection: close\r\n"));
				assert_true(rig_read_end(&rig, fd));
			}
			close(fd);
		}
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
}

static void
answer_heads(void **state)
{
	(void)state;
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "HEAD / HTTP/1.1\r\n\r\n");
	rig_answer(&rig, fd, true);
	assert_int_equal(rig_status(&rig), 200);
	assert_true(rig_has(&rig, "Content-Length: 5\r\n"));
	assert_true(rig_has(&rig, "Content-Type: text/plain; charset=utf-8\r\n"));
	assert_true(rig_has(&rig, "\r\nDate: "));
	assert_true(rig_has(&rig, " GMT\r\n"));
	assert_false(rig_has(&rig, "Server"));
	assert_string_equal((char *)rig.got + rig.n - 4, "\r\n\r\n");
	close(fd);
}

static void
limits(void **state)
{
	(void)state;
	char long_text[8192];
	memset(long_text, 'a', sizeof long_text);
	long_text[sizeof long_text - 1] = 0;

	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET /");
	rig_send(&rig, fd, long_text, 1023);
	rig_say(&rig, fd, " HTTP/1.1\r\n\r\n");
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 404);
	rig_say(&rig, fd, "GET /");
	rig_send(&rig, fd, long_text, 1024);
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 414);
	assert_true(rig_read_end(&rig, fd));
	close(fd);

	fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET / HTTP/1.1\r\nX: ");
	rig_send(&rig, fd, long_text, 5000);
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 431);
	close(fd);

	fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 20; i++)
		rig_say(&rig, fd, "X: a\r\n");
	rig_say(&rig, fd, "\r\n");
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 200);
	rig_say(&rig, fd, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 21; i++)
		rig_say(&rig, fd, "X: a\r\n");
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 431);
	close(fd);

	fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
	rig_say(&rig, fd, "3e8\r\n");
	rig_send(&rig, fd, long_text, 1000);
	rig_say(&rig, fd, "\r\n1\r\na\r\n");
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 413);
	close(fd);
}

/* A client that pours a body in after 413 must get to read the 413. */
static void
last_words_arrive(void **state)
{
	(void)state;
	static uint8_t junk[500000];
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "POST /echo HTTP/1.1\r\nContent-Length: 500000\r\n\r\n");
	rig_send(&rig, fd, junk, sizeof junk);
	assert_true(rig_read_end(&rig, fd));
	assert_int_equal(rig_status(&rig), 413);
	close(fd);
}

static void
pipelining(void **state)
{
	(void)state;
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd,
	        "GET / HTTP/1.1\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy"
	        "GET /nope HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n"
	        "GET /never HTTP/1.1\r\n\r\n");
	assert_true(rig_read_end(&rig, fd));
	char *a = strstr((char *)rig.got, "hello");
	char *b = a ? strstr(a, "xy") : NULL;
	char *c = b ? strstr(b, "404") : NULL;
	assert_non_null(c ? strstr(c, "hello") : NULL);
	assert_null(strstr(c + 1, "404"));
	close(fd);
}

/* Requests behind one that has no answer yet wait for it. */
static void
pipelining_waits(void **state)
{
	(void)state;
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET /later HTTP/1.1\r\n\r\nGET / HT");
	RIG_UNTIL(&rig, waiting);
	rig_say(&rig, fd, "TP/1.1\r\n\r\nGET /nope HTTP/1.1\r\n\r\n");
	rig_spin(&rig, 20);
	assert_int_equal(recv(fd, rig.got, 1, 0), -1);
	req_reply(waiting, 200, NULL, "", SPAN_LIT("first"));
	rig_answer(&rig, fd, false);
	assert_true(rig_has(&rig, "first"));
	while (!rig_has(&rig, "404"))
		assert_true(rig_take(&rig, fd));
	char *a = strstr((char *)rig.got, "first");
	char *b = a ? strstr(a, "hello") : NULL;
	assert_non_null(b ? strstr(b, "404") : NULL);
	close(fd);
}

static size_t
heap(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

/* A peer that asks for a lot and reads nothing costs an answer or two and what the kernel holds. */
static void
unread_answers_are_bounded(void **state)
{
	(void)state;
	enum { N = 100 };
	int fd = rig_connect(&rig, 4096);
	size_t before = heap();
	for (int i = 0; i < N; i++)
		rig_say(&rig, fd, "GET /big HTTP/1.1\r\n\r\n");
	rig_spin(&rig, 20);
	assert_true(heap() - before < 1500000);
	size_t all = 0;
	while (all < N * 300000u) {
		rig.n = 0;
		assert_true(rig_take(&rig, fd));
		all += rig.n;
	}
	close(fd);
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
}

static void
too_much_behind_ends_it(void **state)
{
	(void)state;
	static char junk[20000];
	memset(junk, 'a', sizeof junk);
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET /later HTTP/1.1\r\n\r\n");
	rig_send(&rig, fd, junk, sizeof junk);
	RIG_UNTIL(&rig, waiting);
	rig_spin(&rig, 20);
	req_reply(waiting, 200, NULL, "", SPAN_NONE);
	assert_true(rig_read_end(&rig, fd));
	assert_int_equal(rig_status(&rig), 200);
	assert_true(rig_has(&rig, "Connection: close"));
	close(fd);
}

static void
client_goes_away(void **state)
{
	(void)state;
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET /later HTTP/1.1\r\n\r\n");
	RIG_UNTIL(&rig, waiting);
	close(fd);
	RIG_UNTIL(&rig, gone == 1);
	assert_null(waiting);
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
}

static void
expect_continue(void **state)
{
	(void)state;
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd,
	        "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n");
	rig_read(&rig, fd, 25);
	assert_string_equal((char *)rig.got, "HTTP/1.1 100 Continue\r\n\r\n");
	rig_say(&rig, fd, "abc");
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 200);
	rig_say(&rig, fd,
	        "POST /echo HTTP/1.1\r\nContent-Length: 3000\r\nExpect: 100-continue\r\n\r\n");
	rig_answer(&rig, fd, false);
	assert_int_equal(rig_status(&rig), 413);
	close(fd);
}

static void
with_conf(void (*change)(struct server_settings *c))
{
	struct err e;
	struct server_settings conf = rig_conf;
	change(&conf);
	server_free(rig.s);
	rig.s = server_new(rig.t, &conf, routes, &rig, &e);
	assert_non_null(rig.s);
}

static void
hurry(struct server_settings *c)
{
	c->head_ms = 60;
	c->body_ms = 60;
	c->idle_ms = 80;
}

static void
deadlines(void **state)
{
	(void)state;
	with_conf(hurry);
	int silent = rig_connect(&rig, 0), slow = rig_connect(&rig, 0);
	int body = rig_connect(&rig, 0), idle = rig_connect(&rig, 0), asked = rig_connect(&rig, 0);
	rig_say(&rig, body, "POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
	rig_say(&rig, idle, "GET / HTTP/1.1\r\n\r\n");
	rig_say(&rig, asked, "GET /later HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 15; i++) { /* a byte now and then does not help */
		send(slow, "G", 1, MSG_NOSIGNAL);
		send(body, "x", i < 9, MSG_NOSIGNAL);
		rig_spin(&rig, 10);
	}
	assert_true(rig_read_end(&rig, silent));
	assert_int_equal(rig.n, 0);
	rig_read_end(&rig, slow);
	assert_int_equal(rig_status(&rig), 408);
	assert_true(rig_has(&rig, "Connection: close"));
	rig_read_end(&rig, body);
	assert_int_equal(rig_status(&rig), 408);
	assert_true(rig_read_end(&rig, idle));
	assert_int_equal(rig_status(&rig), 200);
	assert_non_null(waiting); /* a handler may think as long as it likes */
	req_reply(waiting, 204, NULL, "", SPAN_NONE);
	rig_answer(&rig, asked, false);
	assert_int_equal(rig_status(&rig), 204);
	assert_false(rig_has(&rig, "Content-Length"));
	close(silent);
	close(slow);
	close(body);
	close(idle);
	close(asked);
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
}

static void
no_keep_alive(struct server_settings *c)
{
	c->idle_ms = 0;
}

static void
one_request_a_connection(void **state)
{
	(void)state;
	with_conf(no_keep_alive);
	int fd = rig_connect(&rig, 0);
	rig_say(&rig, fd, "GET / HTTP/1.1\r\n\r\n");
	assert_true(rig_read_end(&rig, fd));
	assert_true(rig_has(&rig, "Connection: close"));
	close(fd);
}

static void
on_drained(void *user)
{
	*(bool *)user = true;
}

static void
draining(void **state)
{
	(void)state;
	bool done = false;
	int idle = rig_connect(&rig, 0), asked = rig_connect(&rig, 0);
	rig_say(&rig, idle, "GET / HTTP/1.1\r\n\r\n");
	rig_answer(&rig, idle, false);
	rig_say(&rig, asked, "GET /later HTTP/1.1\r\n\r\n");
	RIG_UNTIL(&rig, waiting);
	server_drain(rig.s, on_drained, &done);
	assert_true(rig_read_end(&rig, idle));
	assert_false(done);
	int late = rig_connect(&rig, 0); /* adopted nevertheless: one polite answer */
	rig_say(&rig, late, "GET / HTTP/1.1\r\n\r\n");
	assert_true(rig_read_end(&rig, late));
	assert_int_equal(rig_status(&rig), 200);
	close(idle);
	close(late);
	req_reply(waiting, 200, NULL, "", SPAN_NONE);
	assert_true(rig_read_end(&rig, asked));
	assert_true(rig_has(&rig, "Connection: close"));
	assert_false(done);
	close(asked);
	RIG_UNTIL(&rig, done);
	assert_int_equal(server_connections(rig.s), 0);
}

static void
drained_at_once(void **state)
{
	(void)state;
	bool done = false;
	server_drain(rig.s, on_drained, &done);
	assert_false(done);
	RIG_UNTIL(&rig, done);
}

static void
not_a_socket(void **state)
{
	(void)state;
	assert_true(server_adopt(rig.s, -1) < 0);
	assert_int_equal(server_connections(rig.s), 0);
	rig_spin(&rig, 5);
}

/* rig_close demands that nothing is left. */
static void
free_with_everything_open(void **state)
{
	(void)state;
	int fd[6];
	for (int i = 0; i < 6; i++)
		fd[i] = rig_connect(&rig, i == 5 ? 4096 : 0);
	rig_say(&rig, fd[1], "GET / HT");
	rig_say(&rig, fd[2], "POST /echo HTTP/1.1\r\nContent-Length: 10\r\n\r\nab");
	rig_say(&rig, fd[3], "GET /later HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	rig_say(&rig, fd[4], "BAD\r\n");
	rig_say(&rig, fd[5], "GET /big HTTP/1.1\r\n\r\nGET /big HTTP/1.1\r\n\r\n");
	rig_spin(&rig, 20);
	assert_int_equal(server_connections(rig.s), 6);
	server_free(rig.s);
	rig.s = NULL;
	assert_int_equal(gone, 1);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
	        T(matrix),
	        T(answer_heads),
	        T(limits),
	        T(last_words_arrive),
	        T(pipelining),
	        T(pipelining_waits),
	        T(unread_answers_are_bounded),
	        T(too_much_behind_ends_it),
	        T(client_goes_away),
	        T(expect_continue),
	        T(deadlines),
	        T(one_request_a_connection),
	        T(draining),
	        T(drained_at_once),
	        T(not_a_socket),
	        T(free_with_everything_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
