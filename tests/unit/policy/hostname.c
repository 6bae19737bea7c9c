#include "policy/hostname.h"

#include "tests/unit/policy/make.h"

static void
test_normalise(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		bool https;
		const char *out; /* NULL: malformed */
	} cases[] = {
	        {"allowed.test", false, "allowed.test"},
	        {"Allowed.TEST", false, "allowed.test"},
	        {"allowed.test:80", false, "allowed.test"},
	        {"allowed.test:80", true, "allowed.test:80"},
	        {"allowed.test:443", true, "allowed.test"},
	        {"allowed.test:443", false, "allowed.test:443"},
	        {"allowed.test:0080", false, "allowed.test"},
	        {"allowed.test:8090", false, "allowed.test:8090"},
	        {"allowed.test:0", false, "allowed.test:0"},
	        {"allowed.test:65535", false, "allowed.test:65535"},
	        {" \"allowed.test:443\" ", true, "allowed.test"},
	        {"\" allowed.test \"", true, "allowed.test"},
	        {"a.test, b.test", false, "a.test"},
	        {"a_b.test.", false, "a_b.test."},
	        {"10.0.0.1:1", false, "10.0.0.1:1"},
	        {"[::1]", false, "[::1]"},
	        {"[::1]:80", false, "[::1]"},
	        {"[2001:DB8:0::1]:81", false, "[2001:db8::1]:81"},
	        {"[::ffff:1.2.3.4]", false, "[::ffff:102:304]"},
	        {"", false, NULL},
	        {"   ", false, NULL},
	        {"\"\"", false, NULL},
	        {",a.test", false, NULL},
	        {":80", false, NULL},
	        {"allowed.test:", false, NULL},
	        {"allowed.test:abc", false, NULL},
	        {"allowed.test:-1", false, NULL},
	        {"allowed.test:65536", false, NULL},
	        {"allowed.test:80:80", false, NULL},
	        {"a b.test", false, NULL},
	        {"a\tb.test", false, NULL},
	        {"\"a.test", false, "\"a.test"},
	        {"::1", false, NULL},
	        {"[::1", false, NULL},
	        {"[::1]x", false, NULL},
	        {"[::1]80", false, NULL},
	        {"[]", false, NULL},
	        {"[1.2.3.4]", false, NULL},
	        {"[a.test]", false, NULL},
	        {"[fe80::1%lo]", false, NULL},
	        {"a]b", false, NULL},
	        {"\xc3\xa9.test", false, NULL},
	};
	char out[HOSTNAME_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ok = hostname_normalise(span_str(cases[i].in), cases[i].https, out);
		if (ok != (cases[i].out != NULL) || (ok && strcmp(out, cases[i].out) != 0))
			fail_msg("%s: %s", cases[i].in, ok ? out : "(malformed)");
	}
	char longest[HOSTNAME_TEXT * 2];
	memset(longest, 'a', sizeof longest);
	assert_true(hostname_normalise(span(longest, 300), false, out));
	assert_false(hostname_normalise(span(longest, sizeof longest), false, out));
}

static struct hostname_rules
rules(struct opt_list allowed, bool trust)
{
	struct hostname_rules r;
	struct err e = {0};
	struct host_conf c = {.allowed = allowed, .trust_proxy_host = trust};
	assert_int_equal(hostname_init(&r, &c, &e), 0);
	return r;
}

static void
expect(struct hostname_rules *r, struct head h, const char *origin, enum refusal_why why,
        const char *body)
{
	struct hostname_result out;
	hostname_check(r, &h, origin, &out);
	assert_int_equal(out.refusal.why, why);
	if (why == REFUSAL_NONE)
		return;
	assert_int_equal(out.refusal.status, 403);
	assert_true(body_is(out.refusal.text, out.refusal.detail, body));
}

