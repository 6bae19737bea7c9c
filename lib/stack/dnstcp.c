/* The far side of connections to the gateway's port 53: DNS over TCP (RFC 7766). Queries may be
 * pipelined and are answered as answers come. A guest that does not read its answers is not read
 * from either, so what it can make us hold is bounded. */
#include "stack/tcp_int.h"

#include "base/buf.h"
#include "base/cursor.h"

#include <errno.h>
#include <stdlib.h>

enum {
	CONNS_MOST = 16,      /* of a tunnel */
	ASKS_MOST = 8,        /* unanswered, of a connection */
	IN_MOST = 4096,       /* also the longest query, with its length */
	OUT_PAUSE = 64 << 10, /* answers unread: no more queries are looked at */
	OUT_MOST = OUT_PAUSE + ASKS_MOST * (16 << 10),
};

struct ask {
	struct list node;
	uint32_t token;
};

struct conn {
	struct tcp_flow f;
	struct list node;
	struct list asks;
	unsigned n_asks;
	struct buf in, out; /* what was not parsed, what was not acknowledged */
	bool closing;       /* no more queries will come, or be taken */
	bool broken;
};

static struct conn *
conn_of(const struct tcp_flow *f)
{
	return CONTAINER_OF(f, struct conn, f);
}

struct tcp_flow *
dnstcp_alloc(struct stack *st)
{
	struct tcp_part *t = &st->tcp;
	struct conn *c = t->n_dns < CONNS_MOST ? calloc(1, sizeof *c) : NULL;
	if (!c)
		return NULL;
	c->f.flags = FLOW_LOCAL;
	list_init(&c->asks);
	buf_init(&c->in, IN_MOST);
	buf_init(&c->out, OUT_MOST);
	list_add(&t->dns, &c->node);
	t->n_dns++;
	return &c->f;
}

static void
drop_ask(struct conn *c, struct ask *a)
{
	list_del(&a->node);
	c->n_asks--;
	free(a);
}

void
dnstcp_free(struct tcp_flow *f)
{
	struct conn *c = conn_of(f);
	while (!list_empty(&c->asks)) {
		struct ask *a = LIST_ENTRY(c->asks.next, struct ask, node);
		dns_forget(f->st, a->token);
		drop_ask(c, a);
	}
	list_del(&c->node);
	f->st->tcp.n_dns--;
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

size_t
dnstcp_memory(const struct stack *st)
{
	size_t n = 0;
	LIST_FOR_EACH (it, &st->tcp.dns) {
		const struct conn *c = LIST_ENTRY(it, struct conn, node);
		n += sizeof *c + c->in.room + c->out.room + c->n_asks * sizeof(struct ask);
	}
	return n;
}

/* --- queries and answers ------------------------------------------------------------------ */

static void
reply(struct conn *c, struct span msg)
{
	uint8_t len[2];
	put16(len, (uint16_t)msg.n);
	if (!buf_add(&c->out, span(len, 2)) || !buf_add(&c->out, msg))
		c->broken = true;
	c->f.flags |= FLOW_READABLE;
}

static int
query(struct conn *c, struct span msg)
{
	struct stack *st = c->f.st;
	struct ask *a = malloc(sizeof *a);
	if (!a)
		return -ENOMEM;
	a->token = DNS_TOKEN_TCP | ++st->tcp.last_dns_token;
	list_add(&c->asks, &a->node);
	c->n_asks++;
	int r = dns_ask(st, a->token, msg);
	if (r == 0)
		return 0;
	drop_ask(c, a);
	uint8_t no[DNS_REFUSAL_MOST];
	size_t n = dns_refusal(no, msg, r);
	if (!n)
		return -EBADMSG;
	reply(c, span(no, n));
	return 0;
}

static bool
has_query(const struct conn *c)
{
	return c->in.n >= 2 && c->in.n >= 2u + get16(c->in.p);
}

/* Whole queries at the front of the input. */
static int
parse(struct conn *c)
{
	while (has_query(c) && c->n_asks < ASKS_MOST && c->out.n < OUT_PAUSE) {
		size_t n = get16(c->in.p);
		int r = query(c, span(c->in.p + 2, n));
		if (r < 0)
			return r;
		buf_eat(&c->in, 2 + n);
	}
	return c->in.n >= 2 && get16(c->in.p) > IN_MOST - 2 ? -EMSGSIZE : 0;
}

/* Go on with what had to wait. */
static void
resume(struct conn *c)
{
	if (parse(c) < 0)
		c->broken = true;
	c->f.flags |= FLOW_READABLE;
	if (c->f.state != FLOW_OPEN)
		return;
	tcp_window_update(&c->f);
	flow_kick(&c->f);
	tcp_arm(&c->f);
}

void
dnstcp_answer(struct stack *st, uint32_t token, struct span msg, uint64_t now)
{
	st->now = now;
	LIST_FOR_EACH (it, &st->tcp.dns) {
		struct conn *c = LIST_ENTRY(it, struct conn, node);
		LIST_FOR_EACH (at, &c->asks) {
			struct ask *a = LIST_ENTRY(at, struct ask, node);
			if (a->token != token)
				continue;
			drop_ask(c, a);
			reply(c, msg);
			resume(c);
			return;
		}
	}
}

/* --- as the flow sees it ------------------------------------------------------------------ */

uint32_t
dnstcp_room(struct tcp_flow *f)
{
	return IN_MOST - (uint32_t)conn_of(f)->in.n;
}

int
dnstcp_write(struct tcp_flow *f, const struct iovec *iov, int n)
{
	struct conn *c = conn_of(f);
	for (int i = 0; i < n; i++)
		if (!buf_add(&c->in, span(iov[i].iov_base, iov[i].iov_len)))
			return -EMSGSIZE;
	return parse(c);
}

void
dnstcp_shutdown(struct tcp_flow *f)
{
	conn_of(f)->closing = true;
	f->flags |= FLOW_READABLE;
}

bool
dnstcp_idle(struct tcp_flow *f)
{
	if (conn_of(f)->closing)
		return false;
	dnstcp_shutdown(f);
	flow_kick(f);
	return true;
}

ssize_t
dnstcp_peek(struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n)
{
	struct conn *c = conn_of(f);
	ssize_t got = 0;
	if (c->broken)
		return -ECONNRESET;
	for (int i = 0; i < n && off < c->out.n; i++) {
		size_t some = c->out.n - off < iov[i].iov_len ? c->out.n - off : iov[i].iov_len;
		memcpy(iov[i].iov_base, c->out.p + off, some);
		off += (uint32_t)some;
		got += (ssize_t)some;
	}
	if (got)
		return got;
	return c->closing && !c->n_asks && !has_query(c) ? 0 : -EAGAIN;
}

void
dnstcp_discard(struct tcp_flow *f, uint32_t n)
{
	struct conn *c = conn_of(f);
	buf_eat(&c->out, n);
	if (parse(c) < 0)
		c->broken = true;
	tcp_window_update(f);
}
