#include "net/dgram.h"

#include "tests/unit/net/ownnet.h"

struct port {
	struct dgram d;
	int inputs, errors;
	size_t last_n;
	uint8_t last[70000];
	struct endpoint src, dst;
	struct ip from;
	uint8_t type, code;
	uint32_t mtu;
	int close_at; /* after so many inputs or errors */
};

struct rig {
	struct worker w;
	struct dgram_net net;
	struct port *p;
};

static bool own_net;

static void
maybe_close(struct port *p)
{
	if (p->close_at && p->inputs + p->errors == p->close_at) {
		dgram_close(&p->d);
		memset(&p->d, 0xa5, sizeof p->d);
	}
}

static void
on_input(struct dgram *d, const struct endpoint *src, struct span payload)
{
	struct port *p = CONTAINER_OF(d, struct port, d);
	p->inputs++;
	p->src = *src;
	p->last_n = payload.n;
	memcpy(p->last, payload.p, payload.n);
	maybe_close(p);
}

static void
on_error(struct dgram *d, const struct endpoint *dst, const struct ip *from, uint8_t type,
        uint8_t code, uint32_t mtu)
{
	struct port *p = CONTAINER_OF(d, struct port, d);
	p->errors++;
	p->dst = *dst;
	p->from = *from;
	p->type = type;
	p->code = code;
	p->mtu = mtu;
	maybe_close(p);
}

static const struct dgram_ops ops = {on_input, on_error};

static void
start(struct rig *r, enum dgram_df df)
{
	loop_open(&r->w);
	assert_int_equal(dgram_net_init(&r->net, &r->w, df, &ops), 0);
	r->p = calloc(1, sizeof *r->p);
	dgram_open(&r->net, &r->p->d);
}

static void
end(struct rig *r)
{
	if (!r->p->close_at)
		dgram_close(&r->p->d);
	free(r->p);
	dgram_net_fini(&r->net);
	loop_close(&r->w);
}

static int
family_of(void **state)
{
	return *(const int *)*state;
}

static uint16_t
local_port(const struct dgram_sock *s)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct endpoint e;
	assert_int_equal(getsockname(s->poll.fd, (struct sockaddr *)&ss, &len), 0);
	assert_true(endpoint_from_sockaddr((struct sockaddr *)&ss, &e));
	return e.port;
}

static struct dgram_sock *
sock(struct rig *r, int family)
{
	return family == AF_INET ? &r->p->d.v4 : &r->p->d.v6;
}

/* Read one datagram at a peer, with where it came from. */
static ssize_t
peer_recv(int fd, void *p, size_t n, struct sockaddr_storage *ss, socklen_t *len)
{
	*len = sizeof *ss;
	return recvfrom(fd, p, n, 0, (struct sockaddr *)ss, len);
}

static void
test_there_and_back(void **state)
{
	static const size_t size[] = {0, 1, 512, 1472, 1473, 8192, 65507};
	static uint8_t out[65507], in[65536];
	int family = family_of(state);
	struct rig r;
	struct endpoint at;
	start(&r, DGRAM_DF_KERNEL);
	int peer = loop_socket(family, SOCK_DGRAM, &at);
	for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct sockaddr_storage ss;
		socklen_t len;
		memset(out, (int)i + 1, size[i]);
		assert_int_equal(dgram_send(&r.p->d, &at, span(out, size[i]), 0, 0), 0);
		assert_int_equal(peer_recv(peer, in, sizeof in, &ss, &len), size[i]);
		assert_memory_equal(in, out, size[i]);
		assert_int_equal(
		        sendto(peer, in, size[i], 0, (struct sockaddr *)&ss, len), size[i]);
		LOOP_UNTIL(&r.w, r.p->inputs == (int)i + 1);
		assert_int_equal(r.p->last_n, size[i]);
		assert_memory_equal(r.p->last, out, size[i]);
		assert_true(endpoint_eq(&r.p->src, &at));
	}
	if (family == AF_INET)
		assert_int_equal(dgram_send(&r.p->d, &at, span(in, 65508), 0, 0), -EMSGSIZE);
	close(peer);
	end(&r);
}

static void
test_one_port_for_every_destination(void **state)
{
	int family = family_of(state), peer[3];
	struct rig r;
	uint16_t port = 0;
	start(&r, DGRAM_DF_NEVER);
	for (int i = 0; i < 3; i++) {
		struct endpoint at, from;
		struct sockaddr_storage ss;
		socklen_t len;
		char b[4];
		peer[i] = loop_socket(family, SOCK_DGRAM, &at);
		assert_int_equal(dgram_send(&r.p->d, &at, SPAN_LIT("x"), 0, 0), 0);
		assert_int_equal(peer_recv(peer[i], b, sizeof b, &ss, &len), 1);
		assert_true(endpoint_from_sockaddr((struct sockaddr *)&ss, &from));
		assert_true(!port || port == from.port);
		port = from.port;
	}
	/* Who was never addressed may write too: filtering is not this room's business. */
	struct endpoint stranger_at, us = {loopback(family), port};
	struct sockaddr_storage ss;
	int stranger = loop_socket(family, SOCK_DGRAM, &stranger_at);
	socklen_t len = endpoint_to_sockaddr(&us, &ss);
	assert_int_equal(sendto(stranger, "y", 1, 0, (struct sockaddr *)&ss, len), 1);
	LOOP_UNTIL(&r.w, r.p->inputs == 1);
	assert_true(endpoint_eq(&r.p->src, &stranger_at));
	for (int i = 0; i < 3; i++)
		close(peer[i]);
	close(stranger);
	end(&r);
}

