/* A whole stack between a guest and a world that are both out to break it. The input is a program:
 * frames (raw, or put together so that checksums hold and sequence numbers are near the truth),
 * news from sockets, time, pulls. The world keeps the contract of struct stack_ops and checks the
 * stack's side of it; every frame that comes out must be one that a guest could parse. */
#include "stack/stack.h"
#include "stack/tcp.h"
#include "stack/udp.h"
#include "wire/arp.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/dns.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#include "fuzz.h"

enum {
	PORTS = 4, /* of the guest, for TCP */
	TOKENS = 8,
	PINGS = 8,
	EARLY = 4096,
};

struct far_tcp {
	struct tcp_flow f;
	struct list all;
	enum far_state { FAR_NEW, FAR_OPENING, FAR_OPEN, FAR_DEAD } state;
	uint64_t written, promised;
	uint32_t readable, peeked;
	bool shut, eof, released;
};

struct far_udp {
	struct udp_binding b;
	struct list all;
	struct endpoint last;
};

struct near {
	uint32_t seq, ack; /* the guest's next, and what it has of the stack's */
	struct ip dst;
	uint16_t dport;
};

struct lab {
	struct stack_conf conf;
	struct stack_stats stats;
	struct stack_shared shared;
	struct wheel wheel;
	struct slab nodes;
	struct stack *st;
	uint64_t now;
	struct rd in;
	struct list tcp, udp, frames;
	struct near near[PORTS];
	uint32_t token[TOKENS];
	uint16_t ping[PINGS];
	struct ip ping_dst;
	uint8_t query[600];
	size_t query_len;
	unsigned n_token, n_ping, tcp_count;
	int flows, pending, ids;
	int tcp_ret, udp_ret, ping_ret, dns_ret, write_ret;
	uint32_t room;
	bool refuse, no_memory;
};

static struct lab *
lab_of(struct stack *st)
{
	return stack_user(st);
}

/* --- the world -------------------------------------------------------------------------------- */

static void
wake(struct stack *st)
{
	(void)st;
}

static bool
filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	(void)proto, (void)dst;
	return !lab_of(st)->refuse;
}

static struct far_tcp *
far(struct tcp_flow *f)
{
	return CONTAINER_OF(f, struct far_tcp, f);
}

static struct tcp_flow *
tcp_alloc(struct stack *st)
{
	struct lab *l = lab_of(st);
	struct far_tcp *t = l->no_memory ? NULL : calloc(1, sizeof *t);
	if (!t)
		return NULL;
	list_add(&l->tcp, &t->all);
	l->tcp_count++;
	return &t->f;
}

static void
tcp_free(struct stack *st, struct tcp_flow *f, bool abort)
{
	(void)abort;
	list_del(&far(f)->all);
	lab_of(st)->tcp_count--;
	free(far(f));
}

static int
tcp_open(struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos)
{
	(void)tos;
	assert(far(f)->state == FAR_NEW);
	assert(endpoint_eq(dst, &f->remote));
	far(f)->promised = EARLY;
	far(f)->state = lab_of(st)->tcp_ret < 0 ? FAR_DEAD : FAR_OPENING;
	return lab_of(st)->tcp_ret;
}

static uint32_t
tcp_room(struct stack *st, struct tcp_flow *f)
{
	struct far_tcp *t = far(f);
	uint32_t room = lab_of(st)->room;
	assert(!t->released);
	/* A promise is never taken back. */
	if (t->written + room < t->promised)
		room = (uint32_t)(t->promised - t->written);
	t->promised = t->written + room;
	return room;
}

