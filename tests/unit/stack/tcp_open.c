#include "tcplab.h"

static void
test_syn_ack_waits_for_upstream(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, &modern);
	assert_int_equal(l->n, 0);
	assert_true(c.far->opened);
	assert_int_equal(c.far->dst.port, 80);
	/* SYNs that come again are ignored. */
	c.seq = ISN;
	conn_syn(&c, &modern);
	assert_int_equal(l->n, 0);
	assert_int_equal(l->n_far, 1);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	assert_int_equal(lab_pull(l), 1);
	struct tcpseg *s = &l->seg[0];
	assert_int_equal(s->flags, TCPF_SYN | TCPF_ACK);
	assert_int_equal(s->ack, ISN + 1);
	assert_int_equal(s->opt.mss, 1460);
	assert_true(s->opt.has_wscale && s->opt.sack_ok && !s->opt.has_stamps);
	assert_int_equal(s->opt.wscale, 8);
	assert_int_equal(s->window, 65535);
	assert_int_equal(s->sport, 80);
	assert_int_equal(s->dport, 40000);
}

static void
test_options_only_if_offered(void **state)
{
	struct lab *l = *state;
	conn_open(l, 40000, NULL);
	assert_int_equal(l->seg[0].opt.mss, 1460);
	assert_false(l->seg[0].opt.has_wscale || l->seg[0].opt.sack_ok);
	struct tcpopts o = {.mss = 1460, .sack_ok = true};
	conn_open(l, 40001, &o);
	assert_false(l->seg[0].opt.has_wscale);
	assert_true(l->seg[0].opt.sack_ok);
}

static void
test_mss_fits_the_frame_limit(void **state)
{
	struct lab *l = *state;
	l->conf.max_frame = l->max_frame = 286;
	conn_open(l, 40000, NULL);
	assert_int_equal(l->seg[0].opt.mss, 286 - 54);
	l->conf.max_frame = l->max_frame = 118;
	struct conn c = conn_open(l, 40001, &(struct tcpopts){.mss = 10});
	assert_int_equal(l->seg[0].opt.mss, 64);
	far_say(&c, 200);
	assert_int_equal(lab_pull(l), 4);
	assert_int_equal(l->seg[0].payload.n, 64);
	assert_int_equal(l->seg[3].payload.n, 8);
}

static void
assert_refused(const struct tcpseg *s)
{
	assert_int_equal(s->flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(s->seq, 0);
	assert_int_equal(s->ack, ISN + 1);
	assert_int_equal(s->window, 0);
}

static void
test_refusals(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	l->refuse = true;
	conn_syn(&c, NULL);
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);
	assert_int_equal(l->stats.filtered, 1);
	l->refuse = false;

	l->open_ret = -EACCES;
	c.seq = ISN;
	conn_syn(&c, NULL);
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);
	assert_int_equal(l->live, 0);
	l->open_ret = 0;

	l->conf.tcp_max_flows = 0;
	c.seq = ISN;
	conn_syn(&c, NULL);
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);

	l->conf.tcp_max_flows = 1;
	c.seq = ISN;
	conn_syn(&c, NULL);
	assert_int_equal(l->n, 0);
	struct conn d = conn_new(l, 40001, 80);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	conn_syn(&d, NULL); /* the table is full */
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);

	l->conf.tcp_max_flows = 10;
	l->allocs_left = 0;
	conn_syn(&d, NULL);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	l->allocs_left = 10;
}

static void
no_luck(struct conn *c, int err)
{
	conn_syn(c, &modern);
	assert_int_equal(c->l->n, 0);
	stack_tcp_failed(c->l->st, &c->far->flow->f, err, c->l->now);
	lab_pull(c->l);
	c->seq = ISN;
}

