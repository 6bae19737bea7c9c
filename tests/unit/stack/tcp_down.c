/* Bytes to the guest: segments, windows, loss, the end. */
#include "tcplab.h"

/* All that was pulled is one run of the server's bytes from `at` on. */
static uint64_t
assert_run(struct conn *c, uint32_t first, uint64_t at)
{
	struct lab *l = c->l;
	for (unsigned i = 0; i < l->n; i++) {
		assert_int_equal(l->seg[i].seq, (uint32_t)(first + at));
		assert_int_equal(l->seg[i].ack, c->seq);
		assert_true(l->seg[i].flags & TCPF_ACK);
		assert_said(c, &l->seg[i], at);
		at += l->seg[i].payload.n;
	}
	return at;
}

static unsigned
ack_sacked(struct conn *c, uint32_t ack, const struct tcpsack *sack, uint8_t n)
{
	c->ack = ack;
	struct tcpseg s = conn_seg(c, TCPF_ACK, SPAN_NONE);
	s.opt.nsack = n;
	for (unsigned i = 0; i < n; i++)
		s.opt.sack[i] = sack[i];
	return conn_put(c, &s);
}

static void
test_segments(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t first = c.ack;
	far_say(&c, 10 * 1460 + 7);
	assert_int_equal(lab_pull(l), 11);
	assert_int_equal(assert_run(&c, first, 0), 14607);
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(l->seg[i].payload.n, i < 10 ? 1460 : 7);
		assert_int_equal(l->seg[i].flags, i < 10 ? TCPF_ACK : TCPF_ACK | TCPF_PSH);
	}
	assert_int_equal(lab_pull(l), 0);
	conn_ack(&c, first + 14607);
	assert_int_equal(c.far->discarded, 14607);
	struct tcpopts o = {.mss = 536};
	c = conn_open(l, 2, &o);
	far_say(&c, 1000);
	assert_int_equal(lab_pull(l), 2);
	assert_int_equal(l->seg[0].payload.n, 536);
	c = conn_open(l, 3, NULL); /* said nothing: RFC 9293 3.7.1 */
	far_say(&c, 1000);
	lab_pull(l);
	assert_int_equal(l->seg[0].payload.n, 536);
	o.mss = 9000;
	c = conn_open(l, 4, &o);
	far_say(&c, 10000);
	lab_pull(l);
	assert_int_equal(l->seg[0].payload.n, 1460);
}

static void
test_padding(void **state)
{
	struct lab *l = *state;
	l->conf.pad_frames = true;
	struct conn c = conn_open(l, 1, &modern);
	for (size_t n = 1; n < 10; n++) {
		far_say(&c, n);
		assert_int_equal(lab_pull(l), 1);
		assert_int_equal(l->seg[0].payload.n, n);
		assert_said(&c, &l->seg[0], c.far->sent - n);
		conn_ack(&c, c.ack + (uint32_t)n);
	}
}

static void
test_server_speaks_first(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 1, 25);
	conn_syn(&c, &modern);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	far_say(&c, 30);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_SYN | TCPF_ACK);
	c.ack = l->seg[0].seq + 1;
	assert_int_equal(conn_send(&c, TCPF_ACK, NULL, 0), 1);
	assert_int_equal(l->seg[0].payload.n, 30);
	assert_said(&c, &l->seg[0], 0);
}

