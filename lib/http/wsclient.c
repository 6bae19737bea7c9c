/* A dial is what exists before the WebSocket does: it owns the connection from connect to the
 * server's answer, then hands it to ws_attach or reports why not. */
#include "http/wsclient.h"

#include "base/crypto.h"
#include "http/head.h"
#include "http/hconn.h"
#include "http/request.h"

#include <errno.h>
#include <stdlib.h>

#define BODY_MOST (64u << 10)
#define REQUEST_MOST (256u << 10)

static const struct head_limits limits = {.bytes = 64u << 10, .fields = 200};

struct dial {
	struct hconn *c;
	struct ws *ws;
	size_t max_message;
	uint32_t unsent_max, rcvbuf;
	char key[WSFRAME_KEY];
	char *offered;
	struct head head;
	struct buf body; /* of a refusal */
	size_t body_most;
	bool refusing; /* its head is complete */
};

static void
dial_free(struct dial *d)
{
	head_fini(&d->head);
	buf_fini(&d->body);
	free(d->offered);
	free(d);
}

static void
fail(struct dial *d, const char *why)
{
	if (!d->c->why)
		d->c->why = xstrdup(why);
	hconn_drop(d->c);
}

/* --- the request ------------------------------------------------------------------------------ */

static bool
put_request(struct dial *d, const struct ws_dial *w)
{
	struct buf b;
	buf_init(&b, REQUEST_MOST);
	buf_addf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n", w->target, w->host);
	buf_addf(&b, "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n", d->key);
	buf_adds(&b, "Sec-WebSocket-Version: 13\r\n");
	if (d->offered)
		buf_addf(&b, "Sec-WebSocket-Protocol: %s\r\n", d->offered);
	if (w->headers)
		buf_adds(&b, w->headers);
	buf_adds(&b, "\r\n");
	bool ok = !b.bad && hconn_send(d->c, buf_span(&b));
	buf_fini(&b);
	return ok;
}

/* --- the answer ------------------------------------------------------------------------------- */

static bool
was_offered(const struct dial *d, struct span name)
{
	struct span list = span_str(d->offered), item;
	while (list.p && span_split(&list, ',', &item))
		if (span_eq(span_trim(item), name))
			return true;
	return false;
}

/* RFC 6455 4.1: NULL, or what is wrong with this 101. */
static const char *
check_101(const struct dial *d, struct span *subprotocol)
{
	const struct head *h = &d->head;
	char accept[WSFRAME_ACCEPT];
	wsframe_accept(span_str(d->key), accept);
	*subprotocol = head_get(h, "sec-websocket-protocol", 0);
	if (!head_has_token(h, "upgrade", "websocket"))
		return "101 without Upgrade: websocket";
	if (!head_has_token(h, "connection", "upgrade"))
		return "101 without Connection: Upgrade";
	if (!span_is(head_get(h, "sec-websocket-accept", 0), accept))
		return "101 with a wrong Sec-WebSocket-Accept";
	if (head_get(h, "sec-websocket-extensions", 0).p)
		return "101 with an extension that was not offered";
	if (subprotocol->p &&
	        (!was_offered(d, *subprotocol) || head_get(h, "sec-websocket-protocol", 1).p))
		return "101 with a subprotocol that was not offered";
	return NULL;
}

static void
accepted(struct dial *d)
{
	struct hconn *c = d->c;
	struct ws *ws = d->ws;
	struct span subprotocol;
	const char *wrong = check_101(d, &subprotocol);
	if (wrong) {
		fail(d, wrong);
		return;
	}
	if (d->rcvbuf) {
		int n = (int)d->rcvbuf;
		setsockopt(hconn_fd(c), SOL_SOCKET, SO_RCVBUF, &n, sizeof n);
	}
	ws_attach(ws, c, ws->ops, d->max_message, d->unsent_max);
	if (c->wants)
		hconn_want(c);
	if (ws->ops->opened)
		ws->ops->opened(ws, subprotocol);
	dial_free(d);
}

static void
refused(struct dial *d)
{
	struct ws *ws = d->ws;
	char why[40] = "HTTP status ";
	size_t n = strlen(why);
	int status = d->head.status;
	d->refusing = false;
	for (int i = 100; i; i /= 10)
		why[n++] = (char)('0' + status / i % 10);
	if (!ws->closing && ws->ops->refused)
		ws->ops->refused(ws, status, buf_span(&d->body));
	fail(d, why);
}