static int
tcp_write(struct stack *st, struct tcp_flow *f, const struct iovec *iov, int n, bool urgent)
{
	struct far_tcp *t = far(f);
	volatile uint8_t sum = 0;
	(void)urgent;
	assert(!t->shut && !t->released && t->state != FAR_DEAD && t->state != FAR_NEW);
	for (int i = 0; i < n; i++) {
		t->written += iov[i].iov_len;
		for (size_t k = 0; k < iov[i].iov_len; k++)
			sum = (uint8_t)(sum + ((const uint8_t *)iov[i].iov_base)[k]);
	}
	assert(t->written <= t->promised);
	if (lab_of(st)->write_ret < 0)
		t->state = FAR_DEAD;
	return lab_of(st)->write_ret;
}

static void
tcp_shutdown(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	assert(!far(f)->shut && !far(f)->released);
	far(f)->shut = true;
}

static ssize_t
tcp_peek(struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n)
{
	struct far_tcp *t = far(f);
	uint32_t left = off < t->readable ? t->readable - off : 0;
	ssize_t did = 0;
	(void)st;
	assert(t->state == FAR_OPEN && !t->released && off <= t->readable);
	for (int i = 0; i < n && left; i++) {
		uint32_t part = iov[i].iov_len < left ? (uint32_t)iov[i].iov_len : left;
		memset(iov[i].iov_base, 'x', part);
		left -= part;
		did += part;
	}
	if (off + (uint32_t)did > t->peeked)
		t->peeked = off + (uint32_t)did;
	return did ? did : t->eof ? 0 : -EAGAIN;
}

static void
tcp_discard(struct stack *st, struct tcp_flow *f, uint32_t n)
{
	struct far_tcp *t = far(f);
	(void)st;
	assert(!t->released && n <= t->peeked);
	t->readable -= n;
	t->peeked -= n;
}

static void
tcp_release(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	assert(!far(f)->released);
	far(f)->released = true;
}

static struct udp_binding *
udp_alloc(struct stack *st)
{
	struct lab *l = lab_of(st);
	struct far_udp *u = l->no_memory ? NULL : calloc(1, sizeof *u);
	if (!u)
		return NULL;
	list_add(&l->udp, &u->all);
	return &u->b;
}

static void
udp_free(struct stack *st, struct udp_binding *b)
{
	struct far_udp *u = CONTAINER_OF(b, struct far_udp, b);
	(void)st;
	list_del(&u->all);
	free(u);
}

static int
udp_send(struct stack *st, struct udp_binding *b, const struct endpoint *dst, struct span payload,
        uint8_t ttl, uint8_t tos)
{
	(void)tos;
	assert(ttl > 0 && payload.n <= 65507 && dst->port);
	free(fuzz_copy(payload));
	CONTAINER_OF(b, struct far_udp, b)->last = *dst;
	return lab_of(st)->udp_ret;
}

static void
udp_flows(struct stack *st, int delta)
{
	lab_of(st)->flows += delta;
	assert(lab_of(st)->flows >= 0);
}

static int
ping_send(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq, struct span payload,
        uint8_t ttl)
{
	struct lab *l = lab_of(st);
	(void)seq;
	assert(ttl > 0);
	free(fuzz_copy(payload));
	l->ping[l->n_ping++ % PINGS] = id;
	l->ping_dst = *dst;
	return l->ping_ret;
}

static void
ping_end(struct stack *st, uint16_t id)
{
	(void)st, (void)id;
}

static int
dns_query(struct stack *st, uint32_t token, struct span query)
{
	struct lab *l = lab_of(st);
	if (l->dns_ret < 0)
		return l->dns_ret;
	l->pending++;
	l->token[l->n_token++ % TOKENS] = token;
	l->query_len = query.n < sizeof l->query ? query.n : sizeof l->query;
	memcpy(l->query, query.p, l->query_len);
	return 0;
}

static void
dns_cancel(struct stack *st, uint32_t token)
{
	(void)token;
	lab_of(st)->pending--;
	assert(lab_of(st)->pending >= 0);
}

