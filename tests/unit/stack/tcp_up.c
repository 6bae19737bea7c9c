/* Bytes from the guest. */
#include "tcplab.h"

static uint8_t data[1 << 20];

static void
fill(void)
{
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = far_byte(i);
}

/* `n` bytes of data, from `at`, put into the batch under way. */
static void
put_at(struct conn *c, size_t at, size_t n, uint8_t flags)
{
	struct tcpseg s = conn_seg(c, flags, span(data + at, n));
	s.seq += (uint32_t)at;
	lab_put(c->l, c->dst, &s, false);
}

static void
finish_batch(struct conn *c)
{
	lab_end(c->l);
	lab_pull(c->l);
}

static void
assert_got(const struct conn *c, size_t n)
{
	assert_int_equal(c->far->n_got, n);
	assert_memory_equal(c->far->got, data, n);
}

static uint32_t
edge(const struct tcpseg *s, bool scaled)
{
	return s->ack + ((uint32_t)s->window << (scaled ? 8 : 0));
}

static void
test_one_write_a_batch(void **state)
{
	struct lab *l = *state;
	struct conn a = conn_open(l, 1, &modern), b = conn_open(l, 2, &modern);
	for (size_t i = 0; i < 10; i++) {
		put_at(&a, i * 1460, 1460, TCPF_ACK);
		put_at(&b, i * 100, 100, TCPF_ACK | TCPF_PSH);
	}
	assert_int_equal(a.far->writes + b.far->writes, 0);
	finish_batch(&a);
	assert_int_equal(a.far->writes, 1);
	assert_int_equal(b.far->writes, 1);
	assert_got(&a, 14600);
	assert_got(&b, 1000);
}

/* While a flow is young, one for two segments; later, one a batch. */
static void
test_ack_ratio(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	size_t at = 0;
	for (unsigned round = 0; round < 9; round++) {
		for (unsigned i = 0; i < 10; i++, at += 1460)
			put_at(&c, at, 1460, TCPF_ACK);
		finish_batch(&c);
		assert_int_equal(l->n, 5);
		for (unsigned i = 0; i < 5; i++) {
			assert_int_equal(l->seg[i].flags, TCPF_ACK);
			assert_int_equal(l->seg[i].ack, c.seq + at - (4 - i) * 2920);
		}
	}
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < 10; i++, at += 1460)
			put_at(&c, at, 1460, TCPF_ACK);
		finish_batch(&c);
		assert_int_equal(l->n, 1);
		assert_int_equal(l->seg[0].ack, c.seq + at);
	}
	assert_got(&c, at);
}

static void
test_delayed_ack(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "GET", 3), 0);
	lab_pass(l, 3);
	assert_int_equal(lab_pull(l), 0);
	lab_pass(l, 1);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].ack, c.seq);
	/* An answer carries it: two frames for a request and its answer. */
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "GET", 3), 0);
	far_say(&c, 5);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(l->seg[0].flags, TCPF_ACK | TCPF_PSH);
	lab_pass(l, 20);
	assert_int_equal(lab_pull(l), 0);
	l->conf.tcp_delayed_ack_ms = 0;
	conn_ack(&c, c.ack + 5);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_PSH, "GET", 3), 1);
}

static void
test_overlaps_are_cut(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	fill();
	put_at(&c, 0, 100, TCPF_ACK);
	put_at(&c, 0, 100, TCPF_ACK);  /* all old */
	put_at(&c, 50, 100, TCPF_ACK); /* half */
	put_at(&c, 149, 1, TCPF_ACK);
	put_at(&c, 10, 300, TCPF_ACK); /* old in front of new */
	finish_batch(&c);
	assert_got(&c, 310);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].ack, c.seq + 310);
	put_at(&c, 5, 10, TCPF_ACK); /* an old one alone is acknowledged at once */
	finish_batch(&c);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].ack, c.seq + 310);
}