static void
test_guest_window(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_new(l, 1, 80);
	c.window = 5000;
	conn_syn(&c, NULL);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	c.ack = l->seg[0].seq + 1;
	uint32_t first = c.ack;
	conn_send(&c, TCPF_ACK, NULL, 0);
	far_say(&c, 20000);
	lab_pull(l);
	assert_int_equal(assert_run(&c, first, 0), 9 * 536); /* whole ones */
	conn_ack(&c, first + 536);                           /* opens by one segment */
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].payload.n, 536);
	/* A crumb of window is left alone while something is under way. */
	c.window = 5000 - 536;
	assert_int_equal(conn_ack(&c, first + 536 + 100), 0);
	/* Window shut, everything acknowledged: probes. */
	c.window = 0;
	assert_int_equal(conn_ack(&c, first + 5360), 0);
	uint64_t wait = 200;
	for (unsigned i = 0; i < 5; i++, wait *= 2) {
		lab_pass(l, wait - 1);
		assert_int_equal(lab_pull(l), 0);
		lab_pass(l, 1);
		assert_int_equal(lab_pull(l), 1);
		assert_int_equal(l->seg[0].seq, c.ack - 1); /* below the window: must be answered */
		assert_int_equal(l->seg[0].payload.n, 0);
		assert_int_equal(conn_ack(&c, c.ack), 0);
	}
	c.window = 100; /* less than a segment is better than nothing */
	assert_int_equal(conn_ack(&c, c.ack), 1);
	assert_int_equal(l->seg[0].payload.n, 100);
	c.window = 65535;
	conn_ack(&c, c.ack + 100);
	assert_int_equal(assert_run(&c, first, 5460), 20000);
	assert_int_equal(l->stats.tcp_retransmits, 0);
}

static void
test_probes_end(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	c.window = 0;
	conn_ack(&c, c.ack);
	lab_pass(l, 3600000); /* nothing to send: nothing to ask */
	assert_int_equal(lab_pull(l), 0);
	far_say(&c, 10);
	lab_pass(l, 200);
	assert_int_equal(lab_pull(l), 1);
	unsigned probes = 0; /* an answering guest may keep its window shut as long as it likes */
	for (unsigned i = 0; i < 1000; i++) {
		lab_pass(l, 1000);
		if (lab_pull(l)) {
			probes++;
			conn_ack(&c, c.ack);
		}
	}
	assert_in_range(probes, 15, 60);
	assert_non_null(c.far->flow);
	lab_pass(l, 400000); /* a silent one may not */
	lab_pull(l);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_null(c.far->flow);
	/* The end of the stream needs no window. */
	c = conn_open(l, 2, &modern);
	c.window = 0;
	conn_ack(&c, c.ack);
	far_end(&c);
	lab_pass(l, 200);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_FIN | TCPF_ACK);
}

/* One of a hundred is lost: it alone is sent again, once. */
static void
test_one_hole(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t first = c.ack, hole = first + 10 * 1460;
	far_say(&c, 44 * 1460);
	assert_int_equal(lab_pull(l), 44);
	for (unsigned i = 0; i < 30; i++) {
		struct tcpsack s = {hole + 1460, hole + 1460 + (i + 1) * 1460};
		unsigned n = ack_sacked(&c, hole, &s, 1);
		assert_int_equal(n, i == 0);
		if (i == 0) {
			assert_int_equal(l->seg[0].seq, hole);
			assert_int_equal(l->seg[0].payload.n, 1460);
			assert_said(&c, &l->seg[0], 10 * 1460);
		}
	}
	assert_int_equal(conn_ack(&c, first + 44 * 1460), 0);
	assert_int_equal(l->stats.tcp_retransmits, 1);
	assert_int_equal(c.far->discarded, 44 * 1460);
	struct stack_totals t;
	stack_totals(l->st, &t);
	far_say(&c, 1460);
	assert_int_equal(lab_pull(l), 1);
}

