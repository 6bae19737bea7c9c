#include "wire/dhcp.h"

#include "t.h"

#include <errno.h>

/* A client's message with these option bytes; file and sname may be filled in by the caller. */
static struct bytes
message(const char *options)
{
	struct bytes b = {.n = DHCP_HEAD}, o = t_hex(options);
	b.b[0] = DHCP_FROM_CLIENT;
	b.b[1] = 1;
	b.b[2] = 6;
	put32(b.b + 4, 0xdeadbeef);
	put16(b.b + 10, DHCP_BROADCAST);
	memcpy(b.b + 28, "\x52\x54\x00\x12\x34\x56", 6);
	put32(b.b + 236, 0x63825363);
	memcpy(b.b + b.n, o.b, o.n);
	b.n += o.n;
	return b;
}

static int
parse(const char *options, struct dhcp *d)
{
	static struct bytes b; /* borrowed by d until the next call */
	b = message(options);
	return dhcp_parse(t_span(&b), d);
}

static void
test_discover(void **state)
{
	(void)state;
	struct dhcp d;
	/* udhcpc's: type, client id, max size, vendor class, request list */
	assert_int_equal(parse("350101 3d0701525400123456 39020240 3c0c756468637020312e33352e30 "
	                       "370c0103060c0f1c2a77792bfcf9 320400000000 0c05416c70696e ff 00",
	                         &d),
	        0);
	assert_int_equal(d.type, DHCP_DISCOVER);
	assert_int_equal(d.xid, 0xdeadbeef);
	assert_int_equal(d.flags, DHCP_BROADCAST);
	assert_memory_equal(d.chaddr.b, "\x52\x54\x00\x12\x34\x56", 6);
	assert_int_equal(d.client_id.n, 7);
	t_text(d.vendor_class, "udhcp 1.35.0");
	t_text(d.hostname, "Alpin");
	assert_int_equal(d.max_size, 548);
	assert_int_equal(d.params.n, 12);
	assert_true(dhcp_wants(&d, DHCP_OPT_WPAD));
	assert_false(dhcp_wants(&d, DHCP_OPT_MTU));
	assert_int_equal(ip_u32(&d.server), 0);
	assert_string_equal(dhcp_type_name(d.type), "DISCOVER");
	assert_string_equal(dhcp_type_name(0), "unknown");
	assert_string_equal(dhcp_type_name(9), "unknown");
}

static void
test_request(void **state)
{
	(void)state;
	struct dhcp d;
	assert_int_equal(parse("350103 32040a00020f 36040a000202 3304 00015180 390205dc", &d), 0);
	assert_int_equal(ip_u32(&d.requested), 0x0a00020f);
	assert_int_equal(ip_u32(&d.server), 0x0a000202);
	assert_int_equal(d.lease, 86400);
	assert_int_equal(d.max_size, 1500 - 28);
	assert_null(d.params.p);
}

