#include "wire/pcapng.h"

#include "t.h"

#include <errno.h>

enum {
	ROOM = 4096,
};

static struct span
written(const struct wr *w)
{
	assert_false(w->bad);
	return span(w->start, wr_len(w));
}

/* The two blocks every capture of the service begins with. */
static void
put_headers(struct wr *w)
{
	pcapng_put_section(w, &(struct pcapng_section){.userappl = SPAN_LIT("aero-l2-proxy")});
	pcapng_put_iface(w, &(struct pcapng_iface){.linktype = PCAPNG_ETHERNET,
	                            .snaplen = 65535,
	                            .name = SPAN_LIT("l2-tunnel")});
}

static void
test_golden_headers(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	put_headers(&w);
	struct bytes want = t_hex(
	        "0a0d0d0a340000004d3c2b1a01000000ffffffffffffffff04000d006165726f2d6c322d70726f7879"
	        "0000000000000034000000"
	        "010000003000000001000000ffff0000020009006c322d74756e6e656c000000090001000900000000"
	        "00"
	        "000030000000");
	t_same(written(&w), t_span(&want));
}

static void
test_golden_packet(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct pcapng_packet k = {.ns = 0x0102030405060708,
	        .data = SPAN_LIT("abcde"),
	        .len = 5,
	        .has_flags = true,
	        .flags = PCAPNG_IN};
	struct wr w = wr_init(b, sizeof b);
	pcapng_put_packet(&w, &k);
	struct bytes want = t_hex("06000000 34000000 00000000 04030201 08070605 05000000 05000000 "
	                          "6162636465000000 02000400 01000000 00000000 34000000");
	t_same(written(&w), t_span(&want));
	assert_int_equal(pcapng_packet_len(&k), want.n);
	/* 204 bytes: a capture with one frame of 60 */
	static uint8_t frame[60];
	w = wr_init(b, sizeof b);
	put_headers(&w);
	k.data = span(frame, sizeof frame);
	k.len = 60;
	pcapng_put_packet(&w, &k);
	assert_int_equal(wr_len(&w), 204);
	assert_int_equal(pcapng_packet_len(&k), PCAPNG_PACKET_HEAD + 60);
}

static struct pcapng_block
next(struct pcapng *p, struct span *in)
{
	struct pcapng_block b;
	ssize_t n = pcapng_read(p, *in, &b);
	assert_true(n > 0);
	assert_int_equal((size_t)n, b.len);
	*in = span_skip(*in, (size_t)n);
	return b;
}

static void
test_round_trip(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	pcapng_put_section(&w, &(struct pcapng_section){.hardware = SPAN_LIT("hw"),
	                               .os = SPAN_LIT("os"),
	                               .userappl = SPAN_LIT(""),
	                               .comment = SPAN_LIT("why")});
	pcapng_put_iface(&w, &(struct pcapng_iface){.linktype = 1,
	                             .snaplen = 0,
	                             .name = SPAN_LIT("n"),
	                             .description = SPAN_LIT("dd"),
	                             .comment = SPAN_LIT("ccc")});
	struct pcapng_packet k = {.ns = UINT64_MAX,
	        .data = SPAN_LIT("x"),
	        .len = 9000,
	        .has_flags = true,
	        .flags = PCAPNG_OUT,
	        .has_drops = true,
	        .drops = 1ull << 40,
	        .comment = SPAN_LIT("a comment")};
	pcapng_put_packet(&w, &k);
	size_t rich = pcapng_packet_len(&k);
	struct pcapng_packet plain = {.ns = 5};
	pcapng_put_packet(&w, &plain);
	pcapng_put_stats(&w, &(struct pcapng_stats){.ns = 7,
	                             .has_received = true,
	                             .received = 100,
	                             .has_dropped = true,
	                             .dropped = 3,
	                             .comment = SPAN_LIT("end")});
	struct span in = written(&w);
	struct pcapng p;
	pcapng_init(&p);
	struct pcapng_block k0 = next(&p, &in);
	assert_int_equal(k0.kind, PCAPNG_SECTION);
	t_text(k0.section.hardware, "hw");
	t_text(k0.section.os, "os");
	assert_non_null(k0.section.userappl.p);
	t_text(k0.section.comment, "why");
	k0 = next(&p, &in);
	assert_int_equal(k0.kind, PCAPNG_IFACE);
	t_text(k0.iface.name, "n");
	t_text(k0.iface.description, "dd");
	t_text(k0.iface.comment, "ccc");
	k0 = next(&p, &in);
	assert_int_equal(k0.kind, PCAPNG_PACKET);
	assert_int_equal(k0.len, rich);
	assert_true(k0.packet.timed && k0.packet.ns == UINT64_MAX);
	t_text(k0.packet.data, "x");
	assert_int_equal(k0.packet.len, 9000);
	assert_true(k0.packet.has_flags && (k0.packet.flags & PCAPNG_DIRECTION) == PCAPNG_OUT);
	assert_true(k0.packet.has_drops && k0.packet.drops == 1ull << 40);
	t_text(k0.packet.comment, "a comment");
	k0 = next(&p, &in);
	assert_int_equal(k0.len, 32);
	assert_false(k0.packet.has_flags || k0.packet.has_drops);
	assert_null(k0.packet.comment.p);
	k0 = next(&p, &in);
	assert_int_equal(k0.kind, PCAPNG_STATS);
	assert_true(k0.stats.ns == 7 && k0.stats.received == 100 && k0.stats.dropped == 3);
	t_text(k0.stats.comment, "end");
	assert_int_equal(in.n, 0);
	assert_int_equal(p.offset, wr_len(&w));
	assert_int_equal(pcapng_linktype(&p, 0), 1);
	assert_int_equal(pcapng_linktype(&p, 1), 0);
}