static const struct stack_ops ops = {
        .wake = wake,
        .filter = filter,
        .tcp_alloc = tcp_alloc,
        .tcp_free = tcp_free,
        .tcp_open = tcp_open,
        .tcp_room = tcp_room,
        .tcp_write = tcp_write,
        .tcp_shutdown = tcp_shutdown,
        .tcp_peek = tcp_peek,
        .tcp_discard = tcp_discard,
        .tcp_release = tcp_release,
        .udp_alloc = udp_alloc,
        .udp_free = udp_free,
        .udp_send = udp_send,
        .udp_flows = udp_flows,
        .ping_send = ping_send,
        .ping_end = ping_end,
        .dns_query = dns_query,
        .dns_cancel = dns_cancel,
};

/* --- frames out ------------------------------------------------------------------------------- */

static size_t
head_len(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 4;
}

static void
see_tcp(struct lab *l, const struct ippkt *k)
{
	struct tcpseg s;
	assert(tcp_parse(k, &s) == 0);
	struct near *n = &l->near[s.dport % PORTS];
	if (!ip_eq(&k->src, &n->dst) || s.sport != n->dport || s.flags & TCPF_RST)
		return;
	if (s.flags & TCPF_SYN)
		n->ack = s.seq + 1;
	else if (s.seq == n->ack)
		n->ack += tcp_seg_len(&s);
}

static void
seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct lab *l = e->user;
	struct ether eth;
	struct arp a;
	struct ippkt k;
	struct udpdgram d;
	struct icmpmsg m;
	assert(len <= l->conf.max_frame && (!l->conf.pad_frames || len >= ETHER_LEAST));
	assert(ether_parse(span(frame, len), &eth) == 0);
	assert(mac_eq(&eth.src, &l->conf.gateway_mac));
	if (eth.type == ETHER_ARP) {
		assert(arp_parse(eth.payload, &a) == 0 && a.op == ARP_REPLY);
		return;
	}
	assert(eth.type == ETHER_IPV4 && ippkt_parse(eth.payload, &k) == 0);
	assert(k.whole.n <= l->conf.mtu && k.ttl > 0);
	if (ippkt_is_fragment(&k))
		return;
	switch (k.proto) {
	case IPPROTO_UDP: assert(udp_parse(&k, &d) == 0); break;
	case IPPROTO_ICMP: assert(icmp_parse(&k, &m) == 0); break;
	case IPPROTO_TCP: see_tcp(l, &k); break;
	default: assert(!"a protocol of ours");
	}
}

static void
pull(struct lab *l, size_t budget)
{
	struct emit e;
	uint8_t *out = malloc(budget + 1);
	emit_init(&e, out, budget, budget, l->conf.max_frame);
	e.head_len = head_len;
	e.seal = seal;
	e.user = l;
	stack_pull(l->st, &e, l->now);
	emit_end(&e);
	free(out);
}

/* --- frames in -------------------------------------------------------------------------------- */

struct frame {
	struct list all;
	uint8_t bytes[];
};

/* Bytes stay until the batch ends. */
static void
give(struct lab *l, const uint8_t *p, size_t n)
{
	struct frame *f = malloc(sizeof *f + n);
	memcpy(f->bytes, p, n);
	list_add(&l->frames, &f->all);
	stack_frame(l->st, span(f->bytes, n), l->now);
}

static void
end_batch(struct lab *l)
{
	stack_rx_end(l->st, l->now);
	for (struct list *n; (n = list_pop(&l->frames));)
		free(LIST_ENTRY(n, struct frame, all));
}

static struct ip
some_ip(struct lab *l)
{
	static const uint32_t list[] = {0x0a00020f, 0x0a000202, 0x08080808, 0x0a000237, 0x01010101,
	        0xc0a80101, 0, 0xffffffff, 0x0a0002ff, 0xe0000001, 0x7f000001, 0x0a000203};
	return ip4(list[rd_u8(&l->in) % ARRAY_LEN(list)]);
}

static struct ip
some_guest(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	return ip4(b % 8 ? 0x0a00020f : 0x0a000210u + b / 8);
}

