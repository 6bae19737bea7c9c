#include "wire/utf8.h"

#include "t.h"

/* RFC 3629 3, straight from the code points. */
static size_t
encode(uint32_t c, uint8_t *p)
{
	if (c < 0x80)
		return p[0] = (uint8_t)c, 1;
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i; i--, c >>= 6)
		p[i] = (uint8_t)(0x80 | (c & 0x3f));
	p[0] = (uint8_t)(c | (uint8_t)(0xf00 >> n));
	return n;
}

static void
test_every_code_point(void **state)
{
	(void)state;
	uint8_t p[4];
	for (uint32_t c = 0; c < 0x120000; c++) {
		bool good = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
		size_t n = encode(c, p);
		if (utf8_valid(span(p, n)) != good)
			fail_msg("U+%X", c);
	}
}

/* Two bytes and three: right exactly when some code point encodes so; counted. */
static void
test_every_pair(void **state)
{
	(void)state;
	unsigned two = 0, three = 0;
	for (unsigned v = 0; v < 1 << 16; v++) {
		uint8_t p[3] = {(uint8_t)(v >> 8), (uint8_t)v, 0x80};
		two += utf8_valid(span(p, 2));
		for (unsigned last = 0x80; p[0] >= 0xe0 && last < 0xc0; last++) {
			p[2] = (uint8_t)last;
			three += utf8_valid(span(p, 3));
		}
	}
	assert_int_equal(two, 128 * 128 + 1920);
	assert_int_equal(three, 65536 - 2048 - 2048);
}

static void
test_in_pieces(void **state)
{
	(void)state;
	static const char text[] =
	        "plain ascii, gr\xc3\xbc\xc3\x9f, \xe2\x82\xac, \xf0\x9f\x98\x80 end";
	size_t n = sizeof text - 1;
	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			struct utf8 u = UTF8_START;
			assert_true(utf8_feed(&u, span(text, a)));
			assert_true(utf8_feed(&u, span(text + a, b - a)));
			assert_true(utf8_feed(&u, span(text + b, n - b)));
			assert_true(utf8_complete(&u));
		}
	}
	struct utf8 u = UTF8_START;
	assert_true(utf8_feed(&u, SPAN_LIT("\xf0\x9f")));
	assert_false(utf8_complete(&u));
	assert_false(utf8_feed(&u, SPAN_LIT("x")));
}

static void
test_cut(void **state)
{
	(void)state;
	struct span s = SPAN_LIT("a\xc3\xbc\xf0\x9f\x98\x80z");
	static const size_t want[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
	for (size_t most = 0; most < ARRAY_LEN(want); most++)
		assert_int_equal(utf8_cut(s, most).n, want[most]);
	assert_int_equal(utf8_cut(SPAN_NONE, 5).n, 0);
	assert_int_equal(utf8_cut(SPAN_LIT("\x80\x80\x80"), 2).n, 0); /* no text at all */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_every_code_point),
	        cmocka_unit_test(test_every_pair),
	        cmocka_unit_test(test_in_pieces),
	        cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
