#include "policy/egress.h"

#include "tests/unit/policy/make.h"

#include <netinet/in.h>

static struct egress *
make(const struct egress_conf *c, const struct dns_conf *dns)
{
	static const struct dns_conf none;
	struct egress *g = NULL;
	struct err e = {0};
	if (egress_new(&g, c, dns ? dns : &none, &e))
		fail_msg("%s", e.text);
	return g;
}

static struct egress_query
dial(uint8_t proto, const char *where)
{
	struct egress_query q = {.proto = proto};
	assert_true(endpoint_parse(span_str(where), &q.dst));
	return q;
}

static struct egress_verdict
tcp(struct egress *g, const char *where)
{
	struct egress_query q = dial(IPPROTO_TCP, where);
	return egress_addr(g, &q, NULL);
}

static struct egress_verdict
udp(struct egress *g, const char *where)
{
	struct egress_query q = dial(IPPROTO_UDP, where);
	return egress_addr(g, &q, NULL);
}

static struct egress_verdict
answer(struct egress *g, enum egress_kind kind, const char *ip)
{
	struct egress_query q = {.proto = IPPROTO_TCP, .dst.ip = make_ip(ip), .kind = kind};
	return egress_addr(g, &q, NULL);
}

static void
denied(struct egress_verdict v, enum egress_rule rule, bool counted)
{
	assert_false(v.allow);
	assert_string_equal(egress_rule_name(v.rule), egress_rule_name(rule));
	assert_int_equal(v.counted, counted);
}

static void
allowed(struct egress_verdict v, enum egress_rule rule)
{
	assert_true(v.allow);
	assert_false(v.counted);
	assert_string_equal(egress_rule_name(v.rule), egress_rule_name(rule));
}

static void
words(struct egress_verdict v, const char *want)
{
	char buf[EGRESS_WORDS];
	assert_string_equal(egress_words(&v, buf), want);
}

static void
test_default(void **state)
{
	(void)state;
	struct egress_conf c = {0};
	struct egress *g = make(&c, NULL);
	allowed(tcp(g, "93.184.216.34:443"), EGRESS_DEFAULT);
	allowed(udp(g, "[2606:4700::1111]:53"), EGRESS_DEFAULT);
	/* What the LAN filters is not counted, what only the policy denies is. */
	denied(tcp(g, "10.0.0.1:80"), EGRESS_FILTER, false);
	denied(udp(g, "127.0.0.1:53"), EGRESS_FILTER, false);
	denied(tcp(g, "[::1]:80"), EGRESS_FILTER, false);
	denied(tcp(g, "[64:ff9b::a00:1]:80"), EGRESS_FILTER, false);
	denied(tcp(g, "203.0.113.9:80"), EGRESS_SPECIAL, true);
	denied(udp(g, "[2001:db8::1]:53"), EGRESS_SPECIAL, true);
	denied(udp(g, "10.0.2.255:137"), EGRESS_FILTER, false);
	denied(udp(g, "255.255.255.255:67"), EGRESS_FILTER, false);
	denied(answer(g, EGRESS_ANSWER, "127.0.0.1"), EGRESS_SPECIAL, true);
	denied(answer(g, EGRESS_ANSWER, "192.0.2.1"), EGRESS_SPECIAL, true);
	allowed(answer(g, EGRESS_ANSWER, "8.8.8.8"), EGRESS_DEFAULT);
	denied(answer(g, EGRESS_STATIC, "127.0.0.1"), EGRESS_FILTER, false);
	allowed(answer(g, EGRESS_STATIC, "203.0.113.9"), EGRESS_DEFAULT);
	words(tcp(g, "10.0.0.1:80"), "10.0.0.1 is in 10.0.0.0/8, private use (RFC 1918)");
	words(tcp(g, "[64:ff9b::a00:1]:80"), "10.0.0.1 is in 10.0.0.0/8, private use (RFC 1918)");
	words(tcp(g, "[fec0::1]:80"), "fec0::1 is in fec0::/10, site local (RFC 3879)");
	words(tcp(g, "[4000::1]:80"), "4000::1 is in ::/0, not global unicast (RFC 4291)");
	words(tcp(g, "8.8.8.8:80"), "nothing forbids it");
	assert_false(egress_pins(g));
	egress_free(g);
}

