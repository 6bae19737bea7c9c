#include "net/ping.h"

#include "base/cursor.h"
#include "tests/unit/net/ownnet.h"

struct tunnel {
	struct ping_set set;
	int replies, errors;
	struct ip src, from, dst;
	uint16_t id, seq;
	uint8_t ttl, type, code;
	size_t n;
	uint8_t data[4096];
	char end_in; /* 'r', 'e': ping_end, 'R', 'E': ping_close */
};

struct rig {
	struct worker w;
	struct ping_net net;
	struct tunnel t;
};

static bool own_net;

static void
maybe_end(struct tunnel *t, char here, uint16_t id)
{
	if (t->end_in == here)
		ping_end(&t->set, id);
	else if (t->end_in == here - 'a' + 'A')
		ping_close(&t->set);
}

static void
on_reply(struct ping_set *s, const struct ip *src, uint16_t id, uint16_t seq, struct span payload,
        uint8_t ttl)
{
	struct tunnel *t = CONTAINER_OF(s, struct tunnel, set);
	t->replies++;
	t->src = *src;
	t->id = id;
	t->seq = seq;
	t->ttl = ttl;
	t->n = payload.n;
	memcpy(t->data, payload.p, payload.n);
	maybe_end(t, 'r', id);
}

static void
on_error(struct ping_set *s, const struct ip *dst, uint16_t id, uint16_t seq, const struct ip *from,
        uint8_t type, uint8_t code, uint32_t mtu)
{
	struct tunnel *t = CONTAINER_OF(s, struct tunnel, set);
	(void)mtu;
	t->errors++;
	t->dst = *dst;
	t->id = id;
	t->seq = seq;
	t->from = *from;
	t->type = type;
	t->code = code;
	maybe_end(t, 'e', id);
}

static const struct ping_ops ops = {on_reply, on_error};

static void
start(struct rig *r, uint32_t max_ids)
{
	struct ping_caps caps;
	if (!own_net)
		skip();
	ping_probe(&caps);
	assert_true(caps.v4 && caps.v6);
	*r = (struct rig){0};
	loop_open(&r->w);
	assert_int_equal(ping_net_init(&r->net, &r->w, &caps, max_ids, &ops), 0);
	ping_open(&r->net, &r->t.set);
}

static void
end(struct rig *r)
{
	ping_close(&r->t.set);
	ping_close(&r->t.set);
	assert_int_equal(r->net.ids.used, 0);
	ping_net_fini(&r->net);
	loop_close(&r->w);
}

static int
family_of(void **state)
{
	return *(const int *)*state;
}

static void
test_echo(void **state)
{
	struct rig r;
	uint8_t data[1400];
	struct ip lo = loopback(family_of(state));
	start(&r, 8);
	memset(data, 0x5a, sizeof data);
	static const size_t size[] = {0, 56, 1400};
	for (uint16_t i = 0; i < 3; i++) {
		assert_int_equal(ping_send(&r.t.set, &lo, 0xbeef, (uint16_t)(65534 + i),
		                         span(data, size[i]), 0),
		        0);
		LOOP_UNTIL(&r.w, r.t.replies == i + 1);
		assert_int_equal(r.t.id, 0xbeef);
		assert_int_equal(r.t.seq, (uint16_t)(65534 + i));
		assert_int_equal(r.t.ttl, 64);
		assert_int_equal(r.t.n, size[i]);
		assert_memory_equal(r.t.data, data, size[i]);
		assert_true(ip_eq(&r.t.src, &lo));
	}
	end(&r);
}

static void
test_ids_are_apart_and_bounded(void **state)
{
	struct rig r;
	struct ip lo = loopback(family_of(state));
	start(&r, 2);
	for (uint16_t id = 1; id <= 2; id++) {
		assert_int_equal(ping_send(&r.t.set, &lo, id, 7, SPAN_NONE, 0), 0);
		LOOP_UNTIL(&r.w, r.t.replies == id);
		assert_int_equal(r.t.id, id);
	}
	assert_int_equal(ping_send(&r.t.set, &lo, 3, 7, SPAN_NONE, 0), -ENOBUFS);
	ping_end(&r.t.set, 1);
	ping_end(&r.t.set, 1);
	assert_int_equal(ping_send(&r.t.set, &lo, 3, 7, SPAN_NONE, 0), 0);
	LOOP_UNTIL(&r.w, r.t.replies == 3);
	assert_int_equal(r.t.id, 3);
	end(&r);
}

/* One id may ping both families. */
static void
test_one_id_two_families(void **state)
{
	(void)state;
	struct rig r;
	struct ip lo4 = loopback(AF_INET), lo6 = loopback(AF_INET6);
	start(&r, 1);
	assert_int_equal(ping_send(&r.t.set, &lo4, 9, 1, SPAN_NONE, 0), 0);
	assert_int_equal(ping_send(&r.t.set, &lo6, 9, 2, SPAN_NONE, 0), 0);
	LOOP_UNTIL(&r.w, r.t.replies == 2);
	end(&r);
}

/* Reads the next echo request off the wire: its TTL (IPv4 only) and the kernel's id. */
static uint16_t
sniff(int raw, int family, uint8_t *ttl)
{
	uint8_t p[2048];
	for (;;) {
		ssize_t n = recv(raw, p, sizeof p, 0);
		size_t at = family == AF_INET ? 20 : 0;
		assert_true(n >= (ssize_t)at + 8);
		if (p[at] != (family == AF_INET ? 8 : 128))
			continue;
		*ttl = family == AF_INET ? p[8] : 0;
		return get16(p + at + 4);
	}
}

