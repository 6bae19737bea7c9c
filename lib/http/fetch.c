#include "http/fetch.h"

#include "http/chunked.h"
#include "http/hconn.h"
#include "http/request.h"

#include <errno.h>
#include <stdlib.h>

static const struct head_limits limits = {.bytes = 64u << 10, .fields = 200};

struct fetch {
	struct hconn *c; /* NULL once it is over */
	void (*done)(struct fetch *f, void *user);
	void *user;
	struct head head;
	struct buf body;
	struct chunked chunked;
	uint64_t left; /* of the body; UINT64_MAX: until the connection ends */
	bool no_body, in_body, is_chunked, complete, broken;
	char *why;
};

static void
end(struct fetch *f, const char *why, bool broken)
{
	if (!f->complete && !f->why) {
		f->why = xstrdup(why);
		f->broken = broken;
	}
	hconn_drop(f->c);
}

static void
completed(struct fetch *f)
{
	f->complete = true;
	end(f, "", false);
}

/* What follows the head (RFC 9112 6.3). */
static bool
begin_body(struct fetch *f)
{
	struct span length = head_get(&f->head, "content-length", 0);
	f->in_body = true;
	f->is_chunked = head_has_token(&f->head, "transfer-encoding", "chunked");
	f->left = UINT64_MAX;
	if (f->no_body || f->head.status == 204 || f->head.status == 304)
		f->left = 0;
	else if (!f->is_chunked && length.p && !span_u64(length, UINT64_MAX - 1, &f->left))
		return false;
	return true;
}

static void
keep(struct fetch *f, struct span s)
{
	if (!buf_add(&f->body, s))
		end(f, "the answer is too long", false);
}

static void
take_chunked(struct fetch *f, struct span in)
{
	struct span data;
	for (;;) {
		switch (chunked_feed(&f->chunked, &in, &data)) {
		case CHUNKED_DATA: keep(f, data); break;
		case CHUNKED_MORE: return;
		case CHUNKED_DONE: completed(f); return;
		case CHUNKED_BAD: end(f, "malformed chunked body", true); return;
		}
	}
}

static void
take_body(struct fetch *f, struct span in)
{
	if (f->is_chunked && f->left) {
		take_chunked(f, in);
		return;
	}
	if (in.n > f->left)
		in.n = (size_t)f->left;
	keep(f, in);
	if (f->left != UINT64_MAX)
		f->left -= in.n;
	if (!f->left)
		completed(f);
}

static void
on_data(struct hconn *c, uint8_t *p, size_t n)
{
	struct fetch *f = c->user;
	size_t used = 0;
	while (!f->in_body && n) {
		int got = head_feed(&f->head, &limits, span(p, n), &used);
		if (got == HEAD_MORE)
			return;
		if (got != HEAD_DONE || f->head.status == 101 || !begin_body(f)) {
			end(f, "malformed answer", true);
			return;
		}
		p += used;
		n -= used;
		if (f->head.status / 100 == 1) { /* interim: the real one follows */
			head_fini(&f->head);
			head_init(&f->head, true, &limits);
			f->in_body = false;
		}
	}
	if (f->in_body)
		take_body(f, span(p, n));
}

static void
on_late(struct timer *t, uint64_t now)
{
	(void)now;
	struct hconn *c = CONTAINER_OF(t, struct hconn, timer);
	end(c->user, c->up ? "no answer in time" : "no connection in time", false);
}

static void
on_closed(struct hconn *c)
{
	struct fetch *f = c->user;
	if (f->in_body && f->left == UINT64_MAX && !f->is_chunked)
		f->complete = f->complete || !f->why;
	if (!f->complete && !f->why)
		f->why = xstrdup(c->why ? c->why : "the connection was lost");
	f->c = NULL;
	f->done(f, f->user);
}

static const struct hconn_ops ops = {.data = on_data, .closed = on_closed};

/* --- calls ------------------------------------------------------------------------------------ */

static bool
put_request(struct fetch *f, const struct fetch_req *r)
{
	struct buf b;
	buf_init(&b, (64u << 10) + r->body.n);
	buf_addf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r->method, r->target, r->host);
	buf_adds(&b, "Connection: close\r\n");
	if (r->body.p)
		buf_addf(&b, "Content-Length: %zu\r\n", r->body.n);
	if (r->headers)
		buf_adds(&b, r->headers);
	buf_adds(&b, "\r\n");
	if (r->body.p)
		buf_add(&b, r->body);
	bool ok = !b.bad && hconn_send(f->c, buf_span(&b));
	buf_fini(&b);
	return ok;
}

int
fetch_start(struct transport *t, const struct fetch_req *r, struct fetch **out)
{
	if (!request_text_ok(r->host, r->target, r->headers) || !*r->method ||
	        strpbrk(r->method, " \r\n"))
		return -EINVAL;
	struct fetch *f = calloc(1, sizeof *f);
	struct hconn *c = f ? hconn_new(t) : NULL;
	if (!c) {
		free(f);
		return -ENOMEM;
	}
	*out = f;
	f->c = c;
	f->done = r->done;
	f->user = r->user;
	f->no_body = strcmp(r->method, "HEAD") == 0;
	head_init(&f->head, true, &limits);
	buf_init(&f->body, r->body_most);
	c->ops = &ops;
	c->user = f;
	put_request(f, r);
	hconn_timer(c, on_late, r->timeout_ms);
	char *name = r->tls ? request_host_name(r->host) : NULL;
	struct hconn_dial d = {.to = r->to, .tls_name = name, .insecure = r->tls_insecure};
	int e = hconn_dial(c, &d);
	free(name);
	if (e < 0) {
		f->c = NULL;
		fetch_free(f);
		*out = NULL;
	}
	return e;
}

static void
ignore_data(struct hconn *c, uint8_t *p, size_t n)
{
	(void)c;
	(void)p;
	(void)n;
}

static void
ignore_end(struct hconn *c)
{
	(void)c;
}

static const struct hconn_ops deaf = {.data = ignore_data, .closed = ignore_end};

void
fetch_free(struct fetch *f)
{
	if (!f)
		return;
	if (f->c) {
		f->c->ops = &deaf;
		hconn_no_timer(f->c);
		hconn_drop(f->c);
	}
	head_fini(&f->head);
	buf_fini(&f->body);
	free(f->why);
	free(f);
}

int
fetch_status(const struct fetch *f)
{
	return f->complete ? f->head.status : 0;
}

const char *
fetch_why(const struct fetch *f)
{
	return f->why ? f->why : "";
}

bool
fetch_broken(const struct fetch *f)
{
	return f->broken;
}

struct span
fetch_body(const struct fetch *f)
{
	return buf_span(&f->body);
}

struct span
fetch_header(const struct fetch *f, const char *name, uint32_t i)
{
	return f->complete ? head_get(&f->head, name, i) : SPAN_NONE;
}
