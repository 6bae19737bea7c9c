/* Whole transfers in virtual time: throughput, loss, latency. */
#include "tcpsim.h"

static void
report(const char *what, struct sim *s, double t)
{
	if (!getenv("SIM_VERBOSE"))
		return;
	printf("# %-28s %7.1f Mbit/s  %5.2f s  lost %llu resent %llu (%.2f) rto %llu acks %.2f\n",
	        what, (double)sim_bytes(s) * 8 / t / 1e6, t, (unsigned long long)s->down.lost,
	        (unsigned long long)s->l->stats.tcp_retransmits,
	        s->down.lost ? (double)s->l->stats.tcp_retransmits / (double)s->down.lost : 0.0,
	        (unsigned long long)s->l->stats.tcp_rto,
	        (double)s->acks / (double)(s->down.sent ? s->down.sent : 1));
}

static double
download(struct lab *l, const char *what, unsigned flows, uint64_t bytes, double mbit,
        uint32_t delay_us, double loss, bool sack)
{
	struct sim s = sim_new(l, mbit, delay_us, 0);
	s.sack = sack;
	for (unsigned i = 0; i < flows; i++)
		sim_flow(&s, bytes, 0);
	s.down.loss = loss;
	double t = sim_run(&s, 300);
	report(what, &s, t);
	assert_true(sim_done(&s));
	uint64_t lost = s.down.lost, resent = l->stats.tcp_retransmits;
	if (sack && lost > 20)
		assert_true((double)resent <= 1.5 * (double)lost);
	double rate = (double)sim_bytes(&s) * 8 / t / 1e6;
	sim_free(&s);
	return rate;
}

static void
test_lan(void **state)
{
	double one = download(*state, "10G 0.2ms", 1, 64 << 20, 10000, 100, 0, true);
	assert_true(one > 8000);
	assert_int_equal(((struct lab *)*state)->stats.tcp_retransmits, 0);
}

static void
test_lan_many(void **state)
{
	double many = download(*state, "10G 0.2ms x16", 16, 4 << 20, 10000, 100, 0, true);
	assert_true(many > 8000);
}

static void
test_wan(void **state)
{
	double r = download(*state, "1G 50ms", 1, 128 << 20, 1000, 25000, 0, true);
	assert_true(r > 450);
}

static void
test_wan_many(void **state)
{
	double r = download(*state, "1G 50ms x8", 8, 16 << 20, 1000, 25000, 0, true);
	assert_true(r > 450);
}

static void
test_loss_lan(void **state)
{
	double r = download(*state, "1G 0.2ms 0.1%", 1, 64 << 20, 1000, 100, 0.001, true);
	assert_true(r > 850);
}

static void
test_loss_wan(void **state)
{
	double r = download(*state, "1G 50ms 0.1%", 1, 128 << 20, 1000, 25000, 0.001, true);
	assert_true(r > 400);
}

static void
test_loss_1(void **state)
{
	download(*state, "1G 0.2ms 1%", 1, 32 << 20, 1000, 100, 0.01, true);
}

static void
test_loss_1_wan(void **state)
{
	download(*state, "1G 50ms 1%", 1, 32 << 20, 1000, 25000, 0.01, true);
}

static void
test_loss_5(void **state)
{
	download(*state, "1G 2ms 5%", 1, 16 << 20, 1000, 1000, 0.05, true);
}

static void
test_loss_5_wan(void **state)
{
	download(*state, "1G 50ms 5% x4", 4, 4 << 20, 1000, 25000, 0.05, true);
}

