#include "wire/dns.h"

#include "t.h"

#include <errno.h>

enum {
	ROOM = 2048,
};

static struct dnsname
name(const char *text)
{
	struct dnsname d;
	assert_int_equal(dnsname_parse(span_str(text), &d), 0);
	return d;
}

static struct dnsmsg
parse(struct span s)
{
	struct dnsmsg m;
	assert_int_equal(dns_parse(s, &m), 0);
	return m;
}

/* A query that lives until the next call. */
static struct dnsmsg
query(const char *text, uint16_t type)
{
	static uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	struct dnsname d = name(text);
	assert_true(dns_put_query(&w, 0x1234, DNS_RD, &d, type));
	return parse(span(b, wr_len(&w)));
}

static struct span
written(const struct wr *w)
{
	return span(w->start, wr_len(w));
}

static void
test_query(void **state)
{
	(void)state;
	struct dnsmsg m = query("Example.com", DNS_AAAA);
	struct bytes want =
	        t_hex("1234 0100 0001 0000 0000 0000 07 4578616d706c65 03 636f6d 00 001c 0001");
	t_same(m.whole, t_span(&want));
	assert_int_equal(m.id, 0x1234);
	assert_int_equal(m.type, DNS_AAAA);
	assert_int_equal(m.class, DNS_IN);
	assert_int_equal(m.question.n, 13 + 4);
	assert_false(m.has_opt);
	assert_int_equal(m.opt_size, 512);
	for (size_t n = 0; n < want.n; n++)
		assert_int_equal(dns_parse(span(want.b, n), &m), -EBADMSG);
	for (int count = 0; count < 3; count += 2) {
		want.b[5] = (uint8_t)count;
		assert_int_equal(dns_parse(t_span(&want), &m), -EBADMSG);
	}
}

/* The answer the service's tests pin: pointer, class, TTL, address in the last four bytes. */
static void
test_a_answer(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct wr w = wr_init(b, sizeof b);
	struct dnsmsg q = query("eXample.com", DNS_A), r;
	struct ip a = ip4(0x5db8d822), got;
	assert_true(dns_put_reply(&w, &q, DNS_NOERROR));
	assert_true(dns_put_ip(&w, 60, &a));
	struct bytes want =
	        t_hex("1234 8180 0001 0001 0000 0000 07 6558616d706c65 03 636f6d 00 0001 "
	              "0001 c00c 0001 0001 0000003c 0004 5db8d822");
	t_same(written(&w), t_span(&want));
	r = parse(written(&w));
	assert_true(dns_matches(&q, &r));
	struct dnswalk walk;
	struct dnsrr rr;
	dns_walk(&walk, &r);
	assert_int_equal(dns_next(&walk, &rr), 1);
	assert_int_equal(rr.section, DNS_ANSWER);
	assert_true(dnsname_eq(&rr.name, &q.name));
	assert_true(dns_rr_ip(&rr, &got) && ip_eq(&got, &a));
	assert_int_equal(dns_next(&walk, &rr), 0);
	assert_int_equal(dns_next(&walk, &rr), 0);
}

static void
test_reply_flags(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct dnsmsg q = query("a", DNS_A);
	q.flags = 0x7fff & ~DNS_QR;
	struct wr w = wr_init(b, sizeof b);
	assert_true(dns_put_reply(&w, &q, DNS_REFUSED));
	assert_int_equal(get16(b + 2), 0xf800 | DNS_RD | DNS_RA | DNS_CD | DNS_REFUSED);
	w = wr_init(b, sizeof b);
	assert_true(dns_put_formerr(&w, SPAN_LIT("\xab\xcd\x01\x00\0\1\0\0\0\0\0\0junk")));
	assert_int_equal(wr_len(&w), DNS_HEAD);
	assert_memory_equal(b, "\xab\xcd\x81\x81\0\0\0\0\0\0\0\0", 12);
	w = wr_init(b, sizeof b);
	assert_false(dns_put_formerr(&w, SPAN_LIT("short")));
	w = wr_init(b, 11);
	assert_false(dns_put_formerr(&w, SPAN_LIT("long enough here")));
	assert_int_equal(wr_len(&w), 0);
}