static void
test_numbers_wrap(void **state)
{
	struct lab *l = *state;
	fill();
	/* Ours: choose the clock so that the first bytes cross zero. */
	conn_open(l, 1, &modern);
	uint32_t isn = l->seg[0].seq;
	struct conn c = conn_new(l, 1, 80);
	c.seq = ISN + 1;
	c.ack = isn + 1;
	conn_send(&c, TCPF_RST | TCPF_ACK, NULL, 0);
	assert_int_equal(l->live, 0);
	l->now += (0u - isn) / 250 - 8;
	wheel_advance(&l->wheel, l->now);
	c = conn_new(l, 1, 80);
	c.seq = 0u - 5000; /* and the guest's */
	conn_syn(&c, &modern);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	c.ack = l->seg[0].seq + 1;
	assert_true(c.ack > 0u - 3000);
	conn_send(&c, TCPF_ACK, NULL, 0);
	for (size_t at = 0; at < 20000; at += 1000)
		if (at != 4000) /* the hole ends just before zero */
			put_at(&c, at, 1000, TCPF_ACK);
	finish_batch(&c);
	const struct tcpseg *s = &l->seg[l->n - 1];
	assert_int_equal(s->ack, c.seq + 4000);
	assert_int_equal(s->opt.nsack, 1);
	assert_int_equal(s->opt.sack[0].left, c.seq + 5000);
	assert_int_equal(s->opt.sack[0].right, c.seq + 20000);
	put_at(&c, 4000, 1000, TCPF_ACK);
	finish_batch(&c);
	assert_got(&c, 20000);
	c.seq += 20000;
	far_say(&c, 10000);
	lab_pull(l);
	for (uint64_t at = 0, i = 0; at < 10000; at += l->seg[i++].payload.n) {
		assert_int_equal(l->seg[i].seq, (uint32_t)(c.ack + at));
		assert_said(&c, &l->seg[i], at);
	}
	conn_ack(&c, c.ack + 10000);
	assert_int_equal(c.far->discarded, 10000);
}

static void
test_out_of_order(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	fill();
	put_at(&c, 1000, 500, TCPF_ACK);
	finish_batch(&c);
	assert_int_equal(l->n, 1); /* at once, with what is held */
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(l->seg[0].opt.nsack, 1);
	put_at(&c, 3000, 500, TCPF_ACK);
	put_at(&c, 2000, 500, TCPF_ACK);
	put_at(&c, 1400, 200, TCPF_ACK); /* partly held */
	put_at(&c, 5000, 500, TCPF_ACK);
	put_at(&c, 7000, 500, TCPF_ACK);
	put_at(&c, 3100, 50, TCPF_ACK); /* held, and the newest */
	finish_batch(&c);
	const struct tcpseg *s = &l->seg[0];
	assert_int_equal(s->opt.nsack, 4);
	assert_int_equal(s->opt.sack[0].left, c.seq + 3000);
	assert_int_equal(s->opt.sack[0].right, c.seq + 3500);
	assert_int_equal(c.far->n_got, 0);
	put_at(&c, 0, 1200, TCPF_ACK);
	finish_batch(&c);
	assert_got(&c, 1600);
	assert_int_equal(l->seg[0].ack, c.seq + 1600);
	put_at(&c, 1600, 6000, TCPF_ACK); /* over everything */
	finish_batch(&c);
	assert_got(&c, 7600);
	assert_int_equal(l->seg[l->n - 1].opt.nsack, 0);
	struct stack_totals t;
	stack_totals(l->st, &t);
	assert_int_equal(l->nodes.used, 0);
}

/* Segments behind a hole in random order and cuts, and the end before anything else. */
static void
test_reassembly_at_random(void **state)
{
	struct lab *l = *state;
	fill();
	srand(5);
	for (unsigned round = 0; round < 50; round++) {
		struct conn c = conn_open(l, (uint16_t)(round + 1), &modern);
		size_t total = 12000;
		uint32_t ack = 0;
		put_at(&c, total - 10, 10, TCPF_ACK | TCPF_FIN);
		for (unsigned i = 0; i < 4000 && c.far->n_got < total; i++) {
			size_t at = c.far->n_got + (size_t)rand() % 3000, n = (size_t)rand() % 900;
			at = at > 500 ? at - 500 : 0;
			if (at > total)
				continue;
			put_at(&c, at, at + n > total ? total - at : n, TCPF_ACK);
			if (i % 9)
				continue;
			finish_batch(&c);
			if (l->n)
				ack = l->seg[l->n - 1].ack;
		}
		assert_got(&c, total);
		assert_true(c.far->shut);
		assert_int_equal(ack, c.seq + total + 1);
		assert_int_equal(l->nodes.used, 0);
		c.seq += (uint32_t)total + 1;
		conn_send(&c, TCPF_RST, NULL, 0);
	}
}