static void
test_stages(void **state)
{
	(void)state;
	struct egress_conf c = {0};
	struct egress *g = make(&c, NULL);
	struct egress_query q = dial(IPPROTO_TCP, "203.0.113.9:80");
	q.ask = EGRESS_ASK_FILTER;
	allowed(egress_addr(g, &q, NULL), EGRESS_DEFAULT);
	q.ask = EGRESS_ASK_POLICY;
	denied(egress_addr(g, &q, NULL), EGRESS_SPECIAL, true);
	q = dial(IPPROTO_ICMP, "10.0.0.1:0");
	q.ask = EGRESS_ASK_POLICY;
	denied(egress_addr(g, &q, NULL), EGRESS_SPECIAL, true);
	egress_free(g);
}

static void
test_allow_private(void **state)
{
	(void)state;
	struct egress_conf c = {.allow_private = true, .deny = LIST("10.9.0.0/16", "fd00::/8")};
	struct egress *g = make(&c, NULL);
	allowed(tcp(g, "10.0.0.1:80"), EGRESS_DEFAULT);
	allowed(tcp(g, "127.0.0.1:80"), EGRESS_DEFAULT);
	allowed(udp(g, "203.0.113.1:80"), EGRESS_DEFAULT);
	allowed(tcp(g, "[::1]:80"), EGRESS_DEFAULT);
	allowed(answer(g, EGRESS_STATIC, "127.0.0.1"), EGRESS_DEFAULT);
	denied(tcp(g, "10.9.1.2:80"), EGRESS_DENY, true);
	denied(answer(g, EGRESS_ANSWER, "10.9.1.2"), EGRESS_DENY, true);
	/* ... in whatever it is wrapped */
	static const char *const wrapped[] = {"[::ffff:10.9.1.2]:80", "[64:ff9b::a09:102]:80",
	        "[64:ff9b:1::a09:102]:80", "[64:ff9b:1:a09:1:200::]:80", "[2002:a09:102::1]:80",
	        "[::ffff:0:a09:102]:80", "[::a09:102]:80", "[2606:4700::5efe:a09:102]:80",
	        "[2001:0:a09:102::1]:80", "[2001:0:808:808::f5f6:fefd]:80"};
	for (size_t i = 0; i < ARRAY_LEN(wrapped); i++) {
		struct egress_verdict v = tcp(g, wrapped[i]);
		if (v.allow || v.rule != EGRESS_DENY)
			fail_msg("%s: %s", wrapped[i], egress_rule_name(v.rule));
	}
	denied(tcp(g, "[fd12::1]:80"), EGRESS_DENY, true);
	words(tcp(g, "[2002:a09:102::1]:80"), "10.9.1.2 is listed in egress.deny: 10.9.0.0/16");
	assert_int_equal(tcp(g, "[fd12::1]:80").item, 1);
	egress_free(g);
}

static void
test_ports(void **state)
{
	(void)state;
	struct egress_conf c = {.tcp_ports = LIST("80", "443", "8000-8002", "0", " 65535 "),
	        .udp_ports = LIST(),
	        .tcp_forward = LIST("203.0.113.1:80=a:1", "203.0.113.1:81=a:1")};
	struct egress *g = make(&c, NULL);
	static const struct {
		unsigned port;
		bool ok;
	} ports[] = {{80, true}, {443, true}, {79, false}, {81, false}, {7999, false}, {8000, true},
	        {8002, true}, {8003, false}, {0, true}, {1, false}, {65535, true}, {65534, false}};
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		struct egress_query q = dial(IPPROTO_TCP, "8.8.8.8:0");
		q.dst.port = (uint16_t)ports[i].port;
		struct egress_verdict v = egress_addr(g, &q, NULL);
		if (v.allow != ports[i].ok)
			fail_msg("port %u", ports[i].port);
		if (!v.allow)
			denied(v, EGRESS_PORT, true);
	}
	/* Given but empty: none at all. */
	denied(udp(g, "8.8.8.8:53"), EGRESS_PORT, true);
	words(udp(g, "8.8.8.8:53"), "the port is not in egress.udp-ports");
	/* The list beats a forward, the filter beats the list, ping has no port. */
	allowed(tcp(g, "203.0.113.1:80"), EGRESS_FORWARD);
	denied(tcp(g, "203.0.113.1:81"), EGRESS_PORT, true);
	denied(tcp(g, "10.0.0.1:81"), EGRESS_FILTER, false);
	struct egress_query q = dial(IPPROTO_TCP, "10.0.0.1:80");
	q.kind = EGRESS_NAMED; /* the address is not looked at */
	allowed(egress_addr(g, &q, NULL), EGRESS_DEFAULT);
	q.dst.port = 81;
	denied(egress_addr(g, &q, NULL), EGRESS_PORT, true);
	q = dial(IPPROTO_ICMP, "8.8.8.8:0");
	allowed(egress_addr(g, &q, NULL), EGRESS_DEFAULT);
	allowed(answer(g, EGRESS_ANSWER, "8.8.8.8"), EGRESS_DEFAULT);
	egress_free(g);
}

