/* TCP of the stack alone, between a guest and a server that lie about everything but their bytes:
 * what the guest sends and what the server says are functions of the position, so every byte that
 * comes through is checked. The input is a program: segments near the truth, news from upstream,
 * time, pulls. When it ends both sides turn honest, and then everything said must arrive. */
#include "stack/tcp_int.h"
#include "wire/checksum.h"
#include "wire/tcp.h"

#include "fuzz.h"

enum { FLOWS = 3, HELD = 64, SAID_MOST = 60000, SENT_MOST = 60000 };

struct far {
	struct tcp_flow f;
	struct near *near;
	bool opening, up, dead, shut, released, eof;
	uint64_t got, promised;
	uint64_t said, discarded, peeked;
};

/* A connection as the guest sees it. */
struct near {
	struct lab *l;
	struct far *far;
	uint16_t port;
	uint32_t isn, irs;
	uint64_t sent;    /* highest byte ever sent */
	uint64_t rcv;     /* next byte expected, counted from irs + 1 */
	uint64_t max_end; /* highest byte seen or acknowledged */
	uint64_t right;   /* largest byte position the stack was ever allowed */
	uint64_t edge;    /* of the stack's window, as sent bytes */
	bool open, scaled, fin, fin_seen;
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
	struct near near[FLOWS];
	uint8_t *held[HELD];
	unsigned n_held, live, news;
	uint32_t room;
	int write_ret;
};

static struct lab *
lab_of(struct stack *st)
{
	return stack_user(st);
}

static uint8_t
guest_byte(uint64_t at)
{
	return (uint8_t)(at * 167 + (at >> 8));
}

static uint8_t
server_byte(uint64_t at)
{
	return (uint8_t)(at * 89 + (at >> 7) + 1);
}

static struct far *
far(struct tcp_flow *f)
{
	return CONTAINER_OF(f, struct far, f);
}

/* --- ops -------------------------------------------------------------------------------------- */

static void
wake(struct stack *st)
{
	(void)st;
}

static bool
filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	(void)st, (void)proto, (void)dst;
	return true;
}

static struct tcp_flow *
tcp_alloc(struct stack *st)
{
	struct far *t = calloc(1, sizeof *t);
	lab_of(st)->live++;
	return &t->f;
}

static void
tcp_free(struct stack *st, struct tcp_flow *f, bool abort)
{
	(void)abort;
	struct far *t = far(f);
	lab_of(st)->live--;
	if (t->near)
		t->near->far = NULL;
	free(t);
}

static int
tcp_open(struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos)
{
	(void)dst, (void)tos;
	struct far *t = far(f);
	assert(!t->opening);
	t->opening = true;
	t->near = &lab_of(st)->near[(f->guest.port - 1) % FLOWS];
	t->near->far = t;
	t->near->open = false;
	t->promised = lab_of(st)->conf.tcp_early_bytes;
	return 0;
}

static uint32_t
tcp_room(struct stack *st, struct tcp_flow *f)
{
	struct far *t = far(f);
	assert(t->up && !t->released && !t->dead);
	if (t->got + lab_of(st)->room > t->promised)
		t->promised = t->got + lab_of(st)->room;
	return lab_of(st)->room;
}

static int
tcp_write(struct stack *st, struct tcp_flow *f, const struct iovec *iov, int n, bool urgent)
{
	struct far *t = far(f);
	(void)urgent;
	assert(t->opening && !t->shut && !t->released && !t->dead);
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++)
			assert(((const uint8_t *)iov[i].iov_base)[k] == guest_byte(t->got++));
	assert(t->got <= t->promised && t->got <= t->near->sent);
	t->dead = lab_of(st)->write_ret < 0;
	return lab_of(st)->write_ret;
}

static void
tcp_shutdown(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	struct far *t = far(f);
	assert(t->up && !t->shut && !t->released);
	assert(t->near->fin && t->got == t->near->sent);
	t->shut = true;
}

static ssize_t
tcp_peek(struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n)
{
	struct far *t = far(f);
	uint64_t at = t->discarded + off;
	ssize_t did = 0;
	(void)st;
	assert(t->up && !t->released && !t->dead && at <= t->said);
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && at < t->said; k++, at++, did++)
			((uint8_t *)iov[i].iov_base)[k] = server_byte(at);
	if (at > t->peeked)
		t->peeked = at;
	return did ? did : t->eof ? 0 : -EAGAIN;
}

static void
tcp_discard(struct stack *st, struct tcp_flow *f, uint32_t n)
{
	(void)st;
	struct far *t = far(f);
	t->discarded += n;
	assert(!t->released && t->discarded <= t->peeked);
}