static void
test_out_of_order_is_bounded(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern), d = conn_open(l, 2, &modern);
	fill();
	for (size_t i = 0; i < 60; i++)
		put_at(&c, 2 + i * 2, 1, TCPF_ACK); /* crumbs with holes between */
	finish_batch(&c);
	assert_int_equal(l->nodes.used, 16); /* whole nodes are counted */
	put_at(&d, 1000, 1000, TCPF_ACK);    /* the tunnel's, not the flow's */
	finish_batch(&d);
	assert_int_equal(l->nodes.used, 16);
	assert_int_equal(l->seg[0].opt.nsack, 0);
	put_at(&c, 0, 200, TCPF_ACK);
	finish_batch(&c);
	assert_got(&c, 200);
	assert_int_equal(l->nodes.used, 0);
	for (size_t i = 1; i < 40; i++) /* neighbours share nodes */
		put_at(&d, i * 800, 800, TCPF_ACK);
	finish_batch(&d);
	assert_int_equal(l->nodes.used, 16);
	l->conf.tcp_ooo_tunnel = 0;
}

static void
test_window_is_what_upstream_promised(void **state)
{
	struct lab *l = *state;
	fill();
	l->room = 10000;
	struct conn c = conn_open(l, 1, &modern);
	assert_int_equal(l->seg[0].window, 10000);
	uint32_t right = edge(&l->seg[0], false), at = 0;
	/* Upstream takes nothing on: room shrinks by what was written. */
	while (at < 10000) {
		uint32_t n = 10000 - at < 700 ? 10000 - at : 700;
		put_at(&c, at, n, TCPF_ACK | TCPF_PSH);
		at += n;
		c.far->room = 10000 - at;
		lab_end(l);
		lab_pass(l, 5);
		lab_pull(l);
		for (unsigned i = 0; i < l->n; i++) {
			/* Never back by a unit of the scale. */
			assert_true((int32_t)(edge(&l->seg[i], true) - right) > -256);
			if (tcp_after(edge(&l->seg[i], true), right))
				right = edge(&l->seg[i], true);
		}
	}
	assert_true(l->n > 0);
	assert_int_equal(l->seg[l->n - 1].window, 0);
	assert_got(&c, 10000);
	assert_true(tcp_before(right, c.seq + 10000 + 256));
	/* Beyond the window: dropped and acknowledged. */
	put_at(&c, 10000, 1, TCPF_ACK);
	finish_batch(&c);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].ack, c.seq + 10000);
	assert_got(&c, 10000);
	/* A little room is not worth a frame, a segment is. */
	c.far->room = 600;
	stack_tcp_writable(l->st, &c.far->flow->f, l->now);
	assert_int_equal(lab_pull(l), 0);
	c.far->room = 5000;
	stack_tcp_writable(l->st, &c.far->flow->f, l->now);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].window, 5000 / 256);
	put_at(&c, 10000, 6000, TCPF_ACK); /* more than that: cut exactly */
	finish_batch(&c);
	assert_got(&c, 10000 + 5000 / 256 * 256);
	assert_true(c.far->n_got <= c.far->promised);
}

/* A guest that fills the window each round trip of 20 ms, and then one that does not. */
static void
test_window_grows_while_used(void **state)
{
	struct lab *l = *state;
	fill();
	struct conn c = conn_new(l, 1, 80);
	conn_syn(&c, &modern);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	c.ack = l->seg[0].seq + 1;
	lab_pass(l, 20);
	conn_send(&c, TCPF_ACK, NULL, 0);
	uint32_t window = 65535, right = c.seq + window;
	for (unsigned round = 0; round < 6; round++) {
		lab_pass(l, 20);
		while (tcp_before(c.seq, right)) {
			uint32_t n = right - c.seq < 1460 ? right - c.seq : 1460;
			put_at(&c, 0, n, TCPF_ACK);
			c.seq += n;
		}
		finish_batch(&c);
		uint32_t next = edge(&l->seg[l->n - 1], true);
		assert_int_equal(l->seg[l->n - 1].ack, c.seq);
		uint32_t now = next - c.seq;
		assert_true(now <= 1 << 20);
		if (round > 0 && window < 1 << 20)
			assert_in_range(now, window * 2 - 512, window * 2 + 512);
		window = now;
		right = next;
	}
	assert_int_equal(window, 1 << 20);
	c = conn_open(l, 2, &modern);
	for (unsigned round = 0; round < 200; round++) {
		lab_pass(l, 20);
		put_at(&c, 0, 1000, TCPF_ACK);
		c.seq += 1000;
		finish_batch(&c);
	}
	lab_pass(l, 20);
	lab_pull(l);
	assert_int_equal(edge(&l->seg[0], true) - l->seg[0].ack, 65536);
}