static void
test_upstream_outcomes(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	no_luck(&c, ECONNREFUSED);
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);
	assert_int_equal(l->icmps, 0);

	no_luck(&c, ETIMEDOUT);
	assert_int_equal(l->n + l->icmps, 0);
	assert_int_equal(l->live, 0);

	no_luck(&c, EHOSTUNREACH);
	assert_int_equal(l->n, 0);
	assert_int_equal(l->icmps, 1);
	assert_int_equal(l->icmp.kind, ICMP_KIND_HOST_UNREACHABLE);
	assert_true(c.far->released);
	/* The quote is the guest's own SYN. */
	struct ippkt quoted;
	assert_int_equal(ippkt_parse_quoted(l->icmp.body, &quoted), 0);
	struct ip guest = GUEST, world = WORLD;
	assert_true(ip_eq(&quoted.src, &guest) && ip_eq(&quoted.dst, &world));
	assert_int_equal(get16(quoted.payload.p), 40000);
	assert_int_equal(get16(quoted.payload.p + 2), 80);
	assert_int_equal(get32(quoted.payload.p + 4), ISN);
	/* A guest that insists is refused. */
	struct far *was = c.far;
	conn_syn(&c, &modern);
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);
	assert_null(was->flow);
	/* And may try again. */
	c.seq = ISN;
	no_luck(&c, ENETUNREACH);
	assert_int_equal(l->icmp.kind, ICMP_KIND_NET_UNREACHABLE);
	lab_pass(l, 6000);
	assert_int_equal(l->live, 0);

	no_luck(&c, EACCES);
	assert_int_equal(l->icmps, 1);
	assert_int_equal(l->icmp.kind, ICMP_KIND_PROHIBITED);
	assert_int_equal(l->n, 1);
	assert_refused(&l->seg[0]);
}

static void
test_unknown_segments_are_reset(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	c.ack = 777;
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].seq, 777);
	assert_int_equal(l->seg[0].ack, ISN + 5);
	c.seq = ISN;
	assert_int_equal(conn_send(&c, TCPF_FIN, NULL, 0), 1);
	assert_int_equal(l->seg[0].seq, 0);
	assert_int_equal(l->seg[0].ack, ISN + 1);
	assert_int_equal(conn_send(&c, TCPF_SYN | TCPF_ACK, NULL, 0), 1);
	assert_int_equal(conn_send(&c, TCPF_RST | TCPF_ACK, NULL, 0), 0);
	assert_int_equal(conn_send(&c, TCPF_SYN | TCPF_FIN, NULL, 0), 1);
	assert_int_equal(l->n_far, 0);
	struct tcpseg s = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	lab_put(l, WORLD, &s, true); /* a wrong checksum */
	lab_end(l);
	assert_int_equal(lab_pull(l), 0);
	assert_int_equal(l->stats.tcp_checksum_bad, 1);
	assert_int_equal(l->n_far, 0);
}

/* SYN-ACK, then ACK of the data with exactly that flag, while upstream is a black hole. */
static void
test_early_data(void **state)
{
	struct lab *l = *state;
	l->conf.tcp_early_bytes = 1024;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, NULL);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5), 2);
	assert_int_equal(l->seg[0].flags, TCPF_SYN | TCPF_ACK);
	assert_int_equal(l->seg[0].ack, ISN + 1);
	assert_int_equal(l->seg[1].flags, TCPF_ACK);
	assert_int_equal(l->seg[1].ack, ISN + 1 + 5);
	assert_int_equal(l->seg[1].seq, l->seg[0].seq + 1);
	assert_int_equal(l->seg[0].window, 1024);
	assert_int_equal(c.far->n_got, 5); /* the op keeps them */
	c.ack = l->seg[0].seq + 1;
	assert_int_equal(conn_send(&c, TCPF_ACK, NULL, 0), 0);
	conn_send(&c, TCPF_ACK | TCPF_FIN, " world", 6);
	assert_int_equal(l->seg[0].ack, ISN + 1 + 5 + 6 + 1);
	assert_false(c.far->shut);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	assert_true(c.far->shut);
	assert_int_equal(c.far->n_got, 11);
	far_say(&c, 3);
	assert_int_equal(lab_pull(l), 1);
	assert_said(&c, &l->seg[0], 0);
}

static void
test_early_limit(void **state)
{
	struct lab *l = *state;
	l->conf.tcp_early_bytes = 0;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, NULL);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].ack, ISN + 1);
	assert_true(c.far->aborted);

	l->conf.tcp_early_bytes = 8;
	c.seq = ISN;
	conn_syn(&c, NULL);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5), 2);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].ack, ISN + 1 + 5);
	assert_int_equal(l->live, 0);
}

static void
test_early_then_refused(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, NULL);
	conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5);
	stack_tcp_failed(l->st, &c.far->flow->f, ETIMEDOUT, l->now);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].ack, ISN + 6);
}