/* The second copy is lost too: known when something sent after it arrives. */
static void
test_lost_again(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 20 * 1460);
	lab_pull(l);
	struct tcpsack s[2] = {{a + 1460, a + 10 * 1460}};
	assert_int_equal(ack_sacked(&c, a, s, 1), 1); /* segment 0 again */
	far_say(&c, 5 * 1460);
	assert_int_equal(lab_pull(l), 5); /* new ones behind it */
	s[0].right = a + 20 * 1460;
	assert_int_equal(ack_sacked(&c, a, s, 1), 0); /* those were sent before it */
	s[0].right = a + 21 * 1460;
	assert_int_equal(ack_sacked(&c, a, s, 1), 1); /* this one was not */
	assert_int_equal(l->seg[0].seq, a);
	s[0].right = a + 25 * 1460;
	assert_int_equal(ack_sacked(&c, a, s, 1), 0);
	assert_int_equal(conn_ack(&c, a + 25 * 1460), 0);
	/* Two holes, of which the copy of the first is lost. */
	a = c.ack;
	far_say(&c, 20 * 1460);
	lab_pull(l);
	s[0] = (struct tcpsack){a + 1460, a + 3 * 1460};
	s[1] = (struct tcpsack){a + 4 * 1460, a + 20 * 1460};
	assert_int_equal(ack_sacked(&c, a, s, 2), 2);
	assert_int_equal(l->seg[0].seq, a);
	assert_int_equal(l->seg[1].seq, a + 3 * 1460);
	s[0].right = a + 20 * 1460;
	assert_int_equal(ack_sacked(&c, a, s, 1), 1);
	assert_int_equal(l->seg[0].seq, a);
	assert_int_equal(conn_ack(&c, a + 20 * 1460), 0);
	assert_int_equal(l->stats.tcp_retransmits, 5);
}

/* Reports that are false, old, or of duplicates. */
static void
test_odd_sacks(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 10 * 1460);
	lab_pull(l);
	struct tcpsack bad[4] = {
	        {a + 20 * 1460, a + 21 * 1460},                                   /* never sent */
	        {a + 3000, a + 3000}, {a + 3000, a + 2000}, {a - 3000, a - 1000}, /* a duplicate */
	};
	assert_int_equal(ack_sacked(&c, a, bad, 4), 0);
	struct tcpsack dup[2] = {{a, a + 1460}, {a + 1460, a + 2920}};
	assert_int_equal(ack_sacked(&c, a + 4380, dup, 2), 0);
	assert_int_equal(l->stats.tcp_retransmits, 0);
	conn_ack(&c, a + 14600);
	assert_int_equal(l->stats.tcp_retransmits, 0);
}

/* More holes than are remembered; all is repaired in the end. */
static void
test_many_holes(void **state)
{
	struct lab *l = *state;
	struct conn c;
	bool have[400] = {0};
	uint32_t n = 300, a;
	struct tcpopts o = {.mss = 200, .sack_ok = true};
	c = conn_open(l, 2, &o);
	a = c.ack;
	far_say(&c, n * 200);
	lab_pull(l);
	unsigned k = 0;
	for (unsigned i = 0; i < l->n; i++)
		if (l->seg[i].dport == 2)
			have[(l->seg[i].seq - a) / 200] = k++ % 2;
	unsigned cum = 0;
	for (unsigned round = 0; round < 400 && cum < n; round++) {
		struct tcpsack s[4];
		uint8_t ns = 0;
		for (unsigned i = cum + 1; i < n && ns < 4; i++)
			if (have[i] && !have[i - 1]) {
				unsigned j = i;
				while (j < n && have[j])
					j++;
				if ((round + i) % 3 || ns == 3)
					s[ns++] = (struct tcpsack){a + i * 200, a + j * 200};
			}
		ack_sacked(&c, a + cum * 200, s, ns);
		for (unsigned i = 0; i < l->n; i++)
			if (l->seg[i].dport == 2)
				have[(l->seg[i].seq - a) / 200] = true;
		while (cum < n && have[cum])
			cum++;
		if (!l->n)
			lab_pass(l, 300);
	}
	assert_int_equal(cum, n);
	conn_ack(&c, a + n * 200);
	assert_int_equal(c.far->discarded, n * 200);
}

