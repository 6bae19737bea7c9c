/* Questions to the gateway. What is no question gets no answer; what cannot be asked gets one at
 * once; the rest waits, under a token, for op dns_query's news. A wait keeps the header and the
 * question, so that SERVFAIL can be said whenever and however it ends. */
#include "stack/stack_int.h"

#include "wire/checksum.h"
#include "wire/dns.h"
#include "wire/udp.h"
#include "wire/utf8.h"

#include <errno.h>
#include <stdlib.h>

enum {
	PORT_DNS = 53,
	QUESTION_MOST = DNSNAME_MOST + 4,
	OPT_SIZE = 1232, /* what a query of any guest may have */
	SPARE = 64,      /* asked beyond the limit, for what a cache may answer */
};

struct wait {
	struct hash_node node;
	struct list open;
	uint32_t token;
	struct endpoint guest; /* of an asker over UDP */
	struct ip gateway;
	uint16_t opt_size; /* 0: the query had no OPT */
	uint16_t n;
	uint8_t query[DNS_HEAD + QUESTION_MOST];
};

/* --- what may be asked ------------------------------------------------------------------------ */

static bool
is_text(const struct dnsname *name)
{
	struct span label;
	for (size_t at = 0; dnsname_label(name, &at, &label);)
		if (!utf8_valid(label))
			return false;
	return true;
}

/* 0, -EBADMSG for what deserves no reply, or another errno that rcode_of knows. */
static int
check(struct span query, struct dnsmsg *q)
{
	if (dns_parse(query, q) < 0 || (q->flags & DNS_QR) || !is_text(&q->name))
		return -EBADMSG;
	if (q->flags & DNS_OPCODE || q->class != DNS_IN)
		return -EOPNOTSUPP;
	if (q->bad_records)
		return -EINVAL;
	return q->has_opt && q->opt_version ? -EPROTONOSUPPORT : 0;
}

static int
rcode_of(int err)
{
	switch (err) {
	case -EOPNOTSUPP: return DNS_NOTIMP;
	case -EINVAL: return DNS_FORMERR;
	case -EPROTONOSUPPORT: return DNS_BADVERS;
	default: return DNS_SERVFAIL;
	}
}

static size_t
refusal(uint8_t out[DNS_REFUSAL_MOST], const struct dnsmsg *q, int err)
{
	struct wr w = wr_init(out, DNS_REFUSAL_MOST);
	int rcode = rcode_of(err);
	dns_put_reply(&w, q, rcode & DNS_RCODE);
	if (q->has_opt)
		dns_put_opt(&w, OPT_SIZE, (uint16_t)rcode, q->opt_do);
	return wr_len(&w);
}

size_t
dns_refusal(uint8_t out[DNS_REFUSAL_MOST], struct span query, int err)
{
	struct dnsmsg q;
	return check(query, &q) == -EBADMSG ? 0 : refusal(out, &q, err);
}

/* --- waits ------------------------------------------------------------------------------------ */

static uint64_t
hash_token(const struct stack *st, uint32_t token)
{
	return siphash13(&st->sh->hash_key, &token, sizeof token);
}

static struct wait *
find(const struct stack *st, uint32_t token)
{
	uint64_t h = hash_token(st, token);
	HASH_FOR_EACH (n, &st->dns.waits, h) {
		struct wait *w = CONTAINER_OF(n, struct wait, node);
		if (w->token == token)
			return w;
	}
	return NULL;
}

static void
leave(struct stack *st, struct wait *w)
{
	hash_del(&st->dns.waits, &w->node);
	list_del(&w->open);
	st->dns.n--;
}

static void
release(struct stack *st, struct wait *w)
{
	leave(st, w);
	slab_free(&st->sh->batch->waits, w);
}

static void
withdraw(struct stack *st, struct wait *w)
{
	uint32_t token = w->token;
	release(st, w);
	ops_of(st)->dns_cancel(st, token);
}

static struct wait *
enter(struct stack *st, uint32_t token, const struct dnsmsg *q)
{
	uint32_t most = conf_of(st)->dns_max_pending;
	if (!most || st->dns.n >= (uint64_t)most + SPARE)
		return NULL;
	struct wait *w = slab_alloc(&st->sh->batch->waits);
	if (!w)
		return NULL;
	w->token = token;
	if (!hash_add(&st->dns.waits, &w->node, hash_token(st, token))) {
		slab_free(&st->sh->batch->waits, w);
		return NULL;
	}
	list_add(&st->dns.open, &w->open);
	st->dns.n++;
	w->n = (uint16_t)(DNS_HEAD + q->question.n);
	memcpy(w->query, q->whole.p, w->n);
	memset(w->query + 6, 0, 6); /* no records behind the question */
	w->opt_size = q->has_opt ? q->opt_size : 0;
	return w;
}

