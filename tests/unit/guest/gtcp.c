/* The other side is played by hand, segment by segment. */
#include "rig.h"

#include <errno.h>

#define PORT 80
#define ISS 0xfffffff0u /* so that sequence numbers wrap */

struct talk {
	struct rig r;
	struct gtcp *t;
	struct tcpseg in; /* the last one that the guest sent */
	uint32_t peer;    /* next sequence number of the other side */
	uint32_t isn;     /* the guest's */
	uint16_t port;
	uint8_t payload[65536];
};

static void
give(struct talk *k, uint32_t seq, uint32_t ack, uint8_t flags, struct span data,
        const struct tcpopts *opt)
{
	uint8_t *p = malloc(TCP_HEAD_MOST + data.n);
	struct ip src = RIG_WORLD, dst = RIG_GUEST;
	struct tcpseg s = {
	        .sport = PORT,
	        .dport = k->port,
	        .seq = seq,
	        .ack = ack,
	        .flags = flags,
	        .window = 1000,
	};
	if (opt)
		s.opt = *opt;
	size_t head = tcp_head_len(&s.opt);
	if (data.n)
		memcpy(p + head, data.p, data.n);
	tcp_put(p, &s, &src, &dst, data.n, checksum_sum(data.p, data.n));
	struct ippkt ip = {.src = src, .dst = dst, .proto = IPPROTO_TCP, .ttl = 60};
	rig_give_ip(&k->r, &ip, span(p, head + data.n));
	free(p);
}

/* Exactly one segment must come. */
static const struct tcpseg *
hear(struct talk *k)
{
	assert_int_equal(rig_pull(&k->r), 1);
	rig_tcp(&k->r, 0, &k->in);
	return &k->in;
}

static struct gtcp_info
info(struct talk *k)
{
	struct gtcp_info i;
	gtcp_info(k->t, &i);
	return i;
}

static void
begin(struct talk *k, const struct gtcp_opts *o)
{
	struct endpoint to = {RIG_WORLD, PORT};
	rig_ready(&k->r);
	k->t = gtcp_open(k->r.g, &to, o, k->r.now);
	k->peer = ISS;
	const struct tcpseg *s = hear(k);
	assert_int_equal(s->flags, TCPF_SYN);
	assert_int_equal(s->opt.mss, 1460);
	k->isn = s->seq;
	k->port = s->sport;
}

static void
talk(struct talk *k, const struct gtcp_opts *o)
{
	begin(k, o);
	struct tcpopts opt = {.mss = 1000, .has_wscale = true, .wscale = 4, .sack_ok = true};
	give(k, k->peer++, k->isn + 1, TCPF_SYN | TCPF_ACK, SPAN_NONE, &opt);
	assert_int_equal(hear(k)->flags, TCPF_ACK);
	assert_int_equal(k->in.ack, k->peer);
	assert_true(info(k).up);
	/* a SYN-ACK's window is never scaled: this one is */
	give(k, k->peer, k->isn + 1, TCPF_ACK, SPAN_NONE, NULL);
	assert_int_equal(rig_pull(&k->r), 0);
}

static void
opens(void **state)
{
	(void)state;
	struct talk k;
	begin(&k, NULL);
	assert_true(k.in.opt.has_wscale && k.in.opt.sack_ok);
	assert_false(info(&k).up);
	rig_pass(&k.r, 1100);
	assert_int_equal(hear(&k)->seq, k.isn); /* again */
	rig_pass(&k.r, 1100);
	assert_int_equal(rig_pull(&k.r), 0); /* but not so soon the next time */
	rig_free(&k.r);
	talk(&k, NULL);
	assert_int_equal(info(&k).mss, 1000);
	assert_int_equal(info(&k).wscale, 4);
	assert_true(info(&k).sack);
	rig_free(&k.r);
	begin(&k, &(struct gtcp_opts){.plain = true, .sport = 4000});
	assert_false(k.in.opt.has_wscale || k.in.opt.sack_ok);
	assert_int_equal(k.in.sport, 4000);
	rig_free(&k.r);
}

static void
is_refused(void **state)
{
	(void)state;
	struct talk k;
	begin(&k, NULL);
	give(&k, 0, k.isn + 9, TCPF_RST | TCPF_ACK, SPAN_NONE, NULL); /* not for this SYN */
	assert_false(info(&k).over);
	give(&k, 0, k.isn + 1, TCPF_RST | TCPF_ACK, SPAN_NONE, NULL);
	assert_true(info(&k).over);
	assert_int_equal(info(&k).err, ECONNREFUSED);
	rig_free(&k.r);
}