static void
test_guest_without_sack(void **state)
{
	struct lab *l = *state;
	struct tcpopts o = {.mss = 1460};
	struct conn c = conn_open(l, 1, &o);
	uint32_t a = c.ack;
	far_say(&c, 20 * 1460);
	lab_pull(l);
	/* Segments 2 and 7 are lost. */
	assert_int_equal(conn_ack(&c, a + 2 * 1460), 0);
	assert_int_equal(conn_ack(&c, c.ack), 1); /* the first duplicate is proof */
	assert_int_equal(l->seg[0].seq, a + 2 * 1460);
	assert_int_equal(l->seg[0].payload.n, 1460);
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(conn_ack(&c, c.ack), 0);
	assert_int_equal(conn_ack(&c, a + 7 * 1460), 1); /* a partial one shows the next */
	assert_int_equal(l->seg[0].seq, a + 7 * 1460);
	assert_int_equal(conn_ack(&c, a + 20 * 1460), 0);
	assert_int_equal(l->stats.tcp_retransmits, 2);
	/* Window updates are no duplicates. */
	far_say(&c, 5 * 1460);
	lab_pull(l);
	c.window--;
	assert_int_equal(conn_ack(&c, c.ack), 0);
	assert_int_equal(l->stats.tcp_retransmits, 2);
}

static void
test_timeouts(void **state)
{
	struct lab *l = *state;
	struct tcpopts o = {.mss = 1460};
	struct conn c = conn_open(l, 1, &o);
	uint32_t a = c.ack;
	far_say(&c, 5 * 1460);
	assert_int_equal(lab_pull(l), 5);
	uint64_t wait = 200;
	for (unsigned i = 0; i < 8; i++, wait *= 2) {
		lab_pass(l, wait - 1);
		assert_int_equal(lab_pull(l), 0);
		lab_pass(l, 1);
		assert_int_equal(lab_pull(l), 1);
		assert_int_equal(l->seg[0].seq, a);
		assert_int_equal(l->seg[0].payload.n, 1460);
	}
	assert_int_equal(l->stats.tcp_rto, 8);
	/* Only that was missing: nothing more is sent again. */
	assert_int_equal(conn_ack(&c, a + 5 * 1460), 0);
	far_say(&c, 5 * 1460);
	assert_int_equal(lab_pull(l), 5);
	lab_pass(l, 200);
	assert_int_equal(lab_pull(l), 1);
	/* Everything is: the rest follows as the acknowledgements come. */
	unsigned sent = 1;
	for (unsigned i = 1; i <= 5; i++)
		sent += conn_ack(&c, a + (5 + i) * 1460);
	assert_int_equal(sent, 5);
	assert_int_equal(c.far->discarded, 10 * 1460);
}

static void
test_give_up(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	lab_pass(l, 7000000); /* the guest's silence before does not count */
	uint64_t from = l->now;
	far_say(&c, 10);
	lab_pull(l);
	unsigned again = 0;
	while (c.far->flow && l->now < from + 400000) {
		lab_pass(l, 10);
		again += lab_pull(l);
	}
	assert_in_range(l->now - from, 100000, 230000);
	assert_in_range(again, 8, 14);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_true(c.far->aborted);
}

/* The last segments are probed before the time-out. */
static void
test_tail_probe(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 5 * 1460);
	lab_pull(l);
	conn_ack(&c, a + 2 * 1460);
	lab_pass(l, 9);
	assert_int_equal(lab_pull(l), 0);
	lab_pass(l, 1);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].seq, a + 4 * 1460);
	assert_said(&c, &l->seg[0], 4 * 1460);
	lab_pass(l, 100);
	assert_int_equal(lab_pull(l), 0); /* one probe */
	struct tcpsack s = {a + 4 * 1460, a + 5 * 1460};
	assert_int_equal(ack_sacked(&c, a + 2 * 1460, &s, 1), 2);
	assert_int_equal(l->seg[0].seq, a + 2 * 1460);
	assert_int_equal(l->seg[1].seq, a + 3 * 1460);
	assert_int_equal(conn_ack(&c, a + 5 * 1460), 0);
	assert_int_equal(l->stats.tcp_rto, 0);
}

