#include "policy/origin.h"

#include "tests/unit/policy/make.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *in, *out; /* NULL: refused */
} cases[] = {
        {"https://example.com", "https://example.com"},
        {"http://example.com", "http://example.com"},
        {"HTTPS://ALLOWED.TEST:443/", "https://allowed.test"},
        {"hTTp://Example.COM:80", "http://example.com"},
        {"https://example.com/", "https://example.com"},
        {"https://example.com:80", "https://example.com:80"},
        {"http://example.com:443", "http://example.com:443"},
        {"https://example.com:8443/", "https://example.com:8443"},
        {"https://example.com:00443", "https://example.com"},
        {"https://example.com:65535", "https://example.com:65535"},
        {"https://example.com.", "https://example.com."},
        {"  https://example.com\t", "https://example.com"},
        {"null", "null"},
        {" null ", "null"},
        {"https://a_b.example", "https://a_b.example"},
        {"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
        {"https://xn--wgv71a119e.jp", "https://xn--wgv71a119e.jp"},
        {"https://a-b--c.example", "https://a-b--c.example"},
        /* IPv4 in all its spellings */
        {"http://127.0.0.1", "http://127.0.0.1"},
        {"http://127.1", "http://127.0.0.1"},
        {"http://127.0.1", "http://127.0.0.1"},
        {"http://010.0.0.1", "http://8.0.0.1"},
        {"http://0x7f.0x0.0x0.0x1", "http://127.0.0.1"},
        {"http://0X7F.1:80", "http://127.0.0.1"},
        {"http://2130706433", "http://127.0.0.1"},
        {"http://0x7f000001", "http://127.0.0.1"},
        {"http://017700000001", "http://127.0.0.1"},
        {"http://4294967295", "http://255.255.255.255"},
        {"http://0", "http://0.0.0.0"},
        {"http://0x", "http://0.0.0.0"},
        {"http://1.2.3.4.:8080", "http://1.2.3.4:8080"},
        {"http://1.16777216", NULL},
        {"http://1.65536", "http://1.1.0.0"},
        {"http://4294967296", NULL},
        {"http://256.0.0.1", NULL},
        {"http://1.2.3.256", NULL},
        {"http://1.2.3.4.5", NULL},
        {"http://1..2", NULL},
        {"http://08", NULL},
        {"http://1.2.3.08", NULL},
        {"http://example.1", NULL},
        {"http://example.0x1", NULL},
        {"http://example.0xg", "http://example.0xg"},
        {"http://0x7f.1.example", "http://0x7f.1.example"},
        {"http://99999999999999999999999999", NULL},
        /* IPv6 */
        {"http://[::1]", "http://[::1]"},
        {"http://[::1]:80/", "http://[::1]"},
        {"https://[2001:DB8::0:1]:8443", "https://[2001:db8::1]:8443"},
        {"http://[2001:db8:0:0:1:0:0:1]", "http://[2001:db8::1:0:0:1]"},
        {"http://[1:0:2:0:3:0:4:0]", "http://[1:0:2:0:3:0:4:0]"},
        {"http://[0:0:0:0:0:0:0:0]", "http://[::]"},
        {"http://[1:2:3:4:5:6:0:0]", "http://[1:2:3:4:5:6::]"},
        {"http://[1:0:0:4:0:0:0:8]", "http://[1:0:0:4::8]"},
        {"http://[::ffff:192.0.2.1]", "http://[::ffff:c000:201]"},
        {"http://[::FFFF:C000:0201]", "http://[::ffff:c000:201]"},
        {"http://[::192.0.2.1]", "http://[::c000:201]"},
        {"http://[::ffff:192.0.2.01]", NULL},
        {"http://[fe80::1%25eth0]", NULL},
        {"http://[fe80::1%eth0]", NULL},
        {"http://[127.0.0.1]", NULL},
        {"http://[example.com]", NULL},
        {"http://[]", NULL},
        {"http://[", NULL},
        {"http://[::1", NULL},
        {"http://::1", NULL},
        {"http://::1]", NULL},
        {"http://[::1]x", NULL},
        {"http://[::1]80", NULL},
        {"http://[:::1]", NULL},
        /* shape */
        {"", NULL},
        {"   ", NULL},
        {"NULL", NULL},
        {"*", NULL},
        {"example.com", NULL},
        {"https:example.com", NULL},
        {"https:/example.com", NULL},
        {"https:///example.com", NULL},
        {"https://", NULL},
        {"https:///", NULL},
        {"ftp://example.com", NULL},
        {"ws://example.com", NULL},
        {"https://example.com//", NULL},
        {"https://example.com/path", NULL},
        {"https://example.com/.", NULL},
        {"https://example.com?", NULL},
        {"https://example.com/?q", NULL},
        {"https://example.com#", NULL},
        {"https://@example.com", NULL},
        {"https://user@example.com", NULL},
        {"https://user:pw@example.com:80", NULL},
        {"https://example.com:", NULL},
        {"https://example.com:/", NULL},
        {"https://example.com:0", NULL},
        {"https://example.com:65536", NULL},
        {"https://example.com:-1", NULL},
        {"https://example.com:+1", NULL},
        {"https://example.com:8x", NULL},
        {"https://example.com:80:80", NULL},
        {"https://:80", NULL},
        {"https://exa mple.com", NULL},
        {"https://exa\tmple.com", NULL},
        {"https://ex%61mple.com", NULL},
        {"https://a,b", NULL},
        {"https://a.example, https://b.example", NULL},
        {"https://{a}", NULL},
        {"https://a\\b", NULL},
        {"https://a`b", NULL},
        {"https://a<b", NULL},
        {"https://a>b", NULL},
        {"https://a^b", NULL},
        {"https://a|b", NULL},
        {"https://a\"b", NULL},
        {"https://a]b", NULL},
        {"https://b\xc3\xbc"
         "cher.example",
                NULL},
        {"https://a\x7f", NULL},
        {"https://\xe3\x80\x82", NULL},
        {"https://xn--a", NULL},
        {"https://xn--", NULL},
        {"https://xn--abc-.example", NULL},
        {"https://XN--99999999999", NULL},
        {"https://a.xn--\x7f", NULL},
};

static void
test_normalise(void **state)
{
	(void)state;
	char out[ORIGIN_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *want = cases[i].out;
		bool ok = origin_normalise(span_str(cases[i].in), out);
		if (ok != (want != NULL) || (ok && strcmp(out, want) != 0))
			fail_msg("%s: got %s", cases[i].in, ok ? out : "(refused)");
	}
}

static void
test_normal_form_is_stable(void **state)
{
	(void)state;
	char out[ORIGIN_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (cases[i].out) {
			assert_true(origin_normalise(span_str(cases[i].out), out));
			assert_string_equal(out, cases[i].out);
		}
}

static void
test_length_limit(void **state)
{
	(void)state;
	char in[ORIGIN_MAX + 2], out[ORIGIN_TEXT];
	memset(in, 'a', sizeof in);
	memcpy(in, "http://", 7);
	assert_true(origin_normalise(span(in, ORIGIN_MAX), out));
	assert_int_equal(strlen(out), ORIGIN_MAX);
	assert_false(origin_normalise(span(in, ORIGIN_MAX + 1), out));
	assert_false(origin_normalise(SPAN_LIT("https://a\0b"), out));
}

static struct origin_rules
rules(struct opt_list allowed, struct opt_list extra, bool open)
{
	struct origin_rules r;
	struct err e = {0};
	struct origin_conf c = {.allowed = allowed, .allowed_extra = extra, .open = open};
	assert_int_equal(origin_init(&r, &c, &e), 0);
	return r;
}

static void
expect(struct origin_rules *r, struct head h, enum refusal_why why, const char *body)
{
	struct origin_result out;
	origin_check(r, &h, &out);
	assert_int_equal(out.refusal.why, why);
	if (why == REFUSAL_NONE)
		return;
	assert_int_equal(out.refusal.status, 403);
	assert_true(body_is(out.refusal.text, out.refusal.detail, body));
}

static void
test_list(void **state)
{
	(void)state;
	struct origin_rules r =
	        rules(LIST("HTTPS://ALLOWED.TEST:443/"), LIST("http://0x7f.1:3000"), false);
	expect(&r, HEAD(FIELD("Origin", "https://allowed.test")), REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("oRIGIN", "http://127.0.0.1:3000")), REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Origin", "https://other.test")), REFUSAL_ORIGIN_NOT_ALLOWED,
	        "Origin not allowed: https://other.test");
	expect(&r, HEAD(FIELD("Origin", "http://allowed.test")), REFUSAL_ORIGIN_NOT_ALLOWED,
	        "Origin not allowed: http://allowed.test");
	expect(&r, HEAD(FIELD("Origin", "null")), REFUSAL_ORIGIN_NOT_ALLOWED,
	        "Origin not allowed: null");
	expect(&r, HEAD(FIELD("Host", "allowed.test")), REFUSAL_ORIGIN_MISSING,
	        "missing Origin header");
	expect(&r, HEAD(FIELD("Origin", "  ")), REFUSAL_ORIGIN_MISSING, "missing Origin header");
	expect(&r, HEAD(FIELD("Origin", "https://\xc3\xa9")), REFUSAL_ORIGIN_MISSING,
	        "missing Origin header");
	expect(&r, HEAD(FIELD("Origin", "https://allowed.test/x")), REFUSAL_ORIGIN_INVALID,
	        "invalid Origin header: https://allowed.test/x");
	expect(&r,
	        HEAD(FIELD("Origin", "https://allowed.test"),
	                FIELD("Origin", "https://allowed.test")),
	        REFUSAL_ORIGIN_INVALID, "invalid Origin header: multiple values");
	origin_fini(&r);
}

static void
test_any(void **state)
{
	(void)state;
	struct origin_rules r = rules(LIST("*"), LIST(), false);
	expect(&r, HEAD(FIELD("Origin", "https://whatever.test")), REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Origin", "null")), REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Origin", "whatever")), REFUSAL_ORIGIN_INVALID,
	        "invalid Origin header: whatever");
	expect(&r, HEAD(), REFUSAL_ORIGIN_MISSING, "missing Origin header");
	origin_fini(&r);
	r = rules(LIST("null"), LIST(), false);
	expect(&r, HEAD(FIELD("Origin", "null")), REFUSAL_NONE, NULL);
	origin_fini(&r);
}

