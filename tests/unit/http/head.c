#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static const struct head_limits limits = {.bytes = 500, .target = 50, .fields = 4};
static struct head h;

static int
feed(bool response, const char *text)
{
	size_t used;
	head_fini(&h);
	head_init(&h, response, &limits);
	int r = head_feed(&h, &limits, span_str(text), &used);
	if (r == HEAD_DONE)
		assert_string_equal(text + used, "");
	return r;
}

static int
request(const char *text)
{
	return feed(false, text);
}

static int
done(void **state)
{
	(void)state;
	head_fini(&h);
	return 0;
}

#define IS(s, text) assert_true(span_is(s, text))

static void
request_parts(void **state)
{
	(void)state;
	assert_int_equal(
	        request("GET /a/b?c=d?e HTTP/1.1\r\nHost: h:1\r\nx-Y:\t z z \t\r\nE:\r\n\r\n"),
	        HEAD_DONE);
	IS(h.method, "GET");
	IS(h.target, "/a/b?c=d?e");
	IS(h.path, "/a/b");
	IS(h.query, "c=d?e");
	IS(h.host, "h:1");
	assert_int_equal(h.minor, 1);
	assert_int_equal(h.n_fields, 3);
	IS(h.field[1].name, "x-Y");
	IS(h.field[1].value, "z z");
	IS(head_get(&h, "X-y", 0), "z z");
	assert_null(head_get(&h, "X-y", 1).p);
	assert_non_null(head_get(&h, "e", 0).p);
	assert_int_equal(head_get(&h, "e", 0).n, 0);
	assert_null(head_get(&h, "none", 0).p);
}

static void
targets(void **state)
{
	(void)state;
	static const struct {
		const char *target, *path, *query, *host;
	} all[] = {
	        {"/", "/", NULL, "f"},
	        {"/?", "/", "", "f"},
	        {"//a//b", "//a//b", NULL, "f"},
	        {"/%2e?%", "/%2e", "%", "f"},
	        {"http://a", "/", NULL, "a"},
	        {"http://a.b:80/c?d", "/c", "d", "a.b:80"},
	        {"HTTPS://a?d", "/", "d", "a"},
	        {"http://[::1]/c", "/c", NULL, "[::1]"},
	        {"http://[::1]:8/c", "/c", NULL, "[::1]:8"},
	        {"http:///c", NULL, NULL, NULL},
	        {"http://a:x/", NULL, NULL, NULL},
	        {"http://a/#f", NULL, NULL, NULL},
	        {"a:80", NULL, NULL, NULL},
	        {"*", NULL, NULL, NULL},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		char text[100];
		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: f\r\n\r\n", all[i].target);
		int r = request(text);
		assert_int_equal(r, all[i].path ? HEAD_DONE : 400);
		if (!all[i].path)
			continue;
		IS(h.path, all[i].path);
		IS(h.host, all[i].host);
		assert_int_equal(h.query.p != NULL, all[i].query != NULL);
		IS(h.query, all[i].query);
	}
	assert_int_equal(request("OPTIONS * HTTP/1.1\r\n\r\n"), HEAD_DONE);
	IS(h.path, "*");
	assert_null(h.host.p);
}

static void
limits_hold(void **state)
{
	(void)state;
	char text[800];
	for (int n = 49; n <= 51; n++) {
		snprintf(text, sizeof text, "GET /%0*d HTTP/1.1\r\n\r\n", n - 1, 0);
		assert_int_equal(request(text), n <= 50 ? HEAD_DONE : 414);
	}
	assert_int_equal(request("GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\n\r\n"), HEAD_DONE);
	assert_int_equal(request("GET / HTTP/1.1\r\na:\r\na:\r\na:\r\na:\r\na"), 431);
	for (int n = 499; n <= 501; n++) { /* 23 bytes around the value */
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nX: %0*d\r\n\r\n", n - 23, 0);
		assert_int_equal(strlen(text), n);
		assert_int_equal(request(text), n <= 500 ? HEAD_DONE : 431);
	}
	memset(text, 'M', 40);
	text[40] = 0;
	assert_int_equal(request(text), 400); /* a method that never ends */
}

