#include "policy/clientip.h"

#include "tests/unit/policy/make.h"

static struct clientip_rules
rules(struct client_conf c)
{
	struct clientip_rules r;
	struct err e = {0};
	assert_int_equal(clientip_init(&r, &c, &e), 0);
	return r;
}

static void
expect(struct clientip_rules *r, struct head h, const char *want, enum clientip_source source)
{
	char text[ADDR_TEXT];
	h.peer = make_ip("10.0.0.1");
	struct clientip c = clientip_of(r, &h);
	assert_string_equal(ip_text(&c.ip, text), want);
	assert_string_equal(clientip_source_name(c.source), clientip_source_name(source));
}

static void
test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
	        {"1.2.3.4", "1.2.3.4"},
	        {" 1.2.3.4 ", "1.2.3.4"},
	        {"1.2.3.4:80", "1.2.3.4"},
	        {"\"1.2.3.4:80\"", "1.2.3.4"},
	        {"::1", "::1"},
	        {"[::1]", "::1"},
	        {"\"[2001:db8::7]:4711\"", "2001:db8::7"},
	        {"::ffff:1.2.3.4", "1.2.3.4"},
	        {"unknown", NULL},
	        {"_hidden", NULL},
	        {"", NULL},
	        {"1.2.3", NULL},
	        {"[1.2.3.4]", NULL},
	        {"[::1]:", NULL},
	        {"1.2.3.4:x", NULL},
	        {"\"1.2.3.4", NULL},
	};
	char text[ADDR_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ip ip;
		bool ok = clientip_parse(span_str(cases[i].in), &ip);
		if (ok != (cases[i].out != NULL) ||
		        (ok && strcmp(ip_text(&ip, text), cases[i].out)))
			fail_msg("%s", cases[i].in);
	}
}

static void
test_untrusted(void **state)
{
	(void)state;
	struct clientip_rules r = rules((struct client_conf){0});
	expect(&r, HEAD(FIELD("X-Forwarded-For", "1.2.3.4"), FIELD("Forwarded", "for=1.2.3.4")),
	        "10.0.0.1", CLIENTIP_PEER);
	clientip_fini(&r);
}

static void
test_leftmost(void **state)
{
	(void)state;
	struct clientip_rules r = rules((struct client_conf){.trust_proxy = true});
	expect(&r, HEAD(), "10.0.0.1", CLIENTIP_PEER);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "1.2.3.4, 5.6.7.8")), "1.2.3.4", CLIENTIP_XFF);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "1.2.3.4:99")), "1.2.3.4", CLIENTIP_XFF);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "junk, 5.6.7.8")), "10.0.0.1", CLIENTIP_PEER);
	expect(&r,
	        HEAD(FIELD("X-Forwarded-For", "1.2.3.4"),
	                FIELD("Forwarded", "for=\"[2001:db8::1]:80\";proto=http, for=9.9.9.9")),
	        "2001:db8::1", CLIENTIP_FORWARDED);
	expect(&r,
	        HEAD(FIELD("Forwarded", "proto=http, for=_x;by=1.1.1.1"),
	                FIELD("Forwarded", "for=unknown, For=5.6.7.8:1")),
	        "5.6.7.8", CLIENTIP_FORWARDED);
	expect(&r, HEAD(FIELD("Forwarded", "for=secret"), FIELD("X-Forwarded-For", "::9")), "::9",
	        CLIENTIP_XFF);
	clientip_fini(&r);
}