static void
test_edns(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct dnsname n = name("x");
	struct wr w = wr_init(b, sizeof b);
	assert_true(dns_put_query(&w, 1, 0, &n, DNS_TXT));
	assert_true(dns_put_opt(&w, 1232, DNS_BADVERS, true));
	struct dnsmsg m = parse(written(&w));
	assert_true(m.has_opt && m.opt_do && !m.bad_records);
	assert_int_equal(m.opt_size, 1232);
	assert_int_equal(m.rcode, DNS_BADVERS);
	assert_int_equal(m.opt_version, 0);
	b[wr_len(&w) - 5] = 3;
	m = parse(written(&w));
	assert_int_equal(m.opt_version, 3);
	/* Below 512 counts as 512 (RFC 6891 6.2.5). */
	w = wr_init(b, sizeof b);
	dns_put_query(&w, 1, 0, &n, DNS_TXT);
	dns_put_opt(&w, 100, 0, false);
	size_t len = wr_len(&w);
	m = parse(span(b, len));
	assert_int_equal(m.opt_size, 512);
	assert_false(m.opt_do);
	assert_true(dns_put_opt(&w, 512, 0, false)); /* a second one */
	m = parse(written(&w));
	assert_true(m.bad_records);
	w = wr_init(b, sizeof b);
	dns_put_query(&w, 1, 0, &n, DNS_TXT);
	assert_true(dns_put_rr(&w, DNS_ADDITIONAL, &n, DNS_OPT, 0, SPAN_NONE)); /* under a name */
	m = parse(written(&w));
	assert_true(m.bad_records);
}

static void
test_broken_records(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct dnsmsg q = query("x.y", DNS_A);
	struct wr w = wr_init(b, sizeof b);
	struct ip a = ip4(1);
	dns_put_reply(&w, &q, 0);
	size_t head = wr_len(&w);
	dns_put_ip(&w, 1, &a);
	for (size_t n = head; n < wr_len(&w); n++) {
		struct dnsmsg m = parse(span(b, n));
		assert_true(m.bad_records);
		uint32_t ttl;
		assert_int_equal(dns_outcome(&m, &ttl), DNS_FAILED);
		assert_int_equal(dns_age(b, n, 1, 1), -EBADMSG);
		assert_int_equal(dns_fit(b, n, 12), n);
		assert_int_equal(dns_strip_opt(b, n), n);
	}
	struct dnsrr rr = {.type = DNS_A, .class = DNS_IN, .rdata = span(b, 5)};
	assert_false(dns_rr_ip(&rr, &a));
	rr.type = DNS_AAAA;
	assert_false(dns_rr_ip(&rr, &a));
	rr.rdata.n = 16;
	assert_true(dns_rr_ip(&rr, &a));
	rr.class = 3;
	assert_false(dns_rr_ip(&rr, &a));
}

/* --- what an answer says -------------------------------------------------------------------- */

static void
put_soa(struct wr *w, const char *zone, uint32_t ttl, uint32_t minimum)
{
	uint8_t b[ROOM];
	struct wr r = wr_init(b, sizeof b);
	struct dnsname z = name(zone), m = name("ns.example"), h = name("host.example");
	wr_bytes(&r, m.b, m.n);
	wr_bytes(&r, h.b, h.n);
	for (int i = 0; i < 4; i++)
		wr_u32(&r, 7);
	wr_u32(&r, minimum);
	assert_true(dns_put_rr(w, DNS_AUTHORITY, &z, DNS_SOA, ttl, written(&r)));
}

static enum dns_outcome
outcome(const struct wr *w, uint32_t *ttl)
{
	struct dnsmsg m = parse(written(w));
	return dns_outcome(&m, ttl);
}

