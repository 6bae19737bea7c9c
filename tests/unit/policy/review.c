#include "policy/review.h"

#include "tests/unit/policy/make.h"

#include <stdio.h>

struct heard {
	char text[8192];
	const void *field;
};

static void
hear(void *arg, const void *field, const char *line)
{
	struct heard *h = arg;
	size_t n = strlen(h->text);
	assert_true(*line);
	snprintf(h->text + n, sizeof h->text - n, "%s\n", line);
	h->field = field;
}

static void
words_hold(const struct l2_conf *c, const char *want)
{
	struct heard h = {0};
	review_words(c, hear, &h);
	if (!strstr(h.text, want))
		fail_msg("no \"%s\" in: %s", want, h.text);
}

static struct heard
warnings(const struct l2_conf *c)
{
	struct heard h = {0};
	struct egress *g = NULL;
	assert_int_equal(egress_new(&g, &c->egress, &c->dns, NULL), 0);
	review_warnings(g, c, hear, &h);
	egress_free(g);
	return h;
}

static void
test_words(void **state)
{
	(void)state;
	struct l2_conf c = {0};
	words_hold(&c, "Names: every name may be looked up.\n");
	words_hold(&c, "TCP: every port.\n");
	words_hold(&c, "are denied, also inside NAT64");
	c.egress.tcp_ports = LIST("80", "8000-8010");
	c.egress.udp_ports = LIST();
	c.egress.allowed_domains = LIST("a.test", "b.test");
	c.egress.pin_dns = true;
	c.egress.allow_private = true;
	c.egress.deny = LIST("1", "2", "3", "4", "5", "6", "7", "8", "9", "10");
	words_hold(&c, "TCP: only ports 80, 8000-8010\n");
	words_hold(&c, "UDP: no port at all.\n");
	words_hold(&c, "Names: only a.test, b.test and what is below.\n");
	words_hold(&c, "special ranges are open.\n");
	words_hold(&c, "denied besides: 1, 2, 3, 4, 5, 6, 7, 8 and 2 more.\n");
	words_hold(&c, "only those that an allowed name resolved to.\n");
}

static void
test_warnings(void **state)
{
	(void)state;
	struct l2_conf c = {0};
	assert_string_equal(warnings(&c).text, "");
	c.egress.allowed_domains = LIST("a.test");
	struct heard h = warnings(&c);
	assert_non_null(strstr(h.text, "about names only"));
	assert_ptr_equal(h.field, &c.egress.pin_dns);
	c.egress.pin_dns = true;
	assert_string_equal(warnings(&c).text, "");
	c.egress.allowed_domains = LIST();
	assert_non_null(strstr(warnings(&c).text, "does nothing"));
	c.egress.pin_dns = false;

	c.egress.tcp_ports = LIST();
	assert_non_null(strstr(warnings(&c).text, "TCP ports is set but empty"));
	c.egress.tcp_ports = LIST("80");
	c.egress.tcp_forward = LIST("203.0.113.1:80=a:1", "203.0.113.1:81=a:1", "10.0.0.1:80=a:1");
	h = warnings(&c);
	assert_null(strstr(h.text, "203.0.113.1:80=a:1"));
	assert_non_null(
	        strstr(h.text, "203.0.113.1:81=a:1 is useless: its left side is denied (port)"));
	assert_non_null(
	        strstr(h.text, "10.0.0.1:80=a:1 is useless: its left side is denied (filter)"));
	c.egress.tcp_forward = LIST();

	c.dns.static_a = LIST("ok.test=203.0.113.1", "no.test=127.0.0.1");
	h = warnings(&c);
	assert_null(strstr(h.text, "ok.test"));
	assert_non_null(strstr(h.text, "no.test=127.0.0.1 is useless"));
	c.dns.static_a = LIST();

	c.egress.allow = LIST("10.1.0.0/16", "10.2.0.0/16");
	c.egress.deny = LIST("10.1.0.0/16", "10.2.3.0/24");
	h = warnings(&c);
	assert_non_null(strstr(h.text, "allow 10.1.0.0/16 is useless"));
	assert_null(strstr(h.text, "allow 10.2.0.0/16"));
	c.egress.deny = LIST();
	c.egress.allow = LIST("0.0.0.0/0");
	assert_non_null(strstr(warnings(&c).text, "holds every address"));
	c.egress.allow = LIST("::/0");
	assert_non_null(strstr(warnings(&c).text, "holds every address"));
	c.egress.allow = LIST();
	c.egress.allow_private = true;
	assert_non_null(strstr(warnings(&c).text, "egress.allow-private is on"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_words),
	        cmocka_unit_test(test_warnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
