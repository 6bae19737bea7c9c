#include "base/jout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
nested(void **state)
{
	(void)state;
	struct buf b;
	struct jout j;
	buf_init(&b, 4096);
	jout_init(&j, &b);
	jout_object(&j);
	jout_kv_str(&j, "schema", "aero.x/1");
	jout_kv_bool(&j, "ok", true);
	jout_key(&j, "list");
	jout_array(&j);
	jout_u64(&j, UINT64_MAX);
	jout_i64(&j, -3);
	jout_null(&j);
	jout_object(&j);
	jout_end(&j);
	jout_array(&j);
	jout_end(&j);
	jout_end(&j);
	jout_key(&j, "t");
	jout_ms(&j, 1.5);
	jout_kv_str(&j, "none", NULL);
	jout_kv_u64(&j, "n", 0);
	jout_end(&j);
	assert_string_equal(buf_str(&b),
	        "{\"schema\":\"aero.x/"
	        "1\",\"ok\":true,\"list\":[18446744073709551615,-3,null,{},[]],"
	        "\"t\":1.500,\"none\":null,\"n\":0}");
	buf_fini(&b);
}

static void
text(void **state)
{
	(void)state;
	static const struct {
		struct span in;
		const char *out;
	} rows[] = {
	        {SPAN_LIT("a\"b\\c/\b\f\n\r\t"), "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\""},
	        {SPAN_LIT("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\\u007f\""},
	        {SPAN_LIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	                "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
	        {SPAN_LIT("\xc0\xaf"), "\"\\ufffd\\ufffd\""},                       /* overlong */
	        {SPAN_LIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""},            /* surrogate */
	        {SPAN_LIT("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* > 10ffff */
	        {SPAN_LIT("x\xe2\x82"), "\"x\\ufffd\\ufffd\""},                     /* cut */
	        {SPAN_LIT(""), "\"\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		struct jout j;
		buf_init(&b, 256);
		jout_init(&j, &b);
		jout_span(&j, rows[i].in);
		assert_string_equal(buf_str(&b), rows[i].out);
		buf_fini(&b);
	}
}

static void
capped(void **state)
{
	(void)state;
	struct buf b;
	struct jout j;
	buf_init(&b, 8);
	jout_init(&j, &b);
	jout_str(&j, "much too long");
	assert_true(b.bad);
	assert_true(b.n <= 8);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nested),
	        cmocka_unit_test(text),
	        cmocka_unit_test(capped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
