#include "guest/gdns.h"

#include "guest/gtcp.h"
#include "guest/gudp.h"
#include "guest/guest_int.h"

#include <errno.h>
#include <stdlib.h>

enum {
	DNS_PORT = 53,
	QUERY_MOST = 512,
	ANSWER_MOST = 65535,
	AGAIN_MS = 1000,
	AGAIN_DOUBLINGS = 4,
};

struct gdns {
	struct guest *g;
	struct endpoint server;
	struct gudp *udp;
	struct gtcp *tcp;
	struct timer timer;
	uint32_t tries;
	int err;
	bool answered, over_tcp;
	size_t query_n, n;
	uint8_t query[2 + QUERY_MOST]; /* behind the length that TCP wants */
	uint8_t answer[2 + ANSWER_MOST];
};

static void
ask_udp(struct gdns *d, uint64_t now)
{
	gudp_send(d->udp, &d->server, span(d->query + 2, d->query_n), 0, now);
	uint32_t doublings = d->tries < AGAIN_DOUBLINGS ? d->tries : AGAIN_DOUBLINGS;
	d->tries++;
	wheel_add(d->g->conf.wheel, &d->timer, now + ((uint64_t)AGAIN_MS << doublings));
}

static void
on_timer(struct timer *t, uint64_t now)
{
	ask_udp(CONTAINER_OF(t, struct gdns, timer), now);
}

static void
ask_tcp(struct gdns *d, uint64_t now)
{
	wheel_del(d->g->conf.wheel, &d->timer);
	d->over_tcp = true;
	d->n = 0;
	d->tcp = gtcp_open(d->g, &d->server, NULL, now);
	if (!d->tcp) {
		d->err = ENOMEM;
		return;
	}
	put16(d->query, (uint16_t)d->query_n);
	gtcp_write(d->tcp, span(d->query, 2 + d->query_n));
}

static bool
make_query(struct gdns *d, const struct gdns_question *q)
{
	struct wr w = wr_init(d->query + 2, QUERY_MOST);
	uint16_t id = guest_port(d->g);
	bool ok = dns_put_query(&w, (uint16_t)(id * 40503u), DNS_RD, &q->name, q->type);
	if (ok && q->edns)
		ok = dns_put_opt(&w, q->edns, 0, false);
	d->query_n = wr_len(&w);
	return ok;
}

struct gdns *
gdns_ask(struct guest *g, const struct gdns_question *q, uint64_t now)
{
	struct gdns *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->g = g;
	d->server = (struct endpoint){
	        ip_is_unspecified(&q->server) ? g->net.dns : q->server,
	        DNS_PORT,
	};
	timer_init(&d->timer, on_timer);
	if (ip_is_unspecified(&d->server.ip))
		d->err = EDESTADDRREQ;
	else if (!make_query(d, q))
		d->err = EMSGSIZE;
	else if (q->tcp)
		ask_tcp(d, now);
	else if ((d->udp = gudp_open(g, 0)))
		ask_udp(d, now);
	else
		d->err = ENOMEM;
	return d;
}

void
gdns_free(struct gdns *d, uint64_t now)
{
	if (!d)
		return;
	wheel_del(d->g->conf.wheel, &d->timer);
	gudp_free(d->udp);
	if (d->tcp)
		gtcp_close(d->tcp, now);
	free(d);
}

/* An answer to our question, or something to be ignored. */
static bool
is_ours(const struct gdns *d, struct span msg, struct dnsmsg *m)
{
	struct dnsmsg q;
	return dns_parse(span(d->query + 2, d->query_n), &q) == 0 && dns_parse(msg, m) == 0 &&
	       (m->flags & DNS_QR) && dns_matches(&q, m);
}

static void
read_udp(struct gdns *d, uint64_t now)
{
	struct endpoint from;
	struct dnsmsg m;
	struct gudp_trouble trouble;
	ssize_t n;
	while (!d->answered && !d->over_tcp &&
	        (n = gudp_recv(d->udp, &from, d->answer + 2, ANSWER_MOST)) >= 0) {
		if (!endpoint_eq(&from, &d->server) ||
		        !is_ours(d, span(d->answer + 2, (size_t)n), &m))
			continue;
		d->n = (size_t)n;
		d->answered = !(m.flags & DNS_TC);
		if (m.flags & DNS_TC)
			ask_tcp(d, now);
	}
	if (!d->answered && gudp_trouble(d->udp, &trouble))
		d->err = trouble.kind == ICMP_KIND_PORT_UNREACHABLE ? ECONNREFUSED : EHOSTUNREACH;
	if (d->answered)
		wheel_del(d->g->conf.wheel, &d->timer);
}

static void
read_tcp(struct gdns *d)
{
	struct gtcp_info i;
	struct dnsmsg m;
	size_t want = d->n < 2 ? 2 : 2u + get16(d->answer), got;
	while (d->n < want && (got = gtcp_read(d->tcp, d->answer + d->n, want - d->n))) {
		d->n += got;
		want = d->n < 2 ? 2 : 2u + get16(d->answer);
	}
	if (d->n >= 2 && d->n == want) {
		d->n -= 2;
		d->answered = is_ours(d, span(d->answer + 2, d->n), &m);
		d->err = d->answered ? 0 : EBADMSG;
		return;
	}
	gtcp_info(d->tcp, &i);
	if (i.err || i.eof)
		d->err = i.err ? i.err : EBADMSG;
}

bool
gdns_answer(struct gdns *d, struct dnsmsg *out, uint64_t now)
{
	if (!d->answered && !d->err && d->udp && !d->over_tcp)
		read_udp(d, now);
	if (!d->answered && !d->err && d->tcp)
		read_tcp(d);
	return d->answered && dns_parse(span(d->answer + 2, d->n), out) == 0;
}

int
gdns_error(const struct gdns *d)
{
	return d->err;
}

bool
gdns_over_tcp(const struct gdns *d)
{
	return d->over_tcp;
}
