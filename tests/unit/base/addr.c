#include "base/addr.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void
test_text_round_trip(void **state)
{
	(void)state;
	static const char *const good[] = {"0.0.0.0", "10.0.2.15", "255.255.255.255", "::1",
	        "fe80::1", "2001:db8::1:0:0:1", "64:ff9b::c000:201"};
	char buf[ADDR_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ip a;
		assert_true(ip_parse(span_str(good[i]), &a));
		assert_string_equal(ip_text(&a, buf), good[i]);
	}
}

static void
test_mapped_is_v4(void **state)
{
	(void)state;
	struct ip a;
	assert_true(ip_parse(span_str("::ffff:10.0.0.1"), &a));
	assert_true(ip_is4(&a));
	assert_int_equal(ip_u32(&a), 0x0a000001);
}

static void
test_bad_text(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4",
	        "1.2.3.4 ", "::1%lo", "[::1]", "1.2.3.0x4", ":::", "g::"};
	struct ip a;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(ip_parse(span_str(bad[i]), &a));
}

static void
test_cidr(void **state)
{
	(void)state;
	struct cidr c;
	struct ip in = ip4(0x0a010203), out = ip4(0x0b010203);
	char buf[ADDR_TEXT];
	assert_true(cidr_parse(span_str("10.0.0.0/8"), &c));
	assert_true(cidr_has(&c, &in));
	assert_false(cidr_has(&c, &out));
	assert_string_equal(cidr_text(&c, buf), "10.0.0.0/8");
	assert_true(cidr_parse(span_str("::/0"), &c));
	assert_true(cidr_has(&c, &in));
	assert_false(cidr_parse(span_str("10.0.0.1/8"), &c));
	assert_false(cidr_parse(span_str("10.0.0.0/33"), &c));
	assert_false(cidr_parse(span_str("10.0.0.0/"), &c));
}

/* Of two addresses that differ in one bit, a range holds both exactly if it ends before that bit.
 */
static void
test_cidr_every_length(void **state)
{
	(void)state;
	struct ip base = {{0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
	for (unsigned bit = 0; bit < 128; bit++) {
		struct ip other = base;
		other.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		for (unsigned bits = 0; bits <= 128; bits++) {
			struct cidr c = {base, (uint8_t)bits};
			assert_true(cidr_has(&c, &base));
			assert_int_equal(cidr_has(&c, &other), bits <= bit);
		}
	}
}

static void
test_endpoint(void **state)
{
	(void)state;
	struct endpoint e;
	char buf[ADDR_TEXT];
	assert_true(endpoint_parse(span_str("127.0.0.1:0"), &e));
	assert_true(endpoint_parse(span_str("[::1]:8090"), &e));
	assert_string_equal(endpoint_text(&e, buf), "[::1]:8090");
	assert_false(endpoint_parse(span_str("::1:8090"), &e));
	assert_false(endpoint_parse(span_str("[127.0.0.1]:1"), &e));
	assert_false(endpoint_parse(span_str("127.0.0.1:65536"), &e));
	assert_false(endpoint_parse(span_str("127.0.0.1:"), &e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_text_round_trip),
	        cmocka_unit_test(test_mapped_is_v4),
	        cmocka_unit_test(test_bad_text),
	        cmocka_unit_test(test_cidr),
	        cmocka_unit_test(test_cidr_every_length),
	        cmocka_unit_test(test_endpoint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