static void
test_off(void **state)
{
	(void)state;
	struct hostname_rules r = rules(LIST(), true);
	expect(&r, HEAD(), "", REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Host", "a:b:c")), "", REFUSAL_NONE, NULL);
	hostname_fini(&r);
}

static void
test_direct(void **state)
{
	(void)state;
	struct hostname_rules r = rules(LIST("allowed.test", "Other.test:8090"), false);
	const char *s = "https://x.test";
	expect(&r, HEAD(FIELD("Host", "allowed.test")), "", REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Host", "allowed.test:80")), "", REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Host", "allowed.test:443")), s, REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Host", "other.test:8090")), "", REFUSAL_NONE, NULL);
	expect(&r, HEAD(), "", REFUSAL_HOST_MISSING, "missing Host header");
	expect(&r, HEAD(FIELD("Host", "")), "", REFUSAL_HOST_INVALID, "malformed Host header");
	expect(&r, HEAD(FIELD("Host", "allowed.test:abc")), "", REFUSAL_HOST_INVALID,
	        "malformed Host header");
	expect(&r, HEAD(FIELD("Host", "Allowed.test:443")), "", REFUSAL_HOST_NOT_ALLOWED,
	        "Host not allowed: allowed.test:443");
	expect(&r, HEAD(FIELD("Host", "other.test")), "", REFUSAL_HOST_NOT_ALLOWED,
	        "Host not allowed: other.test");
	/* Not trusted: a proxy's header changes nothing. */
	expect(&r,
	        HEAD(FIELD("Host", "evil.test"), FIELD("X-Forwarded-Host", "allowed.test"),
	                FIELD("Forwarded", "host=allowed.test")),
	        "", REFUSAL_HOST_NOT_ALLOWED, "Host not allowed: evil.test");
	hostname_fini(&r);
}

static void
test_behind_a_proxy(void **state)
{
	(void)state;
	struct hostname_rules r = rules(LIST("allowed.test"), true);
	expect(&r,
	        HEAD(FIELD("Host", "inner:8090"), FIELD("X-Forwarded-Host", "allowed.test:443"),
	                FIELD("X-Forwarded-Proto", "https")),
	        "", REFUSAL_NONE, NULL);
	expect(&r,
	        HEAD(FIELD("Host", "inner"),
	                FIELD("Forwarded", "for=1.2.3.4;HOST=\"allowed.test:443\";proto=https, "
	                                   "host=evil.test")),
	        "", REFUSAL_NONE, NULL);
	expect(&r,
	        HEAD(FIELD("Forwarded", "for=\"a;host=x,\"; host=allowed.test:443 ;Proto=WSS"),
	                FIELD("X-Forwarded-Host", "evil.test")),
	        "", REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("X-Forwarded-Host", "allowed.test, evil.test")), "", REFUSAL_NONE,
	        NULL);
	/* The first element of the first header alone. */
	expect(&r,
	        HEAD(FIELD("Host", "inner"), FIELD("Forwarded", "for=1.2.3.4, host=allowed.test"),
	                FIELD("Forwarded", "host=allowed.test")),
	        "", REFUSAL_HOST_NOT_ALLOWED, "Host not allowed: inner");
	/* http says port 443 is not the default, whatever the origin's scheme is. */
	expect(&r,
	        HEAD(FIELD("X-Forwarded-Host", "allowed.test:443"),
	                FIELD("X-Forwarded-Proto", "http")),
	        "https://x.test", REFUSAL_HOST_NOT_ALLOWED, "Host not allowed: allowed.test:443");
	expect(&r,
	        HEAD(FIELD("X-Forwarded-Host", "allowed.test:443"),
	                FIELD("X-Forwarded-Proto", "gopher")),
	        "https://x.test", REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Host", "allowed.test"), FIELD("X-Forwarded-Host", " ")), "",
	        REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("X-Forwarded-Host", "a b")), "", REFUSAL_HOST_INVALID,
	        "malformed Host header");
	expect(&r, HEAD(), "", REFUSAL_HOST_MISSING, "missing Host header");
	hostname_fini(&r);
}

static void
test_bad_entry(void **state)
{
	(void)state;
	struct hostname_rules r;
	struct err e = {0};
	struct host_conf c = {.allowed = LIST("ok.test", "ok.test:x")};
	assert_int_not_equal(hostname_init(&r, &c, &e), 0);
	assert_non_null(strstr(e.text, "host.allowed: \"ok.test:x\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_normalise),
	        cmocka_unit_test(test_off),
	        cmocka_unit_test(test_direct),
	        cmocka_unit_test(test_behind_a_proxy),
	        cmocka_unit_test(test_bad_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