static void
tcp_release(struct stack *st, struct tcp_flow *f)
{
	(void)st;
	assert(!far(f)->released);
	far(f)->released = true;
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
};

/* --- frames out ------------------------------------------------------------------------------- */

static size_t
head_len(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 0;
}

static void
see_data(struct near *n, const struct tcpseg *s)
{
	uint64_t at = (uint32_t)(s->seq - n->irs - 1), end = at + s->payload.n;
	if (!s->payload.n && !(s->flags & TCPF_FIN))
		return;
	assert(n->open && end <= n->right);
	for (size_t i = 0; i < s->payload.n; i++)
		assert(s->payload.p[i] == server_byte(at + i));
	if (end > n->max_end)
		n->max_end = end;
	if (at <= n->rcv && end >= n->rcv) {
		n->rcv = end;
		if (s->flags & TCPF_FIN)
			n->fin_seen = true;
	}
	n->l->news++;
}

static void
see_window(struct near *n, const struct tcpseg *s)
{
	uint64_t acked = (uint32_t)(s->ack - n->isn - 1);
	bool scale = n->scaled && !(s->flags & TCPF_SYN);
	uint64_t edge = acked + ((uint64_t)s->window << (scale ? 8 : 0));
	assert(acked <= n->sent + n->fin);
	/* Less than a unit of the scale, RFC 7323 2.4; a SYN-ACK cannot say more than 65535. */
	assert(edge + 256 > n->edge || s->flags & TCPF_SYN);
	if (edge > n->edge)
		n->edge = edge;
}

static void
seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct lab *l = e->user;
	struct ether eth;
	struct ippkt k;
	struct tcpseg s;
	assert(ether_parse(span(frame, len), &eth) == 0 && ippkt_parse(eth.payload, &k) == 0);
	if (k.proto != IPPROTO_TCP)
		return;
	assert(tcp_parse(&k, &s) == 0);
	struct near *n = &l->near[(s.dport - 1) % FLOWS];
	if (s.dport != n->port || s.flags & TCPF_RST)
		return;
	assert(s.flags & TCPF_ACK);
	if (s.flags & TCPF_SYN) {
		if (s.ack != n->isn + 1)
			return;
		if (!n->open || n->irs != s.seq) {
			n->rcv = n->max_end = n->edge = 0;
			n->right = 65535;
			n->fin_seen = false;
		}
		n->open = true;
		n->irs = s.seq;
		n->scaled = s.opt.has_wscale;
		n->l->news++;
	}
	if (!n->open || !n->far)
		return; /* of a connection that the guest has given up */
	see_window(n, &s);
	if (!(s.flags & TCPF_SYN))
		see_data(n, &s);
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

static void
end_batch(struct lab *l)
{
	stack_rx_end(l->st, l->now);
	while (l->n_held)
		free(l->held[--l->n_held]);
}

/* A segment with the bytes that belong at its place. */
static void
put(struct near *n, uint8_t flags, uint64_t at, size_t len, uint32_t ack, uint16_t window,
        struct tcpopts opt, uint16_t urgent)
{
	static const struct mac gateway = {{2, 0, 0, 0, 0, 1}}, guest = {{2, 0, 0, 0, 0, 9}};
	struct lab *l = n->l;
	struct tcpseg s = {
	        .sport = n->port,
	        .dport = 80,
	        .seq = n->isn + 1 + (uint32_t)at,
	        .ack = ack,
	        .flags = flags,
	        .window = window,
	        .urgent = urgent,
	        .opt = opt,
	};
	struct ippkt k = {
	        .src = ip4(0x0a00020f), .dst = ip4(0x08080808), .proto = IPPROTO_TCP, .ttl = 64};
	if (flags & TCPF_SYN)
		s.seq = n->isn, len = 0;
	size_t head = tcp_head_len(&s.opt), total = ETHER_HEAD + 20 + head + len;
	uint8_t *f = malloc(total), *p = f + ETHER_HEAD + 20;
	for (size_t i = 0; i < len; i++)
		p[head + i] = guest_byte(at + i);
	if (at + len > n->sent && !(flags & TCPF_SYN))
		n->sent = at + len;
	ether_put(f, &gateway, &guest, ETHER_IPV4);
	ippkt_put(f + ETHER_HEAD, &k, head + len);
	tcp_put(p, &s, &k.src, &k.dst, len, checksum_sum(p + head, len));
	if (l->n_held == HELD)
		end_batch(l);
	l->held[l->n_held++] = f;
	uint64_t right = (uint32_t)(ack - n->irs - 1) +
	                 ((uint64_t)window << (n->scaled && !(flags & TCPF_SYN) ? 7 : 0));
	if (n->open && right > n->right && right < UINT32_MAX)
		n->right = right;
	stack_frame(l->st, span(f, total), l->now);
}

