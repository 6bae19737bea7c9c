#include "rig.h"

#include <errno.h>

static struct gdns_question
question(const char *name, uint16_t type)
{
	struct gdns_question q = {.type = type};
	assert_int_equal(dnsname_parse(span_str(name), &q.name), 0);
	return q;
}

/* Answers the query with `n` addresses; n < 0: truncated. Returns its length. */
static size_t
make_answer(struct span query, uint8_t *p, size_t cap, int n)
{
	struct dnsmsg q;
	struct wr w = wr_init(p, cap);
	assert_int_equal(dns_parse(query, &q), 0);
	assert_true(q.flags & DNS_RD);
	assert_true(dns_put_reply(&w, &q, DNS_NOERROR));
	for (int i = 0; i < n; i++) {
		struct ip a = ip4(0xc6336400 + (uint32_t)i);
		assert_true(dns_put_ip(&w, 60, &a));
	}
	if (n < 0)
		dns_put_tc(&w);
	return wr_len(&w);
}

/* The query in the only frame of the last pull. */
static struct udpdgram
hear_udp(struct rig *r)
{
	struct ippkt k;
	struct udpdgram d;
	assert_int_equal(rig_pull(r), 1);
	rig_ip(r, 0, &k);
	assert_int_equal(udp_parse(&k, &d), 0);
	assert_int_equal(d.dport, 53);
	return d;
}

static void
over_udp(void **state)
{
	(void)state;
	struct rig r;
	struct dnsmsg m;
	uint8_t p[512];
	rig_ready(&r);
	struct gdns_question q = question("example.test", DNS_A);
	struct gdns *d = gdns_ask(r.g, &q, r.now);
	assert_false(gdns_answer(d, &m, r.now));
	hear_udp(&r);
	rig_pass(&r, 1100);
	struct udpdgram in = hear_udp(&r); /* asked again */
	size_t n = make_answer(in.payload, p, sizeof p, 2);
	p[0] ^= 1; /* another id: not for us */
	rig_give_udp(&r, RIG_GATEWAY, 53, RIG_GUEST, in.sport, span(p, n));
	assert_false(gdns_answer(d, &m, r.now));
	p[0] ^= 1;
	rig_give_udp(&r, RIG_WORLD, 53, RIG_GUEST, in.sport, span(p, n)); /* another server */
	assert_false(gdns_answer(d, &m, r.now));
	rig_give_udp(&r, RIG_GATEWAY, 53, RIG_GUEST, in.sport, span(p, n));
	assert_true(gdns_answer(d, &m, r.now));
	assert_int_equal(m.count[DNS_ANSWER], 2);
	assert_false(gdns_over_tcp(d));
	rig_pass(&r, 5000);
	assert_int_equal(rig_pull(&r), 0);
	gdns_free(d, r.now);
	rig_free(&r);
}

static void
is_refused(void **state)
{
	(void)state;
	struct rig r;
	struct dnsmsg m;
	struct ippkt k;
	rig_ready(&r);
	struct gdns_question q = question("example.test", DNS_AAAA);
	q.edns = 1232;
	struct gdns *d = gdns_ask(r.g, &q, r.now);
	struct udpdgram in = hear_udp(&r);
	assert_int_equal(dns_parse(in.payload, &m), 0);
	assert_true(m.has_opt);
	assert_int_equal(m.opt_size, 1232);
	assert_int_equal(m.type, DNS_AAAA);
	rig_ip(&r, 0, &k);
	struct icmpmsg no = {.kind = ICMP_KIND_PORT_UNREACHABLE};
	rig_give_icmp(&r, RIG_GATEWAY, &no, k.whole);
	assert_false(gdns_answer(d, &m, r.now));
	assert_int_equal(gdns_error(d), ECONNREFUSED);
	gdns_free(d, r.now);
	rig_free(&r);
}

static void
no_server(void **state)
{
	(void)state;
	struct rig r;
	rig_new(&r);
	struct gdns_question q = question("example.test", DNS_A);
	struct gdns *d = gdns_ask(r.g, &q, r.now);
	assert_int_equal(gdns_error(d), EDESTADDRREQ);
	gdns_free(d, r.now);
	rig_free(&r);
}

