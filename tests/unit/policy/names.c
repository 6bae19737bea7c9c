#include "policy/names.h"

#include "tests/unit/policy/make.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t
match(const struct names *t, const char *name)
{
	return names_match(t, span_str(name));
}

static struct names
load(enum names_style style, struct opt_list l)
{
	struct names t;
	struct err e = {0};
	assert_int_equal(names_load(&t, style, &l, "test", &e), 0);
	return t;
}

static void
test_domains(void **state)
{
	(void)state;
	struct names t =
	        load(NAMES_DOMAINS, LIST("example.com", ".Dotted.Test.", "*.below.test", ".", "",
	                                    "x", "a_b.test", "xn--bcher-kva.test"));
	assert_int_equal(match(&t, "example.com"), 0);
	assert_int_equal(match(&t, "a.example.com"), 0);
	assert_int_equal(match(&t, "a.b.c.example.com"), 0);
	assert_int_equal(match(&t, "notexample.com"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "example.com.evil"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "com"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "xample.com"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "a-example.com"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, ""), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "."), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "dotted.test"), 1);
	assert_int_equal(match(&t, "a.dotted.test"), 1);
	assert_int_equal(match(&t, "below.test"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "a.below.test"), 2);
	assert_int_equal(match(&t, "a.b.below.test"), 2);
	assert_int_equal(match(&t, "notbelow.test"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "x"), 5);
	assert_int_equal(match(&t, "y.x"), 5);
	assert_int_equal(match(&t, "yx"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "a_b.test"), 6);
	assert_int_equal(names_match(&t, SPAN_LIT("example.com\0.evil.test")), NAMES_NO_MATCH);
	names_fini(&t);
}

static void
test_hosts(void **state)
{
	(void)state;
	struct names t = load(NAMES_HOSTS, LIST("example.com", "*.wild.test", "wild.test", "*.a"));
	assert_int_equal(match(&t, "example.com"), 0);
	assert_int_equal(match(&t, "a.example.com"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "x.wild.test"), 1);
	assert_int_equal(match(&t, "wild.test"), 2);
	assert_int_equal(match(&t, "a"), NAMES_NO_MATCH);
	assert_int_equal(match(&t, "a.a"), 3);
	names_fini(&t);
}

static void
test_empty(void **state)
{
	(void)state;
	struct names t = load(NAMES_DOMAINS, LIST());
	assert_int_equal(match(&t, "example.com"), NAMES_NO_MATCH);
	names_fini(&t);
	t = load(NAMES_DOMAINS, LIST(".", "..", " "));
	assert_int_equal(t.n, 0);
	names_fini(&t);
}

static void
test_many(void **state)
{
	(void)state;
	enum { MANY = 20000 };
	const char **v = calloc(MANY, sizeof *v);
	for (int i = 0; i < MANY; i++)
		assert_true(asprintf((char **)&v[i], "d%d.test", i) > 0);
	struct names t = load(NAMES_DOMAINS, (struct opt_list){.v = v, .n = MANY, .set = true});
	for (int i = 0; i < MANY; i += 37) {
		char name[64];
		snprintf(name, sizeof name, "www.d%d.test", i);
		assert_int_equal(match(&t, name), i);
		snprintf(name, sizeof name, "wwwd%d.test", i);
		assert_int_equal(match(&t, name), NAMES_NO_MATCH);
	}
	names_fini(&t);
	for (int i = 0; i < MANY; i++)
		free((char *)v[i]);
	free(v);
}

static void
test_longest_name(void **state)
{
	(void)state;
	struct names t = load(NAMES_DOMAINS, LIST("a"));
	char name[253];
	for (size_t i = 0; i < sizeof name; i++)
		name[i] = i % 2 ? '.' : 'b';
	assert_int_equal(names_match(&t, span(name, sizeof name)), NAMES_NO_MATCH);
	name[252] = 'a';
	assert_int_equal(names_match(&t, span(name, sizeof name)), 0);
	names_fini(&t);
}

static void
test_bad_entries(void **state)
{
	(void)state;
	static const char *const bad[] = {"*", "a*.test", "*.*.test", "*.", "https://a.test",
	        "a.test:80", "a b",
	        "b\xc3\xbc"
	        "cher.test",
	        "a..b", "a@b", "[::1]",
	        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct names t;
		struct err e = {0};
		struct opt_list l = LIST("fine.test", bad[i]);
		if (names_load(&t, NAMES_DOMAINS, &l, "egress.x", &e) == 0)
			fail_msg("%s", bad[i]);
		assert_non_null(strstr(e.text, "egress.x: \""));
		assert_non_null(strstr(e.text, bad[i]));
		names_fini(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_domains),
	        cmocka_unit_test(test_hosts),
	        cmocka_unit_test(test_empty),
	        cmocka_unit_test(test_many),
	        cmocka_unit_test(test_longest_name),
	        cmocka_unit_test(test_bad_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
