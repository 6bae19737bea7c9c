#include "tests/unit/stack/lab.h"

#include "stack/stack_int.h"
#include "wire/dns.h"

static struct span
question(const char *name, uint16_t type, uint16_t size)
{
	static uint8_t buf[600];
	struct wr w = wr_init(buf, sizeof buf);
	struct dnsname n;
	assert_int_equal(dnsname_parse(span_str(name), &n), 0);
	assert_true(dns_put_query(&w, 0x1234, DNS_RD, &n, type));
	if (size)
		assert_true(dns_put_opt(&w, size, 0, false));
	return span(buf, wr_len(&w));
}

static void
ask(struct lab *l, struct span q)
{
	lab_udp(l, GUEST, 4000, GATEWAY, 53, q);
}

/* An answer to question() with n records of 40 bytes. */
static struct span
answer(struct span query, unsigned n, bool opt)
{
	static uint8_t buf[60000];
	static const uint8_t txt[28] = {27};
	struct wr w = wr_init(buf, sizeof buf);
	struct dnsmsg q;
	assert_int_equal(dns_parse(query, &q), 0);
	assert_true(dns_put_reply(&w, &q, DNS_NOERROR));
	for (unsigned i = 0; i < n; i++)
		assert_true(dns_put_rr(&w, DNS_ANSWER, NULL, DNS_TXT, 60, span(txt, 28)));
	if (opt)
		assert_true(dns_put_opt(&w, 1232, 0, false));
	return span(buf, wr_len(&w));
}

/* The reply in the one frame that is there. */
static struct dnsmsg
reply(struct lab *l)
{
	struct dnsmsg m;
	struct seen s = lab_one(l);
	assert_ip(s.ip.src, GATEWAY);
	assert_int_equal(s.udp.sport, 53);
	assert_int_equal(s.udp.dport, 4000);
	assert_int_equal(dns_parse(s.udp.payload, &m), 0);
	assert_true(m.flags & DNS_QR);
	assert_int_equal(m.id, 0x1234);
	assert_false(m.bad_records);
	return m;
}

static void
asks_and_answers(void **state)
{
	struct lab *l = *state;
	struct span q = question("example.org", DNS_TXT, 0);
	ask(l, q);
	lab_silence(l);
	assert_int_equal(l->dns_queries, 1);
	assert_true(span_eq(span(l->payload, l->payload_len), q));
	struct span a = answer(q, 3, false);
	stack_dns_answer(l->st, l->token, a, l->now);
	struct dnsmsg m = reply(l);
	assert_true(span_eq(m.whole, a));
	assert_ip(lab_seen(l, 0).ip.dst, GUEST);
	stack_dns_answer(l->st, l->token, a, l->now);
	lab_silence(l);
	assert_int_equal(l->dns_cancels, 0);
}

/* Without an address, to any station. */
static void
works_before_dhcp(void **state)
{
	struct lab *l = *state;
	struct span q = question("example.org", DNS_A, 0);
	struct ip src = NOBODY, dst = GATEWAY;
	struct mac all = MAC_BROADCAST, m = OTHER_MAC;
	static const uint32_t sources[] = {0, 0xc0a80105, 0x0a00020f, 0x0a000237};
	static const uint32_t back[] = {0x0a00020f, 0x0a00020f, 0x0a00020f, 0x0a000237};
	for (unsigned i = 0; i < 4; i++) {
		uint8_t f[400];
		src = ip4(sources[i]);
		struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_UDP, .ttl = 64};
		ether_put(f, &all, &m, ETHER_IPV4);
		ippkt_put(f + ETHER_HEAD, &k, UDP_HEAD + q.n);
		udp_put(f + 34, 4000, 53, &src, &dst, q.n, checksum_sum(q.p, q.n));
		memcpy(f + 42, q.p, q.n);
		lab_frame(l, f, 42 + q.n);
		stack_dns_answer(l->st, l->token, answer(q, 1, false), l->now);
		reply(l);
		struct seen s = lab_seen(l, 0);
		assert_ip(s.ip.dst, ip4(back[i]));
		assert_mac(s.eth.dst, OTHER_MAC);
	}
	assert_int_equal(l->dns_queries, 4);
}

