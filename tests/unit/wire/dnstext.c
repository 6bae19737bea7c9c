#include "wire/dnstext.h"

#include "t.h"

/* A record whose data begins at 12 of a message in which a name stands before it. */
static void
rdata_is(uint16_t type, const char *hex, const char *want)
{
	struct bytes b = t_hex("0000000000000000 00000000 07 6578616d706c65 00"), data = t_hex(hex);
	char buf[2000];
	size_t at = b.n;
	memcpy(b.b + b.n, data.b, data.n);
	b.n += data.n;
	struct dnsrr rr = {.type = type, .rdata_at = at, .rdata = span(b.b + at, data.n)};
	assert_int_equal(dnstext_rdata(t_span(&b), &rr, buf, sizeof buf), strlen(want));
	assert_string_equal(buf, want);
	for (size_t cap = 0; cap < 40; cap++) {
		memset(buf, '!', sizeof buf);
		assert_int_equal(dnstext_rdata(t_span(&b), &rr, buf, cap), strlen(want));
		assert_int_equal(buf[cap], '!');
		if (cap)
			assert_true(strlen(buf) < cap && strncmp(buf, want, strlen(buf)) == 0);
	}
}

static void
test_rdata(void **state)
{
	(void)state;
	rdata_is(DNS_A, "0a000202", "10.0.2.2");
	rdata_is(DNS_AAAA, "20010db8000000000000000000000001", "2001:db8::1");
	rdata_is(DNS_CNAME, "03777777c00c", "www.example");
	rdata_is(DNS_NS, "c00c", "example");
	rdata_is(DNS_PTR, "00", ".");
	rdata_is(DNS_MX, "000a c00c", "10 example");
	rdata_is(DNS_SRV, "0001 0002 1466 c00c", "1 2 5222 example");
	rdata_is(DNS_TXT, "0568656c6c6f 00 03 22 5c ff", "\"hello\" \"\" \"\\\"\\\\\\255\"");
	rdata_is(DNS_SOA, "c00c c00c 00000001 00000002 00000003 00000004 00000005",
	        "example example 1 2 3 4 5");
	rdata_is(DNS_CAA, "00 05 6973737565 6c657473", "0 issue \"lets\"");
	rdata_is(DNS_HTTPS, "0001 00 0001 0003 026832", "1 . key1=\"\\002h2\"");
	rdata_is(DNS_TXT, "", "");
}

static void
test_unknown_and_broken(void **state)
{
	(void)state;
	rdata_is(65280, "abcd", "\\# 2 abcd");
	rdata_is(65280, "", "\\# 0");
	rdata_is(DNS_A, "0a0002", "\\# 3 0a0002");
	rdata_is(DNS_MX, "000a", "\\# 2 000a");
	rdata_is(DNS_MX, "000ac00cff", "\\# 5 000ac00cff"); /* bytes behind */
	rdata_is(DNS_CNAME, "c0ff", "\\# 2 c0ff");
	rdata_is(DNS_CNAME, "0361", "\\# 2 0361");
	rdata_is(DNS_TXT, "0561", "\\# 2 0561");
	rdata_is(DNS_SOA, "c00cc00c", "\\# 4 c00cc00c");
	rdata_is(DNS_CAA, "0009", "\\# 2 0009");
}

static void
test_names(void **state)
{
	(void)state;
	char buf[DNSTEXT_TYPE];
	uint16_t type;
	static const char *const all[] = {"A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA",
	        "SRV", "HTTPS", "SVCB", "CAA", "ANY", "TYPE65280", "TYPE0"};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_true(dnstext_parse_type(span_str(all[i]), &type));
		assert_string_equal(dnstext_type(type, buf), all[i]);
	}
	assert_true(dnstext_parse_type(SPAN_LIT("aaaa"), &type));
	assert_int_equal(type, DNS_AAAA);
	assert_true(dnstext_parse_type(SPAN_LIT("type28"), &type));
	assert_int_equal(type, DNS_AAAA);
	static const char *const bad[] = {"", "AAAAA", "TYPE", "TYPE65536", "TYPE-1", "28"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(dnstext_parse_type(span_str(bad[i]), &type));
	assert_string_equal(dnstext_rcode(3, buf), "NXDOMAIN");
	assert_string_equal(dnstext_rcode(16, buf), "BADVERS");
	assert_string_equal(dnstext_rcode(4095, buf), "RCODE4095");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_rdata),
	        cmocka_unit_test(test_unknown_and_broken),
	        cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