static void
test_keepalives_are_answered(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	struct tcpseg s = conn_seg(&c, TCPF_ACK, SPAN_NONE);
	s.seq--;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(conn_put(&c, &s), 1);
		assert_int_equal(l->seg[0].flags, TCPF_ACK);
		assert_int_equal(l->seg[0].ack, c.seq);
		assert_int_equal(l->seg[0].seq, c.ack);
	}
	assert_int_equal(c.far->keepalives, 1); /* and upstream is asked in its turn */
	s.payload = span("", 1);                /* one byte of garbage */
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(c.far->n_got, 0);
	s = conn_seg(&c, TCPF_ACK, SPAN_NONE);
	assert_int_equal(conn_put(&c, &s), 0); /* a plain acknowledgement is not */
}

static void
test_urgent_byte(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	struct tcpseg s = conn_seg(&c, TCPF_ACK | TCPF_URG, SPAN_LIT("abcXdef"));
	s.urgent = 4;
	put_at(&c, 0, 0, TCPF_ACK);
	lab_put(l, c.dst, &s, false);
	finish_batch(&c);
	assert_int_equal(c.far->n_got, 7);
	assert_memory_equal(c.far->got, "abcXdef", 7);
	assert_int_equal(c.far->urgent, 1);
	assert_int_equal(c.far->urgent_at, 3);
	assert_int_equal(c.far->writes, 2);
	c.seq += 7;
	s = conn_seg(&c, TCPF_ACK | TCPF_URG, SPAN_LIT("ghi"));
	s.urgent = 500; /* not in here */
	conn_put(&c, &s);
	assert_int_equal(c.far->urgent, 1);
	assert_int_equal(c.far->n_got, 10);
}

static void
test_half_close_by_the_guest(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_FIN | TCPF_PSH, "bye", 3), 1);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(c.far->n_got, 3);
	assert_true(c.far->shut);
	far_say(&c, 100000);
	unsigned n = lab_pull(l), got = 0;
	for (unsigned i = 0; i < n; i++)
		got += (unsigned)l->seg[i].payload.n;
	assert_true(got > 60000);
	c.seq--; /* the FIN again, and data behind it */
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0), 1);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(conn_send(&c, TCPF_ACK, "more", 4), 1);
	c.seq -= 4;
	assert_int_equal(c.far->n_got, 3);
	assert_non_null(c.far->flow);
}

static void
test_fin_waits_for_what_is_missing(void **state)
{
	struct lab *l = *state;
	fill();
	struct conn c = conn_open(l, 1, &modern);
	put_at(&c, 500, 0, TCPF_ACK | TCPF_FIN);
	finish_batch(&c);
	assert_false(c.far->shut);
	put_at(&c, 0, 400, TCPF_ACK);
	finish_batch(&c);
	assert_false(c.far->shut);
	put_at(&c, 400, 100, TCPF_ACK);
	finish_batch(&c);
	assert_true(c.far->shut);
	assert_got(&c, 500);
	assert_int_equal(l->seg[0].ack, c.seq + 501);
}

static void
test_resets(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	struct tcpseg s = conn_seg(&c, TCPF_RST, SPAN_NONE);
	s.seq += 100; /* inside the window: a challenge */
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK);
	assert_int_equal(l->seg[0].ack, c.seq);
	s.seq += 1 << 24; /* outside: nothing */
	assert_int_equal(conn_put(&c, &s), 0);
	s.seq = c.seq - 1;
	assert_int_equal(conn_put(&c, &s), 0);
	assert_non_null(c.far->flow);
	s.seq = c.seq;
	assert_int_equal(conn_put(&c, &s), 0);
	assert_null(c.far->flow);
	assert_true(c.far->aborted);
	/* Data, then a reset behind it, in one batch. */
	c = conn_open(l, 2, &modern);
	put_at(&c, 0, 10, TCPF_ACK);
	put_at(&c, 10, 0, TCPF_RST);
	finish_batch(&c);
	assert_true(c.far->aborted);
}