static void
test_refused(void **state)
{
	(void)state;
	struct dhcp d;
	static const char *const bad[] = {
	        "",          /* no type */
	        "ff 350101", /* behind the end */
	        "3500",      /* empty type */
	        "35020101",  /* long type */
	        "350101 32", /* cut off */
	        "350101 3204010203",
	        "350101 0cff41",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(parse(bad[i], &d), -EBADMSG);
	struct bytes b = message("350101");
	assert_int_equal(dhcp_parse(t_span(&b), &d), 0); /* no end mark, but nothing cut */
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(dhcp_parse(span(b.b, n), &d), -EBADMSG);
	static const size_t constants[] = {0, 1, 2, 236, 237, 238, 239};
	for (size_t i = 0; i < ARRAY_LEN(constants); i++) {
		struct bytes c = b;
		c.b[constants[i]] ^= 0x40;
		assert_int_equal(dhcp_parse(t_span(&c), &d), -EBADMSG);
	}
}

/* What is known but has a wrong size is as good as absent. */
static void
test_wrong_sizes(void **state)
{
	(void)state;
	struct dhcp d;
	assert_int_equal(parse("350101 3203010203 3605 0102030405 330101 390101 0c00", &d), 0);
	assert_int_equal(ip_u32(&d.requested), 0);
	assert_int_equal(ip_u32(&d.server), 0);
	assert_int_equal(d.lease, 0);
	assert_int_equal(d.max_size, 0);
	assert_non_null(d.hostname.p);
	assert_int_equal(d.hostname.n, 0);
	assert_int_equal(parse("350101 39020001", &d), 0); /* below what may be said */
	assert_int_equal(d.max_size, DHCP_MOST_UNASKED);
}

static void
test_overload(void **state)
{
	(void)state;
	static const char *const where[] = {"01", "02", "03"};
	for (int i = 0; i < 3; i++) {
		char options[40];
		struct dhcp d;
		uint16_t mtu;
		uint32_t t1;
		snprintf(options, sizeof options, "350101 3401%s ff", where[i]);
		struct bytes b = message(options);
		memcpy(b.b + 108, "\x1a\x02\x05\xdc\xff\xee", 6); /* file: MTU */
		memcpy(b.b + 44, "\x3a\x04\0\0\1\0\xff", 7);      /* sname: T1 */
		assert_int_equal(dhcp_parse(t_span(&b), &d), 0);
		assert_int_equal(dhcp_get_u16(&d, DHCP_OPT_MTU, &mtu), i != 1);
		assert_int_equal(dhcp_get_u32(&d, DHCP_OPT_T1, &t1), i != 0);
		b.b[109] = 200; /* the option does not end in the field */
		assert_int_equal(dhcp_parse(t_span(&b), &d), i == 1 ? 0 : -EBADMSG);
	}
	struct dhcp d;
	struct bytes b = message("350101");
	memcpy(b.b + 108, "\x1a\x02\x05\xdc\xff", 5); /* without the option it is a file name */
	assert_int_equal(dhcp_parse(t_span(&b), &d), 0);
	assert_false(dhcp_get_u16(&d, DHCP_OPT_MTU, &(uint16_t){0}));
}

/* RFC 3396: pieces join in the order options, file, sname. */
static void
test_long_options(void **state)
{
	(void)state;
	struct dhcp d;
	struct bytes b = message("350101 340103 0c0161 3d0131 0c0162 3d0132 ff");
	memcpy(b.b + 108,
	        "\x0c\x01"
	        "c\xff",
	        4);
	memcpy(b.b + 44,
	        "\x0c\x01"
	        "d\xff",
	        4);
	assert_int_equal(dhcp_parse(t_span(&b), &d), 0);
	t_text(d.hostname, "abcd");
	t_text(d.client_id, "12");
	uint8_t scratch[3];
	t_text(dhcp_get(&d, 12, scratch, sizeof scratch), "abc");
	assert_null(dhcp_get(&d, 99, scratch, sizeof scratch).p);
	/* Far more pieces than the struct has room for are cut, and the next option still works. */
	b = message("350101");
	for (int i = 0; i < 4; i++) {
		b.b[b.n++] = 12;
		b.b[b.n++] = 250;
		b.n += 250;
		b.b[b.n++] = 60;
		b.b[b.n++] = 1;
		b.b[b.n++] = 'v';
	}
	assert_int_equal(dhcp_parse(t_span(&b), &d), 0);
	assert_true(d.hostname.n <= sizeof d.joined);
	assert_true(d.vendor_class.n <= 4);
}

/* Byte for byte what clients of the service have always been sent: 286 bytes before padding. */
static void
test_offer(void **state)
{
	(void)state;
	uint8_t out[600];
	struct wr w = wr_init(out, sizeof out);
	struct ip gateway = ip4(0x0a000202), dns[2] = {gateway, ip4(0x08080808)};
	struct dhcp d = {
	        .op = DHCP_FROM_SERVER,
	        .type = DHCP_OFFER,
	        .xid = 0x01020304,
	        .flags = DHCP_BROADCAST,
	        .yiaddr = ip4(0x0a00020f),
	        .siaddr = gateway,
	        .chaddr = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}},
	};
	dhcp_begin(&w, &d);
	assert_true(dhcp_opt_ip(&w, DHCP_OPT_SERVER, &gateway));
	assert_true(dhcp_opt_u32(&w, DHCP_OPT_MASK, 0xffffff00));
	assert_true(dhcp_opt_ip(&w, DHCP_OPT_ROUTER, &gateway));
	assert_true(dhcp_opt_ips(&w, DHCP_OPT_DNS, dns, 1));
	assert_true(dhcp_opt_u32(&w, DHCP_OPT_LEASE, 86400));
	assert_true(dhcp_opt_u32(&w, DHCP_OPT_T1, 43200));
	assert_true(dhcp_opt_u32(&w, DHCP_OPT_T2, 75600));
	assert_int_equal(wr_len(&w) + 1, 286);
	dhcp_end(&w);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), DHCP_LEAST);
	struct bytes head = t_hex("02010600 01020304 00008000 00000000 0a00020f 0a000202 00000000 "
	                          "525400123456");
	assert_memory_equal(out, head.b, head.n);
	struct bytes options = t_hex("350102 36040a000202 0104ffffff00 03040a000202 06040a000202 "
	                             "330400015180 3a040000a8c0 3b0400012750 ff 000000");
	assert_memory_equal(out + DHCP_HEAD, options.b, options.n);
	struct dhcp got;
	assert_int_equal(dhcp_parse(span(out, wr_len(&w)), &got), 0);
	assert_int_equal(got.type, DHCP_OFFER);
	assert_true(ip_eq(&got.server, &gateway));
	struct ip first;
	assert_true(dhcp_get_ip(&got, DHCP_OPT_DNS, &first));
	assert_true(ip_eq(&first, &gateway));
}