static void
test_outcome(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct dnsmsg q = query("www.example", DNS_A);
	struct dnsname target = name("edge.example");
	struct ip a = ip4(1);
	uint32_t ttl;
	struct wr w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NOERROR);
	assert_int_equal(outcome(&w, &ttl), DNS_NO_DATA);
	assert_int_equal(ttl, 0); /* without SOA nobody may remember it */
	dns_put_rr(&w, DNS_ANSWER, NULL, DNS_CNAME, 300, dnsname_span(&target));
	dns_put_rr(&w, DNS_ANSWER, &target, DNS_A, 60, span(a.b + 12, 4));
	dns_put_opt(&w, 1232, 0, true); /* whose TTL field is none */
	assert_int_equal(outcome(&w, &ttl), DNS_FOUND);
	assert_int_equal(ttl, 60);
	w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NOERROR);
	dns_put_rr(&w, DNS_ANSWER, NULL, DNS_CNAME, 300, dnsname_span(&target));
	put_soa(&w, "example", 900, 500);
	assert_int_equal(outcome(&w, &ttl), DNS_NO_DATA);
	assert_int_equal(ttl, 300); /* the alias ends first */
	w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NXDOMAIN);
	put_soa(&w, "example", 900, 500);
	assert_int_equal(outcome(&w, &ttl), DNS_NO_NAME);
	assert_int_equal(ttl, 500);
	w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_SERVFAIL);
	assert_int_equal(outcome(&w, &ttl), DNS_FAILED);
	w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NOERROR);
	dns_put_ip(&w, 60, &a);
	dns_put_tc(&w);
	assert_int_equal(outcome(&w, &ttl), DNS_FAILED);
	assert_int_equal(ttl, 0);
	w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NOERROR);
	dns_put_ip(&w, 0x80000001, &a); /* RFC 2181 8 */
	assert_int_equal(outcome(&w, &ttl), DNS_FOUND);
	assert_int_equal(ttl, 0);
}

static void
test_any_and_bad_soa(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	uint32_t ttl;
	struct ip a = ip4(1);
	struct dnsmsg q = query("www.example", DNS_ANY);
	struct wr w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NOERROR);
	dns_put_ip(&w, 5, &a);
	assert_int_equal(outcome(&w, &ttl), DNS_FOUND);
	assert_int_equal(ttl, 5);
	w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NXDOMAIN);
	dns_put_rr(&w, DNS_AUTHORITY, NULL, DNS_SOA, 5, SPAN_LIT("\0\0too short"));
	assert_int_equal(outcome(&w, &ttl), DNS_NO_NAME);
	assert_int_equal(ttl, 0);
}

/* --- in place ------------------------------------------------------------------------------- */

static void
test_age(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct dnsmsg q = query("www.example", DNS_A);
	struct ip a = ip4(1);
	struct wr w = wr_init(b, sizeof b);
	dns_put_reply(&w, &q, DNS_NOERROR);
	dns_put_ip(&w, 10, &a);
	dns_put_ip(&w, 100, &a);
	dns_put_ip(&w, 1000, &a);
	put_soa(&w, "example", 50, 5);
	dns_put_opt(&w, 1232, DNS_BADVERS, true);
	assert_int_equal(dns_age(b, wr_len(&w), 30, 300), 0);
	struct dnsmsg m = parse(written(&w));
	assert_int_equal(m.rcode, DNS_BADVERS); /* OPT is as it was */
	assert_true(m.opt_do);
	static const uint32_t want[] = {0, 70, 270, 20};
	struct dnswalk walk;
	struct dnsrr rr;
	dns_walk(&walk, &m);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(dns_next(&walk, &rr), 1);
		assert_int_equal(rr.ttl, want[i]);
	}
}