/* A guest that stood still for a second acknowledges what was under way all the time. */
static void
test_spurious_timeout(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 40 * 1460);
	lab_pull(l);
	lab_pass(l, 1000);
	unsigned again = lab_pull(l);
	assert_in_range(again, 1, 3);
	for (unsigned i = 2; i <= 40; i += 2)
		again += conn_ack(&c, a + i * 1460);
	assert_in_range(again, 1, 3);
	assert_int_equal(c.far->discarded, 40 * 1460);
}

/* When much is lost at once the bytes in flight are halved, and grow back. */
static void
test_overflow_cuts_the_burst(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 1 << 20);
	lab_pull(l);
	uint32_t n = l->n - 1;
	assert_true(n >= 40);
	/* The first eight arrive, and one of the last. */
	struct tcpsack s = {a + (n - 1) * 1460, a + n * 1460};
	unsigned sent = ack_sacked(&c, a + 8 * 1460, &s, 1);
	assert_in_range(sent, 4, n / 2 + 1);
	assert_int_equal(l->seg[0].seq, a + 8 * 1460);
	uint32_t cum = 8;
	while (cum < n) {
		cum += 2;
		if (cum >= n - 1)
			cum = n;
		ack_sacked(&c, a + cum * 1460, &s, cum < n);
		assert_true(l->n <= n / 2 + 1);
	}
	assert_in_range(l->stats.tcp_retransmits, n - 9, n);
}

/* Round trips: the time-out follows them. */
static void
test_rto_follows_rtt(void **state)
{
	struct lab *l = *state;
	struct tcpopts o = {.mss = 1460};
	struct conn c = conn_new(l, 1, 80);
	conn_syn(&c, &o);
	stack_tcp_opened(l->st, &c.far->flow->f, l->now);
	lab_pull(l);
	c.ack = l->seg[0].seq + 1;
	lab_pass(l, 300);
	conn_send(&c, TCPF_ACK, NULL, 0);
	for (unsigned i = 0; i < 50; i++) {
		far_say(&c, 100);
		lab_pull(l);
		lab_pass(l, 300);
		assert_int_equal(lab_pull(l), 0);
		conn_ack(&c, c.ack + 100);
	}
	far_say(&c, 100);
	lab_pull(l);
	lab_pass(l, 299);
	assert_int_equal(lab_pull(l), 0);
	lab_pass(l, 40);
	assert_int_equal(lab_pull(l), 1);
}

static void
test_end_travels_with_the_last_bytes(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	c.far->eof = true;
	far_say(&c, 2000);
	assert_int_equal(lab_pull(l), 2);
	assert_int_equal(l->seg[0].flags, TCPF_ACK);
	assert_int_equal(l->seg[1].flags, TCPF_ACK | TCPF_PSH | TCPF_FIN);
	lab_pass(l, 1000); /* lost: both come again, the end with the bytes */
	lab_pull(l);
	bool fin = false;
	for (unsigned i = 0; i < l->n; i++)
		fin |= l->seg[i].flags & TCPF_FIN;
	assert_true(fin);
	conn_ack(&c, a + 2001);
	assert_int_equal(c.far->discarded, 2000);
	/* The guest may still speak. */
	conn_send(&c, TCPF_ACK, "hello", 5);
	assert_int_equal(c.far->n_got, 5);
	assert_false(c.far->released);
	conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
	assert_true(c.far->shut && c.far->released);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_int_equal(l->seg[0].seq, a + 2001);
	struct stack_totals t;
	stack_totals(l->st, &t);
	assert_int_equal(t.tcp_flows, 0);
	/* TIME_WAIT answers the FIN again, and ends. */
	c.seq--;
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0), 1);
	lab_pass(l, 4999);
	assert_non_null(c.far->flow);
	lab_pass(l, 2);
	assert_null(c.far->flow);
	assert_false(c.far->aborted);
}

