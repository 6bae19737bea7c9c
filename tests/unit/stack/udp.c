#include "tests/unit/stack/lab.h"

#include "wire/icmp.h"

#define SERVER ((struct endpoint){WORLD, 9})

static void
say(struct lab *l, uint16_t sport, uint16_t dport)
{
	lab_udp(l, GUEST, sport, WORLD, dport, SPAN_LIT("hello"));
}

static void
hear_from(struct lab *l, struct udp_binding *b, struct ip ip, uint16_t port)
{
	struct endpoint src = {ip, port};
	stack_udp_input(l->st, b, &src, SPAN_LIT("answer"), l->now);
}

static void
carries_datagrams(void **state)
{
	struct lab *l = *state;
	l->tos = 0xb8;
	say(l, 1000, 9);
	lab_silence(l);
	assert_int_equal(l->udp_sends, 1);
	assert_ip(l->dst.ip, WORLD);
	assert_int_equal(l->dst.port, 9);
	assert_int_equal(l->sent_ttl, 63);
	assert_int_equal(l->sent_tos, 0xb8);
	assert_true(span_is(span(l->payload, l->payload_len), "hello"));
	assert_ip(l->filtered.ip, WORLD);
	assert_int_equal(l->filtered.port, 9);
	assert_int_equal(l->filtered_proto, IPPROTO_UDP);
	assert_int_equal(l->b->guest.port, 1000);
	assert_ip(l->b->guest.ip, GUEST);
	assert_int_equal(l->flows, 1);
	hear_from(l, l->b, WORLD, 9);
	struct seen s = lab_one(l);
	assert_ip(s.ip.src, WORLD);
	assert_ip(s.ip.dst, GUEST);
	assert_mac(s.eth.dst, GUEST_MAC);
	assert_int_equal(s.udp.sport, 9);
	assert_int_equal(s.udp.dport, 1000);
	assert_true(span_is(s.udp.payload, "answer"));
	assert_true(s.ip.dont_fragment);
	struct stack_totals t = lab_totals(l);
	assert_int_equal(t.udp_flows, 1);
	assert_int_equal(t.udp_bindings, 1);
	assert_int_equal(t.udp_opened, 1);
}

/* One port, one binding, whoever it talks to. */
static void
maps_a_port_once(void **state)
{
	struct lab *l = *state;
	say(l, 1000, 9);
	struct udp_binding *b = l->b;
	say(l, 1000, 10);
	assert_ptr_equal(l->b, b);
	lab_udp(l, GUEST, 1000, ip4(0x01010101), 9, SPAN_LIT("x"));
	assert_ptr_equal(l->b, b);
	assert_int_equal(l->flows, 3);
	say(l, 1001, 9);
	assert_ptr_not_equal(l->b, b);
	lab_udp(l, NEIGHBOUR, 1000, WORLD, 9, SPAN_LIT("x"));
	assert_ptr_not_equal(l->b, b);
	assert_int_equal(l->bindings, 3);
	struct udp_binding *c = l->b;
	hear_from(l, c, WORLD, 9);
	assert_ip(lab_one(l).ip.dst, NEIGHBOUR);
}

static void
lets_in_only_who_was_asked(void **state)
{
	struct lab *l = *state;
	say(l, 1000, 9);
	hear_from(l, l->b, WORLD, 10);
	hear_from(l, l->b, ip4(0x08080809), 9);
	lab_silence(l);
	assert_int_equal(l->stats.udp_dropped, 2);
	say(l, 1000, 10);
	hear_from(l, l->b, WORLD, 10);
	lab_one(l);
}