static void
flood(struct rig *r, int family, int n)
{
	struct endpoint at, us = {loopback(family), 0};
	struct sockaddr_storage ss;
	char b[4];
	int peer = loop_socket(family, SOCK_DGRAM, &at);
	assert_int_equal(dgram_send(&r->p->d, &at, SPAN_LIT("x"), 0, 0), 0);
	assert_int_equal(recv(peer, b, sizeof b, 0), 1);
	us.port = local_port(sock(r, family));
	socklen_t len = endpoint_to_sockaddr(&us, &ss);
	for (int i = 0; i < n; i++)
		assert_int_equal(
		        sendto(peer, &i, sizeof i, 0, (struct sockaddr *)&ss, len), sizeof i);
	close(peer);
}

static void
test_more_than_a_batch(void **state)
{
	static const int count[] = {63, 64, 65, 128, 200};
	for (size_t i = 0; i < sizeof count / sizeof count[0]; i++) {
		struct rig r;
		int last;
		start(&r, DGRAM_DF_KERNEL);
		flood(&r, family_of(state), count[i]);
		LOOP_UNTIL(&r.w, r.p->inputs == count[i]);
		memcpy(&last, r.p->last, sizeof last);
		assert_int_equal(last, count[i] - 1);
		end(&r);
	}
}

static void
test_close_in_the_middle_of_a_batch(void **state)
{
	static const int where[] = {1, 10, 64, 70};
	for (size_t i = 0; i < sizeof where / sizeof where[0]; i++) {
		struct rig r;
		start(&r, DGRAM_DF_KERNEL);
		flood(&r, family_of(state), 150);
		r.p->close_at = where[i];
		LOOP_UNTIL(&r.w, r.p->inputs == where[i]);
		loop_for(&r.w, 3);
		assert_int_equal(r.p->inputs, where[i]);
		end(&r);
	}
}

static int
control_int(struct msghdr *m, int level, int type)
{
	int v = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == level && c->cmsg_type == type) {
			v = 0;
			memcpy(&v, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < 4 ? 1 : 4);
		}
	return v;
}

static void
test_ttl_and_tos(void **state)
{
	int family = family_of(state), on = 1;
	struct rig r;
	struct endpoint at;
	start(&r, DGRAM_DF_KERNEL);
	int peer = loop_socket(family, SOCK_DGRAM, &at);
	bool v4 = family == AF_INET;
	int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
	setsockopt(peer, level, v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &on, sizeof on);
	setsockopt(peer, level, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, &on, sizeof on);
	static const uint8_t want[][2] = {{7, 0xb8}, {255, 0}, {1, 0x01}, {0, 0x20}};
	for (size_t i = 0; i < 4; i++) {
		char b[4];
		_Alignas(struct cmsghdr) char ctl[128];
		struct iovec iov = {b, sizeof b};
		struct msghdr m = {.msg_iov = &iov,
		        .msg_iovlen = 1,
		        .msg_control = ctl,
		        .msg_controllen = sizeof ctl};
		assert_int_equal(
		        dgram_send(&r.p->d, &at, SPAN_LIT("x"), want[i][0], want[i][1]), 0);
		assert_int_equal(recvmsg(peer, &m, 0), 1);
		assert_int_equal(control_int(&m, level, v4 ? IP_TTL : IPV6_HOPLIMIT),
		        want[i][0] ? want[i][0] : 64);
		assert_int_equal(control_int(&m, level, v4 ? IP_TOS : IPV6_TCLASS), want[i][1]);
	}
	close(peer);
	end(&r);
}

static void
test_refused_port_is_reported(void **state)
{
	int family = family_of(state);
	struct rig r;
	struct ip lo = loopback(family);
	struct endpoint nobody = loop_closed_port(family, SOCK_DGRAM), at;
	int peer = loop_socket(family, SOCK_DGRAM, &at);
	char b[4];
	start(&r, DGRAM_DF_KERNEL);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(dgram_send(&r.p->d, &nobody, SPAN_LIT("x"), 0, 0), 0);
		/* The report of the first does not cost the second its way. */
		assert_int_equal(dgram_send(&r.p->d, &at, SPAN_LIT("ok"), 0, 0), 0);
		assert_int_equal(recv(peer, b, sizeof b, 0), 2);
		LOOP_UNTIL(&r.w, r.p->errors == i);
		assert_true(endpoint_eq(&r.p->dst, &nobody));
		assert_true(ip_eq(&r.p->from, &lo));
		assert_int_equal(r.p->type, family == AF_INET ? 3 : 1);
		assert_int_equal(r.p->code, family == AF_INET ? 3 : 4);
		assert_int_equal(r.p->mtu, 0);
	}
	close(peer);
	end(&r);
}