static void
test_forward(void **state)
{
	(void)state;
	struct egress_conf c = {.tcp_forward = LIST("203.0.113.1:80=127.0.0.1:8080",
	                                "10.0.0.1:80=127.0.0.1:1", "[2001:db8::1]:80=localhost:2"),
	        .udp_forward = LIST("203.0.113.1:53=[::1]:5353"),
	        .deny = LIST("203.0.113.0/24")};
	struct egress *g = make(&c, NULL);
	struct egress_verdict v = tcp(g, "203.0.113.1:80");
	allowed(v, EGRESS_FORWARD);
	assert_int_equal(v.forward->port, 8080);
	words(v, "listed in egress.tcp-forward: 203.0.113.1:80=127.0.0.1:8080");
	allowed(tcp(g, "[2001:db8::1]:80"), EGRESS_FORWARD);
	allowed(udp(g, "203.0.113.1:53"), EGRESS_FORWARD);
	denied(udp(g, "203.0.113.1:80"), EGRESS_DENY, true);
	denied(tcp(g, "203.0.113.1:81"), EGRESS_DENY, true);
	/* The filter comes first: such a key is useless unless private addresses are allowed. */
	denied(tcp(g, "10.0.0.1:80"), EGRESS_FILTER, false);
	c.allow_private = true;
	allowed(tcp(g, "10.0.0.1:80"), EGRESS_FORWARD);
	/* Forwards are for destinations, not for what a name resolves to. */
	denied(answer(g, EGRESS_ANSWER, "203.0.113.1"), EGRESS_DENY, true);
	egress_free(g);
}

static void
test_allow_ranges(void **state)
{
	(void)state;
	struct egress_conf c = {.allow = LIST("10.1.0.0/16", "192.0.2.7", "fd00:1::/32"),
	        .deny = LIST("10.1.2.0/24", "93.184.0.0/16")};
	struct egress *g = make(&c, NULL);
	allowed(tcp(g, "10.1.0.1:80"), EGRESS_ALLOW);
	allowed(answer(g, EGRESS_ANSWER, "10.1.0.1"), EGRESS_ALLOW);
	allowed(answer(g, EGRESS_STATIC, "10.1.0.1"), EGRESS_DEFAULT);
	denied(tcp(g, "10.2.0.1:80"), EGRESS_FILTER, false);
	denied(tcp(g, "10.1.2.3:80"), EGRESS_DENY, true); /* deny wins */
	allowed(tcp(g, "192.0.2.7:80"), EGRESS_ALLOW);
	denied(tcp(g, "192.0.2.8:80"), EGRESS_SPECIAL, true);
	allowed(tcp(g, "[fd00:1::5]:80"), EGRESS_ALLOW);
	denied(tcp(g, "[fd00:2::5]:80"), EGRESS_FILTER, false);
	denied(tcp(g, "93.184.216.34:80"), EGRESS_DENY, true);
	allowed(tcp(g, "8.8.8.8:80"), EGRESS_DEFAULT); /* the list is no "only these" */
	/* What stands for an allowed address is allowed, what merely mentions it is not. */
	allowed(tcp(g, "[64:ff9b::a01:1]:80"), EGRESS_ALLOW);
	allowed(tcp(g, "[2002:a01:1::1]:80"), EGRESS_ALLOW);
	denied(tcp(g, "[2606:4700::5efe:a01:1]:80"), EGRESS_FILTER, false);
	denied(tcp(g, "[2001:0:a01:1::1]:80"), EGRESS_FILTER, false);
	denied(tcp(g, "[64:ff9b::a01:203]:80"), EGRESS_DENY, true);
	egress_free(g);
}