static void
test_any_ack_number_before_the_first_good_one(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, NULL);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	uint32_t isn = l->seg[0].seq;
	conn_send(&c, TCPF_ACK | TCPF_PSH, "hello", 5); /* acknowledges 0 */
	lab_pass(l, 5);
	lab_pull(l);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK);
	assert_int_equal(l->seg[0].ack, ISN + 6);
	assert_int_equal(c.far->n_got, 5);
	conn_ack(&c, isn + 1);
	conn_send(&c, TCPF_ACK | TCPF_PSH, "world", 5);
	assert_int_equal(c.far->n_got, 10);
}

static void
test_syn_ack_again(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, &modern);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	struct tcpseg first = l->seg[0];
	uint64_t from = l->now;
	static const uint64_t at[] = {1000, 3000, 7000, 15000};
	for (unsigned i = 0; i < 4; i++) {
		lab_pass(l, from + at[i] - 1 - l->now);
		assert_int_equal(lab_pull(l), 0);
		lab_pass(l, 1);
		assert_int_equal(lab_pull(l), 1);
		assert_int_equal(l->seg[0].seq, first.seq);
		assert_int_equal(l->seg[0].flags, first.flags);
	}
	c.seq = ISN; /* the guest's SYN again */
	conn_syn(&c, &modern);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].seq, first.seq);
	lab_pass(l, 75000); /* and at last a reset */
	lab_pull(l);
	assert_int_equal(l->seg[l->n - 1].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->live, 0);
}

static void
test_guest_changes_its_mind(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 40000, 80);
	conn_syn(&c, &modern);
	struct tcpseg s = conn_seg(&c, TCPF_RST, SPAN_NONE);
	conn_put(&c, &s);
	assert_int_equal(l->live, 0);
	assert_true(c.far->aborted);
	c.seq = ISN;
	conn_syn(&c, &modern); /* rebooted: another number from the same port */
	struct far *old = c.far;
	c.seq = 999999;
	conn_syn(&c, &modern);
	assert_null(old->flow);
	assert_int_equal(l->live, 1);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	assert_int_equal(l->seg[0].ack, 1000000);
	c.seq = 5; /* and once more, after SYN-ACK */
	old = c.far;
	conn_syn(&c, &modern);
	assert_null(old->flow);
	assert_int_equal(l->live, 1);
}

static void
test_isns(void **state)
{
	struct lab *l = *state;
	memcpy(l->shared.isn_key, "0123456789abcdef", 16);
	conn_open(l, 40000, NULL);
	uint32_t a = l->seg[0].seq;
	conn_open(l, 40001, NULL);
	uint32_t b = l->seg[0].seq;
	assert_true(b - a > 1000000 && a - b > 1000000); /* no relation */
	struct conn c = conn_new(l, 40002, 80);
	conn_syn(&c, NULL);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	uint32_t first = l->seg[0].seq;
	struct tcpseg s = conn_seg(&c, TCPF_RST, SPAN_NONE);
	conn_put(&c, &s);
	lab_pass(l, 1000);
	c.seq = ISN;
	conn_syn(&c, NULL);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	assert_int_equal(l->seg[0].seq - first, 250000); /* the clock alone */
}

static struct conn
start(struct lab *l, uint16_t sport, struct ip dst, uint16_t dport)
{
	struct conn c = conn_new(l, sport, dport);
	c.dst = dst;
	conn_syn(&c, &modern);
	return c;
}

static unsigned
opened(const struct lab *l)
{
	unsigned n = 0;
	for (unsigned i = 0; i < l->n_far; i++)
		n += l->far[i]->opened && l->far[i]->flow;
	return n;
}

/* A flood to one dead host holds its own share and nothing else. */
static void
test_half_open_limits(void **state)
{
	struct lab *l = *state;
	for (unsigned i = 0; i < 5000; i++) {
		start(l, (uint16_t)(1000 + i), ip4(0x01010101), 80);
		assert_true(opened(l) <= 32);
	}
	assert_int_equal(opened(l), 32);
	assert_int_equal(l->live, 1024);
	struct stack_totals t;
	stack_totals(l->st, &t);
	assert_int_equal(t.tcp_half_open, 32);
	struct conn c = start(l, 9000, WORLD, 443);
	assert_true(c.far->opened);
	assert_int_equal(l->n, 0);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	assert_int_equal(lab_pull(l), 1);
	/* Many dead hosts: sockets are bounded, and who hung longest makes way. */
	for (unsigned h = 0; h < 20; h++)
		for (unsigned i = 0; i < 20; i++)
			start(l, (uint16_t)(10000 + i), ip4(0x02000000 + h), 80);
	assert_int_equal(opened(l), 257);
	lab_pass(l, 1500);
	lab_pull(l);
	struct conn d = start(l, 9001, WORLD, 80);
	assert_true(d.far->opened);
	assert_in_range(l->n, 1, 33); /* the oldest were reset */
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_in_range(opened(l), 1, 257);
	lab_pass(l, 80000);
	lab_pull(l);
	assert_int_equal(l->live, 0);
}