static struct span
some_bytes(struct lab *l)
{
	size_t n = rd_u8(&l->in);
	if (n >= 0xf0)
		n = (n - 0xf0) * 128;
	return rd_bytes(&l->in, n < rd_left(&l->in) ? n : rd_left(&l->in));
}

static void
give_ip(struct lab *l, const struct ippkt *k, const uint8_t *payload, size_t n)
{
	uint8_t f[ETHER_HEAD + IPPKT_HEAD_MOST + 4096];
	struct mac src = {{0x52, 0x54, 0, 0, 0, 1}};
	assert(n <= 4096);
	ether_put(f, &l->conf.gateway_mac, &src, ETHER_IPV4);
	size_t head = ETHER_HEAD + ippkt_put(f + ETHER_HEAD, k, n);
	memcpy(f + head, payload, n);
	give(l, f, head + n);
}

static void
raw_frame(struct lab *l)
{
	struct span s = some_bytes(l);
	give(l, s.p ? s.p : (const uint8_t *)"", s.n);
}

static void
arp_frame(struct lab *l)
{
	uint8_t f[ETHER_HEAD + ARP_LEN];
	struct arp a = {.op = rd_u8(&l->in) & 3, .sender_mac = {{2, 2, 2, 2, 2, 2}}};
	a.sender = some_ip(l);
	a.target = some_ip(l);
	ether_put(f, &l->conf.gateway_mac, &a.sender_mac, ETHER_ARP);
	arp_put(f + ETHER_HEAD, &a);
	give(l, f, sizeof f);
}

/* Any protocol, whole or a piece, with whatever inside. */
static void
ip_frame(struct lab *l)
{
	static const uint8_t protos[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, 2, 47};
	struct ippkt k = {.src = some_guest(l), .dst = some_ip(l)};
	uint8_t b = rd_u8(&l->in);
	k.proto = protos[b % ARRAY_LEN(protos)];
	k.ttl = b & 0x80 ? 1 : 64;
	k.dont_fragment = b & 0x40;
	k.id = rd_u8(&l->in) & 7;
	b = rd_u8(&l->in);
	k.offset = (uint16_t)((b >> 1) * 8);
	k.more = b & 1;
	struct span s = some_bytes(l);
	if (s.n)
		give_ip(l, &k, s.p, s.n);
}

/* A datagram in pieces of one size; which of them come, and in which order, is the input's. */
static void
fragments(struct lab *l)
{
	uint8_t d[2048] = {0};
	struct ippkt k = {.src = some_guest(l), .dst = some_ip(l), .proto = IPPROTO_UDP, .ttl = 64};
	size_t n = 64 + rd_u8(&l->in) * 4u, step = 8 + (rd_u8(&l->in) & 0x1f) * 8u;
	k.id = rd_u8(&l->in) & 7;
	udp_put(d, rd_u8(&l->in), rd_u8(&l->in), &k.src, &k.dst, n - UDP_HEAD, 0);
	for (unsigned i = rd_u8(&l->in) & 31; i; i--) {
		size_t at = rd_u8(&l->in) * step;
		if (at >= n)
			continue;
		size_t part = n - at < step ? n - at : step;
		k.offset = (uint16_t)at;
		k.more = at + part < n;
		give_ip(l, &k, d + at, part);
	}
}

static void
udp_frame(struct lab *l)
{
	static const uint16_t ports[] = {53, 67, 68, 9, 1000, 1001, 5353, 0};
	uint8_t d[4096];
	struct ippkt k = {.src = some_guest(l), .dst = some_ip(l), .proto = IPPROTO_UDP};
	uint8_t b = rd_u8(&l->in);
	if (b & 0x80)
		k.src = some_ip(l);
	k.ttl = b & 0x40 ? 1 : 64;
	struct span s = some_bytes(l);
	udp_put(d, ports[b & 7], ports[b >> 3 & 7], &k.src, &k.dst, s.n, checksum_sum(s.p, s.n));
	if (s.n)
		memcpy(d + UDP_HEAD, s.p, s.n);
	give_ip(l, &k, d, UDP_HEAD + s.n);
}