static void
test_a_lone_fin_comes_again(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	far_end(&c);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK | TCPF_FIN);
	uint32_t seq = l->seg[0].seq;
	lab_pass(l, 200);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK | TCPF_FIN);
	assert_int_equal(l->seg[0].seq, seq);
	conn_ack(&c, seq + 1);
	lab_pass(l, 59000);
	assert_int_equal(lab_pull(l), 0);
	conn_send(&c, TCPF_ACK, "x", 1); /* still in use */
	lab_pass(l, 59000);
	assert_non_null(c.far->flow);
	lab_pass(l, 2000); /* silent for too long */
	assert_null(c.far->flow);
}

/* Where there is no room for all the segments that the window would allow, the end still goes out
 * at once: a pull that writes nothing is not repeated. */
static void
test_a_fin_needs_no_room_for_data(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	far_say(&c, 100);
	lab_pull(l);
	size_t budget = l->budget;
	l->budget = 3000;
	far_end(&c);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK | TCPF_FIN);
	assert_false(l->more);
	l->budget = budget;
}

static void
test_guest_closes_first(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
	assert_true(c.far->shut);
	c.far->eof = true;
	far_say(&c, 10);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK | TCPF_PSH | TCPF_FIN);
	conn_ack(&c, c.ack + 11);
	assert_null(c.far->flow); /* no TIME_WAIT on this side */
	assert_false(c.far->aborted || c.far->released);
	assert_int_equal(c.far->discarded, 10);
	/* LAST_ACK without an answer. */
	c = conn_open(l, 2, &modern);
	conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
	far_end(&c);
	lab_pull(l);
	lab_pass(l, 61000);
	assert_null(c.far->flow);
}

static void
test_both_close_at_once(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	far_end(&c);
	lab_pull(l);
	assert_int_equal(conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0), 1); /* ours not seen yet */
	assert_non_null(c.far->flow);
	assert_int_equal(conn_ack(&c, c.ack + 1), 0);
	assert_true(c.far->released);
}

static void
test_time_wait_is_reused(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	far_end(&c);
	lab_pull(l);
	c.ack++;
	conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
	struct far *old = c.far;
	assert_true(old->released);
	struct conn d = conn_new(l, 1, 80);
	d.seq = c.seq - 2; /* not newer */
	conn_syn(&d, &modern);
	assert_int_equal(l->n, 1);
	assert_int_equal(l->seg[0].flags, TCPF_ACK);
	assert_non_null(old->flow);
	d.seq = c.seq;
	conn_syn(&d, &modern);
	assert_null(old->flow);
	assert_true(d.far->opened && d.far != old);
	/* Many of them do not fill the table. */
	l->conf.tcp_max_flows = 4;
	for (uint16_t port = 10; port < 40; port++) {
		c = conn_open(l, port, &modern);
		far_end(&c);
		lab_pull(l);
		c.ack++;
		conn_send(&c, TCPF_ACK | TCPF_FIN, NULL, 0);
		assert_true(l->live <= 6);
	}
}

static void
test_upstream_reset(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 100);
	lab_pull(l);
	stack_tcp_failed(l->st, &c.far->flow->f, ECONNRESET, l->now);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(l->seg[0].seq, a + 100);
	assert_int_equal(l->seg[0].ack, c.seq);
	assert_null(c.far->flow);
	/* Found out by looking. */
	c = conn_open(l, 2, &modern);
	c.far->err = ECONNRESET;
	far_say(&c, 100);
	lab_pull(l);
	lab_pull(l);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_null(c.far->flow);
}

