#include "wire/l2tun.h"

#include "t.h"

#include <errno.h>

static struct jsondoc *vectors;

static struct l2tun_limits
limits(const struct jsondoc *v)
{
	struct l2tun_limits lim = {2048, 256};
	if (jsondoc_get(v, "frame"))
		lim.frame = (size_t)t_int(v, "frame");
	if (jsondoc_get(v, "control"))
		lim.control = (size_t)t_int(v, "control");
	return lim;
}

static void
test_decode(void **state)
{
	(void)state;
	char why[L2TUN_WHY] = "untouched";
	const struct jsondoc *v = jsondoc_first(jsondoc_get(vectors, "decode"));
	assert_non_null(v);
	for (; v; v = jsondoc_next(v)) {
		struct bytes in = t_hex(t_str(v, "hex")), payload = t_hex(t_str(v, "payload"));
		struct l2tun_limits lim = limits(v);
		struct l2tun m;
		print_message("# %s\n", t_str(v, "name"));
		assert_int_equal(l2tun_decode(t_span(&in), &lim, &m, why), 0);
		assert_int_equal(m.type, t_int(v, "type"));
		assert_int_equal(m.flags, t_int(v, "flags"));
		t_same(m.payload, t_span(&payload));
	}
	assert_string_equal(why, "untouched");
}

static void
test_refuse(void **state)
{
	(void)state;
	const struct jsondoc *v = jsondoc_first(jsondoc_get(vectors, "refuse"));
	assert_non_null(v);
	for (; v; v = jsondoc_next(v)) {
		struct bytes in = t_hex(t_str(v, "hex"));
		struct l2tun_limits lim = limits(v);
		struct l2tun m;
		char why[L2TUN_WHY];
		print_message("# %s\n", t_str(v, "name"));
		assert_int_equal(l2tun_decode(t_span(&in), &lim, &m, why), -EBADMSG);
		assert_string_equal(why, t_str(v, "why"));
	}
}

static void
test_error(void **state)
{
	(void)state;
	const struct jsondoc *v = jsondoc_first(jsondoc_get(vectors, "error"));
	assert_non_null(v);
	for (; v; v = jsondoc_next(v)) {
		struct bytes want = t_hex(t_str(v, "payload"));
		uint8_t got[300];
		uint16_t code;
		struct span text;
		size_t most = (size_t)t_int(v, "most");
		print_message("# %s\n", t_str(v, "name"));
		size_t n = l2tun_put_error(
		        got, most, (uint16_t)t_int(v, "code"), span_str(t_str(v, "text")));
		assert_true(n <= most);
		t_same(span(got, n), t_span(&want));
		assert_int_equal(l2tun_get_error(span(got, n), &code, &text), n != 0);
		if (n)
			assert_int_equal(code, t_int(v, "code"));
	}
}

static void
test_unstructured_error(void **state)
{
	(void)state;
	const struct jsondoc *v = jsondoc_first(jsondoc_get(vectors, "unstructured_error"));
	assert_non_null(v);
	for (; v; v = jsondoc_next(v)) {
		struct bytes in = t_hex(t_str(v, "payload"));
		uint16_t code;
		struct span text;
		print_message("# %s\n", t_str(v, "name"));
		assert_false(l2tun_get_error(t_span(&in), &code, &text));
	}
}

static void
test_long_error_text(void **state)
{
	(void)state;
	static uint8_t text[70000], out[80000];
	memset(text, 'x', sizeof text);
	size_t n = l2tun_put_error(out, sizeof out, 1, span(text, sizeof text));
	assert_int_equal(n, 4 + 65535);
	uint16_t code;
	struct span got;
	assert_true(l2tun_get_error(span(out, n), &code, &got));
}

static void
test_head_and_names(void **state)
{
	(void)state;
	uint8_t head[L2TUN_HEAD];
	l2tun_put_head(head, L2TUN_ERROR);
	assert_memory_equal(head, "\xa2\x03\x7f\x00", 4);
	assert_string_equal(l2tun_code_name(L2TUN_BACKPRESSURE), "backpressure");
	assert_string_equal(l2tun_code_name(L2TUN_PROTOCOL_ERROR), "protocol_error");
	assert_string_equal(l2tun_code_name(0), "unknown");
	assert_string_equal(l2tun_code_name(10), "unknown");
	assert_string_equal(l2tun_code_name(65535), "unknown");
	assert_int_equal(l2tun_most(&(struct l2tun_limits){2048, 256}), 2052);
	assert_int_equal(l2tun_most(&(struct l2tun_limits){1, 9}), 13);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_decode),
	        cmocka_unit_test(test_refuse),
	        cmocka_unit_test(test_error),
	        cmocka_unit_test(test_unstructured_error),
	        cmocka_unit_test(test_long_error_text),
	        cmocka_unit_test(test_head_and_names),
	};
	vectors = t_vectors("tests/vectors/l2tun.json");
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	jsondoc_free(vectors);
	return r;
}
