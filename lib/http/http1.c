/* Input is taken in a loop: head, body, handler, next head. It stops where an answer must be waited
 * for or where more than a little output waits, and keeps what lies behind in `behind`, at most as
 * much as a head may be long, while the connection is not read. It goes on from the loop: by itself
 * if the handler answered at once, else by `later`, or when output has gone.
 *
 * One timer, by turns: the head's deadline (from accept, or from a head's first byte), the body's,
 * and the patience for the next head. While a handler thinks none runs. */
#include "http/http1.h"

#include <stdio.h>
#include <stdlib.h>

#define OUT_MOST (64u << 10) /* waiting output from which on no further request is begun */
#define FLUSH_MS 30000
#define LINGER_MS 2000

/* --- one request's memory --------------------------------------------------------------------- */

static void on_go_on(struct later *l);

static struct req *
req_new(struct hconn *c)
{
	struct server *s = ((struct place *)c->keeper)->server;
	struct req *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->c = c;
	r->s = s;
	head_init(&r->head, false, &s->limits);
	buf_init(&r->body, s->conf.body_max);
	buf_init(&r->behind, s->conf.head_max);
	later_init(&r->later, on_go_on);
	list_init(&r->upgraded);
	return r;
}

static void
req_free(struct req *r)
{
	later_cancel(&r->later);
	list_del(&r->upgraded);
	head_fini(&r->head);
	buf_fini(&r->body);
	buf_fini(&r->behind);
	free(r);
}

/* --- the end of it ---------------------------------------------------------------------------- */

static void
end(struct hconn *c)
{
	hconn_finish(c, FLUSH_MS, LINGER_MS);
}

/* Our own word about a request that no handler will see; the connection ends with it. */
static void
refuse(struct req *r, int status)
{
	r->keep = false;
	r->running = true; /* nothing is to go on */
	req_reply(r, status, NULL, "", SPAN_NONE);
	end(r->c);
}

/* --- time ------------------------------------------------------------------------------------- */

static void
on_head_late(struct timer *t, uint64_t now)
{
	(void)now;
	struct hconn *c = CONTAINER_OF(t, struct hconn, timer);
	if (c->user)
		refuse(c->user, 408);
	else
		hconn_drop(c); /* not a byte came: nobody listens for an answer */
}

static void
on_idle(struct timer *t, uint64_t now)
{
	(void)now;
	struct hconn *c = CONTAINER_OF(t, struct hconn, timer);
	end(c);
}

static void
on_body_late(struct timer *t, uint64_t now)
{
	(void)now;
	struct hconn *c = CONTAINER_OF(t, struct hconn, timer);
	refuse(c->user, 408);
}

/* --- from head to handler --------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned bit;
} methods[] = {
        {"GET", METHOD_GET},
        {"HEAD", METHOD_HEAD},
        {"POST", METHOD_POST},
        {"OPTIONS", METHOD_OPTIONS},
};

static unsigned
method_bit(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (span_is(name, methods[i].name))
			return methods[i].bit;
	return 0;
}

static void
refuse_method(struct req *r)
{
	char extra[64] = "Allow: ";
	size_t n = strlen(extra);
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (r->route->methods & methods[i].bit)
			n += (size_t)snprintf(extra + n, sizeof extra - n, "%s,", methods[i].name);
	snprintf(extra + n - 1, sizeof extra - n + 1, "\r\n");
	req_reply(r, 405, NULL, extra, SPAN_NONE);
}

static const struct route *
find_route(const struct server *s, struct span path)
{
	for (const struct route *at = s->routes; at->path; at++)
		if (span_is(path, at->path))
			return at;
	return NULL;
}

/* RFC 9112 9.3: HTTP/1.1 stays unless told otherwise, HTTP/1.0 goes unless asked to stay. */
static bool
may_keep(const struct req *r)
{
	if (r->s->draining || !r->s->conf.idle_ms ||
	        head_has_token(&r->head, "connection", "close"))
		return false;
	return r->head.minor > 0 || head_has_token(&r->head, "connection", "keep-alive");
}

static void
ask(struct req *r)
{
	hconn_no_timer(r->c);
	r->state = REQ_ASKED;
	if (!r->route)
		req_reply(r, 404, NULL, "", SPAN_NONE);
	else if (!(r->route->methods & r->method))
		refuse_method(r);
	else
		r->route->handle(r, r->s->user);
}

