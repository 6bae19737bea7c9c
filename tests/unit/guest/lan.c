/* The guest against the real stack, over a link with delay and losses, in virtual time. The world
 * behind the stack is in memory: an echo, a sink, a source, a refuser, for TCP and UDP, and a
 * resolver. */
#include "rig.h"

#include "base/slab.h"
#include "client/lane.h"
#include "stack/stack.h"
#include "stack/tcp.h"
#include "stack/udp.h"

#include <errno.h>

enum { ECHO = 7, SINK = 9, SOURCE = 19, REFUSED = 81, SILENT = 82, PROHIBITED = 83, RESETS = 84 };
enum { SOURCE_BYTES = 300000, ROOM = 256 << 10, OUT = 1 << 20 };

struct far {
	struct tcp_flow f;
	struct list all;
	uint64_t in;           /* bytes written by the guest */
	uint64_t start, total; /* of what goes back: discarded, available */
	bool fin, news, opening, released;
	uint8_t out[OUT]; /* echo: what was written, from byte 0 */
};

struct net {
	struct rig r;
	struct stack *st;
	struct stack_conf conf;
	struct stack_stats stats;
	struct stack_shared shared;
	struct slab nodes;
	struct list flows;
	struct lane up, down; /* to the stack, to the guest; due times in µs */
	uint32_t delay_ms, loss_ppm;
	uint64_t random, lost;
	/* news for the stack, delivered from the loop */
	bool udp_news, dns_news;
	struct udp_binding *udp_from;
	struct endpoint udp_to;
	uint8_t udp[65536], query[600];
	size_t udp_n, query_n;
	int udp_err;
	uint32_t token;
	unsigned aborts;
};

static struct net net;

static uint8_t
pattern(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 9));
}

static struct far *
far_of(struct tcp_flow *f)
{
	return CONTAINER_OF(f, struct far, f);
}

/* --- the world -------------------------------------------------------------------------------- */

static void
op_wake(struct stack *st)
{
	(void)st;
}

static bool
op_filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	(void)st, (void)proto, (void)dst;
	return true;
}

static struct tcp_flow *
op_tcp_alloc(struct stack *st)
{
	(void)st;
	struct far *f = calloc(1, sizeof *f);
	list_add(&net.flows, &f->all);
	return &f->f;
}

static void
op_tcp_free(struct stack *st, struct tcp_flow *f, bool abort)
{
	(void)st;
	net.aborts += abort;
	list_del(&far_of(f)->all);
	free(far_of(f));
}

static int
op_tcp_open(struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos)
{
	(void)st, (void)tos;
	if (dst->port == PROHIBITED)
		return -EACCES;
	far_of(f)->opening = dst->port != SILENT;
	return 0;
}

static uint32_t
op_tcp_room(struct stack *st, struct tcp_flow *f)
{
	(void)st, (void)f;
	return ROOM;
}

static int
op_tcp_write(struct stack *st, struct tcp_flow *f, const struct iovec *iov, int n, bool urgent)
{
	struct far *w = far_of(f);
	(void)st, (void)urgent;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++) {
			uint8_t c = ((const uint8_t *)iov[i].iov_base)[k];
			assert_int_equal(c, pattern(w->in));
			if (f->remote.port == ECHO) {
				assert_true(w->total < OUT);
				w->out[w->total++] = c;
			}
			w->in++;
		}
	w->news = true;
	return 0;
}

static void
op_tcp_shutdown(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	far_of(f)->fin = far_of(f)->news = true;
}

static ssize_t
op_tcp_peek(struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n)
{
	struct far *w = far_of(f);
	uint64_t at = w->start + off;
	ssize_t got = 0;
	(void)st;
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < w->total; k++, at++, got++)
			((uint8_t *)iov[i].iov_base)[k] =
			        f->remote.port == ECHO ? w->out[at] : pattern(at);
	bool ended = f->remote.port == SOURCE || w->fin;
	return got ? got : ended ? 0 : -EAGAIN;
}