static void
echo_frame(struct lab *l)
{
	uint8_t d[4096];
	struct ippkt k = {.src = some_guest(l), .dst = some_ip(l), .proto = IPPROTO_ICMP};
	struct icmpmsg m = {.kind = ICMP_KIND_ECHO, .id = rd_u8(&l->in), .seq = rd_u8(&l->in)};
	k.ttl = m.seq & 0x80 ? 1 : 64;
	struct span s = some_bytes(l);
	icmp_put(d, &m, &k.src, &k.dst, s.n, checksum_sum(s.p, s.n));
	if (s.n)
		memcpy(d + ICMP_HEAD, s.p, s.n);
	give_ip(l, &k, d, ICMP_HEAD + s.n);
}

static void
dhcp_frame(struct lab *l)
{
	uint8_t d[1024];
	uint8_t b = rd_u8(&l->in);
	struct ip src = b & 0x80 ? l->conf.guest : ip4(0), dst = ip4(UINT32_MAX);
	struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_UDP, .ttl = 64};
	struct wr w = wr_init(d + UDP_HEAD, sizeof d - UDP_HEAD);
	struct dhcp m = {.op = DHCP_FROM_CLIENT, .type = b & 15, .chaddr = {{2, 2, 2, 2, 2, 2}}};
	m.ciaddr = b & 0x40 ? some_ip(l) : ip4(0);
	dhcp_begin(&w, &m);
	if (b & 0x20) {
		struct ip want = some_ip(l), server = some_ip(l);
		dhcp_opt_ip(&w, DHCP_OPT_REQUESTED, &want);
		dhcp_opt_ip(&w, DHCP_OPT_SERVER, &server);
	}
	if (b & 0x10)
		dhcp_opt_u16(&w, DHCP_OPT_MAX_SIZE, rd_u16(&l->in));
	dhcp_opt(&w, DHCP_OPT_PARAMS, span_first(some_bytes(l), 255));
	dhcp_end(&w);
	udp_put(d, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, &src, &dst, wr_len(&w),
	        checksum_sum(d + UDP_HEAD, wr_len(&w)));
	give_ip(l, &k, d, UDP_HEAD + wr_len(&w));
}

static size_t
put_question(struct lab *l, struct wr *w)
{
	struct dnsname name;
	dnsname_parse(SPAN_LIT("example.org"), &name);
	dns_put_query(w, rd_u8(&l->in), DNS_RD, &name, rd_u8(&l->in));
	uint8_t b = rd_u8(&l->in);
	if (b)
		dns_put_opt(w, (uint16_t)(b * 32), 0, false);
	return wr_len(w);
}

static void
dns_frame(struct lab *l)
{
	uint8_t d[1024];
	struct ip src = some_guest(l), dst = l->conf.gateway;
	struct ippkt k = {.src = src, .dst = dst, .proto = IPPROTO_UDP, .ttl = 64};
	struct wr w = wr_init(d + UDP_HEAD, sizeof d - UDP_HEAD);
	size_t n = put_question(l, &w);
	udp_put(d, 4000, 53, &src, &dst, n, checksum_sum(d + UDP_HEAD, n));
	give_ip(l, &k, d, UDP_HEAD + n);
}