/* Somebody else's file: big-endian, microseconds by default, then 2^-10 s with an offset; simple
 * packets, names, a block nobody knows. */
static void
test_big_endian(void **state)
{
	(void)state;
	struct bytes f = t_hex("0a0d0d0a 0000001c 1a2b3c4d 0001 0002 ffffffffffffffff 0000001c"
	                       "00000001 00000014 0071 0000 00000004 00000014"
	                       "00000001 0000002c 0001 0000 00000000 0009 0001 8a000000"
	                       " 000e 0008 0000000000000064 0000 0000 0000002c"
	                       "00000006 00000024 00000000 00000000 000f4240 00000002 00000002 "
	                       "abcd0000 00000024"
	                       "00000006 00000020 00000001 00000000 00000c00 00000000 00000000 "
	                       "00000020"
	                       "00000003 00000014 00000009 01020304 00000014"
	                       "00000004 00000018 0001 0007 0a000202 677700 00 0000002c"
	                       "00000bad 00000010 deadbeef 00000010");
	struct span in = t_span(&f);
	struct pcapng p;
	pcapng_init(&p);
	struct pcapng_block b = next(&p, &in);
	assert_true(b.section.big_endian);
	b = next(&p, &in);
	assert_int_equal(b.iface.linktype, 0x71);
	assert_int_equal(b.iface.snaplen, 4);
	b = next(&p, &in);
	assert_int_equal(b.kind, PCAPNG_IFACE);
	b = next(&p, &in);
	assert_int_equal(b.kind, PCAPNG_PACKET);
	assert_int_equal(b.packet.ns, 1000000000);
	t_text(b.packet.data, "\xab\xcd");
	b = next(&p, &in);
	assert_int_equal(b.packet.ns, 103000000000); /* 3072/1024 s + 100 s */
	b = next(&p, &in);
	assert_false(b.packet.timed);
	assert_int_equal(b.packet.len, 9);
	t_text(b.packet.data, "\1\2\3\4"); /* as much as the snap length lets through */
	b = next(&p, &in);
	assert_int_equal(b.kind, PCAPNG_FAULT); /* its end says 2c */
	assert_int_equal(b.offset, 0x1c + 0x14 + 0x2c + 0x24 + 0x20 + 0x14);
	b = next(&p, &in);
	assert_int_equal(b.kind, PCAPNG_OTHER);
	assert_int_equal(b.type, 0xbad);
	assert_int_equal(in.n, 0);
}

static void
test_names(void **state)
{
	(void)state;
	struct bytes f = t_hex("0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000");
	struct bytes rest = t_hex("0100 0700 0a000202 677700 00 0900 0100 ff000000"
	                          "0200 1300 20010db8000000000000000000000001 610062 00 0000 0000");
	struct wr w = wr_init(f.b + f.n, ROOM - f.n);
	wr_u32(&w, 0x04000000);
	uint32_t len = (uint32_t)rest.n + 12;
	wr_u32(&w, __builtin_bswap32(len));
	wr_span(&w, t_span(&rest));
	wr_u32(&w, __builtin_bswap32(len));
	f.n += wr_len(&w);
	struct span in = t_span(&f), name;
	struct pcapng p;
	struct ip a;
	char text[ADDR_TEXT];
	pcapng_init(&p);
	next(&p, &in);
	struct pcapng_block b = next(&p, &in);
	assert_int_equal(b.kind, PCAPNG_NAMES);
	assert_true(pcapng_name(&p, &b.names, &a, &name));
	assert_string_equal(ip_text(&a, text), "10.0.2.2");
	t_text(name, "gw");
	assert_true(pcapng_name(&p, &b.names, &a, &name));
	assert_string_equal(ip_text(&a, text), "2001:db8::1");
	t_text(name, "a");
	assert_false(pcapng_name(&p, &b.names, &a, &name));
}

