/* A guest's TCP flow and its socket are one piece of memory: the stack's half, the connection, and
 * the little that only a forward to a name needs (its lookup, and early data meanwhile). */
#include "serve/uplink_int.h"

#include <errno.h>
#include <stdlib.h>

enum { KEEPALIVE_S = 60 };

struct flow {
	struct tcp_flow tcp;
	struct conn conn;
	struct uplink *up;
	struct forwarding *forwarding; /* NULL once there is an address to dial */
	bool counted;                  /* in l2_tcp_conns_active */
	bool opened;
};

/* While the name of a forward's target is looked up. */
struct forwarding {
	struct resolve_addrs *lookup;
	struct buf early;
	uint16_t port;
	uint8_t tos;
	bool shut;
};

size_t
uplink_flow_size(void)
{
	return sizeof(struct flow);
}

static struct flow *
flow_of(struct tcp_flow *f)
{
	return CONTAINER_OF(f, struct flow, tcp);
}

static void
count(struct uplink *up, enum metric m)
{
	metric_add(up->svc->shard, m, 1);
}

/* --- life -------------------------------------------------------------------------------- */

struct tcp_flow *
uplink_tcp_alloc(struct stack *st)
{
	struct uplink *up = uplink_of(st);
	struct flow *f = slab_alloc(&up->svc->net->flows);
	if (!f)
		return NULL;
	f->up = up;
	return &f->tcp;
}

static void
uncount(struct flow *f)
{
	if (f->counted)
		metric_sub(f->up->svc->shard, M_L2_TCP_CONNS_ACTIVE, 1);
	f->counted = false;
}

static void
stop_forwarding(struct flow *f)
{
	if (!f->forwarding)
		return;
	if (f->forwarding->lookup)
		resolve_addrs_cancel(f->forwarding->lookup);
	buf_fini(&f->forwarding->early);
	free(f->forwarding);
	f->forwarding = NULL;
}

void
uplink_tcp_release(struct stack *st, struct tcp_flow *tcp)
{
	struct flow *f = flow_of(tcp);
	(void)st;
	stop_forwarding(f);
	conn_free(&f->conn, false);
	uncount(f);
}

void
uplink_tcp_free(struct stack *st, struct tcp_flow *tcp, bool abort)
{
	struct flow *f = flow_of(tcp);
	(void)st;
	stop_forwarding(f);
	conn_free(&f->conn, abort);
	uncount(f);
	slab_free(&f->up->svc->net->flows, f);
}

void
uplink_tcp_keepalive(struct stack *st, struct tcp_flow *tcp)
{
	(void)st;
	if (!flow_of(tcp)->forwarding)
		conn_keepalive(&flow_of(tcp)->conn, KEEPALIVE_S);
}

/* --- connecting -------------------------------------------------------------------------- */

static int
dial(struct flow *f, const struct endpoint *dst, uint8_t tos)
{
	int rc = conn_open(&f->up->svc->net->conn, &f->conn, dst, tos);
	if (rc < 0)
		count(f->up, M_L2_TCP_CONNECT_FAIL);
	return rc;
}

/* The stack learns of a failure from the loop, like of any other. */
static void
on_forward_name(void *user, int status, const struct ip *addr, size_t n)
{
	struct flow *f = user;
	struct forwarding *w = f->forwarding;
	struct endpoint dst = {.port = w->port};
	w->lookup = NULL;
	if (n)
		dst.ip = addr[0];
	if (status == -ETIMEDOUT)
		count(f->up, M_L2_DNS_FAIL);
	int rc = n ? dial(f, &dst, w->tos) : -EHOSTUNREACH;
	if (!n)
		count(f->up, M_L2_TCP_CONNECT_FAIL);
	struct iovec iov = {w->early.p, w->early.n};
	if (rc == 0 && w->early.n)
		rc = conn_write(&f->conn, &iov, 1, false);
	if (rc == 0 && w->shut)
		conn_shutdown(&f->conn);
	stop_forwarding(f);
	if (rc < 0)
		stack_tcp_failed(f->up->stack, &f->tcp, -rc, uplink_now(f->up));
}

static int
forward_to_name(struct flow *f, const struct forward *to, uint8_t tos)
{
	struct forwarding *w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->port = to->port;
	w->tos = tos;
	buf_init(&w->early, f->up->svc->stack_conf.tcp_early_bytes);
	f->forwarding = w;
	int rc = resolve_addrs(f->up->svc->resolve, to->to.name, on_forward_name, f, &w->lookup);
	if (rc < 0)
		stop_forwarding(f);
	return rc;
}