/* A thousand at once to a live host: all get through, 32 at a time. */
static void
test_burst_to_a_live_host(void **state)
{
	struct lab *l = *state;
	for (unsigned i = 0; i < 1000; i++)
		start(l, (uint16_t)(1000 + i), WORLD, 80);
	assert_int_equal(opened(l), 32);
	unsigned done = 0;
	for (unsigned round = 0; round < 100 && done < 1000; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			struct far *far = l->far[i];
			if (far->opened && !far->eof) {
				far->eof = true; /* marks it as answered */
				stack_tcp_opened(l->st, &far->flow->f, l->now);
				done++;
			}
		}
	}
	assert_int_equal(done, 1000);
	assert_int_equal(lab_pull(l), 1000);
}

static void
test_shedding(void **state)
{
	struct lab *l = *state;
	l->conf.tcp_max_flows = 3;
	struct conn a = conn_open(l, 1, NULL), b = conn_open(l, 2, NULL), c = conn_open(l, 3, NULL);
	lab_pass(l, 30000);
	conn_send(&b, TCPF_ACK, "x", 1);
	lab_pass(l, 31000);
	struct conn d = conn_new(l, 4, 80);
	conn_syn(&d, NULL);
	/* a was idle for a minute and goes; b and c stay. */
	assert_null(a.far->flow);
	assert_true(a.far->aborted);
	assert_non_null(b.far->flow);
	assert_non_null(c.far->flow);
	bool reset = false;
	for (unsigned i = 0; i < l->n; i++)
		reset |= l->seg[i].dport == 1 && l->seg[i].flags == (TCPF_RST | TCPF_ACK);
	assert_true(reset);
	assert_int_equal(l->stats.tcp_shed, 1);
}

static void
test_many_flows(void **state)
{
	struct lab *l = *state;
	l->conf.tcp_max_flows = 20000;
	l->conf.tcp_max_half_open = l->conf.tcp_max_half_open_to = 20000;
	static struct conn c[10000];
	for (unsigned i = 0; i < 10000; i++) {
		c[i] = conn_new(l, (uint16_t)(1024 + i), 80);
		conn_syn(&c[i], &modern);
		stack_tcp_opened(l->st, &c[i].far->flow->f, l->now);
		lab_pull(l);
		c[i].ack = l->seg[0].seq + 1;
		conn_send(&c[i], TCPF_ACK, NULL, 0);
	}
	for (unsigned i = 0; i < 10000; i += 7)
		conn_send(&c[i], TCPF_ACK, "x", 1);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(c[i].far->n_got, i % 7 == 0);
	struct stack_totals t;
	stack_totals(l->st, &t);
	assert_int_equal(t.tcp_flows, 10000);
	assert_int_equal(t.tcp_half_open, 0);
	assert_int_equal(t.tcp_opened, 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(test_syn_ack_waits_for_upstream),
	        LAB_TEST(test_options_only_if_offered),
	        LAB_TEST(test_mss_fits_the_frame_limit),
	        LAB_TEST(test_refusals),
	        LAB_TEST(test_upstream_outcomes),
	        LAB_TEST(test_unknown_segments_are_reset),
	        LAB_TEST(test_early_data),
	        LAB_TEST(test_early_limit),
	        LAB_TEST(test_early_then_refused),
	        LAB_TEST(test_any_ack_number_before_the_first_good_one),
	        LAB_TEST(test_syn_ack_again),
	        LAB_TEST(test_guest_changes_its_mind),
	        LAB_TEST(test_isns),
	        LAB_TEST(test_half_open_limits),
	        LAB_TEST(test_burst_to_a_live_host),
	        LAB_TEST(test_shedding),
	        LAB_TEST(test_many_flows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