static void
drops_what_is_no_question(void **state)
{
	struct lab *l = *state;
	struct span q = question("example.org", DNS_A, 0);
	uint8_t b[600];
	for (size_t n = 0; n < q.n; n++)
		ask(l, span_first(q, n));
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
	        {2, 0x81},                                    /* a response */
	        {5, 0}, {5, 2}, {4, 1},                       /* questions */
	        {12, 0xc0}, {12, 0x40}, {12, 0x80}, {12, 64}, /* labels */
	        {13, 0xff}, {14, 0xc3},                       /* no text */
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memcpy(b, q.p, q.n);
		b[bad[i].at] = bad[i].value;
		ask(l, span(b, q.n));
	}
	memset(b + 12, 1, 400); /* a name of 400 bytes */
	ask(l, span(b, 500));
	lab_udp(l, GUEST, 0, GATEWAY, 53, q);
	lab_silence(l);
	assert_int_equal(l->dns_queries, 0);
}

static void
refused(struct lab *l, unsigned rcode)
{
	struct dnsmsg m = reply(l);
	assert_int_equal(m.rcode, rcode);
	assert_int_equal(m.count[DNS_QUESTION], 1);
	assert_int_equal(m.count[DNS_ANSWER], 0);
	assert_int_equal(m.count[DNS_AUTHORITY], 0);
	assert_true(m.flags & DNS_RA);
	assert_true(m.flags & DNS_RD);
	assert_false(m.flags & DNS_AA);
}

static void
refuses_what_it_cannot_do(void **state)
{
	struct lab *l = *state;
	uint8_t b[600];
	struct span q = question("example.org", DNS_A, 0);
	memcpy(b, q.p, q.n);
	b[2] |= 5 << 3; /* an update */
	ask(l, span(b, q.n));
	refused(l, DNS_NOTIMP);
	memcpy(b, q.p, q.n);
	b[q.n - 1] = 3; /* the CH class */
	ask(l, span(b, q.n));
	refused(l, DNS_NOTIMP);
	memcpy(b, q.p, q.n);
	b[11] = 1; /* an additional record that is not there */
	ask(l, span(b, q.n));
	refused(l, DNS_FORMERR);
	q = question("example.org", DNS_A, 1232);
	memcpy(b, q.p, q.n);
	b[q.n - 5] = 1; /* EDNS version 1 */
	ask(l, span(b, q.n));
	refused(l, DNS_BADVERS);
	assert_int_equal(l->dns_queries, 0);
}

static void
fails_when_asking_fails(void **state)
{
	struct lab *l = *state;
	l->dns_ret = -ENOMEM;
	ask(l, question("example.org", DNS_A, 0));
	refused(l, DNS_SERVFAIL);
	assert_int_equal(lab_seen(l, 0).udp.payload.n, 12 + 13 + 4);
	l->dns_ret = 0;
	ask(l, question("example.org", DNS_A, 1232));
	stack_dns_answer(l->st, l->token, SPAN_NONE, l->now);
	struct dnsmsg m = reply(l);
	assert_int_equal(m.rcode, DNS_SERVFAIL);
	assert_true(m.has_opt);
	assert_int_equal(m.count[DNS_ADDITIONAL], 1);
	ask(l, question("example.org", DNS_A, 0));
	stack_dns_answer(l->st, l->token, SPAN_NONE, l->now);
	m = reply(l);
	assert_false(m.has_opt);
	assert_int_equal(m.type, DNS_A);
	assert_int_equal(m.count[DNS_ADDITIONAL], 0);
}

static void
limits_what_is_pending(void **state)
{
	struct lab *l = *state;
	struct span q = question("example.org", DNS_A, 0);
	l->conf.dns_max_pending = 2;
	for (unsigned i = 1; i <= 66; i++) { /* some to spare, for what is cached */
		ask(l, q);
		lab_silence(l);
		assert_int_equal(l->dns_queries, i);
	}
	ask(l, q);
	refused(l, DNS_SERVFAIL);
	assert_int_equal(l->dns_queries, 66);
	stack_dns_answer(l->st, l->token, answer(q, 1, false), l->now);
	lab_one(l);
	ask(l, q);
	lab_silence(l);
	assert_int_equal(l->dns_queries, 67);
	l->conf.dns_max_pending = 0;
	ask(l, q);
	refused(l, DNS_SERVFAIL);
	assert_int_equal(l->dns_queries, 67);
	stack_free(l->st);
	assert_int_equal(l->dns_cancels, 66);
	l->st = stack_new(&l->shared, l);
}