static void
op_tcp_discard(struct stack *st, struct tcp_flow *f, uint32_t n)
{
	(void)st;
	far_of(f)->start += n;
}

static void
op_tcp_release(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	far_of(f)->released = true;
}

static struct udp_binding *
op_udp_alloc(struct stack *st)
{
	(void)st;
	return calloc(1, sizeof(struct udp_binding));
}

static void
op_udp_free(struct stack *st, struct udp_binding *b)
{
	(void)st;
	if (net.udp_from == b)
		net.udp_news = false;
	free(b);
}

static int
op_udp_send(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
        struct span payload, uint8_t ttl, uint8_t tos)
{
	(void)st, (void)ttl, (void)tos;
	if (dst->port == REFUSED || dst->port == ECHO) {
		net.udp_news = true;
		net.udp_from = b;
		net.udp_to = *dst;
		net.udp_n = payload.n;
		memcpy(net.udp, payload.p, payload.n);
	}
	return dst->port == PROHIBITED ? -EACCES : 0;
}

static void
op_udp_flows(struct stack *st, int delta)
{
	(void)st, (void)delta;
}

static int
op_ping_send(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq, struct span payload,
        uint8_t ttl)
{
	(void)st, (void)dst, (void)id, (void)seq, (void)payload, (void)ttl;
	return -EPERM;
}

static void
op_ping_end(struct stack *st, uint16_t id)
{
	(void)st, (void)id;
}

static int
op_dns_query(struct stack *st, uint32_t token, struct span query)
{
	(void)st;
	net.token = token;
	net.query_n = query.n;
	memcpy(net.query, query.p, query.n);
	net.dns_news = true;
	return 0;
}

static void
op_dns_cancel(struct stack *st, uint32_t token)
{
	(void)st, (void)token;
	net.dns_news = false;
}

static const struct stack_ops ops = {
        .wake = op_wake,
        .filter = op_filter,
        .tcp_alloc = op_tcp_alloc,
        .tcp_free = op_tcp_free,
        .tcp_open = op_tcp_open,
        .tcp_room = op_tcp_room,
        .tcp_write = op_tcp_write,
        .tcp_shutdown = op_tcp_shutdown,
        .tcp_peek = op_tcp_peek,
        .tcp_discard = op_tcp_discard,
        .tcp_release = op_tcp_release,
        .udp_alloc = op_udp_alloc,
        .udp_free = op_udp_free,
        .udp_send = op_udp_send,
        .udp_flows = op_udp_flows,
        .ping_send = op_ping_send,
        .ping_end = op_ping_end,
        .dns_query = op_dns_query,
        .dns_cancel = op_dns_cancel,
};

static void
tcp_news(void)
{
	LIST_FOR_EACH_SAFE (it, &net.flows) {
		struct far *f = LIST_ENTRY(it, struct far, all);
		uint16_t port = f->f.remote.port;
		if (f->opening) {
			f->opening = false;
			if (port == REFUSED) {
				stack_tcp_failed(net.st, &f->f, ECONNREFUSED, net.r.now);
				continue;
			}
			stack_tcp_opened(net.st, &f->f, net.r.now);
			f->total = port == SOURCE ? SOURCE_BYTES : 0;
			f->news = port == SOURCE;
		} else if (f->news && !f->released) {
			f->news = false;
			if (port == RESETS)
				stack_tcp_failed(net.st, &f->f, ECONNRESET, net.r.now);
			else
				stack_tcp_readable(net.st, &f->f, net.r.now);
		}
	}
}