static void
new_connection(struct lab *l, struct near *n)
{
	struct tcpopts o = {.mss = rd_u16(&l->in)};
	uint8_t bits = rd_u8(&l->in);
	o.has_wscale = bits & 1;
	o.wscale = 7;
	o.sack_ok = bits & 2;
	if (!n->far)
		*n = (struct near){.l = l, .port = n->port, .isn = rd_u32(&l->in)};
	put(n, TCPF_SYN, 0, 0, 0, 65535, o, 0);
}

static uint32_t
some_ack(struct lab *l, struct near *n)
{
	uint8_t how = rd_u8(&l->in);
	uint64_t at = n->rcv;
	if (how == 255)
		return rd_u32(&l->in);
	if (how & 1 && n->max_end > n->rcv) /* bytes it only pretends to have */
		at += rd_u16(&l->in) % (n->max_end - n->rcv + 1);
	if (how & 2)
		at = at > how ? at - how : 0;
	else if (at > n->rcv)
		n->rcv = at;
	return n->irs + 1 + (uint32_t)at + (n->fin_seen && at == n->rcv);
}

static void
some_segment(struct lab *l, struct near *n)
{
	uint8_t flags = rd_u8(&l->in), how = rd_u8(&l->in);
	uint16_t len = rd_u16(&l->in) % 1500, window = rd_u16(&l->in);
	uint64_t at = n->far ? n->far->got : n->sent;
	struct tcpopts o = {0};
	if (how & 1)
		at = n->sent;
	if (how & 2)
		at += rd_u16(&l->in) % 4000;
	if (how & 4)
		at = at > len ? at - len / 2 : 0;
	if (at + len > SENT_MOST)
		len = 0, at = n->sent;
	if (n->fin) { /* nothing lies behind the end */
		if (at > n->sent)
			at = n->sent;
		if (at + len > n->sent)
			len = (uint16_t)(n->sent - at);
		if (at + len < n->sent)
			flags &= (uint8_t)~TCPF_FIN;
	} else if (flags & TCPF_FIN) {
		n->fin = how & 8 && at + len >= n->sent;
		if (!n->fin)
			flags &= (uint8_t)~TCPF_FIN;
	}
	if (how & 16) {
		o.nsack = how >> 6;
		for (unsigned i = 0; i < o.nsack; i++) {
			uint32_t left = n->irs + 1 + (uint32_t)n->rcv + rd_u16(&l->in);
			o.sack[i] = (struct tcpsack){left, left + rd_u16(&l->in) % 3000};
		}
	}
	if (!(how & 32))
		flags = (uint8_t)((flags & ~(TCPF_SYN | TCPF_RST)) | TCPF_ACK);
	if (flags & TCPF_SYN)
		flags &= (uint8_t)~TCPF_FIN;
	put(n, flags, at, len, some_ack(l, n), window, o, how & 7);
}

/* --- news ------------------------------------------------------------------------------------- */

static void
upstream(struct lab *l, struct near *n)
{
	static const int errs[] = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, EACCES, ECONNRESET};
	struct far *t = n->far;
	uint8_t what = rd_u8(&l->in);
	if (!t || t->released || t->dead)
		return;
	if (what == 200) {
		t->dead = true;
		stack_tcp_failed(l->st, &t->f, errs[rd_u8(&l->in) % 5], l->now);
		return;
	}
	if (!t->up) {
		t->up = true;
		stack_tcp_opened(l->st, &t->f, l->now);
		return;
	}
	if (what < 128 && !t->eof) {
		t->said += rd_u16(&l->in) % 20000;
		if (t->said > SAID_MOST)
			t->said = SAID_MOST;
	} else if (what < 140) {
		t->eof = true;
	} else {
		l->room = rd_u16(&l->in);
		stack_tcp_writable(l->st, &t->f, l->now);
		return;
	}
	stack_tcp_readable(l->st, &t->f, l->now);
}

static void
pass(struct lab *l, uint64_t ms)
{
	uint64_t end = l->now + ms;
	for (uint64_t at; (at = wheel_next(&l->wheel)) <= end;) {
		l->now = at;
		wheel_advance(&l->wheel, at);
	}
	l->now = end;
	wheel_advance(&l->wheel, end);
}