static int
sniffer(int family)
{
	struct timeval patience = {2, 0};
	int fd = socket(
	        family, SOCK_RAW | SOCK_CLOEXEC, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void
test_ttl_goes_out(void **state)
{
	(void)state;
	static const uint8_t want[] = {3, 0, 255, 3};
	struct rig r;
	struct ip lo = loopback(AF_INET);
	start(&r, 4);
	int raw = sniffer(AF_INET);
	for (int i = 0; i < 4; i++) {
		uint8_t ttl;
		assert_int_equal(ping_send(&r.t.set, &lo, 1, 1, SPAN_NONE, want[i]), 0);
		sniff(raw, AF_INET, &ttl);
		assert_int_equal(ttl, want[i] ? want[i] : 64);
	}
	close(raw);
	end(&r);
}

static void
forge_error(struct rig *r, int raw, int family, uint16_t seq, uint8_t type, uint8_t code)
{
	struct ip lo = loopback(family);
	uint8_t ttl, echo[8] = {family == AF_INET ? 8 : 128};
	assert_int_equal(ping_send(&r->t.set, &lo, 77, seq, SPAN_LIT("payload"), 2), 0);
	put16(echo + 4, sniff(raw, family, &ttl));
	put16(echo + 6, seq);
	ownnet_forge(family, type, code, 0, &lo, &lo,
	        family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6, echo);
}

static void
test_routers_are_heard(void **state)
{
	int family = family_of(state);
	bool v4 = family == AF_INET;
	struct rig r;
	struct ip router = v4 ? ip4(0x7f00004d) : loopback(family), lo = loopback(family);
	start(&r, 4);
	int raw = sniffer(family);
	forge_error(&r, raw, family, 0x1234, v4 ? 11 : 3, 0);
	LOOP_UNTIL(&r.w, r.t.errors == 1);
	assert_int_equal(r.t.id, 77);
	assert_int_equal(r.t.seq, 0x1234);
	assert_int_equal(r.t.type, v4 ? 11 : 3);
	assert_true(ip_eq(&r.t.from, &router));
	assert_true(ip_eq(&r.t.dst, &lo));
	forge_error(&r, raw, family, 5, v4 ? 3 : 1, v4 ? 1 : 3);
	LOOP_UNTIL(&r.w, r.t.errors == 2);
	assert_int_equal(r.t.type, v4 ? 3 : 1);
	assert_int_equal(r.t.code, v4 ? 1 : 3);
	assert_int_equal(r.t.seq, 5);
	close(raw);
	end(&r);
}

static void
test_ending_inside_callbacks(void **state)
{
	int family = family_of(state);
	for (const char *how = "rReE"; *how; how++) {
		struct rig r;
		struct ip lo = loopback(family);
		start(&r, 4);
		int raw = sniffer(family);
		r.t.end_in = *how;
		if (*how == 'e' || *how == 'E')
			forge_error(&r, raw, family, 1, family == AF_INET ? 11 : 3, 0);
		for (uint16_t i = 0; i < 3; i++)
			assert_int_equal(ping_send(&r.t.set, &lo, 77, i, SPAN_NONE, 0), 0);
		LOOP_UNTIL(&r.w, r.net.ids.used == 0);
		loop_for(&r.w, 3);
		assert_int_equal(r.t.errors + r.t.replies, 1);
		close(raw);
		end(&r);
	}
}

static void
test_not_allowed(void **state)
{
	(void)state;
	struct rig r;
	struct ping_caps caps;
	struct ip lo4 = loopback(AF_INET), lo6 = loopback(AF_INET6);
	start(&r, 1);
	assert_true(ownnet_write("/proc/sys/net/ipv4/ping_group_range", "1 0"));
	/* Taken away after it was found to work. */
	assert_int_equal(ping_send(&r.t.set, &lo4, 1, 1, SPAN_NONE, 0), -EPERM);
	assert_int_equal(r.net.ids.used, 0);
	ping_probe(&caps);
	assert_false(caps.v4 || caps.v6);
	assert_non_null(strstr(caps.why4, "net.ipv4.ping_group_range is \"1 0\", without group"));
	ping_net_fini(&r.net);
	assert_int_equal(ping_net_init(&r.net, &r.w, &caps, 1, &ops), 0);
	assert_int_equal(ping_send(&r.t.set, &lo4, 1, 1, SPAN_NONE, 0), -EPERM);
	assert_int_equal(ping_send(&r.t.set, &lo6, 1, 1, SPAN_NONE, 0), -EPERM);
	assert_true(ownnet_write("/proc/sys/net/ipv4/ping_group_range", "0 0"));
	end(&r);
}

static void
test_no_route(void **state)
{
	(void)state;
	struct rig r;
	struct ip far = ip4(0xc0000201);
	start(&r, 1);
	assert_int_equal(ping_send(&r.t.set, &far, 1, 1, SPAN_NONE, 0), -ENETUNREACH);
	end(&r);
}

#define BOTH(t)                                           \
	cmocka_unit_test_prestate(t, (void *)&family[0]), \
	        cmocka_unit_test_prestate(t, (void *)&family[1])

int
main(void)
{
	static const int family[] = {AF_INET, AF_INET6};
	own_net = ownnet_enter() && ownnet_write("/proc/sys/net/ipv4/ping_group_range", "0 0");
	const struct CMUnitTest tests[] = {
	        BOTH(test_echo),
	        BOTH(test_ids_are_apart_and_bounded),
	        cmocka_unit_test(test_one_id_two_families),
	        cmocka_unit_test(test_ttl_goes_out),
	        BOTH(test_routers_are_heard),
	        BOTH(test_ending_inside_callbacks),
	        cmocka_unit_test(test_not_allowed),
	        cmocka_unit_test(test_no_route),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