static void
test_what_does_not_fit(void **state)
{
	(void)state;
	static uint8_t out[DHCP_LEAST + 310], text[300];
	struct dhcp d = {.op = DHCP_FROM_SERVER, .type = DHCP_ACK}, got;
	memset(text, 'x', sizeof text);
	struct wr w = wr_init(out, DHCP_LEAST);
	dhcp_begin(&w, &d);
	assert_false(dhcp_opt(&w, DHCP_OPT_DOMAIN, span(text, 60 - 3 - 2)));
	assert_true(dhcp_opt(&w, DHCP_OPT_DOMAIN, span(text, 60 - 3 - 3)));
	assert_false(dhcp_opt_u8(&w, 99, 1));
	dhcp_end(&w);
	assert_false(w.bad);
	assert_int_equal(wr_len(&w), DHCP_LEAST);
	assert_int_equal(dhcp_parse(span(out, DHCP_LEAST), &got), 0);
	w = wr_init(out, sizeof out); /* in two pieces, joined again by the reader */
	dhcp_begin(&w, &d);
	assert_true(dhcp_opt(&w, DHCP_OPT_HOSTNAME, span(text, sizeof text)));
	dhcp_end(&w);
	assert_int_equal(dhcp_parse(span(out, wr_len(&w)), &got), 0);
	t_same(got.hostname, span(text, sizeof text));
	w = wr_init(out, 100);
	dhcp_begin(&w, &d);
	assert_false(dhcp_opt_u8(&w, 99, 1));
	assert_true(w.bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_discover),
	        cmocka_unit_test(test_request),
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_wrong_sizes),
	        cmocka_unit_test(test_overload),
	        cmocka_unit_test(test_long_options),
	        cmocka_unit_test(test_offer),
	        cmocka_unit_test(test_what_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
