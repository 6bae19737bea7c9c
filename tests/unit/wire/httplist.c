#include "wire/httplist.h"

#include "t.h"

static void
test_next(void **state)
{
	(void)state;
	struct span rest = SPAN_LIT(" a, ,\tb c ,,\"x,y\\\",z\",d"), item;
	static const char *const want[] = {"a", "b c", "\"x,y\\\",z\"", "d"};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(httplist_next(&rest, &item));
		t_text(item, want[i]);
	}
	assert_false(httplist_next(&rest, &item));
	assert_false(httplist_next(&rest, &item));
	rest = SPAN_NONE;
	assert_false(httplist_next(&rest, &item));
	rest = SPAN_LIT("\"never closed, b");
	assert_true(httplist_next(&rest, &item));
	t_text(item, "\"never closed, b");
	rest = SPAN_LIT("\"\\");
	assert_true(httplist_next(&rest, &item));
	assert_false(httplist_next(&rest, &item));
}

static void
test_has(void **state)
{
	(void)state;
	assert_true(httplist_has(SPAN_LIT("keep-alive, Upgrade"), "upgrade"));
	assert_true(httplist_has(SPAN_LIT("UPGRADE"), "upgrade"));
	assert_false(httplist_has(SPAN_LIT("upgraded"), "upgrade"));
	assert_false(httplist_has(SPAN_LIT("up grade"), "upgrade"));
	assert_false(httplist_has(SPAN_LIT(""), "upgrade"));
	assert_false(httplist_has(SPAN_LIT(",,"), ""));
}

static void
test_cookie(void **state)
{
	(void)state;
	struct span rest = SPAN_LIT("junk; a=1;b = x=y ;; =v;c=;d=\"q\""), name, value;
	static const char *const want[][2] = {
	        {"a", "1"}, {"b", "x=y"}, {"", "v"}, {"c", ""}, {"d", "\"q\""}};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(httplist_cookie(&rest, &name, &value));
		t_text(name, want[i][0]);
		t_text(value, want[i][1]);
	}
	assert_false(httplist_cookie(&rest, &name, &value));
	rest = SPAN_LIT("no pairs; here");
	assert_false(httplist_cookie(&rest, &name, &value));
}

static void
test_param(void **state)
{
	(void)state;
	struct span rest =
	        SPAN_LIT("for=\"[2001:db8::1]:80\"; proto = https;;secure;host=\";\";x=\"");
	struct span name, value;
	static const char *const want[][2] = {{"for", "[2001:db8::1]:80"}, {"proto", "https"},
	        {"secure", ""}, {"host", ";"}, {"x", "\""}};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(httplist_param(&rest, &name, &value));
		t_text(name, want[i][0]);
		t_text(value, want[i][1]);
	}
	assert_false(httplist_param(&rest, &name, &value));
	rest = SPAN_LIT(";;");
	assert_false(httplist_param(&rest, &name, &value));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_next),
	        cmocka_unit_test(test_has),
	        cmocka_unit_test(test_cookie),
	        cmocka_unit_test(test_param),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
