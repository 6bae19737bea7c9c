#include "policy/host.h"

#include "tests/unit/policy/make.h"

static void
test_number(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int kind;
		uint32_t v;
	} cases[] = {
	        {"0", 1, 0},
	        {"0x", 1, 0},
	        {"0x.0x.0x.0x", 1, 0},
	        {"00000000000000000000000177.1", 1, 0x7f000001},
	        {"0xffffffff", 1, 0xffffffff},
	        {"0x100000000", -1, 0},
	        {"255.255.65535", 1, 0xffffffff},
	        {"255.255.65536", -1, 0},
	        {"255.16777215", 1, 0xffffffff},
	        {"1.2.3.4.", 1, 0x01020304},
	        {"1.2.3.4..", 0, 0},
	        {".", 0, 0},
	        {".1", -1, 0},
	        {"", 0, 0},
	        {"a", 0, 0},
	        {"a.09", -1, 0},
	        {"a.0x", -1, 0},
	        {"a.0xz", 0, 0},
	        {"1.2.3.a", 0, 0},
	        {"1e3", 0, 0},
	        {"0b1", 0, 0},
	        {"18446744073709551616", -1, 0},
	        {"0xfffffffffffffffffffffffffffffffff", -1, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t v = 0;
		int kind = host_number(span_str(cases[i].in), &v);
		if (kind != cases[i].kind || (kind == 1 && v != cases[i].v))
			fail_msg("%s: %d %08x", cases[i].in, kind, v);
	}
}

static void
test_ace(void **state)
{
	(void)state;
	static const char *const good[] = {"xn--bcher-kva", "xn--mnchen-3ya", "xn--fiqs8s",
	        "xn--wgv71a119e", "xn--80ak6aa92e", "XN--BCHER-KVA", "a.xn--p1ai", "xn", "xn-a",
	        "axn--", "xn--ls8h", "xn--fsqu00a.xn--0zwm56d"};
	static const char *const bad[] = {"xn--", "xn--a", "xn--abc-", "xn--bcher-kv\x80", "xn--0",
	        "xn--99999999", "xn--9999999999999999", "ok.xn--", "xn---", "xn--bcher_kva",
	        "xn--kba", "xn--11b4c3dv!"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!host_ace_ok(span_str(good[i])))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (host_ace_ok(span_str(bad[i])))
			fail_msg("%s", bad[i]);
}

static void
test_classify(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		enum host_kind kind;
		const char *out;
	} cases[] = {
	        {"example.com", HOST_NAME, "example.com"},
	        {" Example.COM.. ", HOST_NAME, "example.com"},
	        {"_sip._tcp.example.com", HOST_NAME, "_sip._tcp.example.com"},
	        {"localhost", HOST_NAME, "localhost"},
	        {"-a-", HOST_NAME, "-a-"},
	        {"127.0.0.1", HOST_IP, "127.0.0.1"},
	        {"127.0.0.1.", HOST_IP, "127.0.0.1"},
	        {"8.8.8.8..", HOST_IP, "8.8.8.8"},
	        {"127.1", HOST_IP, "127.0.0.1"},
	        {"0177.0.0.1", HOST_IP, "127.0.0.1"},
	        {"0x7f.1", HOST_IP, "127.0.0.1"},
	        {"2130706433", HOST_IP, "127.0.0.1"},
	        {"::1", HOST_IP, "::1"},
	        {"[::1]", HOST_IP, "::1"},
	        {"[::ffff:127.0.0.1]", HOST_IP, "127.0.0.1"},
	        {"::FFFF:7f00:1", HOST_IP, "127.0.0.1"},
	        {"0:0:0:0:0:0:0:1", HOST_IP, "::1"},
	        {"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.\xef\xbc\x90.\xef\xbc\x90.\xef\xbc\x91",
	                HOST_IP, "127.0.0.1"}, /* full width */
	        {"127\xe3\x80\x82"
	         "0\xef\xbd\xa1"
	         "0\xef\xbc\x8e"
	         "1",
	                HOST_IP, "127.0.0.1"}, /* three other dots */
	        {"\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.\xe2\x93\xaa.0.\xc2\xb9", HOST_IP,
	                "127.0.0.1"}, /* circled and raised */
	        {"\xf0\x9d\x9f\x8f\xf0\x9d\x9f\x90\xf0\x9d\x9f\x95.1", HOST_IP,
	                "127.0.0.1"}, /* bold */
	        {"\xe2\x93\x94xample.com", HOST_NAME, "example.com"},
	        {"", HOST_BAD, NULL},
	        {".", HOST_BAD, NULL},
	        {"[]", HOST_BAD, NULL},
	        {"[127.0.0.1]", HOST_BAD, NULL},
	        {"[example.com]", HOST_BAD, NULL},
	        {"[::1", HOST_BAD, NULL},
	        {"::1]", HOST_BAD, NULL},
	        {"fe80::1%eth0", HOST_BAD, NULL},
	        {"[fe80::1%eth0]", HOST_BAD, NULL},
	        {"a..b", HOST_BAD, NULL},
	        {".a", HOST_BAD, NULL},
	        {"a b", HOST_BAD, NULL},
	        {"a/b", HOST_BAD, NULL},
	        {"a:80", HOST_BAD, NULL},
	        {"user@a", HOST_BAD, NULL},
	        {"a%62", HOST_BAD, NULL},
	        {"256.1.1.1", HOST_BAD, NULL},
	        {"08.0.0.1", HOST_BAD, NULL},
	        {"1.2.3.4.5", HOST_BAD, NULL},
	        {"b\xc3\xbc"
	         "cher.example",
	                HOST_BAD, NULL},
	        {"a\xff", HOST_BAD, NULL},
	        {"a\xc3", HOST_BAD, NULL},
	        {"a\xe2\x80\x8b.com", HOST_BAD, NULL}, /* zero width space */
	        {"xn--a", HOST_BAD, NULL},
	        {"a\x01", HOST_BAD, NULL},
	};
	char text[ADDR_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct host h = host_classify(span_str(cases[i].in));
		const char *out = h.kind == HOST_IP ? ip_text(&h.ip, text) : h.name;
		if (h.kind != cases[i].kind || (cases[i].out && strcmp(out, cases[i].out) != 0))
			fail_msg("%s: %d %s", cases[i].in, h.kind, out);
	}
}

static void
test_long_names(void **state)
{
	(void)state;
	char name[300];
	memset(name, 'a', sizeof name);
	for (size_t i = 63; i < sizeof name; i += 64)
		name[i] = '.';
	name[253] = name[254] = '.';
	assert_int_equal(host_classify(span(name, 253)).kind, HOST_NAME);
	assert_int_equal(host_classify(span(name, 255)).kind, HOST_NAME); /* two dots more */
	name[253] = 'a';
	assert_int_equal(host_classify(span(name, 254)).kind, HOST_BAD);
	assert_int_equal(host_classify(span(name, 300)).kind, HOST_BAD);
	memset(name, 'a', sizeof name);
	assert_int_equal(host_classify(span(name, 63)).kind, HOST_NAME);
	assert_int_equal(host_classify(span(name, 64)).kind, HOST_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_number),
	        cmocka_unit_test(test_ace),
	        cmocka_unit_test(test_classify),
	        cmocka_unit_test(test_long_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
