#include "policy/target.h"

#include "tests/unit/policy/make.h"

#include <netinet/in.h>

static struct target
parse(const char *text)
{
	struct target t;
	struct err e = {0};
	if (target_parse(span_str(text), &t, &e))
		fail_msg("%s", e.text);
	return t;
}

static void
test_parse(void **state)
{
	(void)state;
	struct target t = parse("tcp/Example.com:443");
	assert_int_equal(t.ipproto, IPPROTO_TCP);
	assert_int_equal(t.port, 443);
	assert_string_equal(t.host.name, "example.com");
	assert_true(span_is(t.text, "Example.com"));
	t = parse("udp/[::1]:0");
	assert_int_equal(t.host.kind, HOST_IP);
	t = parse("icmp/::1");
	assert_int_equal(t.host.kind, HOST_IP);
	t = parse("tcp/0x7f.1:80");
	assert_int_equal(t.host.kind, HOST_IP);
	t = parse("tcp/[fe80::1%eth0]:80");
	assert_int_equal(t.host.kind, HOST_BAD);
	static const char *const bad[] = {"", "tcp", "tcp/", "tcp/a", "tcp/a:", "tcp/a:x",
	        "tcp/a:65536", "tcp/:80", "sctp/a:80", "TCP/a:80", "a:80", "tcp/::1:80", "icmp/"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = {0};
		if (target_parse(span_str(bad[i]), &t, &e) == 0 || !e.text[0])
			fail_msg("%s", bad[i]);
	}
}

static struct target_report
judge(const struct egress_conf *c, const char *text, const char *const *ips)
{
	static const char *const rows[] = {"local.test=203.0.113.7", "loop.test=127.0.0.1"};
	const struct dns_conf dns = {.static_a = {.v = rows, .n = 2, .set = true}};
	struct target t = parse(text);
	struct target_report r;
	struct egress *g = NULL;
	struct ip list[4];
	size_t n = 0;
	for (; ips && ips[n]; n++)
		list[n] = make_ip(ips[n]);
	assert_int_equal(egress_new(&g, c, &dns, NULL), 0);
	target_judge(g, &t, ips ? list : NULL, n, &r);
	egress_free(g);
	return r;
}

#define IPS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void
expect(const struct target_report *r, bool allow, enum egress_rule rule)
{
	assert_int_equal(r->verdict.allow, allow);
	assert_string_equal(egress_rule_name(r->verdict.rule), egress_rule_name(rule));
}

static void
test_judge(void **state)
{
	(void)state;
	struct egress_conf c = {.tcp_ports = LIST("443"),
	        .allowed_domains = LIST("test"),
	        .blocked_domains = LIST("bad.test"),
	        .pin_dns = true};
	struct target_report r = judge(&c, "tcp/a.test:443", NULL);
	expect(&r, true, EGRESS_NAME_ALLOWED);
	assert_true(r.named && !r.known);
	r = judge(&c, "tcp/a.test:80", NULL);
	expect(&r, false, EGRESS_PORT);
	r = judge(&c, "udp/a.test:80", IPS("8.8.8.8"));
	expect(&r, true, EGRESS_DEFAULT);
	assert_true(r.known && r.n == 1);
	r = judge(&c, "tcp/a.bad.test:443", IPS("8.8.8.8"));
	expect(&r, false, EGRESS_NAME_BLOCKED);
	assert_int_equal(r.n, 0);
	r = judge(&c, "tcp/a.org:443", IPS("8.8.8.8"));
	expect(&r, false, EGRESS_NAME_ALLOWED);
	/* A mixed answer: the guest is told the good one. */
	r = judge(&c, "tcp/a.test:443", IPS("10.0.0.1", "8.8.8.8", "8.8.8.8"));
	expect(&r, true, EGRESS_DEFAULT);
	assert_int_equal(r.n, 2);
	assert_false(r.addr[0].verdict.allow);
	assert_true(r.addr[0].verdict.counted);
	r = judge(&c, "tcp/a.test:443", IPS("10.0.0.1", "::1"));
	expect(&r, false, EGRESS_SPECIAL);
	r = judge(&c, "tcp/a.test:443", IPS());
	assert_true(r.known && r.n == 0);
	r = judge(&c, "tcp/8.8.8.8:443", NULL);
	expect(&r, false, EGRESS_PIN);
	r = judge(&c, "tcp/0x7f.1:443", NULL);
	expect(&r, false, EGRESS_FILTER);
	assert_false(r.named);
	r = judge(&c, "tcp/a..b:443", NULL);
	expect(&r, false, EGRESS_NAME_INVALID);
	r = judge(&c, "icmp/a.test", IPS("8.8.8.8"));
	expect(&r, true, EGRESS_DEFAULT);
	/* dns.static-a answers before anybody resolves. */
	r = judge(&c, "udp/loop.test:443", IPS("8.8.8.8"));
	expect(&r, false, EGRESS_FILTER);
	assert_true(r.addr[0].listed);
	r = judge(&c, "udp/local.test:443", NULL);
	expect(&r, false, EGRESS_SPECIAL);
	c.udp_forward = LIST("203.0.113.7:443=127.0.0.1:1");
	r = judge(&c, "udp/local.test:443", NULL);
	expect(&r, true, EGRESS_FORWARD);
}

static void
test_many_addresses(void **state)
{
	(void)state;
	struct egress_conf c = {0};
	static const struct dns_conf none;
	struct egress *g = NULL;
	struct target t = parse("tcp/a.test:443");
	struct target_report r;
	struct ip ips[40];
	for (uint32_t i = 0; i < 40; i++)
		ips[i] = ip4(0x08080800 + i);
	assert_int_equal(egress_new(&g, &c, &none, NULL), 0);
	target_judge(g, &t, ips, 40, &r);
	assert_int_equal(r.n, TARGET_ADDRS);
	egress_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_parse),
	        cmocka_unit_test(test_judge),
	        cmocka_unit_test(test_many_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
