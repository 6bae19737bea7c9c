/* DNS over TCP to the gateway. */
#include "tcplab.h"

#include "wire/dns.h"

static struct conn
open_dns(struct lab *l, uint16_t sport)
{
	struct conn c = conn_new(l, sport, 53);
	c.dst = GATEWAY;
	struct tcpseg s = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	s.opt = modern;
	c.seq++;
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(l->seg[0].flags, TCPF_SYN | TCPF_ACK);
	c.ack = l->seg[0].seq + 1;
	assert_int_equal(conn_send(&c, TCPF_ACK, NULL, 0), 0);
	return c;
}

/* A query for A of a.test with its length in front. */
static size_t
put_query(uint8_t *p, uint16_t id)
{
	static const uint8_t rest[] = {
	        1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
	put16(p, 2 + sizeof rest);
	put16(p + 2, id);
	memcpy(p + 4, rest, sizeof rest);
	return 4 + sizeof rest;
}

/* The bytes that came, without lengths and segments. */
static size_t
collect(struct conn *c, uint8_t *out)
{
	size_t n = 0;
	struct lab *l = c->l;
	for (unsigned i = 0; i < l->n; i++) {
		if (l->seg[i].dport != c->sport)
			continue;
		memcpy(out + n, l->seg[i].payload.p, l->seg[i].payload.n);
		n += l->seg[i].payload.n;
		c->ack = l->seg[i].seq + tcp_seg_len(&l->seg[i]);
	}
	return n;
}

static void
answer(struct lab *l, uint32_t token, uint16_t id, size_t size)
{
	uint8_t q[64], msg[65536] = {0};
	size_t n = put_query(q, id) - 2;
	memcpy(msg, q + 2, n);
	msg[2] |= 0x80;
	stack_dns_answer(l->st, token, span(msg, size > n ? size : n), l->now);
}

static void
test_question_and_answer(void **state)
{
	struct lab *l = *state;
	struct conn c = open_dns(l, 1);
	uint8_t q[64], out[70000];
	size_t n = put_query(q, 0x1234);
	assert_int_equal(l->live, 0); /* no op has heard of it */
	conn_send(&c, TCPF_ACK | TCPF_PSH, q, n);
	assert_int_equal(l->dns_queries, 1);
	assert_int_equal(l->dns_len, n - 2);
	assert_memory_equal(l->dns_msg, q + 2, n - 2);
	answer(l, l->tokens[0], 0x1234, 0);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(collect(&c, out), n);
	assert_int_equal(get16(out), n - 2);
	assert_int_equal(get16(out + 2), 0x1234);
	conn_ack(&c, c.ack);
	/* The guest closes, and so does the gateway. */
	conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
	bool fin = false;
	for (unsigned i = 0; i < l->n; i++)
		fin |= l->seg[i].flags & TCPF_FIN;
	assert_true(fin);
	c.ack++;
	assert_int_equal(conn_ack(&c, c.ack), 0);
	assert_int_equal(conn_send(&c, TCPF_ACK, "x", 1), 1); /* it is gone */
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
}

static void
test_filter_is_not_asked(void **state)
{
	struct lab *l = *state;
	l->refuse = true;
	open_dns(l, 1);
	struct conn c = conn_new(l, 2, 80); /* another port of the gateway is like any address */
	c.dst = GATEWAY;
	struct tcpseg s = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
}

/* Many at once, cut anywhere, answered in any order. */
static void
test_pipelining(void **state)
{
	struct lab *l = *state;
	struct conn c = open_dns(l, 1);
	uint8_t q[2000], out[70000];
	size_t n = 0;
	for (uint16_t i = 0; i < 20; i++)
		n += put_query(q + n, i);
	for (size_t at = 0; at < n; at += 7)
		conn_send(&c, TCPF_ACK, q + at, n - at < 7 ? n - at : 7);
	assert_int_equal(l->dns_queries, 8); /* as many as are asked at a time */
	size_t got = 0;
	for (uint16_t i = 0; i < 20; i++) {
		/* The newest that is open, so that they come back out of order. */
		unsigned k = l->dns_queries - 1;
		uint32_t token = l->tokens[k];
		if (i >= 12)
			token = l->tokens[19 - i >= 12 ? 19 - i : i - 12];
		answer(l, token, i, 100);
		lab_pull(l);
		got += collect(&c, out + got);
		conn_ack(&c, c.ack);
	}
	assert_int_equal(l->dns_queries, 20);
	assert_true(got >= 12 * 102);
}

static void
test_refusals(void **state)
{
	struct lab *l = *state;
	uint8_t q[64], out[70000];
	size_t n = put_query(q, 7);
	struct conn c = open_dns(l, 1);
	l->dns_ret = -EBUSY;
	conn_send(&c, TCPF_ACK, q, n);
	size_t got = collect(&c, out);
	assert_true(got > 14);
	assert_int_equal(get16(out), got - 2);
	assert_int_equal(get16(out + 2), 7);
	assert_int_equal(out[5] & 15, DNS_SERVFAIL);
	/* What is no query ends the connection. */
	c = open_dns(l, 2);
	uint8_t junk[] = {0, 3, 1, 2, 3};
	conn_send(&c, TCPF_ACK, junk, sizeof junk);
	lab_pull(l);
	assert_int_equal(conn_send(&c, TCPF_ACK, "x", 1), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	c = open_dns(l, 3);
	uint8_t huge[] = {0xff, 0xff, 0, 0};
	conn_send(&c, TCPF_ACK, huge, sizeof huge);
	lab_pull(l);
	assert_int_equal(conn_send(&c, TCPF_ACK, "x", 1), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
}

static void
test_idle(void **state)
{
	struct lab *l = *state;
	struct conn c = open_dns(l, 1);
	lab_pass(l, 9000);
	assert_int_equal(lab_pull(l), 0);
	lab_pass(l, 1500);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_FIN | TCPF_ACK);
	conn_ack(&c, c.ack + 1);
	conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
	struct stack_totals t;
	stack_totals(l->st, &t);
	assert_int_equal(t.tcp_flows, 0);
	/* A silent guest does not keep it. */
	open_dns(l, 2);
	lab_pass(l, 200000);
	stack_totals(l->st, &t);
	assert_int_equal(t.tcp_flows, 0);
}

static void
test_limits(void **state)
{
	struct lab *l = *state;
	for (uint16_t i = 1; i <= 16; i++)
		open_dns(l, i);
	struct conn c = conn_new(l, 17, 53);
	c.dst = GATEWAY;
	struct tcpseg s = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	struct stack_totals t;
	stack_totals(l->st, &t);
	assert_true(t.memory < 100000);
}

/* A guest that asks and does not read: its window shuts, and then nothing more is taken. */
static void
test_unread_answers(void **state)
{
	struct lab *l = *state;
	struct conn c = open_dns(l, 1);
	uint8_t q[64];
	size_t n = put_query(q, 1);
	unsigned answered = 0, stuck = 0;
	struct stack_totals t;
	c.window = 0;
	for (unsigned i = 0; i < 3000 && stuck < 300; i++) {
		uint32_t ack = c.seq, was = c.seq;
		for (unsigned k = conn_send(&c, TCPF_ACK | TCPF_PSH, q, n); k; k--)
			ack = l->seg[k - 1].ack;
		lab_pass(l, 5);
		for (unsigned k = lab_pull(l); k; k--)
			ack = l->seg[k - 1].ack;
		stuck = ack == was ? stuck + 1 : 0;
		c.seq = ack;
		while (answered < l->dns_queries)
			answer(l, l->tokens[answered++ % 64], 1, 4000);
		stack_totals(l->st, &t);
		assert_true(t.memory < 300000);
	}
	assert_int_equal(stuck, 300);
	/* It reads at last, and all goes on. */
	static uint8_t out[1 << 20];
	c.window = 65535;
	conn_ack(&c, c.ack);
	size_t got = 0;
	for (unsigned i = 0; i < 1500; i++) {
		got += collect(&c, out + got);
		if (conn_ack(&c, c.ack))
			continue;
		while (answered < l->dns_queries)
			answer(l, l->tokens[answered++ % 64], 1, 4000);
		lab_pass(l, 5);
		lab_pull(l);
	}
	assert_int_equal(got, answered * 4002u);
}

static void
test_end_of_the_tunnel(void **state)
{
	struct lab *l = *state;
	struct conn c = open_dns(l, 1);
	uint8_t q[64];
	conn_send(&c, TCPF_ACK, q, put_query(q, 1));
	conn_send(&c, TCPF_RST, NULL, 0);
	assert_int_equal(l->dns_cancels, 1);
	c = open_dns(l, 2);
	conn_send(&c, TCPF_ACK, q, put_query(q, 1));
	assert_int_equal(l->dns_queries, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(test_question_and_answer),
	        LAB_TEST(test_filter_is_not_asked),
	        LAB_TEST(test_pipelining),
	        LAB_TEST(test_refusals),
	        LAB_TEST(test_idle),
	        LAB_TEST(test_limits),
	        LAB_TEST(test_unread_answers),
	        LAB_TEST(test_end_of_the_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