/* RFC 9110 10.1.1: the client waits for this word before it sends the body. */
static int
expect(struct req *r)
{
	struct span e = head_get(&r->head, "expect", 0);
	if (!e.p || r->head.minor == 0)
		return 0;
	if (!span_ieq(e, SPAN_LIT("100-continue")))
		return 417;
	if (r->has_body)
		hconn_send(r->c, SPAN_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
	return 0;
}

static void
begin(struct req *r)
{
	struct head_body body;
	r->method = method_bit(r->head.method);
	int status = head_request_body(&r->head, &body);
	if (status) {
		refuse(r, status);
		return;
	}
	r->route = find_route(r->s, r->head.path);
	r->is_chunked = body.chunked;
	r->has_body = body.chunked || body.length > 0;
	r->body_left = body.length;
	bool taken = r->route && r->route->methods & r->method;
	r->keep = may_keep(r) && (taken || !r->has_body);
	if (!taken || !r->has_body) {
		status = taken ? expect(r) : 0;
		status ? refuse(r, status) : ask(r);
		return;
	}
	if (body.length > r->s->conf.body_max || (body.chunked && !r->s->conf.body_max))
		status = 413;
	else
		status = expect(r);
	if (status) {
		refuse(r, status);
		return;
	}
	r->state = REQ_BODY;
	hconn_timer(r->c, on_body_late, r->s->conf.body_ms);
}

static size_t
take_head(struct req *r, struct span in)
{
	size_t used;
	struct timer *t = &r->c->timer;
	if (t->fire != on_head_late || !timer_armed(t))
		hconn_timer(r->c, on_head_late, r->s->conf.head_ms);
	int got = head_feed(&r->head, &r->s->limits, in, &used);
	if (got == HEAD_DONE)
		begin(r);
	else if (got != HEAD_MORE)
		refuse(r, got);
	return used;
}

/* --- bodies ----------------------------------------------------------------------------------- */

static size_t
take_plain(struct req *r, struct span in)
{
	struct span part = span_first(in, r->body_left < in.n ? (size_t)r->body_left : in.n);
	r->body_left -= part.n;
	if (!buf_add(&r->body, part))
		refuse(r, 503);
	else if (!r->body_left)
		ask(r);
	return part.n;
}

/* A coding may cost more bytes than it carries, but not without end. */
static size_t
take_chunked(struct req *r, struct span in)
{
	struct span rest = in, part;
	enum chunked_result got;
	uint64_t most = 8 * (uint64_t)r->s->conf.body_max + CHUNKED_TRAILERS;
	while ((got = chunked_feed(&r->chunked, &rest, &part)) == CHUNKED_DATA)
		if (!buf_add(&r->body, part)) {
			refuse(r, 413);
			return in.n;
		}
	r->coded += in.n - rest.n;
	if (got == CHUNKED_BAD)
		refuse(r, 400);
	else if (r->coded > most)
		refuse(r, 413);
	else if (got == CHUNKED_DONE)
		ask(r);
	return in.n - rest.n;
}

/* --- the loop --------------------------------------------------------------------------------- */

/* The request was answered: what now of the connection? */
static void
settle(struct req *r)
{
	struct hconn *c = r->c;
	if (c->user == r) {
		c->user = NULL;
		if (!r->keep)
			end(c);
		else
			hconn_timer(c, on_idle, r->s->conf.idle_ms);
	}
	req_free(r);
}

static void
keep_behind(struct req *r, struct span in)
{
	hconn_pause(r->c, HCONN_PAUSE_BEHIND, true);
	if (!r->deaf && !buf_add(&r->behind, in))
		r->deaf = true;
}

static size_t
take_some(struct req *r, struct span in)
{
	if (r->state == REQ_HEAD && hconn_queued(r->c) <= OUT_MOST)
		return take_head(r, in);
	if (r->state == REQ_BODY)
		return r->is_chunked ? take_chunked(r, in) : take_plain(r, in);
	keep_behind(r, in);
	return in.n;
}

static const struct hconn_ops http_ops;

static void
take(struct hconn *c, uint8_t *p, size_t n)
{
	while (n && !c->finishing) {
		if (c->ops != &http_ops) {
			c->ops->data(c, p, n);
			return;
		}
		if (!c->user)
			c->user = req_new(c);
		struct req *r = c->user;
		if (!r) {
			hconn_drop(c);
			return;
		}
		r->running = true;
		size_t used = take_some(r, span(p, n));
		r->running = false;
		p += used;
		n -= used;
		if (r->state == REQ_ANSWERED)
			settle(r);
	}
}

/* Take what was kept; r goes away or on. */
static void
take_behind(struct req *r)
{
	struct hconn *c = r->c;
	struct buf kept = r->behind;
	buf_init(&r->behind, kept.cap);
	if (r->state == REQ_ANSWERED)
		settle(r);
	hconn_pause(c, HCONN_PAUSE_BEHIND, false);
	take(c, kept.p, kept.n);
	buf_fini(&kept);
}

static void
on_go_on(struct later *l)
{
	take_behind(CONTAINER_OF(l, struct req, later));
}

static void
on_sent(struct hconn *c)
{
	struct req *r = c->user;
	if (r && r->state == REQ_HEAD && r->behind.n)
		take_behind(r);
}

static void
on_closed(struct hconn *c)
{
	struct req *r = c->user;
	if (!r)
		return;
	if (r->state == REQ_ASKED && r->gone)
		r->gone(r);
	req_free(r);
}

static const struct hconn_ops http_ops = {
        .data = take,
        .sent = on_sent,
        .closed = on_closed,
};

void
http1_start(struct hconn *c, struct server *s)
{
	c->ops = &http_ops;
	hconn_timer(c, on_head_late, s->conf.head_ms);
}

void
http1_drain(struct hconn *c)
{
	struct req *r = c->user;
	if (c->ops == &http_ops && (!r || (r->state == REQ_HEAD && !r->head.text.n)))
		end(c);
}

void
http1_forget_upgrade(struct server *s, const struct hconn *c)
{
	LIST_FOR_EACH_SAFE (n, &s->upgraded) {
		struct req *r = LIST_ENTRY(n, struct req, upgraded);
		if (r->c == c)
			req_free(r);
	}
}
