#include "conf/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef int check(struct span s, struct err *e);

static void
good(check *f, const char *const *texts)
{
	for (; *texts; texts++)
		if (f(span_str(*texts), NULL) != 0)
			fail_msg("refused '%s'", *texts);
}

static void
bad(check *f, const char *const *texts)
{
	for (; *texts; texts++) {
		struct err e = {0};
		if (f(span_str(*texts), &e) == 0)
			fail_msg("accepted '%s'", *texts);
		assert_true(strncmp(e.text, "must be ", 8) == 0);
	}
}

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
origins(void **state)
{
	(void)state;
	good(item_origin, TEXTS("*", "null", "https://a.test", "HTTPS://ALLOWED.TEST:443/",
	                          "http://[::1]:80", "http://localhost:5173"));
	bad(item_origin, TEXTS("", "a.test", "ftp://a.test", "https://", "https:///a",
	                         "https://a/b", "https://a b", "https://u@a", "https://a?x",
	                         "https://a#x", "https://a%41", "https://\xc3\xa9", "nullx", "**"));
}

static void
ports(void **state)
{
	(void)state;
	uint16_t lo = 1, hi = 2;
	good(item_ports, TEXTS("0", "65535", "80-80", "1000-2000", "1000 - 2000"));
	bad(item_ports,
	        TEXTS("", "65536", "-1", "80-", "-80", "90-80", "80-90-100", "http", "+80"));
	assert_true(item_read_ports(span_str("8000-8100"), &lo, &hi));
	assert_int_equal(lo, 8000);
	assert_int_equal(hi, 8100);
	assert_true(item_read_ports(span_str("443"), &lo, &hi));
	assert_true(lo == 443 && hi == 443);
	assert_false(item_read_ports(span_str("2-1"), &lo, &hi));
	assert_true(lo == 443 && hi == 443);
}

static void
ranges(void **state)
{
	(void)state;
	good(item_cidr, TEXTS("10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::/0", "0.0.0.0/0"));
	bad(item_cidr, TEXTS("", "10.0.0.1/8", "10.0.0.0/33", "10/8", "x", "::1/129"));
	good(item_ip, TEXTS("10.0.2.2", "::1"));
	bad(item_ip, TEXTS("", "10.0.2", "10.0.2.2:53", "[::1]"));
	good(item_route, TEXTS("10.1.0.0/16=10.0.2.2", " 0.0.0.0/0 = 10.0.2.9 "));
	bad(item_route,
	        TEXTS("10.1.0.0/16", "10.1.0.0/16=", "=10.0.2.2", "10.1.0.1/16=10.0.2.2", "a=b"));
}

static void
hostnames(void **state)
{
	(void)state;
	char label[65], name[256];
	good(item_hostname, TEXTS("a", "a.b", "_srv._tcp.example", "xn--bcher-kva.example", "1.2"));
	bad(item_hostname,
	        TEXTS("", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a/b", "\xc3\xa9"));
	memset(label, 'x', 64);
	label[64] = 0;
	assert_int_not_equal(item_hostname(span_str(label), NULL), 0);
	assert_int_equal(item_hostname(span(label, 63), NULL), 0);
	for (int i = 0; i < 255; i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_int_equal(item_hostname(span(name, 253), NULL), 0);
	assert_int_not_equal(item_hostname(span(name, 255), NULL), 0);
}

static void
forwards(void **state)
{
	(void)state;
	struct endpoint from;
	struct span host;
	uint16_t port;
	good(item_forward, TEXTS("192.0.2.1:80=localhost:8080", "192.0.2.1:80=[::1]:8080",
	                           "192.0.2.1:80=127.0.0.1:1", "[2001:db8::1]:80=a:1"));
	bad(item_forward,
	        TEXTS("", "192.0.2.1=localhost:80", "192.0.2.1:80=localhost", "192.0.2.1:80=:80",
	                "192.0.2.1:80=a:0", "192.0.2.1:80=a:65536", "192.0.2.1:80=::1:80",
	                "name:80=a:80", "192.0.2.1:80", "192.0.2.1:80=[::1", "192.0.2.1:80=[::1]:0",
	                "192.0.2.1:80=a b:1"));
	assert_true(item_read_forward(span_str("192.0.2.1:80=[::1]:8080"), &from, &host, &port));
	assert_int_equal(from.port, 80);
	assert_true(span_is(host, "::1"));
	assert_int_equal(port, 8080);
	assert_true(
	        item_read_forward(span_str("192.0.2.1:81 = db.test:5432"), &from, &host, &port));
	assert_int_equal(from.port, 81);
	assert_true(span_is(host, "db.test"));
	assert_int_equal(port, 5432);
}

static void
dns(void **state)
{
	(void)state;
	struct span name;
	struct ip ip;
	struct endpoint ep;
	char text[ADDR_TEXT];
	good(item_static_a,
	        TEXTS("a.test=192.0.2.1", "loopback.local = 127.0.0.1", "six.test=::1"));
	bad(item_static_a, TEXTS("", "a.test", "=1.2.3.4", "a.test=", "a.test=b", "a b=1.2.3.4"));
	assert_true(item_read_static_a(span_str("a.test=192.0.2.1"), &name, &ip));
	assert_true(span_is(name, "a.test"));
	assert_string_equal(ip_text(&ip, text), "192.0.2.1");
	good(item_dns_server, TEXTS("9.9.9.9", "9.9.9.9:5353", "::1", "[::1]:53"));
	bad(item_dns_server,
	        TEXTS("", "dns.test", "9.9.9.9:", "9.9.9.9:0", "9.9.9.9:65536", "[::1]"));
	assert_true(item_read_dns_server(span_str("::1"), &ep));
	assert_string_equal(endpoint_text(&ep, text), "[::1]:53");
	assert_true(item_read_dns_server(span_str("127.0.0.1:5353"), &ep));
	assert_string_equal(endpoint_text(&ep, text), "127.0.0.1:5353");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(origins),
	        cmocka_unit_test(ports),
	        cmocka_unit_test(ranges),
	        cmocka_unit_test(hostnames),
	        cmocka_unit_test(forwards),
	        cmocka_unit_test(dns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
