#include "http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static char got[20000];
static size_t n_got, used;

static enum chunked_result
feed(struct span in, size_t piece)
{
	struct chunked c = {0};
	enum chunked_result r = CHUNKED_MORE;
	n_got = used = 0;
	while (used < in.n && r == CHUNKED_MORE) {
		struct span part = span_first(span_skip(in, used), piece), rest = part, data;
		while ((r = chunked_feed(&c, &rest, &data)) == CHUNKED_DATA) {
			memcpy(got + n_got, data.p, data.n);
			n_got += data.n;
		}
		used += part.n - rest.n;
	}
	got[n_got] = 0;
	return r;
}

static void
good(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} all[] = {
	        {"0\r\n\r\n", ""},
	        {"000\r\n\r\n", ""},
	        {"3\r\nabc\r\n0\r\n\r\n", "abc"},
	        {"1\r\na\r\n0A\r\nbcdefghijk\r\n0\r\n\r\n", "abcdefghijk"},
	        {"b\r\n01234567\r\n9\r\n0\r\n\r\n", "01234567\r\n9"},
	        {"3;a=b;c=\"d e\"\r\nabc\r\n0;x\r\nT: u\r\nV:\r\n\r\n", "abc"},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (size_t piece = 1; piece < 20; piece++) {
			char text[200];
			int n = snprintf(text, sizeof text, "%srest", all[i].in);
			assert_int_equal(feed(span(text, (size_t)n), piece), CHUNKED_DONE);
			assert_string_equal(got, all[i].out);
			assert_int_equal(used, strlen(all[i].in));
		}
}

static void
bad(void **state)
{
	(void)state;
	static const char *const all[] = {
	        "\r\n",
	        ";x\r\n",
	        " 3\r\n",
	        "3 \r\n",
	        "0x3\r\n",
	        "-1\r\n",
	        "g\r\n",
	        "3\nabc",
	        "3\r\r\n",
	        "3\r\nabcd",
	        "3\r\nabc\n",
	        "3\r\nabc\rX",
	        "3;a\x01\r\n",
	        "0\r\n X: y\r\n\r\n",
	        "0\r\nX: y\n",
	        "0\r\nX: y\r\n\rX",
	        "10000000000000000\r\n",
	        "fffffffffffffffff\r\n",
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (size_t piece = 1; piece < 4; piece++)
			assert_int_equal(feed(span_str(all[i]), piece), CHUNKED_BAD);
}

static void
unfinished(void **state)
{
	(void)state;
	static const char all[] = "3;x\r\nabc\r\n0\r\nT: u\r\n\r\n";
	for (size_t n = 1; n < sizeof all - 1; n++)
		assert_int_equal(feed(span(all, n), 5), CHUNKED_MORE);
}

static void
limits(void **state)
{
	(void)state;
	static char text[30000];
	int n = snprintf(text, sizeof text, "1;%0*d\r\na\r\n0\r\n\r\n", CHUNKED_LINE - 2, 0);
	assert_int_equal(feed(span(text, (size_t)n), 4096), CHUNKED_DONE);
	n = snprintf(text, sizeof text, "1;%0*d\r\n", CHUNKED_LINE + 1, 0);
	assert_int_equal(feed(span(text, (size_t)n), 4096), CHUNKED_BAD);
	n = snprintf(text, sizeof text, "%0*d\r\n", CHUNKED_LINE + 1, 1);
	assert_int_equal(feed(span(text, (size_t)n), 4096), CHUNKED_BAD);
	size_t k = (size_t)snprintf(text, sizeof text, "0\r\n");
	while (k < sizeof text - 10)
		k += (size_t)snprintf(text + k, sizeof text - k, "x\r\n");
	assert_int_equal(feed(span(text, k), 4096), CHUNKED_BAD); /* trailers without end */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good),
	        cmocka_unit_test(bad),
	        cmocka_unit_test(unfinished),
	        cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
