#include "wire/dnsname.h"

#include "base/cursor.h"

#include "t.h"

#include <errno.h>

static struct dnsname
name(const char *text)
{
	struct dnsname d;
	assert_int_equal(dnsname_parse(span_str(text), &d), 0);
	return d;
}

static void
test_text_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} rows[] = {
	        {"example.com", "example.com"},
	        {"example.com.", "example.com"},
	        {".", "."},
	        {"_sip._tcp.Example", "_sip._tcp.Example"},
	        {"a\\.b.c", "a\\.b.c"},
	        {"a\\\\b", "a\\\\b"},
	        {"sp\\032ace", "sp\\032ace"},
	        {"\\a\\b", "ab"},
	        {"b\xc3\xbc.de", "b\\195\\188.de"},
	        {"\\000\\255", "\\000\\255"},
	        {"\\046", "\\."},
	};
	char buf[DNSNAME_TEXT];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dnsname d = name(rows[i].in), again = name(dnsname_text(&d, buf));
		assert_string_equal(buf, rows[i].out);
		t_same(dnsname_span(&d), dnsname_span(&again));
	}
	assert_int_equal(name(".").n, 1);
}

static void
test_bad_text(void **state)
{
	(void)state;
	struct dnsname d;
	char label[70];
	static const char *const bad[] = {
	        "", "..", ".a", "a..b", "a..", "\\", "a\\", "\\25", "\\256", "\\2x5", "\\999"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dnsname_parse(span_str(bad[i]), &d), -EBADMSG);
	memset(label, 'a', sizeof label);
	assert_int_equal(dnsname_parse(span(label, 63), &d), 0);
	assert_int_equal(dnsname_parse(span(label, 64), &d), -EBADMSG);
}

static void
test_longest(void **state)
{
	(void)state;
	char text[300], buf[DNSNAME_TEXT];
	struct dnsname d;
	memset(text, 'a', sizeof text);
	text[63] = text[127] = text[191] = '.'; /* 63.63.63.61: 255 bytes with the root */
	assert_int_equal(dnsname_parse(span(text, 253), &d), 0);
	assert_int_equal(d.n, 255);
	assert_int_equal(strlen(dnsname_text(&d, buf)), 253);
	assert_int_equal(dnsname_parse(span(text, 254), &d), -EBADMSG);
	/* The longest text there can be: every byte escaped. */
	struct span label;
	for (size_t at = 0; dnsname_label(&d, &at, &label);)
		memset(d.b + (label.p - d.b), 0xff, label.n);
	assert_true(strlen(dnsname_text(&d, buf)) < DNSNAME_TEXT);
	assert_int_equal(strlen(buf), 250 * 4 + 3);
}

static int
at(const char *hex, size_t where, struct dnsname *out, size_t *end)
{
	struct bytes b = t_hex("0000000000000000 00000000"), tail = t_hex(hex);
	memcpy(b.b + b.n, tail.b, tail.n);
	b.n += tail.n;
	return dnsname_at(t_span(&b), where, out, end);
}

static void
test_compression(void **state)
{
	(void)state;
	struct dnsname d;
	size_t end;
	char buf[DNSNAME_TEXT];
	/* at 12: f.isi.arpa; at 24: foo + pointer; at 30: pointer; at 32: root (RFC 1035 4.1.4) */
	static const char msg[] = "01660369736904617270 6100 03666f6f c00c c00e 00";
	assert_int_equal(at(msg, 12, &d, &end), 0);
	assert_string_equal(dnsname_text(&d, buf), "f.isi.arpa");
	assert_int_equal(end, 24);
	assert_int_equal(at(msg, 24, &d, &end), 0);
	assert_string_equal(dnsname_text(&d, buf), "foo.f.isi.arpa");
	assert_int_equal(end, 30);
	assert_int_equal(at(msg, 30, &d, &end), 0);
	assert_string_equal(dnsname_text(&d, buf), "isi.arpa");
	assert_int_equal(end, 32);
	assert_int_equal(at(msg, 32, &d, &end), 0);
	assert_string_equal(dnsname_text(&d, buf), ".");
	assert_int_equal(end, 33);
	assert_int_equal(at(msg, 33, &d, &end), -EBADMSG);
	assert_int_equal(at(msg, 9999, &d, &end), -EBADMSG);
}

