/* dnsstub: a name server on the loopback, in the loop of the test that uses it. What it says is
 * written in the first label of the name it is asked for. */
#pragma once

#include "tests/unit/net/loop.h"
#include "wire/dns.h"

#define DNSSTUB_CONNS 8

struct dnsstub {
	struct worker *w;
	struct endpoint at;
	char text[ADDR_TEXT];
	uv_poll_t udp, listener, conn[DNSSTUB_CONNS];
	int udp_fd, listen_fd, conn_fd[DNSSTUB_CONNS];
	int asked, asked_tcp; /* so far */
	bool without_edns, without_tcp, saw_do, saw_cd;
};

static inline void
dnsstub_soa(struct wr *w, uint32_t ttl, uint32_t minimum)
{
	uint8_t rdata[2 + 20] = {0, 0};
	struct dnsname zone;
	put32(rdata + 18, minimum);
	dnsname_parse(SPAN_LIT("test"), &zone);
	dns_put_rr(w, DNS_AUTHORITY, &zone, DNS_SOA, ttl, span(rdata, sizeof rdata));
}

static inline void
dnsstub_a(struct wr *w, uint32_t ttl, uint32_t addr)
{
	struct ip a = ip4(addr);
	dns_put_ip(w, ttl, &a);
}

static inline void
dnsstub_big(struct wr *w, int n)
{
	uint8_t rdata[200] = {199};
	for (int i = 0; i < n; i++)
		dns_put_rr(w, DNS_ANSWER, NULL, DNS_TXT, 60, span(rdata, sizeof rdata));
}

static inline void
dnsstub_records(struct wr *w, const struct dnsmsg *q, const char *name, bool tcp)
{
	static const struct ip six = {.b = {0x20, 0x01, 0x0d, 0xb8, [15] = 6}};
	struct dnsname cname;
	bool a = q->type == DNS_A;
	if (strncmp(name, "zero.", 5) == 0) {
		dnsstub_a(w, 0, 0xc0000200);
	} else if (strncmp(name, "long.", 5) == 0) {
		dnsstub_a(w, 100000, 0xc0000202);
	} else if (strncmp(name, "brief.", 6) == 0) {
		dnsstub_a(w, 1, 0xc0000203);
	} else if (strncmp(name, "chain.", 6) == 0 && a) {
		dnsname_parse(SPAN_LIT("end.test"), &cname);
		dns_put_rr(w, DNS_ANSWER, NULL, DNS_CNAME, 30, dnsname_span(&cname));
		dns_put_rr(w, DNS_ANSWER, &cname, DNS_A, 90, SPAN_LIT("\300\0\2\7"));
	} else if (strncmp(name, "nodata.", 7) == 0 || strncmp(name, "nx.", 3) == 0) {
		dnsstub_soa(w, 600, 20);
	} else if (strncmp(name, "bare.", 5) == 0) {
		return;
	} else if (strncmp(name, "big.", 4) == 0) {
		dnsstub_big(w, tcp ? 100 : 1);
		if (!tcp)
			dns_put_tc(w);
	} else if (strncmp(name, "edns1200.", 9) == 0) {
		dnsstub_big(w, 5);
	} else if (strncmp(name, "six.", 4) == 0) {
		if (q->type == DNS_AAAA)
			dns_put_ip(w, 60, &six);
	} else if (a) {
		for (uint32_t i = 1; i <= (strncmp(name, "three.", 6) == 0 ? 3u : 1u); i++)
			dnsstub_a(w, 60, 0xc0000200 + i);
	} else if (q->type == DNS_TXT) {
		dns_put_rr(w, DNS_ANSWER, NULL, DNS_TXT, 60, SPAN_LIT("\005hello"));
	}
}

/* 0 = silence. */
static inline size_t
dnsstub_answer(struct dnsstub *s, struct span query, uint8_t *out, size_t cap, bool tcp)
{
	struct dnsmsg q;
	char name[DNSNAME_TEXT];
	struct wr w = wr_init(out, cap);
	enum dns_rcode rcode = DNS_NOERROR;
	assert_int_equal(dns_parse(query, &q), 0);
	dnsname_text(&q.name, name);
	s->asked++;
	s->asked_tcp += tcp;
	s->saw_do = q.opt_do;
	s->saw_cd = q.flags & DNS_CD;
	if (strncmp(name, "slow.", 5) == 0)
		return 0;
	if (strncmp(name, "nx.", 3) == 0)
		rcode = DNS_NXDOMAIN;
	if (strncmp(name, "fail.", 5) == 0)
		rcode = DNS_SERVFAIL;
	if (strncmp(name, "refuse.", 7) == 0)
		rcode = DNS_REFUSED;
	if (s->without_edns && q.has_opt)
		rcode = DNS_FORMERR;
	dns_put_reply(&w, &q, rcode);
	if (rcode == DNS_NOERROR || rcode == DNS_NXDOMAIN)
		dnsstub_records(&w, &q, name, tcp);
	if (strncmp(name, "junk.", 5) == 0)
		put16(out + 6, 40); /* more answers than there are */
	else if (q.has_opt && !s->without_edns)
		dns_put_opt(&w, 1400, 0, q.opt_do);
	return wr_len(&w);
}