/* A name may point at bytes of a TTL; aged, it would be another name, or none. */
static void
test_age_under_a_name(void **state)
{
	(void)state;
	struct bytes b = t_hex("1234 8180 0001 0002 0000 0000 00 0001 0001"
	                       "00 0001 0001 01780000 0004 01020304" /* TTL reads as "x" */
	                       "c016 0001 0001 0000003c 0004 01020304");
	struct dnsmsg m = parse(t_span(&b));
	assert_false(m.bad_records);
	struct bytes same = b;
	assert_int_equal(dns_age(same.b, same.n, 0, UINT32_MAX), 0);
	assert_int_equal(dns_age(b.b, b.n, 1, UINT32_MAX), -EBADMSG);
}

static size_t
many(uint8_t *b, unsigned answers, unsigned extra, bool opt)
{
	struct dnsmsg q = query("www.example", DNS_A);
	struct wr w = wr_init(b, ROOM);
	dns_put_reply(&w, &q, DNS_NOERROR);
	for (unsigned i = 0; i < answers; i++) {
		struct ip a = ip4(i);
		assert_true(dns_put_ip(&w, 60, &a));
	}
	for (unsigned i = 0; i < extra; i++)
		assert_true(dns_put_rr(&w, DNS_ADDITIONAL, NULL, DNS_TXT, 60, SPAN_LIT("\3abc")));
	if (opt)
		assert_true(dns_put_opt(&w, 1232, 0, true));
	return wr_len(&w);
}

static void
test_fit(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	size_t n = many(b, 10, 0, false);
	assert_int_equal(dns_fit(b, n, n), n);
	assert_int_equal(get16(b + 2) & DNS_TC, 0);
	for (size_t most = 64; most < n; most++) {
		uint8_t c[ROOM];
		memcpy(c, b, n);
		size_t cut = dns_fit(c, n, most);
		assert_true(cut <= most && most - cut < 16);
		struct dnsmsg m = parse(span(c, cut));
		assert_false(m.bad_records);
		assert_true(m.flags & DNS_TC);
		assert_int_equal(cut, 12 + m.question.n + 16u * m.count[DNS_ANSWER]);
	}
}

static void
test_fit_keeps_opt(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	size_t n = many(b, 10, 5, true);
	size_t cut = dns_fit(b, n, 100);
	struct dnsmsg m = parse(span(b, cut));
	assert_true(cut <= 100 && m.has_opt && m.opt_do && !m.bad_records);
	assert_true(m.flags & DNS_TC);
	assert_int_equal(m.count[DNS_ADDITIONAL], 1);
	/* What is only extra goes without TC. */
	n = many(b, 3, 5, true);
	cut = dns_fit(b, n, n - 1);
	m = parse(span(b, cut));
	assert_int_equal(m.flags & DNS_TC, 0);
	assert_int_equal(m.count[DNS_ANSWER], 3);
	assert_int_equal(m.count[DNS_ADDITIONAL], 5); /* four of them and OPT */
	assert_true(m.has_opt && !m.bad_records);
	/* OPT is not always last. */
	n = many(b, 3, 0, true);
	struct wr w = wr_init(b, sizeof b);
	w.p += n;
	for (int i = 0; i < 20; i++)
		assert_true(dns_put_rr(&w, DNS_ADDITIONAL, NULL, DNS_TXT, 60, SPAN_LIT("\3abc")));
	cut = dns_fit(b, wr_len(&w), 200);
	m = parse(span(b, cut));
	assert_true(cut <= 200 && m.has_opt && !m.bad_records);
}

