#include "wire/jsondoc.h"

#include "t.h"

static void
test_good(void **state)
{
	(void)state;
	static const char *const good[] = {"{}", " \t\r\n{ } \n", "{\"a\":[]}",
	        "{\"a\":[1,-0,0.5,1e9,-1.5E-3,10]}", "{\"a\":{\"b\":[true,false,null,{}]}}",
	        "{\"\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\ud83d\\ude00\"}", "{\"\xc3\xbc\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct jsondoc *j = jsondoc_parse(span_str(good[i]));
		if (!j)
			fail_msg("%s", good[i]);
		jsondoc_free(j);
	}
}

static void
test_bad(void **state)
{
	(void)state;
	static const char *const bad[] = {"", " ", "1", "[]", "\"a\"", "null", "{", "}", "{}x",
	        "{}{}", "{} {}", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}",
	        "{\"a\":1 \"b\":2}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1 2]}", "{\"a\":[}",
	        "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":-}", "{\"a\":1e}",
	        "{\"a\":1e+}", "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":tru}",
	        "{\"a\":True}", "{\"a\":\"\n\"}", "{\"a\":\"\x01\"}", "{\"a\":\"\\x\"}",
	        "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\\ud83d\"}",
	        "{\"a\":\"\\ude00\"}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a\":\"",
	        "{\"a\":\"\\", "{\"a\":\"\\u12", "\xef\xbb\xbf{}", "{\"a\":1/*c*/}",
	        "{\"a\"\xc2\xa0:1}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (jsondoc_parse(span_str(bad[i])))
			fail_msg("%s", bad[i]);
	assert_null(jsondoc_parse(span("{}\0", 3)));
	assert_null(jsondoc_parse(SPAN_NONE));
}

static void
test_depth(void **state)
{
	(void)state;
	char text[200] = "{\"a\":";
	for (int depth = 30; depth < 34; depth++) {
		size_t n = 5;
		for (int i = 1; i < depth; i++)
			text[n++] = '[';
		for (int i = 1; i < depth; i++)
			text[n++] = ']';
		text[n++] = '}';
		struct jsondoc *j = jsondoc_parse(span(text, n));
		assert_int_equal(j != NULL, depth <= JSONDOC_DEPTH);
		jsondoc_free(j);
	}
	static char deep[1 << 20];
	memset(deep, '[', sizeof deep);
	memcpy(deep, "{\"a\":", 5);
	assert_null(jsondoc_parse(span(deep, sizeof deep)));
}

static void
test_numbers(void **state)
{
	(void)state;
	struct jsondoc *j = jsondoc_parse(
	        SPAN_LIT("{\"s\":\"9,8\",\"i\":17,\"f\":1.0,\"e\":1e3,\"n\":[-5,{\"m\":"
	                 "-9223372036854775808}],\"max\":9223372036854775807,"
	                 "\"over\":9223372036854775808,\"under\":-9223372036854775809,"
	                 "\"huge\":1e999,\"z\":-0}"));
	assert_non_null(j);
	int64_t v;
	double d;
	static const char *const none[] = {"f", "e", "over", "under", "huge", "s", "absent", "n"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_false(jsondoc_int(jsondoc_get(j, none[i]), &v));
	assert_int_equal(t_int(j, "i"), 17);
	assert_int_equal(t_int(j, "max"), INT64_MAX);
	assert_int_equal(t_int(j, "z"), 0);
	const struct jsondoc *n = jsondoc_first(jsondoc_get(j, "n"));
	assert_true(jsondoc_int(n, &v) && v == -5);
	assert_int_equal(t_int(jsondoc_next(n), "m"), INT64_MIN);
	assert_null(jsondoc_next(jsondoc_next(n)));
	assert_true(jsondoc_number(jsondoc_get(j, "f"), &d) && d == 1.0);
	assert_true(jsondoc_number(jsondoc_get(j, "e"), &d) && d == 1000.0);
	assert_false(jsondoc_number(jsondoc_get(j, "huge"), &d));
	assert_false(jsondoc_number(jsondoc_get(j, "s"), &d));
	jsondoc_free(j);
}

static void
test_getters(void **state)
{
	(void)state;
	struct jsondoc *j = jsondoc_parse(SPAN_LIT("{\"a\":1,\"A\":2,\"a\":3,\"t\":true,\"f\":"
	                                           "false,\"n\":null,\"s\":\"x\",\"o\":{}}"));
	bool b;
	struct span s;
	assert_int_equal(t_int(j, "a"), 3); /* the last one counts */
	assert_int_equal(t_int(j, "A"), 2); /* case matters */
	assert_true(jsondoc_bool(jsondoc_get(j, "t"), &b) && b);
	assert_true(jsondoc_bool(jsondoc_get(j, "f"), &b) && !b);
	assert_false(jsondoc_bool(jsondoc_get(j, "n"), &b));
	assert_true(jsondoc_is_null(jsondoc_get(j, "n")));
	assert_false(jsondoc_is_null(jsondoc_get(j, "absent")));
	assert_true(jsondoc_is_object(jsondoc_get(j, "o")));
	assert_false(jsondoc_is_array(jsondoc_get(j, "o")));
	assert_true(jsondoc_string(jsondoc_get(j, "s"), &s));
	t_text(s, "x");
	assert_false(jsondoc_string(jsondoc_get(j, "a"), &s));
	assert_false(jsondoc_string(NULL, &s));
	assert_null(jsondoc_get(jsondoc_get(j, "a"), "a"));
	assert_null(jsondoc_get(NULL, "a"));
	assert_null(jsondoc_first(NULL));
	assert_null(jsondoc_first(jsondoc_get(j, "s")));
	assert_string_equal(jsondoc_name(jsondoc_first(j)), "a");
	jsondoc_free(j);
	jsondoc_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_good),
	        cmocka_unit_test(test_bad),
	        cmocka_unit_test(test_depth),
	        cmocka_unit_test(test_numbers),
	        cmocka_unit_test(test_getters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
