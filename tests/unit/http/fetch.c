#include "rig.h"

#include "http/fetch.h"

static struct rig rig;

struct seen {
	int done;
};

static void
ok(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 200, "text/plain", "X-One: 1\r\nX-One: 2\r\n", SPAN_LIT("fine"));
}

static void
echo(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 201, NULL, "Set-Cookie: a=b\r\n", req_body(r));
}

static const struct route routes[] = {
        {"/ok", METHOD_GET | METHOD_HEAD, ok},
        {"/echo", METHOD_POST, echo},
        {NULL, 0, NULL},
};

static void
on_done(struct fetch *f, void *user)
{
	(void)f;
	((struct seen *)user)->done++;
}

static struct fetch *
start(struct seen *s, const char *method, const char *target, struct span body)
{
	struct fetch *f = NULL;
	struct fetch_req r = {
	        .to = {ip4(INADDR_LOOPBACK), ntohs(rig.at.sin_port)},
	        .method = method,
	        .host = "localhost",
	        .target = target,
	        .body = body,
	        .timeout_ms = 500,
	        .body_most = 64,
	        .done = on_done,
	        .user = s,
	};
	*s = (struct seen){0};
	assert_int_equal(fetch_start(rig.t, &r, &f), 0);
	return f;
}

/* The connection that fetch made, as the server's end. */
static int
incoming(void)
{
	struct pollfd p = {.fd = rig.listen_fd, .events = POLLIN};
	RIG_UNTIL(&rig, poll(&p, 1, 0) == 1);
	return accept4(rig.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static struct fetch *
fetch(struct seen *s, const char *method, const char *target, struct span body)
{
	struct fetch *f = start(s, method, target, body);
	assert_int_equal(server_adopt(rig.s, incoming()), 0);
	RIG_UNTIL(&rig, s->done);
	return f;
}

/* A hand-made answer; the connection ends behind it. */
static struct fetch *
answered(struct seen *s, const char *text)
{
	struct fetch *f = start(s, "GET", "/", SPAN_NONE);
	int fd = incoming();
	struct pollfd p = {.fd = fd, .events = POLLIN};
	RIG_UNTIL(&rig, poll(&p, 1, 0) == 1);
	assert_true(recv(fd, rig.got, sizeof rig.got, 0) > 0);
	assert_true(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
	close(fd);
	RIG_UNTIL(&rig, s->done);
	return f;
}

static void
gets_and_posts(void **state)
{
	(void)state;
	struct seen s;
	rig_open(&rig, &rig_conf, routes, NULL);
	struct fetch *f = fetch(&s, "GET", "/ok", SPAN_NONE);
	assert_int_equal(fetch_status(f), 200);
	assert_true(span_is(fetch_body(f), "fine"));
	assert_true(span_is(fetch_header(f, "x-one", 1), "2"));
	assert_null(fetch_header(f, "x-one", 2).p);
	assert_string_equal(fetch_why(f), "");
	fetch_free(f);
	f = fetch(&s, "HEAD", "/ok", SPAN_NONE);
	assert_int_equal(fetch_status(f), 200);
	assert_int_equal(fetch_body(f).n, 0);
	fetch_free(f);
	f = fetch(&s, "POST", "/echo", SPAN_LIT("{}"));
	assert_int_equal(fetch_status(f), 201);
	assert_true(span_is(fetch_body(f), "{}"));
	assert_true(span_is(fetch_header(f, "Set-Cookie", 0), "a=b"));
	fetch_free(f);
	f = fetch(&s, "GET", "/nothing", SPAN_NONE);
	assert_int_equal(fetch_status(f), 404);
	fetch_free(f);
	rig_close(&rig);
}

static void
reads_every_body(void **state)
{
	(void)state;
	static const struct {
		const char *text, *body;
		int status;
	} rows[] = {
	        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", 200},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc", 200},
	        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
	         "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
	                "abcde", 200},
	        {"HTTP/1.1 204 No\r\n\r\n", "", 204},
	        {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 1\r\n\r\nx", "x",
	                503},
	};
	struct seen s;
	rig_open(&rig, &rig_conf, routes, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fetch *f = answered(&s, rows[i].text);
		assert_int_equal(fetch_status(f), rows[i].status);
		assert_true(span_is(fetch_body(f), rows[i].body));
		fetch_free(f);
	}
	rig_close(&rig);
}

static void
says_what_is_wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
		bool broken;
	} rows[] = {
	        {"SSH-2.0-OpenSSH\r\n\r\n", "malformed answer", true},
	        {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "malformed answer", true},
	        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	                "malformed chunked body", true},
	        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "the connection was lost",
	                false},
	        {"", "the connection was lost", false},
	        {"HTTP/1.1 200 OK\r\n\r\n"
	         "0123456789012345678901234567890123456789012345678901234567890123456789",
	                "the answer is too long", false},
	};
	struct seen s;
	rig_open(&rig, &rig_conf, routes, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fetch *f = answered(&s, rows[i].text);
		assert_int_equal(fetch_status(f), 0);
		assert_string_equal(fetch_why(f), rows[i].why);
		assert_int_equal(fetch_broken(f), rows[i].broken);
		fetch_free(f);
	}
	rig_close(&rig);
}

static void
patience_and_freedom(void **state)
{
	(void)state;
	struct seen s;
	rig_open(&rig, &rig_conf, routes, NULL);
	struct fetch *f = start(&s, "GET", "/", SPAN_NONE);
	int fd = incoming();
	RIG_UNTIL(&rig, s.done);
	assert_string_equal(fetch_why(f), "no answer in time");
	fetch_free(f);
	close(fd);
	f = start(&s, "GET", "/", SPAN_NONE); /* freed while it lasts: no call */
	rig_turn(&rig);
	fetch_free(f);
	rig_spin(&rig, 20);
	assert_int_equal(s.done, 0);
	struct fetch_req bad = {.method = "GET", .host = "a b", .target = "/"};
	assert_int_equal(fetch_start(rig.t, &bad, &f), -EINVAL);
	close(rig.listen_fd);
	f = start(&s, "GET", "/", SPAN_NONE);
	RIG_UNTIL(&rig, s.done);
	assert_int_equal(fetch_status(f), 0);
	fetch_free(f);
	rig.listen_fd = -1;
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(gets_and_posts),
	        cmocka_unit_test(reads_every_body),
	        cmocka_unit_test(says_what_is_wrong),
	        cmocka_unit_test(patience_and_freedom),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