static void
test_bad_wire(void **state)
{
	(void)state;
	struct dnsname d;
	size_t end;
	static const char *const bad[] = {
	        "",         /* nothing */
	        "01",       /* label cut */
	        "0161",     /* no root */
	        "c0",       /* pointer cut */
	        "c00c",     /* to itself */
	        "0161c00c", /* to its own start */
	        "c00e 00",  /* forward */
	        "c000",     /* into the header */
	        "c00b",
	        "4161616100", /* reserved types */
	        "81616100",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(at(bad[i], 12, &d, &end), -EBADMSG);
	/* back, but to a label that runs on over what points at it, or over the name's own start */
	assert_int_equal(at("05 0161 00 c00c 00", 16, &d, &end), -EBADMSG);
	assert_int_equal(at("026161 0162 c00c 00", 15, &d, &end), -EBADMSG);
	/* two pointers that point at each other */
	assert_int_equal(at("c00e c00c", 14, &d, &end), -EBADMSG);
	/* a ladder of pointers, each a step back, is slow but ends */
	assert_int_equal(at("00 c00c c00d c00f c011", 19, &d, &end), 0);
	assert_int_equal(d.n, 1);
	assert_int_equal(end, 21);
}

/* Labels that are small on the wire but add up over 255 by pointers. */
static void
test_too_long_by_pointers(void **state)
{
	(void)state;
	struct bytes b = {.n = 12};
	struct dnsname d;
	size_t end, last = 0;
	for (int i = 0; i < 5; i++) {
		size_t here = b.n;
		b.b[b.n++] = 60;
		b.n += 60;
		if (i) {
			put16(b.b + b.n, (uint16_t)(0xc000 | last));
			b.n += 2;
		} else {
			b.n++;
		}
		last = here;
		int want = i < 4 ? 0 : -EBADMSG;
		assert_int_equal(dnsname_at(t_span(&b), here, &d, &end), want);
	}
}

static void
test_compare(void **state)
{
	(void)state;
	struct dnsname a = name("WWW.Example.com"), b = name("www.eXAMPLE.COM"),
	               c = name("example.com"), root = name("."), other = name("notexample.com"),
	               odd = name("a.\\007example.com");
	assert_true(dnsname_eq(&a, &b));
	assert_false(dnsname_eq(&a, &c));
	assert_true(dnsname_under(&a, &c));
	assert_true(dnsname_under(&c, &c));
	assert_true(dnsname_under(&a, &root));
	assert_true(dnsname_under(&root, &root));
	assert_false(dnsname_under(&c, &a));
	assert_false(dnsname_under(&other, &c));
	assert_false(dnsname_under(&odd, &c)); /* bytes that look like the parent's first label */
	dnsname_lower(&a);
	struct dnsname lower = name("www.example.com");
	t_same(dnsname_span(&a), dnsname_span(&lower));
}

static void
test_reverse(void **state)
{
	(void)state;
	char buf[DNSNAME_TEXT];
	struct dnsname d;
	struct ip a, back;
	a = ip4(0x0a00020f);
	dnsname_of_ip(&a, &d);
	assert_string_equal(dnsname_text(&d, buf), "15.2.0.10.in-addr.arpa");
	assert_true(dnsname_to_ip(&d, &back));
	assert_true(ip_eq(&a, &back));
	assert_true(ip_parse(SPAN_LIT("2001:db8::567:89ab"), &a)); /* RFC 3596 2.5's shape */
	dnsname_of_ip(&a, &d);
	assert_string_equal(dnsname_text(&d, buf),
	        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
	        "8.b.d.0.1.0.0.2.ip6.arpa");
	assert_true(dnsname_to_ip(&d, &back));
	assert_true(ip_eq(&a, &back));
	static const char *const none[] = {"2.0.10.in-addr.arpa", "1.15.2.0.10.in-addr.arpa",
	        "256.2.0.10.in-addr.arpa", "x.2.0.10.in-addr.arpa", "example.com", ".",
	        "1.2.3.4.5.6", "b.a.ip6.arpa"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		d = name(none[i]);
		assert_false(dnsname_to_ip(&d, &back));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_text_round_trip),
	        cmocka_unit_test(test_bad_text),
	        cmocka_unit_test(test_longest),
	        cmocka_unit_test(test_compression),
	        cmocka_unit_test(test_bad_wire),
	        cmocka_unit_test(test_too_long_by_pointers),
	        cmocka_unit_test(test_compare),
	        cmocka_unit_test(test_reverse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