static void
drops_bad_checksums(void **state)
{
	struct lab *l = *state;
	uint8_t d[] = {3, 232, 0, 9, 0, 10, 0, 0, 'h', 'i'};
	struct ippkt k = {.src = GUEST, .dst = WORLD, .proto = IPPROTO_UDP};
	lab_ip(l, k, span(d, sizeof d)); /* none at all */
	assert_int_equal(l->udp_sends, 1);
	d[7] = 1;
	lab_ip(l, k, span(d, sizeof d));
	assert_int_equal(l->udp_sends, 1);
	assert_int_equal(l->stats.frames_bad, 1);
	d[7] = 0;
	d[5] = 11; /* longer than it is */
	lab_ip(l, k, span(d, sizeof d));
	d[5] = 7;
	lab_ip(l, k, span(d, sizeof d));
	lab_ip(l, k, span(d, 7));
	assert_int_equal(l->udp_sends, 1);
	assert_int_equal(l->stats.frames_bad, 4);
	d[5] = 9; /* shorter: what is behind it is padding */
	lab_ip(l, k, span(d, sizeof d));
	assert_int_equal(l->payload_len, 1);
}

static void
leaves_groups_alone(void **state)
{
	struct lab *l = *state;
	static const uint32_t groups[] = {0x0a0002ff, 0x0a000200, 0xffffffff, 0xe00000fb, 0};
	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		lab_udp(l, GUEST, 5353, ip4(groups[i]), 5353, SPAN_LIT("x"));
	lab_udp(l, GUEST, 0, WORLD, 9, SPAN_LIT("x"));
	lab_udp(l, GUEST, 9, WORLD, 0, SPAN_LIT("x"));
	assert_int_equal(l->udp_sends, 0);
	assert_int_equal(l->bindings_ever, 0);
	lab_silence(l);
}

static void
wants_a_guest_as_sender(void **state)
{
	struct lab *l = *state;
	static const uint32_t bad[] = {
	        0, 0xc0a80105, 0x0a000202, 0x0a0002ff, 0xffffffff, 0x7f000001};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		lab_udp(l, ip4(bad[i]), 1000, WORLD, 9, SPAN_LIT("x"));
	assert_int_equal(l->udp_sends, 0);
	assert_false(lab_totals(l).assigned);
	say(l, 1000, 9); /* adopted by its first packet */
	assert_int_equal(l->udp_sends, 1);
	assert_true(lab_totals(l).assigned);
}

static void
asks_the_filter(void **state)
{
	struct lab *l = *state;
	l->refuse = true;
	say(l, 1000, 9);
	lab_silence(l);
	assert_int_equal(l->bindings_ever, 0);
	assert_int_equal(l->stats.filtered, 1);
	/* the gateway's own ports are closed, and it may say so */
	lab_udp(l, GUEST, 1000, GATEWAY, 9, SPAN_LIT("x"));
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_PORT_UNREACHABLE);
	assert_ip(s.ip.src, GATEWAY);
}

static void
says_nothing_of_policy(void **state)
{
	struct lab *l = *state;
	l->udp_ret = -EACCES;
	say(l, 1000, 9);
	lab_silence(l);
	struct stack_totals t = lab_totals(l);
	assert_int_equal(t.udp_flows, 0);
	assert_int_equal(t.udp_bindings, 0);
	assert_int_equal(t.udp_opened, 0);
	assert_int_equal(l->flows, 0);
	assert_int_equal(l->bindings, 0);
}

static void
answers_errors(void **state)
{
	struct lab *l = *state;
	static const struct {
		int err;
		enum icmp_kind kind;
		uint32_t from;
	} rows[] = {
	        {ECONNREFUSED, ICMP_KIND_PORT_UNREACHABLE, 0x08080808},
	        {EHOSTUNREACH, ICMP_KIND_HOST_UNREACHABLE, 0x0a000202},
	        {ENETUNREACH, ICMP_KIND_NET_UNREACHABLE, 0x0a000202},
	        {EPERM, ICMP_KIND_PROHIBITED, 0x0a000202},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		l->udp_ret = -rows[i].err;
		say(l, 1000, 9);
		struct seen s = lab_one(l);
		assert_int_equal(s.icmp.kind, rows[i].kind);
		assert_ip(s.ip.src, ip4(rows[i].from));
		assert_int_equal(l->flows, 0);
	}
	static const int silent[] = {EMFILE, ENOBUFS, ENOMEM, EINVAL, EIO};
	for (size_t i = 0; i < ARRAY_LEN(silent); i++) {
		l->udp_ret = -silent[i];
		say(l, 1000, 9);
		lab_silence(l);
	}
	/* a flow that works ends too, and may begin again */
	l->udp_ret = 0;
	say(l, 1000, 9);
	l->udp_ret = -ECONNREFUSED;
	say(l, 1000, 9);
	assert_int_equal(lab_one(l).icmp.kind, ICMP_KIND_PORT_UNREACHABLE);
	assert_int_equal(l->flows, 0);
	l->udp_ret = 0;
	say(l, 1000, 9);
	assert_int_equal(l->flows, 1);
}

