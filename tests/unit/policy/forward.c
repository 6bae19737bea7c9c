#include "policy/forward.h"

#include "tests/unit/policy/make.h"

static struct endpoint
at(const char *text)
{
	struct endpoint e;
	assert_true(endpoint_parse(span_str(text), &e));
	return e;
}

static void
test_forwards(void **state)
{
	(void)state;
	struct forwards t;
	struct err e = {0};
	struct opt_list l = LIST("203.0.113.10:80=127.0.0.1:8080",
	        " 203.0.113.10:81 = Echo.test:7 ", "203.0.113.9:80=[::1]:9",
	        "[2001:db8::1]:80=0x7f.1:1", "203.0.113.10:80=10.0.0.1:2");
	assert_int_equal(forward_load(&t, &l, "x", &e), 0);
	assert_int_equal(t.n, 4);
	struct endpoint from = at("203.0.113.10:80");
	const struct forward *f = forward_find(&t, &from);
	struct ip ten = make_ip("10.0.0.1"), loop6 = make_ip("::1"), loop4 = make_ip("127.0.0.1");
	assert_true(f && ip_eq(&f->to.ip, &ten) && f->port == 2 && f->item == 4); /* last wins */
	from = at("203.0.113.10:81");
	f = forward_find(&t, &from);
	assert_true(f && f->to.kind == HOST_NAME && f->port == 7);
	assert_string_equal(f->to.name, "echo.test");
	from = at("203.0.113.9:80");
	f = forward_find(&t, &from);
	assert_true(f && ip_eq(&f->to.ip, &loop6));
	from = at("[2001:db8::1]:80");
	f = forward_find(&t, &from);
	assert_true(f && ip_eq(&f->to.ip, &loop4));
	from = at("203.0.113.10:82");
	assert_null(forward_find(&t, &from));
	from = at("203.0.113.11:80");
	assert_null(forward_find(&t, &from));
	forward_fini(&t);
	assert_null(forward_find(&t, &from));
}

static void
test_bad_forwards(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "=", "203.0.113.10:80",
	        "203.0.113.10:80=", "203.0.113.10=127.0.0.1:80", "203.0.113.10:80=127.0.0.1",
	        "name:80=127.0.0.1:80", "203.0.113.10:65536=a:1", "203.0.113.10:80=a:65536",
	        "203.0.113.10:80=::1:80", "203.0.113.10:80=[::1:80", "203.0.113.10:80=:80",
	        "203.0.113.10:80=a b:80", "203.0.113.10:80=a:1=b:2", "0x7f.1:80=a:1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct forwards t;
		struct err e = {0};
		struct opt_list l = LIST("203.0.113.10:80=a:1", bad[i]);
		if (forward_load(&t, &l, "egress.tcp-forward", &e) == 0)
			fail_msg("%s", bad[i]);
		assert_non_null(strstr(e.text, "egress.tcp-forward: \""));
		forward_fini(&t);
	}
}

static void
test_names(void **state)
{
	(void)state;
	struct static_names t;
	struct err e = {0};
	struct opt_list l = LIST("Echo.local=127.0.0.1", "b.test=2001:db8::1", "b.test=192.0.2.7",
	        "a.test=192.0.2.1", "a.test = 192.0.2.2", "a=192.0.2.3");
	assert_int_equal(static_load(&t, &l, "x", &e), 0);
	assert_int_equal(t.n, 5);
	const struct static_name *s = static_find(&t, SPAN_LIT("echo.local"), true);
	struct ip two = make_ip("192.0.2.2"), six = make_ip("2001:db8::1");
	assert_true(s && ip_u32(&s->ip) == 0x7f000001);
	assert_non_null(static_find(&t, SPAN_LIT("ECHO.local"), true));
	assert_null(static_find(&t, SPAN_LIT("echo.local"), false));
	assert_null(static_find(&t, SPAN_LIT("local"), true));
	assert_null(static_find(&t, SPAN_LIT("x.echo.local"), true));
	assert_null(static_find(&t, SPAN_LIT("echo.local\0x"), true));
	assert_null(static_find(&t, SPAN_NONE, true));
	s = static_find(&t, SPAN_LIT("b.test"), false);
	assert_true(s && ip_eq(&s->ip, &six));
	assert_non_null(static_find(&t, SPAN_LIT("b.test"), true));
	s = static_find(&t, SPAN_LIT("a.test"), true);
	assert_true(s && ip_eq(&s->ip, &two) && s->item == 4);
	static_fini(&t);
	static const char *const bad[] = {
	        "", "a", "a=", "=1.2.3.4", ".=1.2.3.4", "a=1.2.3", "a=b", "a=1.2.3.4=5"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		l = LIST(bad[i]);
		if (static_load(&t, &l, "dns.static-a", &e) == 0)
			fail_msg("%s", bad[i]);
		assert_non_null(strstr(e.text, "dns.static-a: \""));
		static_fini(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_forwards),
	        cmocka_unit_test(test_bad_forwards),
	        cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