static void
test_close_inside_error(void **state)
{
	int family = family_of(state);
	struct rig r;
	struct endpoint nobody = loop_closed_port(family, SOCK_DGRAM);
	start(&r, DGRAM_DF_KERNEL);
	r.p->close_at = 1;
	for (int i = 0; i < 4; i++)
		assert_int_equal(dgram_send(&r.p->d, &nobody, SPAN_LIT("x"), 0, 0), 0);
	LOOP_UNTIL(&r.w, r.p->errors == 1);
	loop_for(&r.w, 3);
	assert_int_equal(r.p->errors, 1);
	end(&r);
}

static void
test_broadcast_is_refused(void **state)
{
	(void)state;
	struct rig r;
	struct endpoint all = {ip4(0xffffffff), 9}, lan = {ip4(0x7fffffff), 9};
	start(&r, DGRAM_DF_KERNEL);
	int rc = dgram_send(&r.p->d, &all, SPAN_LIT("x"), 0, 0);
	assert_true(rc == -EACCES || rc == -ENETUNREACH);
	assert_int_equal(dgram_send(&r.p->d, &lan, SPAN_LIT("x"), 0, 0), -EACCES);
	end(&r);
}

static void
test_closed_before_used(void **state)
{
	(void)state;
	struct rig r;
	struct dgram zero = {0};
	start(&r, DGRAM_DF_KERNEL);
	dgram_close(&zero);
	dgram_close(&r.p->d);
	end(&r);
}

/* --- with a network of our own ---------------------------------------------------------------- */

static void
forge_about(struct rig *r, int family, const struct endpoint *dst, uint8_t type, uint8_t code,
        uint32_t word)
{
	uint16_t port = local_port(sock(r, family));
	struct ip lo = loopback(family);
	uint8_t udp[8] = {(uint8_t)(port >> 8), (uint8_t)port, (uint8_t)(dst->port >> 8),
	        (uint8_t)dst->port, 0, 180, 0, 0};
	ownnet_forge(family, type, code, word, &lo, &dst->ip, IPPROTO_UDP, udp);
}

static void
test_routers_are_heard(void **state)
{
	int family = family_of(state);
	struct rig r;
	struct endpoint at;
	if (!own_net)
		skip();
	start(&r, DGRAM_DF_KERNEL);
	int peer = loop_socket(family, SOCK_DGRAM, &at);
	bool v4 = family == AF_INET;
	struct ip router = v4 ? ip4(0x7f00004d) : loopback(family);
	assert_int_equal(dgram_send(&r.p->d, &at, SPAN_LIT("x"), 0, 0), 0);
	forge_about(&r, family, &at, v4 ? 11 : 3, 0, 0); /* time exceeded */
	LOOP_UNTIL(&r.w, r.p->errors == 1);
	assert_int_equal(r.p->type, v4 ? 11 : 3);
	assert_int_equal(r.p->code, 0);
	assert_true(ip_eq(&r.p->from, &router));
	assert_true(endpoint_eq(&r.p->dst, &at));
	forge_about(&r, family, &at, v4 ? 3 : 2, v4 ? 4 : 0, 1400); /* too big */
	LOOP_UNTIL(&r.w, r.p->errors == 2);
	assert_int_equal(r.p->type, v4 ? 3 : 2);
	assert_int_equal(r.p->mtu, 1400);
	forge_about(&r, family, &at, v4 ? 3 : 1, v4 ? 13 : 1, 0); /* prohibited */
	LOOP_UNTIL(&r.w, r.p->errors == 3);
	assert_int_equal(r.p->code, v4 ? 13 : 1);
	close(peer);
	end(&r);
}

static void
test_no_route(void **state)
{
	int family = family_of(state);
	struct rig r;
	struct endpoint far = {ip4(0xc0000201), 9};
	if (!own_net)
		skip();
	if (family == AF_INET6)
		ip_parse(SPAN_LIT("2001:db8::1"), &far.ip);
	start(&r, DGRAM_DF_KERNEL);
	assert_int_equal(dgram_send(&r.p->d, &far, SPAN_LIT("x"), 0, 0), -ENETUNREACH);
	end(&r);
}

#define BOTH(t)                                           \
	cmocka_unit_test_prestate(t, (void *)&family[0]), \
	        cmocka_unit_test_prestate(t, (void *)&family[1])

int
main(void)
{
	static const int family[] = {AF_INET, AF_INET6};
	own_net = ownnet_enter();
	const struct CMUnitTest tests[] = {
	        BOTH(test_there_and_back),
	        BOTH(test_one_port_for_every_destination),
	        BOTH(test_more_than_a_batch),
	        BOTH(test_close_in_the_middle_of_a_batch),
	        BOTH(test_ttl_and_tos),
	        BOTH(test_refused_port_is_reported),
	        BOTH(test_close_inside_error),
	        cmocka_unit_test(test_broadcast_is_refused),
	        cmocka_unit_test(test_closed_before_used),
	        BOTH(test_routers_are_heard),
	        BOTH(test_no_route),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