static void
tells_the_path_mtu(void **state)
{
	struct lab *l = *state;
	static uint8_t big[1400];
	l->udp_ret = 0;
	say(l, 1000, 9);
	l->udp_ret = -EMSGSIZE;
	lab_udp(l, GUEST, 1000, WORLD, 9, span(big, sizeof big));
	lab_silence(l); /* it did not ask */
	l->dont_fragment = true;
	lab_udp(l, GUEST, 1000, WORLD, 9, span(big, sizeof big));
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_TOO_BIG);
	assert_int_equal(s.icmp.mtu, 1280);
	assert_int_equal(l->flows, 1);
	struct endpoint dst = SERVER;
	struct ip router = ip4(0xc6336401);
	stack_udp_error(l->st, l->b, &dst, &router, 3, 4, 1400, l->now);
	s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_TOO_BIG);
	assert_int_equal(s.icmp.mtu, 1400);
	assert_ip(s.ip.src, router);
	assert_int_equal(l->flows, 1);
}

static void
is_hop_one(void **state)
{
	struct lab *l = *state;
	l->ttl = 1;
	say(l, 1000, 33434);
	struct seen s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_TTL_EXCEEDED);
	assert_ip(s.ip.src, GATEWAY);
	assert_int_equal(l->bindings_ever, 0);
	l->ttl = 2;
	say(l, 1000, 33434);
	lab_silence(l);
	assert_int_equal(l->sent_ttl, 1);
}

/* What traceroute sees: each router, then the host itself, which ends the flow. */
static void
passes_errors_on(void **state)
{
	struct lab *l = *state;
	struct endpoint dst = {WORLD, 33435};
	struct ip router = ip4(0xc6336401);
	l->tos = 4;
	say(l, 1000, 33434);
	say(l, 1000, 33435);
	struct udp_binding *b = l->b;
	stack_udp_error(l->st, b, &dst, &router, 11, 0, 0, l->now);
	struct seen s = lab_one(l);
	struct ippkt q;
	assert_int_equal(s.icmp.kind, ICMP_KIND_TTL_EXCEEDED);
	assert_ip(s.ip.src, router);
	assert_int_equal(ippkt_parse_quoted(s.icmp.body, &q), 0);
	assert_ip(q.src, GUEST);
	assert_ip(q.dst, WORLD);
	assert_int_equal(q.id, l->ip_id);
	assert_int_equal(q.tos, 4);
	assert_int_equal(get16(q.payload.p), 1000);
	assert_int_equal(get16(q.payload.p + 2), 33435);
	assert_int_equal(get16(q.payload.p + 4), UDP_HEAD + 5);
	assert_int_not_equal(get16(q.payload.p + 6), 0);
	assert_int_equal(get16(s.icmp.body.p + 2), 20 + UDP_HEAD + 5);
	assert_int_equal(l->flows, 2);
	struct ip lying = ip4(0x7f000001);
	stack_udp_error(l->st, b, &dst, &lying, 3, 3, 0, l->now);
	s = lab_one(l);
	assert_int_equal(s.icmp.kind, ICMP_KIND_PORT_UNREACHABLE);
	assert_ip(s.ip.src, WORLD);
	assert_int_equal(l->flows, 1);
	stack_udp_error(l->st, b, &dst, &router, 11, 0, 0, l->now);
	dst.port = 33434;
	stack_udp_error(l->st, b, &dst, &router, 5, 0, 0, l->now);
	lab_silence(l);
	stack_udp_error(l->st, b, &dst, &router, 3, 3, 0, l->now);
	assert_int_equal(l->bindings, 0);
	lab_one(l);
}