static void
other_news(void)
{
	if (net.udp_news) {
		net.udp_news = false;
		if (net.udp_to.port == REFUSED)
			stack_udp_error(net.st, net.udp_from, &net.udp_to, &net.udp_to.ip, 3, 3, 0,
			        net.r.now);
		else
			stack_udp_input(net.st, net.udp_from, &net.udp_to, span(net.udp, net.udp_n),
			        net.r.now);
	}
	if (net.dns_news) {
		uint8_t p[4096];
		struct wr w = wr_init(p, sizeof p);
		struct dnsmsg q;
		net.dns_news = false;
		assert_int_equal(dns_parse(span(net.query, net.query_n), &q), 0);
		dns_put_reply(&w, &q, DNS_NOERROR);
		for (uint32_t i = 0; i < (q.type == DNS_TXT ? 60 : 1); i++) {
			struct ip a = ip4(0xc6336400 + i);
			if (q.type == DNS_A)
				dns_put_ip(&w, 60, &a);
			else
				dns_put_rr(&w, DNS_ANSWER, NULL, q.type, 60, SPAN_LIT("\x05hello"));
		}
		stack_dns_answer(net.st, net.token, span(p, wr_len(&w)), net.r.now);
	}
}

/* --- the link --------------------------------------------------------------------------------- */

static void
carry(struct lane *l, struct span frame)
{
	net.random ^= net.random << 13;
	net.random ^= net.random >> 7;
	net.random ^= net.random << 17;
	if (net.random % 1000000 < net.loss_ppm)
		net.lost++;
	else
		assert_true(lane_add(l, frame, 1000 * (net.r.now + net.delay_ms)));
}

static void
seal_down(struct emit *e, uint8_t *frame, size_t len)
{
	(void)e;
	carry(&net.down, span(frame, len));
}

static void
pull_stack(void)
{
	struct emit e;
	bool more;
	do {
		emit_init(&e, net.r.arena, RIG_ARENA, 64 << 10, 1514);
		e.head_len = rig_head_len;
		e.seal = seal_down;
		more = stack_pull(net.st, &e, net.r.now);
		emit_end(&e);
	} while (more && e.n);
}

static void
pull_guest(void)
{
	while (rig_pull_some(&net.r, 64 << 10) || net.r.n) {
		for (size_t i = 0; i < net.r.n; i++)
			carry(&net.up, net.r.frame[i]);
		if (!net.r.n)
			break;
	}
}

static void
step(void)
{
	uint64_t us = 1000 * net.r.now;
	struct span f;
	while ((f = lane_first(&net.down, us)).p) {
		guest_frame(net.r.g, f, net.r.now);
		lane_drop(&net.down);
	}
	while ((f = lane_first(&net.up, us)).p) {
		stack_frame(net.st, f, net.r.now);
		stack_rx_end(net.st, net.r.now);
		lane_drop(&net.up);
	}
	tcp_news();
	other_news();
	pull_stack();
	pull_guest();
	wheel_advance(&net.r.wheel, ++net.r.now);
}

#define UNTIL(cond, ms)                                            \
	do {                                                       \
		bool seen_ = false;                                \
		for (unsigned i_ = 0; i_ < (ms) && !seen_; i_++) { \
			step();                                    \
			seen_ = (cond);                            \
		}                                                  \
		assert_true(seen_);                                \
	} while (0)

/* --- up and down ------------------------------------------------------------------------------ */