static void
test_loss_no_sack(void **state)
{
	download(*state, "1G 2ms 1% no SACK", 1, 8 << 20, 1000, 1000, 0.01, false);
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* One byte there and back, over and over, while `bulk` flows download; a deep buffer is in front of
 * the client. Returns the median in us. */
static uint32_t
ping_pong(struct lab *l, const char *what, unsigned bulk, double mbit, uint32_t delay_us,
        double *share)
{
	struct sim s = sim_new(l, mbit, delay_us, 0);
	enum { PINGS = 3000 };
	struct sim_flow *p = sim_flow(&s, 0, 0);
	p->ping = true;
	p->rtts = malloc(PINGS * sizeof *p->rtts);
	for (unsigned i = 0; i < bulk; i++)
		sim_flow(&s, UINT32_MAX, 0);
	uint64_t from = s.us, end = from + 12000000, warm = 0, next = s.us;
	while (s.us < end && p->n_rtts < PINGS) {
		if (!p->ping_at && s.us >= next && p->open) {
			p->ping_at = s.us;
			next = s.us + 3000;
			guest_send(&s, p, TCPF_ACK | TCPF_PSH, p->snd_nxt, 1);
			p->snd_nxt++;
			p->to_send++;
		}
		if (p->far->n_got > p->far->sent) { /* the server echoes */
			p->far->sent = p->far->n_got;
			stack_tcp_readable(l->st, &p->far->flow->f, l->now);
		}
		sim_step(&s, p->ping_at ? end : next);
		if (s.us - from < 2000000) {
			p->n_rtts = 0; /* startup does not count */
			warm = sim_bytes(&s);
		}
	}
	double t = (double)(s.us - from - 2000000) / 1e6;
	*share = (double)(sim_bytes(&s) - warm) * 8 / t / 1e6 / mbit;
	qsort(p->rtts, p->n_rtts, sizeof *p->rtts, by_value);
	uint32_t p50 = p->rtts[p->n_rtts / 2], p99 = p->rtts[p->n_rtts * 99 / 100];
	if (getenv("SIM_VERBOSE"))
		printf("# %-28s p50 %u us, p99 %u us, %.0f %% used, %u pings, retransmits %llu\n",
		        what, p50, p99, *share * 100, p->n_rtts,
		        (unsigned long long)l->stats.tcp_retransmits);
	sim_free(&s);
	return p50;
}

static void
test_latency_under_load(void **state)
{
	double share;
	uint32_t p50 = ping_pong(*state, "50M 0.2ms, 8 bulk", 8, 50, 100, &share);
	assert_true(p50 <= 2000);
	assert_true(share > 0.9);
}

static void
test_latency_one_bulk(void **state)
{
	double share;
	uint32_t p50 = ping_pong(*state, "50M 0.2ms, 1 bulk", 1, 50, 100, &share);
	assert_true(p50 <= 2000);
	assert_true(share > 0.9);
}

static void
test_latency_wan(void **state)
{
	double share;
	uint32_t p50 = ping_pong(*state, "50M 20ms, 8 bulk", 8, 50, 10000, &share);
	assert_true(p50 <= 26000);
	assert_true(share > 0.85);
}

static void
test_latency_fast(void **state)
{
	double share;
	uint32_t p50 = ping_pong(*state, "1G 2ms, 8 bulk", 8, 1000, 1000, &share);
	assert_true(p50 <= 5000);
	assert_true(share > 0.85);
}

static double
upload(struct lab *l, const char *what, unsigned flows, uint64_t bytes, double mbit,
        uint32_t delay_us, double loss)
{
	struct sim s = sim_new(l, mbit, delay_us, 0);
	for (unsigned i = 0; i < flows; i++)
		sim_flow(&s, 0, bytes);
	s.up.loss = s.down.loss = loss;
	double t = sim_run(&s, 300);
	uint64_t got = 0, resent = 0, rtos = 0;
	for (unsigned i = 0; i < flows; i++) {
		assert_int_equal(s.flow[i].far->n_got, bytes);
		assert_true(s.flow[i].far->shut);
		assert_true(s.flow[i].far->n_got <= s.flow[i].far->promised);
		got += s.flow[i].far->n_got;
		resent += s.flow[i].up_resent;
		rtos += s.flow[i].rtos;
	}
	double rate = (double)got * 8 / t / 1e6;
	if (getenv("SIM_VERBOSE"))
		printf("# up %-25s %7.1f Mbit/s  %5.2f s  lost %llu resent %llu rto %llu acks "
		       "%.3f\n",
		        what, rate, t, (unsigned long long)s.up.lost, (unsigned long long)resent,
		        (unsigned long long)rtos, (double)s.down.sent / (double)s.up.sent);
	if (!loss)
		assert_int_equal(resent + rtos, 0);
	sim_free(&s);
	return rate;
}

static void
test_upload_lan(void **state)
{
	assert_true(upload(*state, "1G 0.2ms", 1, 32 << 20, 1000, 100, 0) > 900);
}

static void
test_upload_wan(void **state)
{
	assert_true(upload(*state, "1G 50ms", 1, 32 << 20, 1000, 25000, 0) > 100);
}

static void
test_upload_many(void **state)
{
	assert_true(upload(*state, "1G 2ms x16", 16, 4 << 20, 1000, 1000, 0) > 850);
}

static void
test_upload_loss(void **state)
{
	upload(*state, "1G 2ms 1% both ways x4", 4, 4 << 20, 1000, 1000, 0.01);
}

static void
test_upload_loss_5(void **state)
{
	upload(*state, "1G 2ms 5% both ways", 1, 2 << 20, 1000, 1000, 0.05);
}

/* Both directions of one link, lossy: everything arrives, and both ends are seen. */
static void
test_both_ways(void **state)
{
	struct lab *l = *state;
	struct sim s = sim_new(l, 200, 2000, 0);
	for (unsigned i = 0; i < 8; i++) {
		struct sim_flow *f = sim_flow(&s, i * 300000, (8 - i) * 200000);
		f->far->eof = true;
	}
	s.down.loss = s.up.loss = 0.02;
	double t = sim_run(&s, 100);
	report("both ways 2%", &s, t);
	assert_true(sim_done(&s));
	sim_run(&s, 0.5);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(s.flow[i].far->n_got, (8 - i) * 200000);
		assert_true(s.flow[i].fin_seen);
	}
	sim_free(&s);
}