static void
times_out(void **state)
{
	(void)state;
	struct talk k;
	begin(&k, NULL);
	for (int i = 0; i < 150 && !info(&k).over; i++) {
		rig_pass(&k.r, 1000);
		rig_pull(&k.r);
	}
	assert_int_equal(info(&k).err, ETIMEDOUT);
	rig_free(&k.r);
}

static void
a_router_says_no(void **state)
{
	(void)state;
	static const struct {
		enum icmp_kind kind;
		int err;
	} rows[] = {
	        {ICMP_KIND_NET_UNREACHABLE, ENETUNREACH},
	        {ICMP_KIND_HOST_UNREACHABLE, EHOSTUNREACH},
	        {ICMP_KIND_PORT_UNREACHABLE, ECONNREFUSED},
	        {ICMP_KIND_PROHIBITED, EACCES},
	        {ICMP_KIND_TTL_EXCEEDED, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct talk k;
		struct ippkt p;
		struct ip gw = RIG_GATEWAY;
		begin(&k, NULL);
		rig_ip(&k.r, 0, &p);
		struct icmpmsg m = {.kind = rows[i].kind};
		rig_give_icmp(&k.r, gw, &m, span_first(p.whole, 28));
		assert_int_equal(info(&k).err, rows[i].err);
		assert_int_equal(info(&k).icmp, rows[i].kind);
		struct ip from = info(&k).icmp_from;
		assert_true(ip_eq(&from, &gw));
		rig_free(&k.r);
	}
}

static void
sends_within_the_window(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	for (size_t i = 0; i < sizeof k.payload; i++)
		k.payload[i] = (uint8_t)(i * 31);
	assert_int_equal(gtcp_write(k.t, span(k.payload, 40000)), 40000);
	/* window 16000, first flight 10 segments of 1000 */
	assert_int_equal(rig_pull(&k.r), 10);
	rig_tcp(&k.r, 0, &k.in);
	assert_int_equal(k.in.seq, k.isn + 1);
	assert_int_equal(k.in.payload.n, 1000);
	give(&k, k.peer, k.isn + 1 + 10000, TCPF_ACK, SPAN_NONE, NULL);
	size_t n = rig_pull(&k.r);
	assert_int_equal(n, 16); /* slow start would allow 20 */
	rig_tcp(&k.r, n - 1, &k.in);
	assert_int_equal(k.in.seq, k.isn + 1 + 25000);
	assert_memory_equal(k.in.payload.p, k.payload + 25000, 1000);
	assert_int_equal(info(&k).out, 10000);
	assert_int_equal(info(&k).unacked, 30000);
	rig_free(&k.r);
}

static void
fills_only_the_hole(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	gtcp_write(k.t, span(k.payload, 10000));
	assert_int_equal(rig_pull(&k.r), 10);
	uint32_t base = k.isn + 1;
	/* the third is lost, and the fifth */
	give(&k, k.peer, base + 2000, TCPF_ACK, SPAN_NONE, NULL);
	struct tcpopts opt = {.nsack = 1, .sack = {{base + 3000, base + 4000}}};
	give(&k, k.peer, base + 2000, TCPF_ACK, SPAN_NONE, &opt);
	opt = (struct tcpopts){
	        .nsack = 2, .sack = {{base + 5000, base + 6000}, {base + 3000, base + 4000}}};
	give(&k, k.peer, base + 2000, TCPF_ACK, SPAN_NONE, &opt);
	assert_int_equal(rig_pull(&k.r), 0);
	opt.sack[0].right = base + 10000;
	give(&k, k.peer, base + 2000, TCPF_ACK, SPAN_NONE, &opt);
	assert_int_equal(rig_pull(&k.r), 2);
	rig_tcp(&k.r, 0, &k.in);
	assert_int_equal(k.in.seq, base + 2000);
	assert_int_equal(k.in.payload.n, 1000);
	rig_tcp(&k.r, 1, &k.in);
	assert_int_equal(k.in.seq, base + 4000);
	assert_int_equal(k.in.payload.n, 1000);
	give(&k, k.peer, base + 10000, TCPF_ACK, SPAN_NONE, NULL);
	assert_int_equal(rig_pull(&k.r), 0);
	assert_int_equal(info(&k).retransmits, 2);
	assert_int_equal(info(&k).unacked, 0);
	rig_free(&k.r);
}

static void
without_sack_one_hole_at_a_time(void **state)
{
	(void)state;
	struct talk k;
	begin(&k, &(struct gtcp_opts){.plain = true});
	struct tcpopts opt = {.mss = 100};
	give(&k, k.peer++, k.isn + 1, TCPF_SYN | TCPF_ACK, SPAN_NONE, &opt);
	hear(&k);
	gtcp_write(k.t, span(k.payload, 1000));
	assert_int_equal(rig_pull(&k.r), 10);
	uint32_t base = k.isn + 1;
	for (int i = 0; i < 3; i++)
		give(&k, k.peer, base, TCPF_ACK, SPAN_NONE, NULL);
	assert_int_equal(hear(&k)->seq, base);
	give(&k, k.peer, base + 500, TCPF_ACK, SPAN_NONE, NULL); /* partial: the next hole */
	assert_int_equal(hear(&k)->seq, base + 500);
	give(&k, k.peer, base + 1000, TCPF_ACK, SPAN_NONE, NULL);
	assert_int_equal(rig_pull(&k.r), 0);
	assert_int_equal(info(&k).timeouts, 0);
	rig_free(&k.r);
}

static void
time_out_starts_over(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	gtcp_write(k.t, span(k.payload, 3000));
	assert_int_equal(rig_pull(&k.r), 3);
	rig_pass(&k.r, 250);
	assert_int_equal(hear(&k)->seq, k.isn + 1);
	assert_int_equal(info(&k).timeouts, 1);
	rig_pass(&k.r, 250);
	assert_int_equal(rig_pull(&k.r), 0); /* twice as long now */
	rig_pass(&k.r, 250);
	assert_int_equal(hear(&k)->seq, k.isn + 1);
	give(&k, k.peer, k.isn + 1 + 3000, TCPF_ACK, SPAN_NONE, NULL);
	assert_int_equal(rig_pull(&k.r), 0);
	assert_true(info(&k).sent);
	rig_free(&k.r);
}

static void
probes_a_closed_window(void **state)
{
	(void)state;
	struct talk k;
	begin(&k, &(struct gtcp_opts){.plain = true});
	struct tcpopts opt = {.mss = 1000};
	give(&k, k.peer++, k.isn + 1, TCPF_SYN | TCPF_ACK, SPAN_NONE, &opt);
	hear(&k);
	gtcp_write(k.t, span(k.payload, 3000));
	assert_int_equal(rig_pull(&k.r), 1); /* window 1000 */
	/* acknowledged, and closed */
	struct ip src = RIG_WORLD, dst = RIG_GUEST;
	struct tcpseg z = {.sport = PORT, .dport = gtcp_local(k.t)->port, .seq = k.peer};
	z.ack = k.isn + 1 + 1000;
	z.flags = TCPF_ACK;
	uint8_t p[TCP_HEAD];
	tcp_put(p, &z, &src, &dst, 0, 0);
	struct ippkt ip = {.src = src, .dst = dst, .proto = IPPROTO_TCP, .ttl = 60};
	rig_give_ip(&k.r, &ip, span(p, sizeof p));
	assert_int_equal(rig_pull(&k.r), 0);
	rig_pass(&k.r, 1500);
	assert_int_equal(hear(&k)->payload.n, 1);
	assert_int_equal(k.in.seq, k.isn + 1 + 1000);
	rig_give_ip(&k.r, &ip, span(p, sizeof p)); /* still closed: probed for ever */
	for (int i = 0, heard = 0; i < 600; i++) {
		rig_pass(&k.r, 1000);
		size_t n = rig_pull(&k.r);
		heard += (int)n;
		if (n)
			rig_give_ip(&k.r, &ip, span(p, sizeof p));
		if (i == 599)
			assert_true(heard > 5);
	}
	assert_false(info(&k).over);
	give(&k, k.peer, k.isn + 1 + 1001, TCPF_ACK, SPAN_NONE, NULL);
	assert_int_equal(hear(&k)->seq, k.isn + 1 + 1001);
	assert_int_equal(k.in.payload.n, 1000);
	rig_free(&k.r);
}

static void
receives_in_any_order(void **state)
{
	(void)state;
	struct talk k;
	char buf[64];
	talk(&k, NULL);
	uint32_t base = k.peer;
	give(&k, base + 20, k.isn + 1, TCPF_ACK, SPAN_LIT("2222222222"), NULL);
	assert_int_equal(hear(&k)->ack, base);
	assert_int_equal(k.in.opt.nsack, 1);
	assert_int_equal(k.in.opt.sack[0].left, base + 20);
	give(&k, base + 40, k.isn + 1, TCPF_ACK, SPAN_LIT("4444444444"), NULL);
	assert_int_equal(hear(&k)->opt.nsack, 2);
	assert_int_equal(k.in.opt.sack[0].left, base + 40); /* the latest first */
	assert_int_equal(k.in.opt.sack[1].left, base + 20);
	assert_int_equal(gtcp_read(k.t, buf, sizeof buf), 0);
	/* overlaps what is there on both sides */
	give(&k, base + 5, k.isn + 1, TCPF_ACK, SPAN_LIT("0000011111111112222222222"), NULL);
	assert_int_equal(hear(&k)->ack, base);
	give(&k, base, k.isn + 1, TCPF_ACK, SPAN_LIT("0000000000"), NULL);
	assert_int_equal(hear(&k)->ack, base + 30);
	assert_int_equal(k.in.opt.nsack, 1);
	give(&k, base + 30, k.isn + 1, TCPF_ACK, SPAN_LIT("3333333333"), NULL);
	assert_int_equal(hear(&k)->ack, base + 50);
	assert_int_equal(k.in.opt.nsack, 0);
	assert_int_equal(gtcp_read(k.t, buf, sizeof buf), 50);
	assert_memory_equal(buf, "00000000001111111111222222222233333333334444444444", 50);
	give(&k, base, k.isn + 1, TCPF_ACK, SPAN_LIT("old"), NULL);
	assert_int_equal(hear(&k)->ack, base + 50);
	assert_true(info(&k).duplicates >= 1);
	assert_int_equal(info(&k).in, 50);
	rig_free(&k.r);
}

static void
window_closes_and_opens(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, &(struct gtcp_opts){.rcvbuf = 4000});
	uint32_t base = k.peer;
	for (uint32_t i = 0; i < 4; i++)
		give(&k, base + i * 1000, k.isn + 1, TCPF_ACK, span(k.payload, 1000), NULL);
	assert_int_equal(hear(&k)->window, 0); /* one acknowledgement for the batch */
	give(&k, base + 4000, k.isn + 1, TCPF_ACK, SPAN_LIT("x"), NULL); /* a probe */
	assert_int_equal(hear(&k)->ack, base + 4000);
	assert_int_equal(gtcp_read(k.t, k.payload, 500), 500);
	assert_int_equal(rig_pull(&k.r), 0); /* not worth a frame */
	assert_int_equal(gtcp_read(k.t, k.payload, 3000), 3000);
	assert_int_equal(hear(&k)->window, 3500);
	rig_free(&k.r);
}