/* Mostly what an honest guest would send next on that port, a little off now and then. */
static void
tcp_frame(struct lab *l)
{
	uint8_t b = rd_u8(&l->in), flags = rd_u8(&l->in);
	struct near *n = &l->near[b % PORTS];
	uint8_t d[TCP_HEAD_MOST + 4096];
	if (flags & TCPF_SYN || !n->dport) {
		static const uint32_t dst[] = {0x08080808, 0x01010101, 0x0a000202, 0x0a000203};
		n->dst = ip4(dst[b >> 2 & 3]);
		n->dport = b & 0x10 ? 53 : 80;
		n->seq = b & 0x20 ? 0xfffffff0 : 1000;
	}
	struct tcpseg s = {
	        .sport = b % PORTS,
	        .dport = n->dport,
	        .seq = n->seq,
	        .ack = n->ack,
	        .flags = flags,
	        .window = (uint16_t)(rd_u8(&l->in) << 8),
	};
	s.sport = (uint16_t)(PORTS * 100 + s.sport);
	if (b & 0x40) {
		s.seq += (uint32_t)(int8_t)rd_u8(&l->in) * 8;
		s.ack += (uint32_t)(int8_t)rd_u8(&l->in) * 8;
		s.urgent = rd_u8(&l->in);
	}
	if (b & 0x80) {
		uint8_t o = rd_u8(&l->in);
		s.opt.mss = (uint16_t)(o * 16);
		s.opt.has_wscale = o & 1;
		s.opt.wscale = o >> 4;
		s.opt.sack_ok = o & 2;
		s.opt.nsack = o >> 2 & 3;
		for (unsigned i = 0; i < s.opt.nsack; i++) {
			s.opt.sack[i].left = n->ack + rd_u8(&l->in) * 64u;
			s.opt.sack[i].right = s.opt.sack[i].left + rd_u8(&l->in) * 64u;
		}
	}
	uint8_t ask[600];
	s.payload = some_bytes(l);
	if (s.payload.n == 1 && n->dport == 53) {
		struct wr w = wr_init(ask + 2, sizeof ask - 2);
		put16(ask, (uint16_t)put_question(l, &w));
		s.payload = span(ask, 2 + wr_len(&w));
	}
	struct ippkt k = {.src = l->conf.guest, .dst = n->dst, .proto = IPPROTO_TCP, .ttl = 64};
	size_t head =
	        tcp_put(d, &s, &k.src, &k.dst, s.payload.n, checksum_sum(s.payload.p, s.payload.n));
	if (s.payload.n)
		memcpy(d + head, s.payload.p, s.payload.n);
	if (s.seq == n->seq)
		n->seq += tcp_seg_len(&s);
	give_ip(l, &k, d, head + s.payload.n);
}

/* --- news ------------------------------------------------------------------------------------- */

static struct list *
pick(struct lab *l, struct list *head)
{
	unsigned i = rd_u8(&l->in) & 15;
	struct list *n = head->next;
	while (i-- && n != head)
		n = n->next;
	return n == head ? NULL : n;
}

static const int errnos[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EACCES, ECONNRESET,
        EMFILE, EPERM, EMSGSIZE};

static int
some_errno(struct lab *l)
{
	return errnos[rd_u8(&l->in) % ARRAY_LEN(errnos)];
}

static void
tcp_news(struct lab *l)
{
	struct list *n = pick(l, &l->tcp);
	struct far_tcp *t = n ? LIST_ENTRY(n, struct far_tcp, all) : NULL;
	uint8_t b = rd_u8(&l->in);
	if (!t || t->released || t->state == FAR_NEW || t->state == FAR_DEAD)
		return;
	if (b < 32) {
		t->state = FAR_DEAD;
		stack_tcp_failed(l->st, &t->f, some_errno(l), l->now);
	} else if (t->state == FAR_OPENING) {
		t->state = FAR_OPEN;
		stack_tcp_opened(l->st, &t->f, l->now);
	} else if (b < 64) {
		stack_tcp_writable(l->st, &t->f, l->now);
	} else {
		if (!t->eof)
			t->readable += b < 192 ? b : (uint32_t)b * 64;
		t->eof |= b == 255;
		stack_tcp_readable(l->st, &t->f, l->now);
	}
}