static inline void
dnsstub_on_udp(uv_poll_t *h, int status, int events)
{
	struct dnsstub *s = h->data;
	uint8_t in[2048], out[4096];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	(void)status;
	(void)events;
	ssize_t n = recvfrom(s->udp_fd, in, sizeof in, MSG_DONTWAIT, (struct sockaddr *)&ss, &len);
	if (n <= 0)
		return;
	size_t k = dnsstub_answer(s, span(in, (size_t)n), out, sizeof out, false);
	if (k)
		sendto(s->udp_fd, out, k, 0, (struct sockaddr *)&ss, len);
}

static inline void
dnsstub_close_conn(struct dnsstub *s, int i)
{
	if (s->conn_fd[i] < 0)
		return;
	uv_poll_stop(&s->conn[i]);
	uv_close((uv_handle_t *)&s->conn[i], NULL);
	close(s->conn_fd[i]);
	s->conn_fd[i] = -2; /* its handle is not used twice */
}

static inline void
dnsstub_on_conn(uv_poll_t *h, int status, int events)
{
	struct dnsstub *s = h->data;
	int i = (int)(h - s->conn);
	uint8_t in[2048];
	static uint8_t out[65537];
	(void)status;
	(void)events;
	ssize_t n = recv(s->conn_fd[i], in, sizeof in, MSG_DONTWAIT);
	if (n <= 2) {
		dnsstub_close_conn(s, i);
		return;
	}
	assert_int_equal(n, 2 + get16(in));
	size_t k = dnsstub_answer(s, span(in + 2, (size_t)n - 2), out + 2, sizeof out - 2, true);
	put16(out, (uint16_t)k);
	if (k)
		assert_int_equal(send(s->conn_fd[i], out, k + 2, MSG_NOSIGNAL), k + 2);
}

static inline void
dnsstub_on_listener(uv_poll_t *h, int status, int events)
{
	struct dnsstub *s = h->data;
	(void)status;
	(void)events;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	for (int i = 0; i < DNSSTUB_CONNS; i++)
		if (s->conn_fd[i] == -1) {
			s->conn_fd[i] = fd;
			uv_poll_init(&s->w->loop, &s->conn[i], fd);
			s->conn[i].data = s;
			uv_poll_start(&s->conn[i], UV_READABLE, dnsstub_on_conn);
			return;
		}
	close(fd);
}

/* Both protocols on one port; one that is free for UDP may be taken for TCP. */
static inline bool
dnsstub_bind(struct dnsstub *s, int family)
{
	struct sockaddr_storage ss;
	s->udp_fd = loop_socket(family, SOCK_DGRAM, &s->at);
	s->listen_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = endpoint_to_sockaddr(&s->at, &ss);
	if (bind(s->listen_fd, (struct sockaddr *)&ss, len) == 0 && listen(s->listen_fd, 8) == 0)
		return true;
	close(s->udp_fd);
	close(s->listen_fd);
	return false;
}

static inline void
dnsstub_open(struct dnsstub *s, struct worker *w, int family)
{
	int attempts = 0;
	*s = (struct dnsstub){.w = w};
	while (!dnsstub_bind(s, family))
		assert_true(attempts++ < 1000);
	endpoint_text(&s->at, s->text);
	for (int i = 0; i < DNSSTUB_CONNS; i++)
		s->conn_fd[i] = -1;
	uv_poll_init(&w->loop, &s->udp, s->udp_fd);
	uv_poll_init(&w->loop, &s->listener, s->listen_fd);
	s->udp.data = s->listener.data = s;
	uv_poll_start(&s->udp, UV_READABLE, dnsstub_on_udp);
	uv_poll_start(&s->listener, UV_READABLE, dnsstub_on_listener);
}

static inline void
dnsstub_close(struct dnsstub *s)
{
	for (int i = 0; i < DNSSTUB_CONNS; i++)
		if (s->conn_fd[i] >= 0)
			dnsstub_close_conn(s, i);
	uv_poll_stop(&s->udp);
	uv_poll_stop(&s->listener);
	uv_close((uv_handle_t *)&s->udp, NULL);
	uv_close((uv_handle_t *)&s->listener, NULL);
	close(s->udp_fd);
	close(s->listen_fd);
	loop_turn(s->w); /* the handles leave the loop before their memory goes */
}