int
uplink_tcp_open(struct stack *st, struct tcp_flow *tcp, const struct endpoint *dst, uint8_t tos)
{
	struct flow *f = flow_of(tcp);
	struct uplink *up = uplink_of(st);
	struct egress_verdict v = uplink_ask(up, IPPROTO_TCP, dst);
	int rc;
	if (!v.allow)
		return -EACCES;
	if (v.forward && v.forward->to.kind == HOST_NAME) {
		rc = forward_to_name(f, v.forward, tos);
	} else {
		struct endpoint to =
		        v.forward ? (struct endpoint){v.forward->to.ip, v.forward->port} : *dst;
		rc = dial(f, &to, tos);
	}
	if (rc == 0) {
		f->counted = true;
		count(up, M_L2_TCP_CONNS_ACTIVE);
	}
	return rc;
}

/* --- news from the socket ---------------------------------------------------------------- */

static struct flow *
flow_of_conn(struct conn *c)
{
	return CONTAINER_OF(c, struct flow, conn);
}

static void
on_opened(struct conn *c)
{
	struct flow *f = flow_of_conn(c);
	f->opened = true;
	stack_tcp_opened(f->up->stack, &f->tcp, uplink_now(f->up));
}

static void
on_failed(struct conn *c, int err)
{
	struct flow *f = flow_of_conn(c);
	if (!f->opened)
		count(f->up, M_L2_TCP_CONNECT_FAIL);
	log_debug(f->up->log, f->opened ? "tcp.lost" : "tcp.failed", kv_ep("to", &f->tcp.remote),
	        kv_str("error", strerror(err)));
	stack_tcp_failed(f->up->stack, &f->tcp, err, uplink_now(f->up));
}

static void
on_readable(struct conn *c)
{
	struct flow *f = flow_of_conn(c);
	stack_tcp_readable(f->up->stack, &f->tcp, uplink_now(f->up));
}

static void
on_writable(struct conn *c)
{
	struct flow *f = flow_of_conn(c);
	stack_tcp_writable(f->up->stack, &f->tcp, uplink_now(f->up));
}

const struct conn_ops uplink_conn_ops = {
        .opened = on_opened,
        .failed = on_failed,
        .readable = on_readable,
        .writable = on_writable,
};

/* --- bytes ------------------------------------------------------------------------------- */

uint32_t
uplink_tcp_room(struct stack *st, struct tcp_flow *tcp)
{
	struct flow *f = flow_of(tcp);
	(void)st;
	return f->forwarding ? (uint32_t)(f->forwarding->early.cap - f->forwarding->early.n)
	                     : conn_room(&f->conn);
}

static int
keep_early(struct buf *b, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		buf_add(b, span(iov[i].iov_base, iov[i].iov_len));
	return b->bad ? -ENOBUFS : 0;
}

static uint64_t
iov_bytes(const struct iovec *iov, int n)
{
	uint64_t sum = 0;
	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

int
uplink_tcp_write(
        struct stack *st, struct tcp_flow *tcp, const struct iovec *iov, int n, bool urgent)
{
	struct flow *f = flow_of(tcp);
	metric_add(uplink_of(st)->svc->shard, M_L2_TCP_BYTES_TO_WORLD, iov_bytes(iov, n));
	if (f->forwarding)
		return keep_early(&f->forwarding->early, iov, n);
	return conn_write(&f->conn, iov, n, urgent);
}

void
uplink_tcp_shutdown(struct stack *st, struct tcp_flow *tcp)
{
	struct flow *f = flow_of(tcp);
	(void)st;
	if (f->forwarding)
		f->forwarding->shut = true;
	else
		conn_shutdown(&f->conn);
}

ssize_t
uplink_tcp_peek(
        struct stack *st, struct tcp_flow *tcp, uint32_t off, const struct iovec *iov, int n)
{
	struct flow *f = flow_of(tcp);
	(void)st;
	return f->forwarding ? -EAGAIN : conn_peek(&f->conn, off, iov, n);
}

void
uplink_tcp_discard(struct stack *st, struct tcp_flow *tcp, uint32_t n)
{
	metric_add(uplink_of(st)->svc->shard, M_L2_TCP_BYTES_TO_GUEST, n);
	conn_discard(&flow_of(tcp)->conn, n);
}
