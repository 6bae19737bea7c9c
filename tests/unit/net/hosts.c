#include "net/hosts.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static bool
find(const struct hosts *h, const char *name, struct hosts_found *f)
{
	struct dnsname n;
	assert_int_equal(dnsname_parse(span_str(name), &n), 0);
	return hosts_find(h, &n, f);
}

static const char *
name_of(const struct hosts *h, const char *ip, char *text)
{
	struct ip a;
	struct dnsname n;
	assert_true(ip_parse(span_str(ip), &a));
	return hosts_name_of(h, &a, &n) ? dnsname_text(&n, text) : "";
}

static void
test_grammar(void **state)
{
	(void)state;
	struct hosts *h = hosts_new();
	struct hosts_found f;
	char text[DNSNAME_TEXT];
	hosts_parse(h, SPAN_LIT("# a comment\n"
	                        "127.0.0.1\tlocalhost  Loop # said twice\r\n"
	                        "::1 localhost ip6-localhost\n"
	                        "\n   \n"
	                        "10.0.0.300 bad\n"
	                        "nonsense\n"
	                        "10.0.0.3\n"
	                        "fe80::1%lo0 zoned\n"
	                        "10.0.0.4 good..name fine.test.\n"
	                        "127.0.0.1 again localhost\n"
	                        "10.0.0.5 last"));
	assert_true(find(h, "LOCALHOST", &f));
	assert_int_equal(f.n, 2); /* the same address again is the same address */
	assert_int_equal(ip_u32(&f.ip[0]), 0x7f000001);
	assert_false(ip_is4(&f.ip[1]));
	assert_true(find(h, "loop", &f));
	assert_true(find(h, "fine.test", &f));
	assert_true(find(h, "last", &f));
	static const char *const absent[] = {"bad", "nonsense", "zoned", "said", "twice", "test"};
	for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
		assert_false(find(h, absent[i], &f));
	assert_string_equal(name_of(h, "127.0.0.1", text), "localhost");
	assert_string_equal(name_of(h, "::1", text), "localhost");
	assert_string_equal(name_of(h, "10.0.0.5", text), "last");
	assert_string_equal(name_of(h, "10.0.0.3", text), "");
	hosts_free(h);
	hosts_free(NULL);
}

/* Order survives however often the table grows; a name shows its first sixteen. */
static void
test_many(void **state)
{
	(void)state;
	struct hosts *h = hosts_new();
	struct hosts_found f;
	struct dnsname name;
	char text[DNSNAME_TEXT];
	for (uint32_t i = 0; i < 2000; i++) {
		struct ip a = ip4(0x0a000000 + i / 2);
		snprintf(text, sizeof text, "h%u.test", i % 100);
		dnsname_parse(span_str(text), &name);
		assert_int_equal(hosts_add(h, &name, &a), 0);
	}
	assert_true(find(h, "h7.test", &f));
	assert_int_equal(f.n, 16);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(ip_u32(&f.ip[i]), 0x0a000000 + (7 + 100 * i) / 2);
	assert_string_equal(name_of(h, "10.0.0.3", text), "h6.test");
	hosts_free(h);
}

static void
test_bounded(void **state)
{
	(void)state;
	struct hosts *h = hosts_new();
	struct dnsname name;
	dnsname_parse(SPAN_LIT("a.test"), &name);
	for (uint32_t i = 0; i < HOSTS_MOST; i++) {
		struct ip a = ip4(i);
		char text[32];
		snprintf(text, sizeof text, "n%u.test", i);
		dnsname_parse(span_str(text), &name);
		assert_int_equal(hosts_add(h, &name, &a), 0);
	}
	struct ip a = ip4(1);
	assert_int_equal(hosts_add(h, &name, &a), -ENOSPC);
	hosts_free(h);
}

static void
test_file(void **state)
{
	(void)state;
	struct hosts *h = hosts_new();
	struct hosts_found f;
	char path[] = "/tmp/hosts-XXXXXX";
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "w");
	fprintf(out, "10.0.0.1 first\n10.0.0.2");
	for (int i = 0; i < 3000; i++)
		fprintf(out, " x%d", i); /* a line nobody meant */
	fprintf(out, " 10.0.0.9 tail\n10.0.0.3 third\n10.0.0.4 unended");
	fclose(out);
	assert_int_equal(hosts_read(h, path), 0);
	assert_true(find(h, "first", &f));
	assert_true(find(h, "third", &f));
	assert_true(find(h, "unended", &f));
	assert_false(find(h, "x5", &f));
	assert_false(find(h, "tail", &f));
	unlink(path);
	assert_int_equal(hosts_read(h, path), -ENOENT);
	hosts_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_grammar),
	        cmocka_unit_test(test_many),
	        cmocka_unit_test(test_bounded),
	        cmocka_unit_test(test_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