static void
test_known_proxies(void **state)
{
	(void)state;
	struct clientip_rules r = rules((struct client_conf){
	        .trust_proxy = true, .trusted_proxies = LIST("10.0.0.0/8", "fd00::/8")});
	expect(&r, HEAD(), "10.0.0.1", CLIENTIP_PEER);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "6.6.6.6, 1.2.3.4")), "1.2.3.4", CLIENTIP_XFF);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 10.1.1.1, fd00::5")), "1.2.3.4",
	        CLIENTIP_XFF);
	expect(&r,
	        HEAD(FIELD("X-Forwarded-For", "6.6.6.6, 1.2.3.4"),
	                FIELD("X-Forwarded-For", "10.1.1.1")),
	        "1.2.3.4", CLIENTIP_XFF);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "10.1.1.1, 10.2.2.2")), "10.1.1.1", CLIENTIP_XFF);
	/* What cannot be read ends the walk at the proxy that vouched for it. */
	expect(&r, HEAD(FIELD("X-Forwarded-For", "1.2.3.4, junk, 10.2.2.2")), "10.2.2.2",
	        CLIENTIP_XFF);
	/* The other header is the client's own word. */
	expect(&r, HEAD(FIELD("Forwarded", "for=6.6.6.6"), FIELD("X-Forwarded-For", "1.2.3.4")),
	        "1.2.3.4", CLIENTIP_XFF);
	expect(&r, HEAD(FIELD("Forwarded", "for=6.6.6.6")), "10.0.0.1", CLIENTIP_PEER);
	/* A quote left open on purpose. */
	expect(&r, HEAD(FIELD("X-Forwarded-For", "\"6.6.6.6, 1.2.3.4")), "1.2.3.4", CLIENTIP_XFF);
	struct head h = HEAD(FIELD("X-Forwarded-For", "1.2.3.4"));
	h.peer = make_ip("7.7.7.7"); /* not a proxy of ours: its header is worth nothing */
	struct clientip c = clientip_of(&r, &h);
	assert_int_equal(c.source, CLIENTIP_PEER);
	clientip_fini(&r);

	r = rules((struct client_conf){.trust_proxy = true,
	        .trusted_proxies = LIST("10.0.0.0/8"),
	        .forwarded_header = true});
	expect(&r,
	        HEAD(FIELD("Forwarded", "for=\"6.6.6.6, for=1.2.3.4;by=\"10.0.0.9\""),
	                FIELD("X-Forwarded-For", "6.6.6.6")),
	        "1.2.3.4", CLIENTIP_FORWARDED);
	clientip_fini(&r);
}

static void
test_hops(void **state)
{
	(void)state;
	struct clientip_rules r =
	        rules((struct client_conf){.trust_proxy = true, .trusted_hops = 2});
	expect(&r, HEAD(), "10.0.0.1", CLIENTIP_PEER);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "6.6.6.6, 1.2.3.4, 5.6.7.8")), "1.2.3.4",
	        CLIENTIP_XFF);
	expect(&r, HEAD(FIELD("X-Forwarded-For", "5.6.7.8")), "5.6.7.8", CLIENTIP_XFF);
	r.hops = 1;
	expect(&r, HEAD(FIELD("X-Forwarded-For", "6.6.6.6, 5.6.7.8")), "5.6.7.8", CLIENTIP_XFF);
	clientip_fini(&r);
}

static void
test_long_chain(void **state)
{
	(void)state;
	struct clientip_rules r = rules(
	        (struct client_conf){.trust_proxy = true, .trusted_proxies = LIST("10.0.0.0/8")});
	char line[4096] = "";
	for (int i = 0; i < 200; i++)
		strcat(line, "6.6.6.6,");
	strcat(line, "1.2.3.4,10.1.1.1");
	struct head_field f = {SPAN_LIT("x-forwarded-for"), span_str(line)};
	struct head h = {.field = &f, .n = 1};
	expect(&r, h, "1.2.3.4", CLIENTIP_XFF);
	line[0] = 0;
	for (int i = 0; i < 200; i++)
		strcat(line, "10.1.1.1,");
	line[strlen(line) - 1] = 0;
	f.value = span_str(line);
	expect(&r, h, "10.1.1.1", CLIENTIP_XFF);
	clientip_fini(&r);
}

static void
test_bad_range(void **state)
{
	(void)state;
	struct clientip_rules r;
	struct err e = {0};
	struct client_conf c = {.trusted_proxies = LIST("10.0.0.0/8", "10.0.0.1/8")};
	assert_int_not_equal(clientip_init(&r, &c, &e), 0);
	assert_non_null(strstr(e.text, "client.trusted-proxies: \"10.0.0.1/8\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_parse),
	        cmocka_unit_test(test_untrusted),
	        cmocka_unit_test(test_leftmost),
	        cmocka_unit_test(test_known_proxies),
	        cmocka_unit_test(test_hops),
	        cmocka_unit_test(test_long_chain),
	        cmocka_unit_test(test_bad_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