static void
new_stack(void)
{
	net.conf = (struct stack_conf){
	        .gateway_mac = rig_gateway_mac,
	        .gateway = RIG_GATEWAY,
	        .guest = RIG_GUEST,
	        .prefix_bits = 120,
	        .mtu = 1500,
	        .max_frame = 2048,
	        .lease_s = 100,
	        .domain = "",
	        .hostname = "",
	        .wpad = "",
	        .tcp_max_flows = 64,
	        .tcp_max_half_open = 32,
	        .tcp_max_half_open_to = 8,
	        .tcp_early_bytes = 65536,
	        .tcp_window_flow = 1 << 20,
	        .tcp_window_tunnel = 4 << 20,
	        .tcp_ooo_tunnel = 64 << 10,
	        .tcp_idle_ms = 7440000,
	        .tcp_half_open_ms = 75000,
	        .tcp_fin_wait_ms = 60000,
	        .tcp_time_wait_ms = 5000,
	        .tcp_give_up_ms = 120000,
	        .tcp_delayed_ack_ms = 4,
	        .udp_max_flows = 64,
	        .udp_idle_ms = 60000,
	        .udp_unreplied_ms = 30000,
	        .udp_queue_bytes = 256 << 10,
	        .udp_queue_ms = 200,
	        .frag_bytes = 128 << 10,
	        .frag_count = 16,
	        .frag_ms = 5000,
	        .ping_max = 4,
	        .ping_ms = 10000,
	        .dns_max_pending = 16,
	        .queue_delay_target_ms = 5,
	};
	slab_init(&net.nodes, STACK_NODE, 4096);
	net.shared = (struct stack_shared){
	        .conf = &net.conf,
	        .ops = &ops,
	        .wheel = &net.r.wheel,
	        .stats = &net.stats,
	        .hash_key = {3, 4},
	        .nodes = &net.nodes,
	        .batch = stack_batch_new(),
	};
	net.st = stack_new(&net.shared, NULL);
	assert_non_null(net.st);
}

static void
end_stack(void)
{
	stack_free(net.st);
	stack_batch_free(net.shared.batch);
	slab_fini(&net.nodes);
	lane_fini(&net.up);
	lane_fini(&net.down);
}

static void
start(uint32_t delay_ms, uint32_t loss_ppm)
{
	memset(&net, 0, sizeof net);
	rig_new(&net.r);
	list_init(&net.flows);
	lane_init(&net.up, 16 << 20);
	lane_init(&net.down, 16 << 20);
	net.random = 88172645463325252ull;
	net.delay_ms = delay_ms;
	net.loss_ppm = loss_ppm;
	new_stack();
	gdhcp_start(net.r.g, net.r.now);
	UNTIL(gdhcp_state(net.r.g) == GDHCP_BOUND, 60000);
}

static void
stop(void)
{
	end_stack();
	assert_true(list_empty(&net.flows));
	guest_free(net.r.g);
	free(net.r.arena);
}

static struct gtcp_info
info(const struct gtcp *t)
{
	struct gtcp_info i;
	gtcp_info(t, &i);
	return i;
}

