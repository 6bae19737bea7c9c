#include "policy/audit.h"

#include "tests/unit/policy/make.h"

static struct egress *
make(const struct egress_conf *c)
{
	static const struct dns_conf none;
	struct egress *g = NULL;
	struct err e = {0};
	assert_int_equal(egress_new(&g, c, &none, &e), 0);
	return g;
}

static size_t
holes(const struct egress *g, const char *only)
{
	const struct audit_case *c;
	size_t n = 0;
	for (size_t i = 0; (c = audit_at(i)); i++) {
		struct audit_result r = audit_try(g, c);
		if (r.unusable || !r.verdict.allow)
			continue;
		if (only && !strstr(c->what, only))
			fail_msg("%s (%s) is open", c->text, c->what);
		n++;
	}
	return n;
}

static void
test_default_holds(void **state)
{
	(void)state;
	struct egress_conf c = {0};
	struct egress *g = make(&c);
	assert_int_equal(holes(g, "nothing"), 0);
	egress_free(g);
	/* Port lists neither hide a hole nor make one. */
	c.tcp_ports = LIST();
	c.udp_ports = LIST("53");
	c.pin_dns = true;
	c.allowed_domains = LIST("example.com");
	g = make(&c);
	assert_int_equal(holes(g, "nothing"), 0);
	egress_free(g);
}

static void
test_holes_are_found(void **state)
{
	(void)state;
	struct egress_conf c = {.allow = LIST("127.0.0.0/8")};
	struct egress *g = make(&c);
	assert_true(holes(g, "loopback") > 20);
	egress_free(g);
	c = (struct egress_conf){.allow = LIST("169.254.169.254")};
	g = make(&c);
	assert_true(holes(g, "metadata") > 5);
	egress_free(g);
	c = (struct egress_conf){.allow_private = true};
	g = make(&c);
	assert_true(holes(g, NULL) > 60);
	egress_free(g);
	/* A blocked name is no hole, whatever it resolves to. */
	c = (struct egress_conf){.allow = LIST("10.96.0.1"), .blocked_domains = LIST("svc")};
	g = make(&c);
	assert_int_equal(holes(g, "nothing"), 0);
	egress_free(g);
}

/* Each spelling means what its description says. */
static void
test_spellings(void **state)
{
	(void)state;
	const struct audit_case *c;
	struct egress_conf conf = {0};
	struct egress *g = make(&conf);
	char text[ADDR_TEXT];
	for (size_t i = 0; (c = audit_at(i)); i++) {
		struct audit_result r = audit_try(g, c);
		bool odd = strstr(c->what, "zone") || strstr(c->what, "behind");
		if (r.unusable != odd)
			fail_msg("%s: usable or not", c->text);
		if (!odd && (r.host.kind == HOST_NAME) != (c->address != NULL))
			fail_msg("%s: a name or not", c->text);
		if (r.host.kind != HOST_IP || strncmp(c->what, "loopback, ", 10) != 0)
			continue;
		const char *judged = ip_text(&r.verdict.judged, text);
		if (strncmp(judged, "127.", 4) != 0 && strcmp(judged, "::1") != 0 &&
		        !strstr(c->what, "Teredo"))
			fail_msg("%s: %s", c->text, judged);
	}
	egress_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_default_holds),
	        cmocka_unit_test(test_holes_are_found),
	        cmocka_unit_test(test_spellings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