static void
test_names(void **state)
{
	(void)state;
	struct egress_conf c = {.blocked_domains = LIST("bad.example.com"),
	        .allowed_domains = LIST("Example.com.", ".")};
	struct egress *g = make(&c, NULL);
	allowed(egress_name(g, SPAN_LIT("example.com"), NULL), EGRESS_NAME_ALLOWED);
	allowed(egress_name(g, SPAN_LIT("A.Example.COM."), NULL), EGRESS_NAME_ALLOWED);
	denied(egress_name(g, SPAN_LIT("bad.example.com"), NULL), EGRESS_NAME_BLOCKED, true);
	denied(egress_name(g, SPAN_LIT("very.BAD.example.com."), NULL), EGRESS_NAME_BLOCKED, true);
	allowed(egress_name(g, SPAN_LIT("notbad.example.com"), NULL), EGRESS_NAME_ALLOWED);
	denied(egress_name(g, SPAN_LIT("notexample.com"), NULL), EGRESS_NAME_ALLOWED, true);
	denied(egress_name(g, SPAN_LIT(""), NULL), EGRESS_NAME_ALLOWED, true);
	denied(egress_name(g, SPAN_LIT("x\0.example.com"), NULL), EGRESS_NAME_INVALID, false);
	denied(egress_name(g, SPAN_LIT("example.com\0.test"), NULL), EGRESS_NAME_INVALID, false);
	words(egress_name(g, SPAN_LIT("bad.example.com"), NULL),
	        "listed in egress.blocked-domains: bad.example.com");
	words(egress_name(g, SPAN_LIT("other.test"), NULL), "not listed in egress.allowed-domains");
	words(egress_name(g, SPAN_LIT("www.example.com"), NULL),
	        "listed in egress.allowed-domains: Example.com.");
	egress_free(g);
	c.allowed_domains = LIST(".");
	g = make(&c, NULL);
	allowed(egress_name(g, SPAN_LIT("anything"), NULL), EGRESS_DEFAULT);
	allowed(egress_name(g, SPAN_LIT("_x._tcp.a\xff"), NULL), EGRESS_DEFAULT);
	denied(egress_name(g, SPAN_LIT("bad.example.com"), NULL), EGRESS_NAME_BLOCKED, true);
	char longer[300];
	memset(longer, 'a', sizeof longer);
	denied(egress_name(g, span(longer, 254), NULL), EGRESS_NAME_INVALID, false);
	allowed(egress_name(g, span(longer, 253), NULL), EGRESS_DEFAULT);
	egress_free(g);
}

static void
test_pins(void **state)
{
	(void)state;
	struct egress_conf c = {.pin_dns = true,
	        .allowed_domains = LIST("example.com"),
	        .allow = LIST("10.0.0.0/8"),
	        .tcp_forward = LIST("203.0.113.1:80=a:1")};
	struct egress *g = make(&c, NULL);
	assert_true(egress_pins(g));
	denied(tcp(g, "93.184.216.34:443"), EGRESS_PIN, true);
	denied(udp(g, "8.8.8.8:53"), EGRESS_PIN, true); /* no way around our DNS either */
	words(tcp(g, "8.8.8.8:53"), "no allowed name resolved to this address, egress.pin-dns");
	struct egress_query q = dial(IPPROTO_TCP, "93.184.216.34:443");
	q.pinned = true;
	allowed(egress_addr(g, &q, NULL), EGRESS_DEFAULT);
	q = dial(IPPROTO_TCP, "127.0.0.1:443");
	q.pinned = true;
	denied(egress_addr(g, &q, NULL), EGRESS_FILTER, false);
	allowed(tcp(g, "203.0.113.1:80"), EGRESS_FORWARD);
	allowed(tcp(g, "10.0.0.1:80"), EGRESS_ALLOW);
	allowed(answer(g, EGRESS_ANSWER, "93.184.216.34"), EGRESS_DEFAULT);
	egress_free(g);
	c.allowed_domains = LIST();
	g = make(&c, NULL);
	assert_false(egress_pins(g)); /* nothing to bypass */
	allowed(tcp(g, "93.184.216.34:443"), EGRESS_DEFAULT);
	egress_free(g);
	c.blocked_domains = LIST("bad.test");
	g = make(&c, NULL);
	denied(tcp(g, "93.184.216.34:443"), EGRESS_PIN, true);
	egress_free(g);
}