static struct gtcp *
open_to(uint16_t port)
{
	struct endpoint to = {RIG_WORLD, port};
	return gtcp_open(net.r.g, &to, NULL, net.r.now);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void
boots(void **state)
{
	(void)state;
	start(2, 0);
	struct ip guest = RIG_GUEST, gw = RIG_GATEWAY, foreign = ip4(0xc0a80107);
	struct mac mac;
	struct gping_event ev;
	assert_true(ip_eq(&guest_net(net.r.g)->addr, &guest));
	assert_true(gdhcp_count(net.r.g)->offers >= 1);
	guest_resolve(net.r.g, &gw, net.r.now);
	UNTIL(guest_neighbour(net.r.g, &gw, &mac) == NEIGHBOUR_FOUND, 100);
	gping_send(net.r.g, &gw, 1, 2, 2000, 0, net.r.now); /* in fragments */
	UNTIL(gping_next(net.r.g, &ev), 100);
	assert_true(ev.same);
	assert_int_equal(ev.len, 2000);
	uint32_t acks = gdhcp_count(net.r.g)->acks;
	gdhcp_renew(net.r.g, net.r.now);
	UNTIL(gdhcp_count(net.r.g)->acks > acks, 1000);
	assert_int_equal(gdhcp_state(net.r.g), GDHCP_BOUND);
	gdhcp_inform(net.r.g, net.r.now);
	UNTIL(gdhcp_state(net.r.g) == GDHCP_INFORMED, 1000);
	gdhcp_reboot(net.r.g, &foreign, net.r.now);
	UNTIL(gdhcp_count(net.r.g)->naks > 0, 1000);
	UNTIL(gdhcp_state(net.r.g) == GDHCP_BOUND, 10000);
	assert_int_equal(guest_stats(net.r.g)->bad, 0);
	stop();
}

/* Everything there and back, and both ends closed in order. */
static void
echoes(uint32_t delay_ms, uint32_t loss_ppm, uint32_t bytes)
{
	start(delay_ms, loss_ppm);
	struct gtcp *t = open_to(ECHO);
	uint32_t sent = 0, got = 0;
	for (unsigned ms = 0; ms < 600000 && !info(t).eof && !info(t).err; ms++) {
		uint8_t p[4096];
		size_t n = bytes - sent < sizeof p ? bytes - sent : sizeof p;
		for (size_t i = 0; i < n; i++)
			p[i] = pattern(sent + i);
		sent += (uint32_t)gtcp_write(t, span(p, n));
		if (sent == bytes)
			gtcp_shutdown(t);
		while ((n = gtcp_read(t, p, sizeof p)))
			for (size_t i = 0; i < n; i++, got++)
				assert_int_equal(p[i], pattern(got));
		step();
	}
	assert_int_equal(info(t).err, 0);
	assert_int_equal(got, bytes);
	assert_true(info(t).eof);
	if (!loss_ppm) {
		assert_int_equal(info(t).retransmits, 0);
		assert_int_equal(info(t).duplicates, 0);
	} else {
		assert_true(net.lost > 0);
	}
	assert_int_equal(guest_stats(net.r.g)->bad, 0);
	gtcp_close(t, net.r.now);
	UNTIL(list_empty(&net.flows), 200000);
	stop();
}

static void
echo_near(void **state)
{
	(void)state;
	echoes(0, 0, 500000);
}

static void
echo_far(void **state)
{
	(void)state;
	echoes(25, 0, 500000);
}

static void
echo_lossy(void **state)
{
	(void)state;
	echoes(5, 10000, 500000);
}

static void
echo_very_lossy(void **state)
{
	(void)state;
	echoes(1, 50000, 200000);
}

static void
downloads(void **state)
{
	(void)state;
	start(3, 5000);
	struct gtcp *t = open_to(SOURCE);
	uint32_t got = 0;
	uint8_t p[4096];
	for (unsigned ms = 0; ms < 100000 && !info(t).eof; ms++) {
		size_t n;
		while ((n = gtcp_read(t, p, sizeof p)))
			for (size_t i = 0; i < n; i++, got++)
				assert_int_equal(p[i], pattern(got));
		step();
	}
	assert_int_equal(got, SOURCE_BYTES);
	assert_true(info(t).sack);
	gtcp_close(t, net.r.now);
	UNTIL(list_empty(&net.flows), 100000);
	stop();
}

static void
connects_fail_as_they_should(void **state)
{
	(void)state;
	start(2, 0);
	struct gtcp *refused = open_to(REFUSED), *silent = open_to(SILENT);
	struct gtcp *prohibited = open_to(PROHIBITED), *resets = open_to(RESETS);
	UNTIL(info(refused).over && info(prohibited).over, 5000);
	assert_int_equal(info(refused).err, ECONNREFUSED);
	assert_true(info(prohibited).err == EACCES || info(prohibited).err == ECONNREFUSED);
	assert_false(info(silent).up || info(silent).over);
	UNTIL(info(resets).up, 1000);
	uint8_t first = pattern(0);
	gtcp_write(resets, span(&first, 1));
	UNTIL(info(resets).over, 1000);
	assert_int_equal(info(resets).err, ECONNRESET);
	stop();
}

static void
a_guests_reset_goes_through(void **state)
{
	(void)state;
	start(2, 0);
	struct gtcp *t = open_to(SINK);
	UNTIL(info(t).up, 1000);
	gtcp_abort(t, net.r.now);
	UNTIL(list_empty(&net.flows), 1000);
	assert_int_equal(net.aborts, 1);
	stop();
}

static void
udp_and_its_errors(void **state)
{
	(void)state;
	static uint8_t big[8192], back[8192];
	struct endpoint to = {RIG_WORLD, ECHO}, from;
	struct gudp_trouble trouble;
	ssize_t n = -1;
	start(2, 0);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = pattern(i);
	struct gudp *u = gudp_open(net.r.g, 0);
	gudp_send(u, &to, span(big, sizeof big), 0, net.r.now);
	UNTIL((n = gudp_recv(u, &from, back, sizeof back)) >= 0, 1000);
	assert_int_equal(n, sizeof big);
	assert_memory_equal(big, back, sizeof big);
	to.port = REFUSED;
	gudp_send(u, &to, SPAN_LIT("x"), 0, net.r.now);
	UNTIL(gudp_trouble(u, &trouble), 1000);
	assert_int_equal(trouble.kind, ICMP_KIND_PORT_UNREACHABLE);
	assert_true(endpoint_eq(&trouble.about, &to));
	gudp_send(u, &to, SPAN_LIT("x"), 1, net.r.now); /* the gateway is the first hop */
	UNTIL(gudp_trouble(u, &trouble), 1000);
	assert_int_equal(trouble.kind, ICMP_KIND_TTL_EXCEEDED);
	stop();
}

static void
asks_the_resolver(void **state)
{
	(void)state;
	struct gdns_question q = {.type = DNS_A};
	struct dnsmsg m;
	start(2, 0);
	assert_int_equal(dnsname_parse(SPAN_LIT("example.test"), &q.name), 0);
	struct gdns *d = gdns_ask(net.r.g, &q, net.r.now);
	UNTIL(gdns_answer(d, &m, net.r.now), 2000);
	assert_int_equal(m.count[DNS_ANSWER], 1);
	gdns_free(d, net.r.now);
	q.tcp = true;
	d = gdns_ask(net.r.g, &q, net.r.now);
	UNTIL(gdns_answer(d, &m, net.r.now), 2000);
	assert_true(gdns_over_tcp(d));
	gdns_free(d, net.r.now);
	q.tcp = false;
	q.type = DNS_TXT; /* too long for UDP without EDNS */
	d = gdns_ask(net.r.g, &q, net.r.now);
	UNTIL(gdns_answer(d, &m, net.r.now), 3000);
	assert_true(gdns_over_tcp(d));
	assert_int_equal(m.count[DNS_ANSWER], 60);
	gdns_free(d, net.r.now);
	stop();
}

/* The tunnel is dialled again: another stack, the same guest, which need not ask for an address. */
static void
a_new_stack_adopts_the_guest(void **state)
{
	(void)state;
	start(2, 0);
	struct gtcp *old = open_to(ECHO);
	UNTIL(info(old).up, 1000);
	end_stack();
	new_stack();
	uint8_t first = pattern(0);
	gtcp_write(old, span(&first, 1));
	UNTIL(info(old).over, 5000);
	assert_int_equal(info(old).err, ECONNRESET);
	struct gtcp *t = open_to(ECHO);
	UNTIL(info(t).up, 1000);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(boots),
	        cmocka_unit_test(echo_near),
	        cmocka_unit_test(echo_far),
	        cmocka_unit_test(echo_lossy),
	        cmocka_unit_test(echo_very_lossy),
	        cmocka_unit_test(downloads),
	        cmocka_unit_test(connects_fail_as_they_should),
	        cmocka_unit_test(a_guests_reset_goes_through),
	        cmocka_unit_test(udp_and_its_errors),
	        cmocka_unit_test(asks_the_resolver),
	        cmocka_unit_test(a_new_stack_adopts_the_guest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