static void
step(struct lab *l)
{
	static const uint16_t ms[] = {0, 1, 4, 10, 50, 200, 1000, 8000};
	uint8_t op = rd_u8(&l->in);
	struct near *n = &l->near[(op >> 4) % FLOWS];
	switch (op & 15) {
	case 0: new_connection(l, n); break;
	case 1:
	case 2:
	case 3: upstream(l, n); break;
	case 4:
	case 5: pull(l, 1600 + rd_u16(&l->in)); break;
	case 6: pass(l, ms[rd_u8(&l->in) % 8]); break;
	case 7: end_batch(l); break;
	case 8: l->write_ret = rd_u8(&l->in) == 77 ? -EPIPE : 0; break;
	default: some_segment(l, n); break;
	}
}

/* --- honesty ---------------------------------------------------------------------------------- */

/* The guest acknowledges what it has, and asks for more. */
static void
answer(struct near *n)
{
	uint64_t from = n->far->got;
	uint32_t ack = n->irs + 1 + (uint32_t)n->rcv + n->fin_seen;
	struct tcpopts none = {0};
	size_t len = n->sent - from < 1000 ? (size_t)(n->sent - from) : 1000;
	uint8_t flags = TCPF_ACK | (n->fin && from + len == n->sent ? TCPF_FIN : 0);
	put(n, flags, from, len, ack, 65535, none, 0);
}

static bool
satisfied(const struct near *n)
{
	const struct far *t = n->far;
	/* A guest that guessed our number without having seen SYN-ACK gets what it deserves. */
	if (!t || t->released || (!n->open && t->f.state == FLOW_OPEN))
		return true;
	return n->open && n->rcv == t->said && (!t->eof || n->fin_seen) && t->got == n->sent &&
	       (!n->fin || t->shut);
}

static void
be_honest(struct lab *l)
{
	end_batch(l);
	l->write_ret = 0;
	l->room = 1 << 20;
	for (unsigned round = 0; round < 3000; round++) {
		bool all = true;
		l->news = 0;
		pull(l, 65536);
		for (unsigned i = 0; i < FLOWS; i++) {
			struct near *n = &l->near[i];
			if (satisfied(n))
				continue;
			all = false;
			if (!n->far->up) {
				n->far->up = true;
				stack_tcp_opened(l->st, &n->far->f, l->now);
			} else if (n->open) {
				answer(n);
			}
		}
		end_batch(l);
		if (all)
			return;
		pass(l, l->news ? 1 : 61000);
	}
	assert(!"everything arrives");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lab l;
	l = (struct lab){.now = 1000000, .room = 65536, .in = rd_init(span(data, size))};
	l.conf = (struct stack_conf){
	        .gateway_mac = {{2, 0, 0, 0, 0, 1}},
	        .gateway = ip4(0x0a000202),
	        .guest = ip4(0x0a00020f),
	        .prefix_bits = 120,
	        .mtu = 1500,
	        .max_frame = 2048,
	        .tcp_max_flows = 8,
	        .tcp_max_half_open = 4,
	        .tcp_max_half_open_to = 2,
	        .tcp_early_bytes = 4096,
	        .tcp_window_flow = 1 << 20,
	        .tcp_window_tunnel = 1 << 20,
	        .tcp_ooo_tunnel = 16384,
	        .tcp_half_open_ms = 1 << 30,
	        .tcp_fin_wait_ms = 1 << 30,
	        .tcp_time_wait_ms = 5000,
	        .tcp_give_up_ms = 1 << 30,
	        .tcp_delayed_ack_ms = 4,
	        .queue_delay_target_ms = 1,
	};
	l.shared = (struct stack_shared){
	        .conf = &l.conf,
	        .ops = &ops,
	        .wheel = &l.wheel,
	        .stats = &l.stats,
	        .hash_key = {1, 2},
	        .nodes = &l.nodes,
	        .batch = stack_batch_new(),
	};
	wheel_init(&l.wheel, l.now);
	slab_init(&l.nodes, 2048, 64);
	l.st = stack_new(&l.shared, &l);
	for (unsigned i = 0; i < FLOWS; i++)
		l.near[i] = (struct near){.l = &l, .port = (uint16_t)(i + 1)};
	while (rd_left(&l.in) && !l.in.bad)
		step(&l);
	be_honest(&l);
	stack_free(l.st);
	assert(!l.live && !l.nodes.used);
	stack_batch_free(l.shared.batch);
	slab_fini(&l.nodes);
	return 0;
}