/* What an asker takes: 512 bytes, or what its OPT says, or what one frame holds. */
static void
cuts_long_answers(void **state)
{
	struct lab *l = *state;
	static const struct {
		uint16_t size;
		unsigned records;
		size_t most;
		bool cut;
	} rows[] = {
	        {0, 11, 512, false},
	        {0, 12, 512, false},
	        {0, 13, 512, true},
	        {0, 1000, 512, true},
	        {100, 13, 512, true}, /* less than everyone takes */
	        {1232, 13, 1232, false},
	        {1232, 40, 1232, true},
	        {4096, 40, 1472, true},
	        {65535, 1400, 1472, true},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span q = question("e.org", DNS_TXT, rows[i].size);
		ask(l, q);
		struct span a = answer(q, rows[i].records, rows[i].size);
		stack_dns_answer(l->st, l->token, a, l->now);
		struct dnsmsg m = reply(l);
		assert_int_equal(!!(m.flags & DNS_TC), rows[i].cut);
		assert_true(m.whole.n <= rows[i].most);
		assert_int_equal(m.has_opt, rows[i].size > 0);
		if (rows[i].cut)
			assert_true(m.count[DNS_ANSWER] < rows[i].records);
		else
			assert_true(span_eq(m.whole, a));
		assert_int_equal(l->frame[0].n, 42 + m.whole.n);
	}
}

static void
withdraws(void **state)
{
	struct lab *l = *state;
	struct span q = question("example.org", DNS_A, 0);
	assert_int_equal(dns_ask(l->st, DNS_TOKEN_TCP | 7, q), 0);
	assert_int_equal(l->token, DNS_TOKEN_TCP | 7);
	dns_forget(l->st, DNS_TOKEN_TCP | 7);
	assert_int_equal(l->dns_cancels, 1);
	assert_int_equal(l->cancelled, DNS_TOKEN_TCP | 7);
	dns_forget(l->st, DNS_TOKEN_TCP | 7);
	assert_int_equal(l->dns_cancels, 1);
	stack_dns_answer(l->st, DNS_TOKEN_TCP | 7, q, l->now);
	lab_silence(l);
}

/* What DNS over TCP gets to say at once. */
static void
words_refusals(void **state)
{
	struct lab *l = *state;
	uint8_t out[DNS_REFUSAL_MOST], b[600];
	struct span q = question("example.org", DNS_A, 0);
	l->conf.dns_max_pending = 0;
	int r = dns_ask(l->st, DNS_TOKEN_TCP | 1, q);
	assert_true(r < 0);
	struct dnsmsg m;
	assert_int_equal(dns_parse(span(out, dns_refusal(out, q, r)), &m), 0);
	assert_int_equal(m.rcode, DNS_SERVFAIL);
	assert_int_equal(m.id, 0x1234);
	memcpy(b, q.p, q.n);
	b[2] |= 0x80;
	r = dns_ask(l->st, DNS_TOKEN_TCP | 1, span(b, q.n));
	assert_true(r < 0);
	assert_int_equal(dns_refusal(out, span(b, q.n), r), 0);
	char name[256];
	memset(name, 'x', sizeof name);
	for (int i = 63; i < 254; i += 64)
		name[i] = '.';
	name[253] = 0;
	q = question(name, DNS_A, 4096);
	r = dns_ask(l->st, DNS_TOKEN_TCP | 1, q);
	assert_true(dns_refusal(out, q, r) > 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(asks_and_answers),
	        LAB_TEST(works_before_dhcp),
	        LAB_TEST(drops_what_is_no_question),
	        LAB_TEST(refuses_what_it_cannot_do),
	        LAB_TEST(fails_when_asking_fails),
	        LAB_TEST(limits_what_is_pending),
	        LAB_TEST(cuts_long_answers),
	        LAB_TEST(withdraws),
	        LAB_TEST(words_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