static void
half_closes(void **state)
{
	(void)state;
	struct talk k;
	char buf[16];
	talk(&k, NULL);
	gtcp_write(k.t, SPAN_LIT("question"));
	gtcp_shutdown(k.t);
	assert_int_equal(gtcp_write(k.t, SPAN_LIT("more")), 0);
	assert_true(hear(&k)->flags & TCPF_FIN);
	assert_true(span_is(k.in.payload, "question"));
	give(&k, k.peer, k.isn + 1 + 9, TCPF_ACK, SPAN_NONE, NULL);
	assert_true(info(&k).sent);
	assert_false(info(&k).over);
	/* FIN first, the data behind its back */
	give(&k, k.peer + 6, k.isn + 10, TCPF_ACK | TCPF_FIN, SPAN_NONE, NULL);
	assert_int_equal(hear(&k)->ack, k.peer);
	give(&k, k.peer, k.isn + 10, TCPF_ACK, SPAN_LIT("answer"), NULL);
	assert_int_equal(hear(&k)->ack, k.peer + 7);
	assert_false(info(&k).eof);
	assert_int_equal(gtcp_read(k.t, buf, sizeof buf), 6);
	assert_true(info(&k).eof);
	assert_true(info(&k).over);
	assert_int_equal(info(&k).err, 0);
	/* the last acknowledgement was lost */
	give(&k, k.peer + 6, k.isn + 10, TCPF_ACK | TCPF_FIN, SPAN_NONE, NULL);
	assert_int_equal(hear(&k)->ack, k.peer + 7);
	rig_free(&k.r);
}