static void
test_same_host(void **state)
{
	(void)state;
	static const struct {
		const char *origin, *host;
		bool ok;
	} pair[] = {
	        {"https://example.com", "example.com", true},
	        {"https://example.com", "EXAMPLE.com:443", true},
	        {"https://example.com", "example.com:80", false},
	        {"http://example.com", "example.com:80", true},
	        {"http://example.com:8090", "example.com:8090", true},
	        {"http://example.com:8090", "example.com", false},
	        {"http://127.0.0.1:8090", "127.1:8090", true},
	        {"http://[::1]:8090", "[0:0::1]:8090", true},
	        {"http://example.com", "example.com.", false},
	        {"http://example.com", "user@example.com", false},
	        {"http://example.com", "example.com/", false},
	        {"http://example.com", "example.com:", false},
	        {"http://example.com", "", false},
	        {"null", "null", false},
	};
	struct origin_rules r = rules(LIST(), LIST(), false);
	for (size_t i = 0; i < ARRAY_LEN(pair); i++)
		if (origin_allowed(&r, pair[i].origin, span_str(pair[i].host)) != pair[i].ok)
			fail_msg("%s on %s", pair[i].origin, pair[i].host);
	expect(&r, HEAD(FIELD("Host", "a.test"), FIELD("Origin", "https://a.test")), REFUSAL_NONE,
	        NULL);
	/* A forwarded host is not the one that counts. */
	expect(&r,
	        HEAD(FIELD("Host", "b.test"), FIELD("X-Forwarded-Host", "a.test"),
	                FIELD("Origin", "https://a.test")),
	        REFUSAL_ORIGIN_NOT_ALLOWED, "Origin not allowed: https://a.test");
	expect(&r, HEAD(FIELD("Origin", "https://a.test")), REFUSAL_ORIGIN_NOT_ALLOWED,
	        "Origin not allowed: https://a.test");
	origin_fini(&r);
}

