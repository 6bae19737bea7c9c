/* http: a page, fetched by the guest: name, connection, request, answer. */
#include "probes/rows.h"

#include "http/head.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_MOST = 65536 };

static const struct head_limits limits = {.bytes = 64u << 10, .fields = 200};

struct page {
	struct head head;
	bool got_head;
	uint64_t body, length; /* bytes so far; UINT64_MAX: until the end */
	uint64_t first_us;     /* of the first byte */
};

static void
ask(struct gtcp *t, const struct url *u)
{
	char req[URL_TARGET + URL_HOST + 128];
	int n = snprintf(req, sizeof req,
	        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: aero-probe\r\nAccept: */*\r\n"
	        "Connection: close\r\n\r\n",
	        u->target, u->authority);
	gtcp_write(t, span(req, (size_t)n));
}

/* False: this is not HTTP. */
static bool
take(struct page *g, struct span in)
{
	size_t used = 0;
	if (!g->got_head) {
		int r = head_feed(&g->head, &limits, in, &used);
		if (r != HEAD_MORE && r != HEAD_DONE)
			return false;
		g->got_head = r == HEAD_DONE;
		struct span length = head_get(&g->head, "content-length", 0);
		g->length = UINT64_MAX;
		if (g->got_head && length.p && !span_u64(length, UINT64_MAX - 1, &g->length))
			return false;
	}
	g->body += in.n - used;
	return true;
}

static int
judge(struct probe *p, const struct page *g, const struct gtcp_info *i)
{
	int status = g->head.status;
	step_u64(p, "status", (uint64_t)status);
	step_u64(p, "bytes", g->body);
	step_ms(p, "first_byte_ms", g->first_us - p->began_us);
	if (g->length != UINT64_MAX && g->body < g->length)
		return step_end(p, ANSWER_NO, EXIT_PROTOCOL,
		        "status %d, but only %llu of %llu bytes%s%s", status,
		        (unsigned long long)g->body, (unsigned long long)g->length,
		        i->err ? ": " : "", i->err ? strerror(i->err) : "");
	enum answer a = status / 100 < 4 ? ANSWER_YES : ANSWER_NO;
	return step_end(p, a, a == ANSWER_YES ? EXIT_OK : EXIT_FAILED, "status %d, %llu bytes",
	        status, (unsigned long long)g->body);
}

static int
read_page(struct probe *p, struct gtcp *t, struct page *g)
{
	struct lan *l = p->lan;
	struct gtcp_info i;
	enum lan_wait w = LAN_NEWS;
	uint8_t *buf = l->w->scratch;
	bool http = true;
	uint64_t until = lan_patience(l);
	for (;;) {
		size_t n;
		while (http && (n = gtcp_read(t, buf, READ_MOST))) {
			g->first_us = g->first_us ? g->first_us : probe_us();
			http = take(g, span(buf, n));
			until = lan_patience(l);
		}
		gtcp_info(t, &i);
		if (!http || i.eof || i.over || (g->got_head && g->body >= g->length) ||
		        (w = lan_wait(l, until)) != LAN_NEWS)
			break;
	}
	if (!http)
		return step_end(p, ANSWER_NO, EXIT_PROTOCOL, "the answer is not HTTP");
	if (g->got_head)
		return w == LAN_NEWS ? judge(p, g, &i) : lan_give_up(l, w, "the body stopped");
	if (i.err || i.eof)
		return step_end(p, ANSWER_NO, EXIT_PROTOCOL, "%s before an answer",
		        i.err ? strerror(i.err) : "the connection was closed");
	return lan_give_up(l, w, "connected, but no answer");
}

int
probe_http(struct probe *p)
{
	struct url u;
	struct err e = {0};
	struct endpoint to;
	struct gtcp *t;
	struct page g = {.length = UINT64_MAX};
	if (url_parse(p->conf->target, &u, &e) < 0 || u.tls || u.ws) {
		step_begin(p, "target");
		return step_end(p, ANSWER_NO, EXIT_USAGE, "%s",
		        e.text[0] ? e.text
		                  : "only http:// can be fetched; for TLS use tcp HOST:443");
	}
	to.port = u.port;
	int r = lan_lookup(p->lan, span_str(u.host), &to.ip);
	if (r)
		return r;
	step_begin(p, "http");
	r = probe_connect(p, &to, &t);
	if (r)
		return r;
	ask(t, &u);
	head_init(&g.head, true, &limits);
	r = read_page(p, t, &g);
	head_fini(&g.head);
	gtcp_close(t, lan_now(p->lan));
	return r;
}