static int
ask(struct stack *st, uint32_t token, const struct dnsmsg *q, struct wait **out)
{
	struct wait *w = enter(st, token, q);
	if (!w)
		return -EBUSY;
	int r = ops_of(st)->dns_query(st, token, q->whole);
	if (r < 0) {
		release(st, w);
		return -EIO;
	}
	*out = w;
	return 0;
}

int
dns_ask(struct stack *st, uint32_t token, struct span query)
{
	struct dnsmsg q;
	struct wait *w;
	int r = check(query, &q);
	stats_of(st)->dns_in++;
	return r < 0 ? r : ask(st, token, &q, &w);
}

void
dns_forget(struct stack *st, uint32_t token)
{
	struct wait *w = find(st, token);
	if (w)
		withdraw(st, w);
}

/* --- over UDP --------------------------------------------------------------------------------- */

static void
reply(struct stack *st, const struct ip *src, const struct endpoint *dst, struct span msg)
{
	struct ippkt k = {.src = *src, .dst = dst->ip, .proto = IPPROTO_UDP};
	uint8_t head[UDP_HEAD];
	udp_put(head, PORT_DNS, dst->port, &k.src, &k.dst, msg.n, checksum_sum(msg.p, msg.n));
	ctl_packet(st, &k, span(head, sizeof head), msg);
}

/* Within what the asker takes, and one frame: fragments are the first to get lost. */
static void
reply_cut(struct stack *st, const struct wait *w, struct span msg)
{
	size_t most = w->opt_size > DNS_UDP_LEAST ? w->opt_size : DNS_UDP_LEAST;
	size_t head = ip_head_len(&w->gateway) - ETHER_HEAD + UDP_HEAD;
	if (lan_mtu(st) > head + DNS_UDP_LEAST && most > lan_mtu(st) - head)
		most = lan_mtu(st) - head;
	if (msg.n <= most) {
		reply(st, &w->gateway, &w->guest, msg);
		return;
	}
	uint8_t *copy = malloc(msg.n);
	if (!copy)
		return;
	memcpy(copy, msg.p, msg.n);
	reply(st, &w->gateway, &w->guest, span(copy, dns_fit(copy, msg.n, most)));
	free(copy);
}

static uint32_t
next_token(struct stack *st)
{
	do
		st->dns.last_token = (st->dns.last_token + 1) & ~DNS_TOKEN_TCP;
	while (find(st, st->dns.last_token));
	return st->dns.last_token;
}

void
dns_input(struct stack *st, const struct ippkt *k, uint16_t sport, struct span query)
{
	struct dnsmsg q;
	struct wait *w = NULL;
	stats_of(st)->dns_in++;
	int r = sport ? check(query, &q) : -EBADMSG;
	if (r == -EBADMSG)
		return;
	struct endpoint guest = {lan_is_guest(st, &k->src) ? k->src : conf_of(st)->guest, sport};
	if (r == 0)
		r = ask(st, next_token(st), &q, &w);
	if (r < 0) {
		uint8_t out[DNS_REFUSAL_MOST];
		reply(st, &k->dst, &guest, span(out, refusal(out, &q, r)));
		return;
	}
	w->guest = guest;
	w->gateway = k->dst;
}

void
stack_dns_answer(struct stack *st, uint32_t token, struct span answer, uint64_t now)
{
	uint8_t failed[DNS_REFUSAL_MOST];
	struct dnsmsg q;
	struct wait *w = find(st, token);
	st->now = now;
	if (!w)
		return;
	leave(st, w);
	if (answer.n < DNS_HEAD) {
		dns_parse(span(w->query, w->n), &q);
		q.has_opt = w->opt_size;
		answer = span(failed, refusal(failed, &q, -EIO));
	}
	if (token & DNS_TOKEN_TCP)
		dnstcp_answer(st, token, answer, now);
	else
		reply_cut(st, w, answer);
	slab_free(&st->sh->batch->waits, w);
}

/* --- life ------------------------------------------------------------------------------------- */

void
dns_batch_init(struct stack_batch *b)
{
	slab_init(&b->waits, sizeof(struct wait), UINT32_MAX);
}

void
dns_init(struct stack *st)
{
	list_init(&st->dns.open);
}

void
dns_fini(struct stack *st)
{
	while (!list_empty(&st->dns.open))
		withdraw(st, LIST_ENTRY(st->dns.open.next, struct wait, open));
	hash_fini(&st->dns.waits);
}

size_t
dns_memory(const struct stack *st)
{
	return st->dns.n * sizeof(struct wait) + st->dns.waits.size * sizeof(struct hash_node *);
}