static void
test_challenges(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	struct tcpseg s = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	s.seq += 77;
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK);
	s = conn_seg(&c, TCPF_ACK, SPAN_LIT("x"));
	s.ack += 1; /* of what was never sent */
	assert_int_equal(conn_put(&c, &s), 1);
	s.ack -= 1 + (65535u << 7) + 1; /* from long ago */
	assert_int_equal(conn_put(&c, &s), 1);
	assert_int_equal(c.far->n_got, 0);
	assert_int_equal(l->stats.tcp_challenge, 3);
	s = conn_seg(&c, 0, SPAN_LIT("x")); /* no ACK */
	assert_int_equal(conn_put(&c, &s), 0);
	assert_int_equal(c.far->n_got, 0);
	s = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	unsigned answers = 0;
	for (unsigned i = 0; i < 300; i++)
		answers += conn_put(&c, &s);
	assert_int_equal(answers, 97);
	lab_pass(l, 1000);
	assert_int_equal(conn_put(&c, &s), 1);
	/* What a rebooted guest does: the challenge tells it where we are. */
	struct conn d = conn_new(l, 1, 80);
	d.seq = 5000000;
	conn_syn(&d, &modern);
	d.far = c.far;
	d.seq = l->seg[0].ack;
	conn_send(&d, TCPF_RST, NULL, 0);
	assert_null(c.far->flow);
	d.seq = 5000000;
	conn_syn(&d, &modern);
	assert_true(d.far != c.far && d.far->opened);
}

static void
test_dead_upstream(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	c.far->err = EPIPE;
	assert_int_equal(conn_send(&c, TCPF_ACK, "x", 1), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(l->seg[0].seq, c.ack);
	assert_null(c.far->flow);
}

static void
test_idle(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern), d = conn_open(l, 2, &modern);
	lab_pass(l, 7000000);
	conn_send(&c, TCPF_ACK, "x", 1);
	lab_pass(l, 500000);
	lab_pull(l);
	assert_non_null(c.far->flow);
	assert_null(d.far->flow);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].dport, 2);
	l->conf.tcp_idle_ms = 0; /* never */
	lab_pass(l, 100000000);
	assert_non_null(c.far->flow);
}

/* More segments, flows and pieces than a batch remembers. */
static void
test_large_batches(void **state)
{
	struct lab *l = *state;
	fill();
	static struct conn c[300];
	for (unsigned i = 0; i < 300; i++)
		c[i] = conn_open(l, (uint16_t)(i + 1), &modern);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 300; i++)
			put_at(&c[i], round * 10, 10, TCPF_ACK);
	finish_batch(&c[0]);
	for (unsigned i = 0; i < 300; i++)
		assert_got(&c[i], 30);
	for (unsigned i = 0; i < 1000; i++)
		put_at(&c[0], 30 + i, 1, TCPF_ACK);
	finish_batch(&c[0]);
	assert_got(&c[0], 1030);
	assert_true(c[0].far->writes <= 6);
}

static void
test_window_share(void **state)
{
	struct lab *l = *state;
	l->conf.tcp_window_tunnel = 1 << 20;
	uint64_t promised = 0;
	for (unsigned i = 0; i < 200; i++) {
		conn_open(l, (uint16_t)(i + 1), &modern);
		assert_true(l->seg[0].window >= 4096);
		promised += l->seg[0].window;
	}
	assert_true(promised < (1 << 20) + 200 * 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(test_one_write_a_batch),
	        LAB_TEST(test_ack_ratio),
	        LAB_TEST(test_delayed_ack),
	        LAB_TEST(test_overlaps_are_cut),
	        LAB_TEST(test_numbers_wrap),
	        LAB_TEST(test_out_of_order),
	        LAB_TEST(test_reassembly_at_random),
	        LAB_TEST(test_out_of_order_is_bounded),
	        LAB_TEST(test_window_is_what_upstream_promised),
	        LAB_TEST(test_window_grows_while_used),
	        LAB_TEST(test_keepalives_are_answered),
	        LAB_TEST(test_urgent_byte),
	        LAB_TEST(test_half_close_by_the_guest),
	        LAB_TEST(test_fin_waits_for_what_is_missing),
	        LAB_TEST(test_resets),
	        LAB_TEST(test_challenges),
	        LAB_TEST(test_dead_upstream),
	        LAB_TEST(test_idle),
	        LAB_TEST(test_large_batches),
	        LAB_TEST(test_window_share),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