static void
fin_is_repeated(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	gtcp_shutdown(k.t);
	assert_true(hear(&k)->flags & TCPF_FIN);
	rig_pass(&k.r, 250);
	assert_true(hear(&k)->flags & TCPF_FIN);
	assert_int_equal(k.in.seq, k.isn + 1);
	rig_free(&k.r);
}

static void
is_reset(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	give(&k, k.peer + 5, 0, TCPF_RST, SPAN_NONE, NULL); /* RFC 5961: not exact */
	assert_false(info(&k).over);
	assert_int_equal(hear(&k)->flags, TCPF_ACK);
	give(&k, k.peer - 5, 0, TCPF_RST, SPAN_NONE, NULL);
	assert_int_equal(rig_pull(&k.r), 0);
	give(&k, k.peer, k.isn + 1, TCPF_SYN, SPAN_NONE, NULL);
	assert_int_equal(hear(&k)->flags, TCPF_ACK);
	give(&k, k.peer, 0, TCPF_RST, SPAN_NONE, NULL);
	assert_int_equal(info(&k).err, ECONNRESET);
	rig_free(&k.r);
}

static void
closing_goes_on_without_its_holder(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	assert_int_equal(gtcp_local(k.t)->port, k.port);
	gtcp_write(k.t, SPAN_LIT("bye"));
	gtcp_close(k.t, k.r.now);
	assert_true(hear(&k)->flags & TCPF_FIN);
	/* data for nobody */
	give(&k, k.peer, k.isn + 5, TCPF_ACK, SPAN_LIT("hello?"), NULL);
	assert_true(hear(&k)->flags & TCPF_RST);
	rig_pass(&k.r, 10);
	give(&k, k.peer, k.isn + 5, TCPF_ACK, SPAN_NONE, NULL);
	assert_true(hear(&k)->flags & TCPF_RST); /* it is gone */
	rig_free(&k.r);
}