/* A limit of two admits exactly two pairs of a guest port and a destination. */
static void
limits_flows(void **state)
{
	struct lab *l = *state;
	l->conf.udp_max_flows = 2;
	say(l, 1000, 9);
	say(l, 1001, 9);
	say(l, 1002, 9);
	assert_int_equal(l->udp_sends, 2);
	assert_int_equal(l->stats.udp_flow_limit, 1);
	assert_int_equal(l->bindings_ever, 2);
	say(l, 1000, 10); /* a binding is there, a flow is not */
	assert_int_equal(l->udp_sends, 2);
	assert_int_equal(l->stats.udp_flow_limit, 2);
	say(l, 1001, 9);
	say(l, 1000, 9);
	assert_int_equal(l->udp_sends, 4);
	assert_int_equal(l->flows, 2);
	l->conf.udp_max_flows = 0;
	for (uint16_t p = 2000; p < 3000; p++)
		say(l, p, 9);
	assert_int_equal(l->flows, 1002);
	l->no_binding = true;
	say(l, 4000, 9);
	assert_int_equal(l->stats.udp_flow_limit, 3);
	assert_int_equal(l->flows, 1002);
}

static void
idles_out_and_opens_again(void **state)
{
	struct lab *l = *state;
	l->conf.udp_idle_ms = 50;
	say(l, 1000, 9);
	lab_tick(l, 49);
	assert_int_equal(l->flows, 1);
	lab_tick(l, 1);
	assert_int_equal(l->flows, 0);
	assert_int_equal(l->bindings, 0);
	say(l, 1000, 9);
	assert_int_equal(l->udp_sends, 2);
	assert_int_equal(l->flows, 1);
	for (int i = 0; i < 10; i++) {
		lab_tick(l, 40);
		if (i % 2)
			say(l, 1000, 9);
		else
			hear_from(l, l->b, WORLD, 9);
	}
	assert_int_equal(l->bindings_ever, 2);
	lab_tick(l, 50);
	assert_int_equal(l->flows, 0);
	assert_int_equal(wheel_next(&l->wheel) > l->now, 1);
}

static void
waits_less_for_the_first_answer(void **state)
{
	struct lab *l = *state;
	say(l, 1000, 9);
	say(l, 1001, 9);
	hear_from(l, l->b, WORLD, 9);
	lab_tick(l, 29999);
	assert_int_equal(l->flows, 2);
	lab_tick(l, 1);
	assert_int_equal(l->flows, 1);
	lab_tick(l, 29999);
	assert_int_equal(l->flows, 1);
	lab_tick(l, 1);
	assert_int_equal(l->flows, 0);
	l->conf.udp_unreplied_ms = 0;
	say(l, 1000, 9);
	lab_tick(l, 59999);
	assert_int_equal(l->flows, 1);
	lab_tick(l, 1);
	assert_int_equal(l->flows, 0);
	l->conf.udp_idle_ms = 0;
	say(l, 1000, 9);
	lab_tick(l, 1000000000);
	assert_int_equal(l->flows, 1);
}

/* Guests that ask name servers of their own open a flow for every question. */
static void
soon_forgets_lookups(void **state)
{
	struct lab *l = *state;
	say(l, 1000, 53);
	say(l, 1001, 53);
	hear_from(l, l->b, WORLD, 53);
	lab_tick(l, 9999);
	assert_int_equal(l->flows, 2);
	lab_tick(l, 1);
	assert_int_equal(l->flows, 0);
	l->conf.udp_idle_ms = 50;
	say(l, 1000, 53);
	lab_tick(l, 50);
	assert_int_equal(l->flows, 0);
	l->conf.udp_idle_ms = 0;
	say(l, 1000, 53);
	lab_tick(l, 1000000);
	assert_int_equal(l->flows, 1);
}

