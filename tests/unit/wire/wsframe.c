#include "wire/wsframe.h"

#include "t.h"

static void
test_heads(void **state)
{
	(void)state;
	static const struct {
		uint64_t len;
		const char *plain, *masked;
	} rows[] = {
	        {0, "8200", "8280 01020304"},
	        {125, "827d", "82fd 01020304"},
	        {126, "827e007e", "82fe007e 01020304"},
	        {65535, "827effff", "82feffff 01020304"},
	        {65536, "827f0000000000010000", "82ff0000000000010000 01020304"},
	        {1ull << 40, "827f0000010000000000", "82ff0000010000000000 01020304"},
	};
	static const uint8_t mask[4] = {1, 2, 3, 4};
	uint8_t p[WSFRAME_HEAD_MOST];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bytes want = t_hex(rows[i].plain);
		size_t n = wsframe_put_head(p, WS_BINARY, rows[i].len, NULL);
		t_same(span(p, n), t_span(&want));
		assert_int_equal(wsframe_head_len(rows[i].len, false), n);
		want = t_hex(rows[i].masked);
		n = wsframe_put_head(p, WS_BINARY, rows[i].len, mask);
		t_same(span(p, n), t_span(&want));
		assert_int_equal(wsframe_head_len(rows[i].len, true), n);
	}
	assert_int_equal(wsframe_put_head_fin(p, WS_TEXT, false, 3, NULL), 2);
	assert_memory_equal(p, "\x01\x03", 2);
}

static void
test_mask(void **state)
{
	(void)state;
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	uint8_t hello[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
	wsframe_mask(hello, 5, mask, 0); /* RFC 6455 5.7 */
	assert_memory_equal(hello, "Hello", 5);
	uint64_t seed = 5;
	static uint8_t was[600], now[600];
	for (size_t n = 0; n < 520; n++) {
		uint64_t at = t_rand(&seed);
		size_t shift = n % 7;
		for (size_t i = 0; i < sizeof was; i++)
			was[i] = now[i] = (uint8_t)t_rand(&seed);
		wsframe_mask(now + shift, n, mask, at);
		for (size_t i = 0; i < sizeof was; i++) {
			bool in = i >= shift && i < shift + n;
			assert_int_equal(now[i] ^ was[i], in ? mask[(at + i - shift) % 4] : 0);
		}
	}
}

static void
test_close(void **state)
{
	(void)state;
	uint8_t p[WSFRAME_CONTROL_MOST];
	char reason[200];
	assert_int_equal(wsframe_put_close(p, WS_CODE_NONE, SPAN_LIT("x")), 0);
	assert_int_equal(wsframe_put_close(p, 1008, SPAN_LIT("idle timeout")), 14);
	assert_memory_equal(p, "\x03\xf0idle timeout", 14);
	memset(reason, 'x', sizeof reason);
	assert_int_equal(wsframe_put_close(p, 1000, span(reason, sizeof reason)), 125);
	memcpy(reason + 122, "\xc3\xbc", 2); /* the cut would fall into it */
	assert_int_equal(wsframe_put_close(p, 1000, span(reason, sizeof reason)), 124);
}

static void
test_codes(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 65536; c++) {
		bool want = (c >= 1000 && c <= 1003) || (c >= 1007 && c <= 1014) ||
		            (c >= 3000 && c <= 4999);
		assert_int_equal(wsframe_code_ok((uint16_t)c), want);
	}
}

static void
test_keys(void **state)
{
	(void)state;
	struct jsondoc *vectors = t_vectors("tests/vectors/wsframe.json");
	const struct jsondoc *v = jsondoc_first(jsondoc_get(vectors, "key"));
	assert_non_null(v);
	for (; v; v = jsondoc_next(v)) {
		char accept[WSFRAME_ACCEPT];
		bool good;
		struct span key = span_str(t_str(v, "key"));
		assert_true(jsondoc_bool(jsondoc_get(v, "good"), &good));
		print_message("# %s\n", t_str(v, "name"));
		assert_int_equal(wsframe_key_ok(key), good);
		if (!good)
			continue;
		wsframe_accept(key, accept);
		assert_string_equal(accept, t_str(v, "accept"));
	}
	jsondoc_free(vectors);
	char key[WSFRAME_KEY];
	wsframe_make_key((const uint8_t *)"the sample nonce", key);
	assert_string_equal(key, "dGhlIHNhbXBsZSBub25jZQ==");
	static uint8_t huge[5000];
	char accept[WSFRAME_ACCEPT];
	wsframe_accept(span(huge, sizeof huge), accept); /* is cut, not trusted */
	assert_int_equal(strlen(accept), 28);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_heads),
	        cmocka_unit_test(test_mask),
	        cmocka_unit_test(test_close),
	        cmocka_unit_test(test_codes),
	        cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