static void
patience_ends(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	gtcp_close(k.t, k.r.now);
	hear(&k);
	bool reset = false;
	for (int i = 0; i < 12000 && !reset; i++) {
		rig_pass(&k.r, 1);
		if (rig_pull(&k.r)) {
			rig_tcp(&k.r, 0, &k.in);
			reset = k.in.flags & TCPF_RST;
		}
	}
	assert_true(reset);
	rig_free(&k.r);
}

static void
unread_bytes_mean_reset(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	give(&k, k.peer, k.isn + 1, TCPF_ACK, SPAN_LIT("unread"), NULL);
	hear(&k);
	gtcp_close(k.t, k.r.now);
	assert_true(hear(&k)->flags & TCPF_RST);
	rig_free(&k.r);
}

static void
strangers_are_reset(void **state)
{
	(void)state;
	struct talk k;
	talk(&k, NULL);
	struct ip src = ip4(0x08080808), dst = RIG_GUEST;
	struct ippkt ip = {.src = src, .dst = dst, .proto = IPPROTO_TCP, .ttl = 60};
	struct tcpseg s = {.sport = 1, .dport = 2, .seq = 5, .ack = 77, .flags = TCPF_ACK};
	uint8_t p[TCP_HEAD];
	tcp_put(p, &s, &src, &dst, 0, 0);
	rig_give_ip(&k.r, &ip, span(p, sizeof p));
	/* to 8.8.8.8 by the gateway, which is known */
	assert_int_equal(hear(&k)->flags, TCPF_RST);
	assert_int_equal(k.in.seq, 77);
	s.flags = TCPF_SYN;
	tcp_put(p, &s, &src, &dst, 0, 0);
	rig_give_ip(&k.r, &ip, span(p, sizeof p));
	assert_int_equal(hear(&k)->flags, TCPF_RST | TCPF_ACK);
	assert_int_equal(k.in.ack, 6);
	s.flags = TCPF_RST;
	tcp_put(p, &s, &src, &dst, 0, 0);
	rig_give_ip(&k.r, &ip, span(p, sizeof p));
	assert_int_equal(rig_pull(&k.r), 0);
	rig_free(&k.r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(opens),
	        cmocka_unit_test(is_refused),
	        cmocka_unit_test(times_out),
	        cmocka_unit_test(a_router_says_no),
	        cmocka_unit_test(sends_within_the_window),
	        cmocka_unit_test(fills_only_the_hole),
	        cmocka_unit_test(without_sack_one_hole_at_a_time),
	        cmocka_unit_test(time_out_starts_over),
	        cmocka_unit_test(probes_a_closed_window),
	        cmocka_unit_test(receives_in_any_order),
	        cmocka_unit_test(window_closes_and_opens),
	        cmocka_unit_test(half_closes),
	        cmocka_unit_test(fin_is_repeated),
	        cmocka_unit_test(is_reset),
	        cmocka_unit_test(closing_goes_on_without_its_holder),
	        cmocka_unit_test(patience_ends),
	        cmocka_unit_test(unread_bytes_mean_reset),
	        cmocka_unit_test(strangers_are_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