/* --- the server's side of one TCP connection -------------------------------------------------- */

struct conn {
	struct rig *r;
	struct tcpseg in;
	uint32_t seq;
};

static void
hear_tcp(struct conn *c)
{
	assert_true(rig_pull(c->r) >= 1);
	rig_tcp(c->r, c->r->n - 1, &c->in);
}

static void
give_tcp(struct conn *c, uint8_t flags, struct span data)
{
	uint8_t p[TCP_HEAD + 1200];
	struct ip src = RIG_GATEWAY, dst = RIG_GUEST;
	struct tcpseg s = {
	        .sport = 53,
	        .dport = c->in.sport,
	        .seq = c->seq,
	        .ack = c->in.seq + tcp_seg_len(&c->in),
	        .flags = flags,
	        .window = 60000,
	};
	if (data.n)
		memcpy(p + TCP_HEAD, data.p, data.n);
	tcp_put(p, &s, &src, &dst, data.n, checksum_sum(data.p, data.n));
	struct ippkt ip = {.src = src, .dst = dst, .proto = IPPROTO_TCP, .ttl = 60};
	rig_give_ip(c->r, &ip, span(p, TCP_HEAD + data.n));
	c->seq += (uint32_t)data.n + !!(flags & TCPF_SYN);
}

static void
truncated_goes_to_tcp(void **state)
{
	(void)state;
	struct rig r;
	struct dnsmsg m;
	uint8_t p[2 + 1100];
	rig_ready(&r);
	struct gdns_question q = question("big.example.test", DNS_A);
	struct gdns *d = gdns_ask(r.g, &q, r.now);
	struct udpdgram in = hear_udp(&r);
	size_t n = make_answer(in.payload, p, sizeof p, -1);
	rig_give_udp(&r, RIG_GATEWAY, 53, RIG_GUEST, in.sport, span(p, n));
	assert_false(gdns_answer(d, &m, r.now));
	struct conn c = {.r = &r, .seq = 1000};
	hear_tcp(&c);
	assert_int_equal(c.in.flags, TCPF_SYN);
	assert_int_equal(c.in.dport, 53);
	give_tcp(&c, TCPF_SYN | TCPF_ACK, SPAN_NONE);
	hear_tcp(&c);
	assert_int_equal(get16(c.in.payload.p), c.in.payload.n - 2);
	n = make_answer(span_skip(c.in.payload, 2), p + 2, sizeof p - 2, 40);
	put16(p, (uint16_t)n);
	give_tcp(&c, TCPF_ACK, span(p, 1)); /* the length itself in two pieces */
	assert_false(gdns_answer(d, &m, r.now));
	give_tcp(&c, TCPF_ACK, span(p + 1, 300));
	assert_false(gdns_answer(d, &m, r.now));
	give_tcp(&c, TCPF_ACK, span(p + 301, n + 2 - 301));
	assert_true(gdns_answer(d, &m, r.now));
	assert_int_equal(m.count[DNS_ANSWER], 40);
	assert_true(gdns_over_tcp(d));
	gdns_free(d, r.now);
	rig_free(&r);
}

static void
tcp_that_ends_early(void **state)
{
	(void)state;
	struct rig r;
	struct dnsmsg m;
	rig_ready(&r);
	struct gdns_question q = question("example.test", DNS_A);
	q.tcp = true;
	struct gdns *d = gdns_ask(r.g, &q, r.now);
	struct conn c = {.r = &r, .seq = 1000};
	hear_tcp(&c);
	give_tcp(&c, TCPF_SYN | TCPF_ACK, SPAN_NONE);
	hear_tcp(&c);
	give_tcp(&c, TCPF_ACK | TCPF_FIN, SPAN_LIT("\x01"));
	assert_false(gdns_answer(d, &m, r.now));
	assert_int_equal(gdns_error(d), EBADMSG);
	gdns_free(d, r.now);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(over_udp),
	        cmocka_unit_test(is_refused),
	        cmocka_unit_test(no_server),
	        cmocka_unit_test(truncated_goes_to_tcp),
	        cmocka_unit_test(tcp_that_ends_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
