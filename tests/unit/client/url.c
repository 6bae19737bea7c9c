#include "client/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>

static void
parses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *host, *authority, *target, *origin;
		uint16_t port;
		bool tls, ws;
	} rows[] = {
	        {"ws://a.test:8090/l2", "a.test", "a.test:8090", "/l2", "http://a.test:8090", 8090,
	                0, 1},
	        {"wss://a.test", "a.test", "a.test", "/", "https://a.test", 443, 1, 1},
	        {"WS://[::1]:80/x?y", "::1", "[::1]", "/x?y", "http://[::1]", 80, 0, 1},
	        {"https://[2001:db8::1]:8443", "2001:db8::1", "[2001:db8::1]:8443", "/",
	                "https://[2001:db8::1]:8443", 8443, 1, 0},
	        {"http://1.2.3.4?q=1", "1.2.3.4", "1.2.3.4", "/?q=1", "http://1.2.3.4", 80, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct url u;
		struct err e = {0};
		char origin[300];
		assert_int_equal(url_parse(rows[i].text, &u, &e), 0);
		assert_string_equal(u.host, rows[i].host);
		assert_string_equal(u.authority, rows[i].authority);
		assert_string_equal(u.target, rows[i].target);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.tls, rows[i].tls);
		assert_int_equal(u.ws, rows[i].ws);
		url_origin(&u, origin, sizeof origin);
		assert_string_equal(origin, rows[i].origin);
	}
}

static void
refuses(void **state)
{
	(void)state;
	static const char *const rows[] = {"", "a.test", "ftp://a.test", "ws://", "ws:///l2",
	        "ws://a.test:0/", "ws://a.test:65536/", "ws://a.test:x/", "ws://a.test:/",
	        "ws://u@a.test/", "ws://a.test/#f", "ws://a.test/ b", "ws://[::1/",
	        "ws://[1.2.3.4]/", "ws://[::1]x/", "ws://a.test/\xc3\xa4"};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct url u;
		struct err e = {0};
		assert_int_equal(url_parse(rows[i], &u, &e), -EINVAL);
		assert_non_null(strstr(e.text, "is no URL"));
	}
	char longest[URL_TARGET + 20] = "ws://a/";
	memset(longest + 7, 'x', URL_TARGET);
	struct url u;
	assert_int_equal(url_parse(longest, &u, NULL), -EINVAL);
}

static void
queries(void **state)
{
	(void)state;
	struct url u;
	assert_int_equal(url_parse("ws://a/l2", &u, NULL), 0);
	assert_true(url_add_query(&u, "token", "a+b/c d=e"));
	assert_string_equal(u.target, "/l2?token=a%2Bb%2Fc%20d%3De");
	assert_true(url_add_query(&u, "x", "y"));
	assert_string_equal(u.target, "/l2?token=a%2Bb%2Fc%20d%3De&x=y");
	char value[URL_TARGET];
	memset(value, '+', sizeof value);
	value[sizeof value - 1] = 0;
	assert_false(url_add_query(&u, "k", value));
}

static void
tunnel_paths(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	        {"ws://a", "/l2"},
	        {"ws://a/", "/l2"},
	        {"ws://a/l2", "/l2"},
	        {"ws://a/eth/", "/eth/"},
	        {"ws://a/base/", "/base/l2"},
	        {"ws://a/base?x=1", "/base/l2?x=1"},
	        {"ws://a/base/l2?x=1", "/base/l2?x=1"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct url u;
		assert_int_equal(url_parse(rows[i][0], &u, NULL), 0);
		assert_true(url_for_tunnel(&u));
		assert_string_equal(u.target, rows[i][1]);
	}
}

static void
resolves(void **state)
{
	(void)state;
	struct url u;
	struct endpoint ep;
	struct err e = {0};
	char text[ADDR_TEXT];
	assert_int_equal(url_parse("ws://[::1]:81", &u, &e), 0);
	assert_int_equal(url_resolve(&u, &ep, &e), 0);
	assert_string_equal(endpoint_text(&ep, text), "[::1]:81");
	assert_int_equal(url_parse("ws://localhost:82", &u, &e), 0);
	assert_int_equal(url_resolve(&u, &ep, &e), 0);
	assert_int_equal(ep.port, 82);
	assert_int_equal(url_parse("ws://no-such-name.invalid", &u, &e), 0);
	assert_int_equal(url_resolve(&u, &ep, &e), -EHOSTUNREACH);
	assert_non_null(strstr(e.text, "cannot resolve no-such-name.invalid"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(parses),
	        cmocka_unit_test(refuses),
	        cmocka_unit_test(queries),
	        cmocka_unit_test(tunnel_paths),
	        cmocka_unit_test(resolves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