static void
pieces_and_rest(void **state)
{
	(void)state;
	const char text[] = "\r\nPUT /x HTTP/1.0\r\nA: b\r\n\r\nrest";
	size_t used, n = sizeof text - 1 - 4;
	head_init(&h, false, &limits);
	for (size_t i = 0; i < n - 1; i++) {
		assert_int_equal(head_feed(&h, &limits, span(text + i, 1), &used), HEAD_MORE);
		assert_int_equal(used, 1);
	}
	assert_int_equal(head_feed(&h, &limits, span(text + n - 1, 5), &used), HEAD_DONE);
	assert_int_equal(used, 1);
	IS(h.method, "PUT");
	assert_int_equal(h.minor, 0);
}

static void
tokens(void **state)
{
	(void)state;
	assert_int_equal(request("GET / HTTP/1.1\r\nA: b, C ,,d\r\na: e\r\n\r\n"), HEAD_DONE);
	assert_true(head_has_token(&h, "a", "B"));
	assert_true(head_has_token(&h, "a", "c"));
	assert_true(head_has_token(&h, "a", "e"));
	assert_false(head_has_token(&h, "a", "c ,,d"));
	assert_false(head_has_token(&h, "b", "b"));
}

static void
bodies(void **state)
{
	(void)state;
	struct head_body b;
	static const struct {
		const char *fields;
		int status;
		bool chunked;
		uint64_t length;
	} all[] = {
	        {"", 0, false, 0},
	        {"Content-Length: 0\r\n", 0, false, 0},
	        {"Content-Length: 00012\r\n", 0, false, 12},
	        {"Content-Length: 9223372036854775807\r\n", 0, false, INT64_MAX},
	        {"Transfer-Encoding: chunked\r\n", 0, true, 0},
	        {"Transfer-Encoding: CHUNKED\r\n", 0, true, 0},
	        {"Transfer-Encoding: gzip, chunked\r\n", 501, true, 0},
	        {"Transfer-Encoding: chunked, chunked\r\n", 501, true, 0},
	        {"Transfer-Encoding: chunked, gzip\r\n", 400, true, 0},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		char text[200];
		snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s\r\n", all[i].fields);
		int r = request(text);
		if (r == HEAD_DONE)
			r = head_request_body(&h, &b);
		assert_int_equal(r, all[i].status);
		if (r == 0) {
			assert_int_equal(b.chunked, all[i].chunked);
			assert_int_equal(b.length, all[i].length);
		}
	}
}

static void
responses(void **state)
{
	(void)state;
	assert_int_equal(feed(true, "HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n"), HEAD_DONE);
	assert_int_equal(h.status, 101);
	IS(head_get(&h, "a", 0), "b");
	assert_int_equal(feed(true, "HTTP/1.0 404\r\n\r\n"), HEAD_DONE);
	assert_int_equal(h.status, 404);
	assert_int_equal(feed(true, "HTTP/1.1 200 \r\n\r\n"), HEAD_DONE);
	assert_int_equal(feed(true, "HTTP/2 200\r\n\r\n"), 400);
	assert_int_equal(feed(true, "HTTP/2.0 200 OK\r\n\r\n"), 505);
	assert_int_equal(feed(true, "HTTP/1.1 20 OK\r\n\r\n"), 400);
	assert_int_equal(feed(true, "HTTP/1.1 099 OK\r\n\r\n"), 400);
	assert_int_equal(feed(true, "HTTP/1.1 2000 OK\r\n\r\n"), 400);
	assert_int_equal(feed(true, "HTTP/1.1200 OK\r\n\r\n"), 400);
	assert_int_equal(feed(true, "HTTP/1.1 200 OK\nA: b\r\n\r\n"), 400);
}

/* More than libhttp-parser's own limit. */
static void
large_heads(void **state)
{
	(void)state;
	struct head_limits large = {.bytes = 200000, .target = 100, .fields = 4};
	static char text[150000];
	size_t used;
	int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nX: %0140000d\r\n\r\n", 0);
	head_init(&h, false, &large);
	assert_int_equal(head_feed(&h, &large, span(text, (size_t)n), &used), HEAD_DONE);
	assert_int_equal(head_get(&h, "x", 0).n, 140000);
}

int
main(void)
{
#define T(f) cmocka_unit_test_teardown(f, done)
	const struct CMUnitTest tests[] = {
	        T(request_parts),
	        T(targets),
	        T(limits_hold),
	        T(pieces_and_rest),
	        T(tokens),
	        T(bodies),
	        T(responses),
	        T(large_heads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