static void
test_incremental(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	put_headers(&w);
	struct span all = written(&w);
	struct pcapng p;
	struct pcapng_block k;
	pcapng_init(&p);
	for (size_t n = 0; n < 52; n++) {
		assert_int_equal(pcapng_read(&p, span_first(all, n), &k), 0);
		assert_int_equal(p.need, n < 12 ? 12 : 52);
	}
	assert_int_equal(pcapng_read(&p, span_first(all, 60), &k), 52);
	assert_int_equal(pcapng_read(&p, span_skip(all, 52), &k), 48);
	assert_int_equal(pcapng_read(&p, SPAN_NONE, &k), 0);
}

static void
hopeless(const char *hex, bool after_headers)
{
	uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	struct bytes bad = t_hex(hex);
	if (after_headers)
		put_headers(&w);
	wr_span(&w, t_span(&bad));
	struct span in = written(&w);
	struct pcapng p;
	struct pcapng_block k;
	pcapng_init(&p);
	if (after_headers) {
		next(&p, &in);
		next(&p, &in);
	}
	assert_int_equal(pcapng_read(&p, in, &k), -EBADMSG);
	assert_int_equal(k.kind, PCAPNG_FAULT);
	assert_int_equal(k.offset, after_headers ? 100 : 0);
	assert_non_null(k.why);
}

static void
test_hopeless(void **state)
{
	(void)state;
	hopeless("d4c3b2a1 02000400 00000000 00000000", false); /* the older format */
	hopeless("06000000 20000000 00000000", false);
	hopeless("0a0d0d0a 1c000000 4d3c2b1b", false);
	hopeless("06000000 0b000000 00000000", true);
	hopeless("06000000 22000000 00000000", true);
	hopeless("06000000 04000001 00000000", true); /* more than 16 MiB */
	hopeless("06000000 00000000 00000000", true);
}

/* A fault inside a block costs that block alone. */
static void
fault(const char *hex)
{
	uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	struct bytes body = t_hex(hex);
	put_headers(&w);
	uint32_t len = (uint32_t)body.n + 8;
	wr_bytes(&w, body.b, 4);
	wr_u32(&w, __builtin_bswap32(len));
	wr_bytes(&w, body.b + 4, body.n - 4);
	wr_u32(&w, __builtin_bswap32(len));
	pcapng_put_packet(&w, &(struct pcapng_packet){.data = SPAN_LIT("ok"), .len = 2});
	struct span in = written(&w);
	struct pcapng p;
	pcapng_init(&p);
	next(&p, &in);
	next(&p, &in);
	struct pcapng_block k = next(&p, &in);
	assert_int_equal(k.kind, PCAPNG_FAULT);
	assert_int_equal(k.offset, 100);
	assert_non_null(k.why);
	k = next(&p, &in);
	assert_int_equal(k.kind, PCAPNG_PACKET);
	t_text(k.packet.data, "ok");
}

static void
test_faults(void **state)
{
	(void)state;
	fault("06000000 01000000 00000000 00000000 00000000 00000000"); /* interface 1 */
	fault("06000000 00000000 00000000 00000000 05000000 05000000 61626364");
	fault("06000000 00000000 00000000 00000000 04000000 03000000 61626364");
	fault("06000000 00000000 00000000 00000000 ffffffff ffffffff 61626364");
	fault("06000000 00000000 00000000");
	fault("06000000 00000000 00000000 00000000 00000000 00000000 0100ff00"); /* option cut */
	fault("05000000 01000000 00000000 00000000");
	fault("05000000 00000000");
	fault("03000000");
	fault("03000000 05000000 61626364");
	fault("04000000 01000700 0a000202"); /* record cut */
	fault("01000000 0100 0000");
}

static void
test_too_many_interfaces(void **state)
{
	(void)state;
	static uint8_t b[ROOM * 2];
	struct wr w = wr_init(b, sizeof b);
	pcapng_put_section(&w, &(struct pcapng_section){0});
	for (int i = 0; i < PCAPNG_IFACES + 1; i++)
		pcapng_put_iface(&w, &(struct pcapng_iface){.linktype = 1});
	pcapng_put_section(&w, &(struct pcapng_section){0});
	pcapng_put_packet(&w, &(struct pcapng_packet){0});
	struct span in = written(&w);
	struct pcapng p;
	pcapng_init(&p);
	next(&p, &in);
	for (int i = 0; i < PCAPNG_IFACES; i++)
		assert_int_equal(next(&p, &in).kind, PCAPNG_IFACE);
	assert_int_equal(next(&p, &in).kind, PCAPNG_FAULT);
	assert_int_equal(next(&p, &in).kind, PCAPNG_SECTION);
	assert_int_equal(next(&p, &in).kind, PCAPNG_FAULT); /* a section starts without any */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_golden_headers),
	        cmocka_unit_test(test_golden_packet),
	        cmocka_unit_test(test_round_trip),
	        cmocka_unit_test(test_big_endian),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_incremental),
	        cmocka_unit_test(test_hopeless),
	        cmocka_unit_test(test_faults),
	        cmocka_unit_test(test_too_many_interfaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