/* A card with eight places that is looked after once in a millisecond. */
static void
test_small_ring(void **state)
{
	struct lab *l = *state;
	struct sim s = sim_new(l, 1000, 1000, 0);
	sim_flow(&s, 2 << 20, 0);
	s.ring = 8;
	s.look_us = 1000;
	double t = sim_run(&s, 60);
	report("ring of 8 a ms", &s, t);
	assert_true(sim_done(&s));
	assert_true((double)l->stats.tcp_retransmits <= 1.5 * (double)s.down.lost);
	assert_true(t < 2);
	sim_free(&s);
}

/* The client stands still for two seconds, several times. */
static void
test_standstill(void **state)
{
	struct lab *l = *state;
	struct sim s = sim_new(l, 100, 5000, 0);
	for (unsigned i = 0; i < 4; i++)
		sim_flow(&s, 8 << 20, 0);
	for (unsigned i = 0; i < 3; i++) {
		sim_run(&s, 0.3);
		s.stalled = true;
		sim_run(&s, 2);
		s.stalled = false;
		s.down.busy = s.us * 1000;
	}
	double t = sim_run(&s, 60);
	report("three standstills", &s, t);
	assert_true(sim_done(&s));
	assert_true(l->stats.tcp_retransmits < 60);
	sim_free(&s);
}

/* A link that loses everything for a while. */
static void
test_blackout(void **state)
{
	struct lab *l = *state;
	struct sim s = sim_new(l, 100, 5000, 0);
	for (unsigned i = 0; i < 4; i++)
		sim_flow(&s, 4 << 20, 0);
	sim_run(&s, 0.3);
	s.down.loss = s.up.loss = 1;
	sim_run(&s, 3);
	s.down.loss = s.up.loss = 0;
	double t = sim_run(&s, 60);
	report("blackout", &s, t);
	assert_true(sim_done(&s));
	assert_true(t < 6);
	sim_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(test_lan),
	        LAB_TEST(test_lan_many),
	        LAB_TEST(test_wan),
	        LAB_TEST(test_wan_many),
	        LAB_TEST(test_loss_lan),
	        LAB_TEST(test_loss_wan),
	        LAB_TEST(test_loss_1),
	        LAB_TEST(test_loss_1_wan),
	        LAB_TEST(test_loss_5),
	        LAB_TEST(test_loss_5_wan),
	        LAB_TEST(test_loss_no_sack),
	        LAB_TEST(test_latency_under_load),
	        LAB_TEST(test_latency_one_bulk),
	        LAB_TEST(test_latency_wan),
	        LAB_TEST(test_latency_fast),
	        LAB_TEST(test_upload_lan),
	        LAB_TEST(test_upload_wan),
	        LAB_TEST(test_upload_many),
	        LAB_TEST(test_upload_loss),
	        LAB_TEST(test_upload_loss_5),
	        LAB_TEST(test_both_ways),
	        LAB_TEST(test_small_ring),
	        LAB_TEST(test_standstill),
	        LAB_TEST(test_blackout),
	};
	cmocka_set_test_filter(getenv("SIM_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