static void
test_strip_opt(void **state)
{
	(void)state;
	uint8_t b[ROOM], was[ROOM];
	size_t bare = many(was, 2, 1, false), n = many(b, 2, 1, true);
	assert_int_equal(dns_strip_opt(b, n), bare);
	assert_memory_equal(b, was, bare);
	assert_int_equal(dns_strip_opt(b, bare), bare);
	n = many(b, 2, 1, true);
	struct wr w = wr_init(b, sizeof b);
	w.p += n;
	dns_put_rr(&w, DNS_ADDITIONAL, NULL, DNS_TXT, 60, SPAN_LIT("\3abc"));
	assert_int_equal(dns_strip_opt(b, wr_len(&w)), bare);
	struct dnsmsg m = parse(span(b, bare));
	assert_false(m.bad_records || m.has_opt);
	assert_int_equal(m.count[DNS_ADDITIONAL], 1);
}

static void
test_echo_question(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	size_t n = many(b, 1, 0, false);
	struct dnsmsg q = query("WWW.eXAMPLE", DNS_A);
	dns_echo_question(b, n, &q);
	t_same(span(b + DNS_HEAD, q.question.n), q.question);
	uint8_t was[ROOM];
	memcpy(was, b, n);
	q = query("wwx.example", DNS_A);
	dns_echo_question(b, n, &q);
	assert_memory_equal(b, was, n);
	dns_set_id(b, 0xbeef);
	dns_set_flags(b, 0x8583);
	assert_memory_equal(b, "\xbe\xef\x85\x83", 4);
}

static void
test_matches(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	size_t n = many(b, 1, 0, false);
	struct dnsmsg q = query("WWW.EXAMPLE", DNS_A), r = parse(span(b, n));
	assert_true(dns_matches(&q, &r));
	r.id++;
	assert_false(dns_matches(&q, &r));
	r.id--;
	r.flags &= 0x7fff;
	assert_false(dns_matches(&q, &r));
	r.flags |= DNS_QR;
	r.type = DNS_AAAA;
	assert_false(dns_matches(&q, &r));
	r.type = DNS_A;
	r.name = name("other");
	assert_false(dns_matches(&q, &r));
}

static void
test_what_does_not_fit(void **state)
{
	(void)state;
	uint8_t b[ROOM];
	struct dnsmsg q = query("www.example", DNS_A);
	struct ip a = ip4(1);
	size_t head = DNS_HEAD + q.question.n;
	struct wr w = wr_init(b, head - 1);
	assert_false(dns_put_reply(&w, &q, 0));
	assert_int_equal(wr_len(&w), 0);
	assert_false(w.bad);
	w = wr_init(b, head + 16 + 15);
	assert_true(dns_put_reply(&w, &q, 0));
	assert_true(dns_put_ip(&w, 1, &a));
	assert_false(dns_put_ip(&w, 1, &a));
	assert_true(dns_put_opt(&w, 512, 0, false)); /* smaller, so it still does */
	struct dnsmsg m = parse(written(&w));
	assert_int_equal(m.count[DNS_ANSWER], 1);
	assert_int_equal(m.count[DNS_ADDITIONAL], 1);
	assert_false(m.bad_records);
	static uint8_t huge[70000], big[80000];
	w = wr_init(big, sizeof big);
	assert_true(dns_put_reply(&w, &q, 0));
	assert_false(dns_put_rr(&w, DNS_ANSWER, NULL, DNS_TXT, 1, span(huge, 65536)));
	assert_true(dns_put_rr(&w, DNS_ANSWER, NULL, DNS_TXT, 1, span(huge, 65535)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_query),
	        cmocka_unit_test(test_a_answer),
	        cmocka_unit_test(test_reply_flags),
	        cmocka_unit_test(test_edns),
	        cmocka_unit_test(test_broken_records),
	        cmocka_unit_test(test_outcome),
	        cmocka_unit_test(test_any_and_bad_soa),
	        cmocka_unit_test(test_age),
	        cmocka_unit_test(test_age_under_a_name),
	        cmocka_unit_test(test_fit),
	        cmocka_unit_test(test_fit_keeps_opt),
	        cmocka_unit_test(test_strip_opt),
	        cmocka_unit_test(test_echo_question),
	        cmocka_unit_test(test_matches),
	        cmocka_unit_test(test_what_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