/* Lost bytes that the socket does not give at once come with the next try. */
static void
test_late_peek(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 5 * 1460);
	lab_pull(l);
	struct tcpsack s = {a + 1460, a + 5 * 1460};
	c.far->late = 1;
	assert_int_equal(ack_sacked(&c, a, &s, 1), 0);
	assert_non_null(c.far->flow);
	lab_pass(l, 250);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->seg[0].seq, a);
	assert_said(&c, &l->seg[0], 0);
	assert_int_equal(conn_ack(&c, a + 5 * 1460), 0);
	assert_int_equal(c.far->discarded, 5 * 1460);
}

/* A transport that takes little at a time gets everything in the end, in order. */
static void
test_small_pulls(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	uint32_t a = c.ack;
	far_say(&c, 50000);
	uint64_t at = 0;
	srand(3);
	for (unsigned i = 0; i < 1000 && at < 50000; i++) {
		l->budget = 1514 + (size_t)rand() % 4000;
		lab_pull(l);
		at = assert_run(&c, a, at);
		assert_true(l->more || at == 50000);
	}
	assert_int_equal(at, 50000);
	l->budget = LAB_OUT;
}

static void
test_frames_too_long_for_the_transport(void **state)
{
	struct lab *l = *state;
	struct conn c = conn_open(l, 1, &modern);
	l->max_frame = 100;
	far_say(&c, 1000);
	lab_pull(l);
	lab_pull(l);
	assert_int_equal(l->seg[0].flags, TCPF_RST | TCPF_ACK);
	assert_null(c.far->flow);
}

/* The stack ends in the middle of everything. */
static void
test_end_of_the_tunnel(void **state)
{
	struct lab *l = *state;
	struct conn a = conn_open(l, 1, &modern), b = conn_open(l, 2, &modern);
	conn_send(&b, TCPF_ACK | TCPF_FIN, "x", 1);
	far_say(&a, 100000);
	lab_pull(l);
	struct tcpsack s = {a.ack + 1460, a.ack + 2920};
	ack_sacked(&a, a.ack, &s, 1);
	struct tcpseg ooo = conn_seg(&a, TCPF_ACK, SPAN_LIT("behind a hole"));
	ooo.seq += 100;
	lab_put(l, a.dst, &ooo, false); /* and inside a batch */
	struct conn c = conn_new(l, 3, 80);
	struct tcpseg syn = conn_seg(&c, TCPF_SYN, SPAN_NONE);
	lab_put(l, c.dst, &syn, false);
	stack_free(l->st);
	assert_int_equal(l->live, 0);
	assert_true(a.far->aborted);
	assert_false(b.far->aborted); /* the guest had finished */
	assert_int_equal(l->nodes.used, 0);
	l->st = stack_new(&l->shared, l);
	conn_open(l, 1, &modern);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(test_segments),
	        LAB_TEST(test_padding),
	        LAB_TEST(test_server_speaks_first),
	        LAB_TEST(test_guest_window),
	        LAB_TEST(test_probes_end),
	        LAB_TEST(test_one_hole),
	        LAB_TEST(test_lost_again),
	        LAB_TEST(test_odd_sacks),
	        LAB_TEST(test_many_holes),
	        LAB_TEST(test_guest_without_sack),
	        LAB_TEST(test_timeouts),
	        LAB_TEST(test_give_up),
	        LAB_TEST(test_tail_probe),
	        LAB_TEST(test_spurious_timeout),
	        LAB_TEST(test_overflow_cuts_the_burst),
	        LAB_TEST(test_rto_follows_rtt),
	        LAB_TEST(test_end_travels_with_the_last_bytes),
	        LAB_TEST(test_a_lone_fin_comes_again),
	        LAB_TEST(test_a_fin_needs_no_room_for_data),
	        LAB_TEST(test_guest_closes_first),
	        LAB_TEST(test_both_close_at_once),
	        LAB_TEST(test_time_wait_is_reused),
	        LAB_TEST(test_upstream_reset),
	        LAB_TEST(test_late_peek),
	        LAB_TEST(test_small_pulls),
	        LAB_TEST(test_frames_too_long_for_the_transport),
	        LAB_TEST(test_end_of_the_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