static void
udp_news(struct lab *l)
{
	struct list *n = pick(l, &l->udp);
	struct far_udp *u = n ? LIST_ENTRY(n, struct far_udp, all) : NULL;
	uint8_t b = rd_u8(&l->in);
	if (!u)
		return;
	struct endpoint from = u->last;
	if (b == 0)
		from.port++;
	if (b & 1) {
		size_t len = rd_u8(&l->in) * 40u;
		uint8_t *p = calloc(1, len + 1);
		stack_udp_input(l->st, &u->b, &from, span(p, len), l->now);
		free(p);
		return;
	}
	struct ip router = some_ip(l);
	uint8_t type = b & 2 ? 3 : rd_u8(&l->in);
	stack_udp_error(l->st, &u->b, &from, &router, type, b >> 4, b, l->now);
}

static void
ping_news(struct lab *l)
{
	uint16_t id = l->ping[rd_u8(&l->in) % PINGS];
	struct ip from = some_ip(l);
	uint8_t b = rd_u8(&l->in);
	struct span s = some_bytes(l);
	if (b & 1)
		stack_ping_reply(l->st, &from, id, b, s, b, l->now);
	else
		stack_ping_error(l->st, &l->ping_dst, id, b, &from, b >> 4, b >> 2 & 3, b, l->now);
}

/* Nothing, bytes of the input's own, or records behind the last question. */
static void
dns_news(struct lab *l)
{
	static uint8_t buf[9000];
	uint8_t b = rd_u8(&l->in);
	uint32_t token = l->token[b % TOKENS];
	struct wr w = wr_init(buf, sizeof buf);
	struct dnsmsg q;
	struct span s = some_bytes(l);
	bool good = l->query_len && dns_parse(span(l->query, l->query_len), &q) == 0;
	if (b & 0x80 && good) {
		dns_put_reply(&w, &q, DNS_NOERROR);
		for (unsigned i = rd_u8(&l->in); i; i--)
			dns_put_rr(&w, DNS_ANSWER, NULL, q.type, 60, span(l->query, 4));
		s = span(buf, wr_len(&w));
	}
	uint8_t *copy = fuzz_copy(s);
	stack_dns_answer(l->st, token, span(copy, s.n), l->now);
	free(copy);
}

static void
pass_time(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	l->now += b < 192 ? b : (uint64_t)1 << (b - 192) % 24;
	wheel_advance(&l->wheel, l->now);
}

static void
change_mood(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	int err = b & 1 ? -some_errno(l) : 0;
	switch (b >> 1 & 7) {
	case 0: l->tcp_ret = err; break;
	case 1: l->udp_ret = err; break;
	case 2: l->ping_ret = err; break;
	case 3: l->dns_ret = err; break;
	case 4: l->write_ret = err; break;
	case 5: l->room = (uint32_t)1 << (b >> 4); break;
	case 6: l->refuse = b & 1; break;
	default: l->no_memory = b & 1; break;
	}
}

static void
pull_some(struct lab *l)
{
	uint8_t b = rd_u8(&l->in);
	pull(l, b < 200 ? b * 64u : (b - 199u) * 4096);
}

static void
measure(struct lab *l)
{
	stack_rtt(l->st, (uint32_t)rd_u16(&l->in) * 16);
}

/* In no batch: the owner hands frames over and ends the batch before anything else happens. */
static void
between(struct lab *l, void (*f)(struct lab *))
{
	end_batch(l);
	f(l);
}

static void (*const from_guest[])(struct lab *) = {raw_frame, arp_frame, ip_frame, fragments,
        udp_frame, echo_frame, dns_frame, dhcp_frame, tcp_frame, tcp_frame, tcp_frame};
static void (*const from_world[])(struct lab *) = {tcp_news, tcp_news, tcp_news, udp_news,
        ping_news, dns_news, pass_time, change_mood, pull_some, pull_some, measure};

/* --- life ------------------------------------------------------------------------------------- */