/* Flows end one by one; the binding goes with the last. */
static void
ends_a_binding_with_its_last_flow(void **state)
{
	struct lab *l = *state;
	say(l, 1000, 9);
	lab_tick(l, 10000);
	say(l, 1000, 10);
	lab_tick(l, 20000);
	assert_int_equal(l->flows, 1);
	assert_int_equal(l->bindings, 1);
	hear_from(l, l->b, WORLD, 9);
	lab_pull(l);
	assert_int_equal(l->n, 0);
	lab_tick(l, 10000);
	assert_int_equal(l->bindings, 0);
}

static void
cuts_large_datagrams(void **state)
{
	struct lab *l = *state;
	static uint8_t big[65507], got[65535];
	struct endpoint src = SERVER;
	static const size_t sizes[] = {1472, 1473, 8192, sizeof big};
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)(i * 13);
	say(l, 1000, 9);
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		stack_udp_input(l->st, l->b, &src, span(big, sizes[k]), l->now);
		size_t n = sizes[k] + UDP_HEAD, sum = 0;
		assert_int_equal(lab_pull(l), (n + 1479) / 1480);
		uint32_t id = lab_seen(l, 0).ip.id;
		for (unsigned i = 0; i < l->n; i++) {
			struct seen s = lab_seen(l, i);
			assert_int_equal(s.ip.id, id);
			assert_int_equal(s.ip.dont_fragment, l->n == 1);
			memcpy(got + s.ip.offset, s.ip.payload.p, s.ip.payload.n);
			sum += s.ip.payload.n;
		}
		assert_int_equal(sum, n);
		struct ippkt whole = lab_seen(l, 0).ip;
		struct udpdgram d;
		whole.payload = span(got, n);
		assert_int_equal(udp_parse(&whole, &d), 0);
		assert_int_equal(d.payload.n, sizes[k]);
		assert_memory_equal(d.payload.p, big, sizes[k]);
	}
	l->conf.max_frame = 590; /* shorter than the MTU says */
	stack_udp_input(l->st, l->b, &src, span(big, 1400), l->now);
	lab_pull(l);
	for (unsigned i = 0; i < l->n; i++)
		assert_true(l->frame[i].n <= 590);
	assert_int_equal(l->n, 3);
	assert_int_equal(l->dropped, 0);
}

static void
carries_jumbo_frames(void **state)
{
	struct lab *l = *state;
	static uint8_t big[8900];
	struct endpoint src = SERVER;
	l->conf.mtu = 9000;
	l->conf.max_frame = 9014;
	memset(big, 7, sizeof big);
	say(l, 1000, 9);
	for (int i = 0; i < 5; i++)
		stack_udp_input(l->st, l->b, &src, span(big, sizeof big - (size_t)i), l->now);
	assert_int_equal(lab_pull(l), 5);
	for (unsigned i = 0; i < 5; i++) {
		struct seen s = lab_seen(l, i);
		assert_int_equal(s.udp.payload.n, sizeof big - i);
		assert_memory_equal(s.udp.payload.p, big, sizeof big - i);
	}
}

static void
bounds_what_waits(void **state)
{
	struct lab *l = *state;
	static uint8_t big[1400];
	struct endpoint src = SERVER;
	say(l, 1000, 9);
	struct udp_binding *flood = l->b;
	say(l, 1001, 9);
	struct udp_binding *quiet = l->b;
	hear_from(l, quiet, WORLD, 9);
	for (int i = 0; i < 10000; i++)
		stack_udp_input(l->st, flood, &src, span(big, sizeof big), l->now);
	assert_true(lab_totals(l).memory <= 262144 + 4096);
	lab_pull(l);
	assert_true(l->n > 100 && l->n <= 129);
	assert_int_equal(l->stats.udp_dropped, 10000 + 1 - l->n);
	unsigned heard = 0;
	for (unsigned i = 0; i < l->n; i++)
		heard += lab_seen(l, i).udp.dport == 1001;
	assert_int_equal(heard, 1); /* the flood pays, not its neighbour */
	assert_int_equal(l->nodes.used, 0);
	l->conf.udp_queue_bytes = 0;
	hear_from(l, quiet, WORLD, 9);
	lab_silence(l);
}