static void
test_trace(void **state)
{
	(void)state;
	struct egress_conf c = {.tcp_ports = LIST("80"), .blocked_domains = LIST("x.test")};
	struct egress *g = make(&c, NULL);
	struct egress_trace t = {0};
	struct egress_query q = dial(IPPROTO_TCP, "203.0.113.1:80");
	static const enum egress_rule want[] = {EGRESS_FILTER, EGRESS_PORT, EGRESS_FORWARD,
	        EGRESS_DENY, EGRESS_ALLOW, EGRESS_SPECIAL};
	egress_addr(g, &q, &t);
	assert_int_equal(t.n, ARRAY_LEN(want));
	for (size_t i = 0; i < t.n; i++) {
		assert_int_equal(t.step[i].rule, want[i]);
		assert_int_equal(t.step[i].outcome, i + 1 < t.n ? EGRESS_PASSED : EGRESS_DENIED);
	}
	q = dial(IPPROTO_TCP, "8.8.8.8:80");
	egress_addr(g, &q, &t);
	assert_int_equal(t.n, 8);
	assert_int_equal(t.step[7].rule, EGRESS_DEFAULT);
	assert_int_equal(t.step[7].outcome, EGRESS_ALLOWED);
	egress_name(g, SPAN_LIT("x.test"), &t);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.step[0].outcome, EGRESS_DENIED);
	egress_free(g);
}

static void
test_static_names(void **state)
{
	(void)state;
	struct egress_conf c = {0};
	struct dns_conf dns = {.static_a = LIST("loopback.local=127.0.0.1")};
	struct egress *g = make(&c, &dns);
	assert_non_null(egress_static(g, SPAN_LIT("loopback.local"), true));
	assert_null(egress_static(g, SPAN_LIT("loopback.local"), false));
	egress_free(g);
}

static void
test_errors(void **state)
{
	(void)state;
	static const char *const x[] = {"80", "70000"}, *const dash[] = {"80-"},
	                         *const back[] = {"90-80"}, *const name[] = {"ssh"},
	                         *const plus[] = {"+80"};
	struct {
		struct egress_conf c;
		const char *text;
	} cases[] = {
	        {{.tcp_ports = {x, NULL, 2, true}}, "egress.tcp-ports: \"70000\""},
	        {{.udp_ports = {dash, NULL, 1, true}}, "egress.udp-ports: \"80-\""},
	        {{.udp_ports = {back, NULL, 1, true}}, "egress.udp-ports: \"90-80\""},
	        {{.tcp_ports = {name, NULL, 1, true}}, "egress.tcp-ports: \"ssh\""},
	        {{.tcp_ports = {plus, NULL, 1, true}}, "egress.tcp-ports: \"+80\""},
	        {{.blocked_domains = LIST("a b")}, "egress.blocked-domains: \"a b\""},
	        {{.allowed_domains = LIST("*")}, "egress.allowed-domains: \"*\""},
	        {{.deny = LIST("10.0.0.0/33")}, "egress.deny: \"10.0.0.0/33\""},
	        {{.allow = LIST("10.0.0.1/8")}, "egress.allow: \"10.0.0.1/8\""},
	        {{.tcp_forward = LIST("a")}, "egress.tcp-forward: \"a\""},
	        {{.udp_forward = LIST("b")}, "egress.udp-forward: \"b\""},
	};
	struct dns_conf dns = {0};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct egress *g;
		struct err e = {0};
		if (egress_new(&g, &cases[i].c, &dns, &e) == 0 || !strstr(e.text, cases[i].text))
			fail_msg("%s: %s", cases[i].text, e.text);
	}
	struct egress *g;
	struct err e = {0};
	struct egress_conf c = {0};
	dns.static_a = LIST("x");
	assert_int_not_equal(egress_new(&g, &c, &dns, &e), 0);
	assert_non_null(strstr(e.text, "dns.static-a: \"x\""));
	egress_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_default),
	        cmocka_unit_test(test_stages),
	        cmocka_unit_test(test_allow_private),
	        cmocka_unit_test(test_ports),
	        cmocka_unit_test(test_forward),
	        cmocka_unit_test(test_allow_ranges),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_pins),
	        cmocka_unit_test(test_trace),
	        cmocka_unit_test(test_static_names),
	        cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