static void
configure(struct lab *l)
{
	static const struct ip ntp = {{[10] = 0xff, 0xff, 192, 0, 2, 1}};
	uint8_t b = rd_u8(&l->in);
	l->conf = (struct stack_conf){
	        .gateway_mac = {{2, 0, 0, 0, 0, 1}},
	        .gateway = ip4(0x0a000202),
	        .guest = ip4(0x0a00020f),
	        .prefix_bits = 96 + 24,
	        .mtu = b & 1 ? 1500 : 576,
	        .max_frame = b & 2 ? 2048 : 300,
	        .lease_s = 86400,
	        .domain = "example.org",
	        .hostname = "vm",
	        .search = SPAN_LIT("\7example\3org"),
	        .routes = SPAN_LIT("\x10\xc0\xa8\x0a\x00\x02\x02"),
	        .ntp = &ntp,
	        .n_ntp = 1,
	        .wpad = "http://wpad/",
	        .pad_frames = b & 4,
	        .tcp_max_flows = b & 8 ? 3 : 64,
	        .tcp_max_half_open = b & 8 ? 2 : 32,
	        .tcp_max_half_open_to = 8,
	        .tcp_early_bytes = EARLY,
	        .tcp_window_flow = 1 << 20,
	        .tcp_window_tunnel = b & 16 ? 1 << 16 : 4 << 20,
	        .tcp_ooo_tunnel = b & 16 ? 2000 : 32768,
	        .tcp_idle_ms = 7440000,
	        .tcp_half_open_ms = 75000,
	        .tcp_fin_wait_ms = 60000,
	        .tcp_time_wait_ms = 5000,
	        .tcp_give_up_ms = 120000,
	        .tcp_delayed_ack_ms = 4,
	        .udp_max_flows = b & 32 ? 2 : 256,
	        .udp_idle_ms = 60000,
	        .udp_unreplied_ms = 30000,
	        .udp_queue_bytes = 65536,
	        .udp_queue_ms = 20,
	        .frag_bytes = b & 64 ? 5000 : 65536,
	        .frag_count = b & 64 ? 2 : 16,
	        .frag_ms = 5000,
	        .ping_max = 4,
	        .ping_ms = 10000,
	        .ping_rate = b & 128 ? 10 : 0,
	        .icmp_error_rate = b & 128 ? 10 : 0,
	        .dns_max_pending = b & 128 ? 2 : 1024,
	        .queue_delay_target_ms = 5,
	};
}

static void
begin(struct lab *l, const uint8_t *data, size_t size)
{
	*l = (struct lab){.now = 1000, .room = 65536};
	l->in = rd_init(span(data, size));
	list_init(&l->tcp);
	list_init(&l->udp);
	list_init(&l->frames);
	configure(l);
	wheel_init(&l->wheel, l->now);
	slab_init(&l->nodes, STACK_NODE, 512);
	l->shared = (struct stack_shared){
	        .conf = &l->conf,
	        .ops = &ops,
	        .wheel = &l->wheel,
	        .stats = &l->stats,
	        .hash_key = {1, 2},
	        .nodes = &l->nodes,
	        .batch = stack_batch_new(),
	};
	l->st = stack_new(&l->shared, l);
	assert(l->st);
}

static void
end(struct lab *l)
{
	struct stack_totals t;
	end_batch(l);
	stack_totals(l->st, &t);
	assert(t.memory < (size_t)2 << 20);
	assert((int)t.udp_flows == l->flows);
	stack_free(l->st);
	assert(list_empty(&l->tcp) && list_empty(&l->udp) && !l->flows && !l->nodes.used);
	/* No timer may be left behind. */
	wheel_advance(&l->wheel, l->now + 100000000);
	stack_batch_free(l->shared.batch);
	slab_fini(&l->nodes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab l;
	begin(&l, data, size);
	while (rd_left(&l.in) && !l.in.bad) {
		uint8_t b = rd_u8(&l.in);
		if (b < 0x80)
			from_guest[b % ARRAY_LEN(from_guest)](&l);
		else
			between(&l, from_world[b % ARRAY_LEN(from_world)]);
	}
	end(&l);
	return 0;
}