static void
take_refusal(struct dial *d, struct span in)
{
	in = span_first(in, d->body_most - d->body.n);
	if (!buf_add(&d->body, in) || d->body.n == d->body_most)
		refused(d);
}

static void
begin_refusal(struct dial *d)
{
	uint64_t n;
	struct span length = head_get(&d->head, "content-length", 0);
	d->refusing = true;
	d->body_most = BODY_MOST;
	if (length.p && span_u64(length, UINT64_MAX, &n) && n < BODY_MOST)
		d->body_most = (size_t)n;
	if (d->head.status == 204 || d->head.status == 304)
		d->body_most = 0;
}

static void
on_data(struct hconn *c, uint8_t *p, size_t n)
{
	struct dial *d = c->user;
	size_t used = 0;
	if (!d->refusing) {
		int got = head_feed(&d->head, &limits, span(p, n), &used);
		if (got == HEAD_MORE)
			return;
		if (got != HEAD_DONE) {
			fail(d, "malformed answer to the upgrade");
			return;
		}
		if (d->head.status != 101) {
			begin_refusal(d);
		} else {
			accepted(d);
			if (used < n && !c->finishing)
				c->ops->data(c, p + used, n - used);
			return;
		}
	}
	take_refusal(d, span(p + used, n - used));
}

static void
on_late(struct timer *t, uint64_t now)
{
	(void)now;
	struct hconn *c = CONTAINER_OF(t, struct hconn, timer);
	struct dial *d = c->user;
	if (d->refusing)
		refused(d);
	else
		fail(d, c->up ? "no answer to the upgrade in time" : "no connection in time");
}

static void
on_closed(struct hconn *c)
{
	struct dial *d = c->user;
	struct ws *ws = d->ws;
	if (d->refusing)
		refused(d);
	const char *why = c->why ? c->why : "connection lost before the upgrade";
	uint16_t code = ws->close_code ? ws->close_code : WS_CODE_LOST;
	dial_free(d);
	ws->conn = NULL;
	ws->dialling = false;
	free(ws->reason);
	ws->reason = NULL;
	ws->ops->closed(ws, code, span_str(why));
}

static const struct hconn_ops dial_ops = {
        .data = on_data,
        .closed = on_closed,
};

/* --- the call --------------------------------------------------------------------------------- */

static struct dial *
dial_new(struct transport *t, struct ws *ws, const struct ws_dial *w)
{
	struct dial *d = calloc(1, sizeof *d);
	struct hconn *c = d ? hconn_new(t) : NULL;
	if (!c) {
		free(d);
		return NULL;
	}
	uint8_t nonce[16];
	random_bytes(nonce, sizeof nonce);
	wsframe_make_key(nonce, d->key);
	d->c = c;
	d->ws = ws;
	d->max_message = w->max_message;
	d->unsent_max = w->unsent_max;
	d->rcvbuf = w->rcvbuf;
	d->offered = w->subprotocols ? xstrdup(w->subprotocols) : NULL;
	head_init(&d->head, true, &limits);
	buf_init(&d->body, BODY_MOST);
	return d;
}

int
ws_connect(struct transport *t, struct ws *ws, const struct ws_ops *ops, const struct ws_dial *w)
{
	if (!request_text_ok(w->host, w->target, w->headers) ||
	        (w->subprotocols && strpbrk(w->subprotocols, "\r\n")))
		return -EINVAL;
	struct dial *d = dial_new(t, ws, w);
	if (!d)
		return -ENOMEM;
	struct hconn *c = d->c;
	char *name = !w->tls       ? NULL
	             : w->tls_name ? xstrdup(w->tls_name)
	                           : request_host_name(w->host);
	struct hconn_dial to = {.to = w->to, .tls_name = name, .insecure = w->tls_insecure};
	*ws = (struct ws){.ops = ops, .conn = c, .dialling = true};
	c->ops = &dial_ops;
	c->user = d;
	put_request(d, w);
	hconn_timer(c, on_late, w->timeout_ms);
	int r = hconn_dial(c, &to);
	free(name);
	if (r < 0)
		dial_free(d);
	return r;
}