/* Old datagrams make way for newer ones; the last one is delivered however old. */
static void
drops_stale_heads(void **state)
{
	struct lab *l = *state;
	static uint8_t big[4000];
	struct endpoint src = SERVER;
	say(l, 1000, 9);
	for (int i = 0; i < 3; i++)
		stack_udp_input(l->st, l->b, &src, span(big, sizeof big), l->now);
	lab_tick(l, 15);
	hear_from(l, l->b, WORLD, 9);
	lab_tick(l, 10);
	lab_one(l);
	assert_int_equal(l->stats.udp_dropped, 3);
	hear_from(l, l->b, WORLD, 9);
	lab_tick(l, 500);
	lab_one(l);
	assert_int_equal(l->stats.udp_dropped, 3);
	l->conf.udp_queue_ms = 0;
	hear_from(l, l->b, WORLD, 9);
	hear_from(l, l->b, WORLD, 9);
	lab_tick(l, 500);
	assert_int_equal(lab_pull(l), 2);
}

/* A datagram whose first fragments are out is not abandoned. */
static void
finishes_what_it_began(void **state)
{
	struct lab *l = *state;
	static uint8_t big[4000];
	struct endpoint src = SERVER;
	say(l, 1000, 9);
	stack_udp_input(l->st, l->b, &src, span(big, sizeof big), l->now);
	hear_from(l, l->b, WORLD, 9);
	l->budget = 1600;
	assert_int_equal(lab_pull(l), 1);
	assert_true(l->more);
	lab_tick(l, 100);
	l->budget = sizeof l->out;
	assert_int_equal(lab_pull(l), 3);
	assert_int_equal(l->stats.udp_dropped, 0);
}

static void
goes_with_the_stack(void **state)
{
	struct lab *l = *state;
	for (uint16_t p = 1; p < 200; p++) {
		say(l, p, 9);
		hear_from(l, l->b, WORLD, 9);
	}
	assert_int_equal(l->bindings, 199);
}

static void
survives_a_full_slab(void **state)
{
	struct lab *l = *state;
	static uint8_t big[60000];
	struct endpoint src = SERVER;
	l->nodes.cap = 10;
	say(l, 1000, 9);
	stack_udp_input(l->st, l->b, &src, span(big, sizeof big), l->now);
	assert_int_equal(l->nodes.used, 0);
	lab_silence(l);
	stack_udp_input(l->st, l->b, &src, span(big, 10000), l->now);
	assert_int_equal(lab_pull(l), 7);
	assert_int_equal(l->stats.udp_dropped, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(carries_datagrams),
	        LAB_TEST(maps_a_port_once),
	        LAB_TEST(lets_in_only_who_was_asked),
	        LAB_TEST(drops_bad_checksums),
	        LAB_TEST(leaves_groups_alone),
	        LAB_TEST(wants_a_guest_as_sender),
	        LAB_TEST(asks_the_filter),
	        LAB_TEST(says_nothing_of_policy),
	        LAB_TEST(answers_errors),
	        LAB_TEST(tells_the_path_mtu),
	        LAB_TEST(is_hop_one),
	        LAB_TEST(passes_errors_on),
	        LAB_TEST(limits_flows),
	        LAB_TEST(idles_out_and_opens_again),
	        LAB_TEST(waits_less_for_the_first_answer),
	        LAB_TEST(soon_forgets_lookups),
	        LAB_TEST(ends_a_binding_with_its_last_flow),
	        LAB_TEST(cuts_large_datagrams),
	        LAB_TEST(carries_jumbo_frames),
	        LAB_TEST(bounds_what_waits),
	        LAB_TEST(drops_stale_heads),
	        LAB_TEST(finishes_what_it_began),
	        LAB_TEST(goes_with_the_stack),
	        LAB_TEST(survives_a_full_slab),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