static void
test_open(void **state)
{
	(void)state;
	struct origin_result out;
	struct origin_rules r = rules(LIST("https://a.test"), LIST(), true);
	expect(&r, HEAD(), REFUSAL_NONE, NULL);
	expect(&r, HEAD(FIELD("Origin", "junk")), REFUSAL_NONE, NULL);
	struct head h = HEAD(FIELD("Origin", "https://B.test:443"));
	origin_check(&r, &h, &out);
	assert_string_equal(out.text, "https://b.test");
	origin_fini(&r);
}

static void
test_bad_entries(void **state)
{
	(void)state;
	struct origin_rules r;
	struct err e = {0};
	struct origin_conf c = {.allowed = LIST("*", "https://a.test/x")};
	assert_int_not_equal(origin_init(&r, &c, &e), 0);
	assert_non_null(strstr(e.text, "origin.allowed: \"https://a.test/x\""));
	c = (struct origin_conf){
	        .allowed = LIST("https://a.test"), .allowed_extra = LIST("a.test")};
	assert_int_not_equal(origin_init(&r, &c, &e), 0);
	assert_non_null(strstr(e.text, "origin.allowed-extra: \"a.test\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_normalise),
	        cmocka_unit_test(test_normal_form_is_stable),
	        cmocka_unit_test(test_length_limit),
	        cmocka_unit_test(test_list),
	        cmocka_unit_test(test_any),
	        cmocka_unit_test(test_same_host),
	        cmocka_unit_test(test_open),
	        cmocka_unit_test(test_bad_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
