#include "client/l2client.h"

#include "base/buf.h"
#include "base/crypto.h"
#include "base/cursor.h"
#include "net/worker.h"
#include "wire/wsframe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	UNSENT_MOST = 256 << 10,
	HEADERS_MOST = 16 << 10,
	NONCE_LEN = 4,
	PINGS_LOST = 3,
	LINGER_MS = 1000,
};

static uint64_t
clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct l2client *
of(struct ws *ws)
{
	return CONTAINER_OF(ws, struct l2client, ws);
}

/* How it ended is what was known first. */
static void
ended(struct l2client *c, enum l2client_how how, struct span text)
{
	if (c->end.text[0])
		return;
	c->end.how = how;
	snprintf(c->end.text, sizeof c->end.text, "%.*s", (int)text.n, (const char *)text.p);
}

/* --- out -------------------------------------------------------------------------------------- */

/* RFC 6455 5.3: masks nobody can predict; drawn in bulk, for a draw costs more than a frame. */
static const uint8_t *
next_mask(struct l2client *c)
{
	if (c->mask_at == 0)
		random_bytes(c->mask, sizeof c->mask);
	const uint8_t *m = c->mask + c->mask_at;
	c->mask_at = (c->mask_at + 4) % sizeof c->mask;
	return m;
}

static size_t
head_len(const struct emit *e, size_t len)
{
	(void)e;
	return wsframe_head_len(L2TUN_HEAD + len, true) + L2TUN_HEAD;
}

static void
tap(struct emit *e, struct span frame)
{
	struct l2client *c = e->user;
	c->stats.frames_out++;
	c->stats.bytes_out += frame.n;
	record_frame(c->record, PCAPNG_IN, frame);
}

static void
seal(struct emit *e, uint8_t *frame, size_t len)
{
	const uint8_t *mask = next_mask(e->user);
	size_t n = L2TUN_HEAD + len;
	uint8_t *p = frame - L2TUN_HEAD;
	l2tun_put_head(p, L2TUN_FRAME);
	wsframe_put_head(p - wsframe_head_len(n, true), WS_BINARY, n, mask);
	wsframe_mask(p, n, mask, 0);
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	struct l2client *c = of(ws);
	struct emit e;
	emit_init(&e, out->p + out->n, out->cap - out->n, out->budget - out->n, c->limits.frame);
	e.head_len = head_len;
	e.seal = seal;
	e.tap = tap;
	e.user = c;
	bool more = c->ops->pull(c, &e);
	emit_end(&e);
	out->n += e.n;
	return more;
}

static void
send_control(struct l2client *c, enum l2tun_type type, struct span payload)
{
	uint8_t p[L2TUN_HEAD + 4096];
	if (payload.n > sizeof p - L2TUN_HEAD)
		return;
	l2tun_put_head(p, type);
	if (payload.n)
		memcpy(p + L2TUN_HEAD, payload.p, payload.n);
	ws_send(&c->ws, WS_BINARY, span(p, L2TUN_HEAD + payload.n));
}

void
l2client_ping(struct l2client *c)
{
	uint8_t nonce[NONCE_LEN];
	put32(nonce, ++c->nonce);
	c->ping_ns = clock_ns();
	c->stats.pings++;
	c->unanswered++;
	send_control(c, L2TUN_PING, span(nonce, c->limits.control < NONCE_LEN ? 0 : NONCE_LEN));
}

static void
on_ping_time(struct timer *t, uint64_t now)
{
	struct l2client *c = CONTAINER_OF(t, struct l2client, ping);
	if (c->unanswered >= PINGS_LOST && now - c->heard >= (uint64_t)PINGS_LOST * c->ping_ms) {
		ended(c, L2CLIENT_LOST, SPAN_LIT("no answer to PING"));
		ws_drop(&c->ws);
		return;
	}
	l2client_ping(c);
	wheel_add(&c->w->wheel, &c->ping, now + c->ping_ms);
}

/* --- in --------------------------------------------------------------------------------------- */

static void
take_pong(struct l2client *c, struct span payload)
{
	if (!c->ping_ns || (payload.n && (payload.n != NONCE_LEN || get32(payload.p) != c->nonce)))
		return;
	c->stats.rtt_us = (uint32_t)((clock_ns() - c->ping_ns) / 1000);
	c->stats.pongs++;
	c->ping_ns = 0;
	c->unanswered = 0;
	if (c->ops->rtt)
		c->ops->rtt(c, c->stats.rtt_us);
}

static void
take_error(struct l2client *c, struct span payload)
{
	struct span text;
	if (!l2tun_get_error(payload, &c->end.error, &text))
		return;
	char said[sizeof c->end.text];
	snprintf(said, sizeof said, "ERROR %u %s: %.*s", c->end.error,
	        l2tun_code_name(c->end.error), (int)text.n, (const char *)text.p);
	ended(c, L2CLIENT_CLOSED, span_str(said));
}

static void
take_frame(struct l2client *c, struct span frame)
{
	c->stats.frames_in++;
	c->stats.bytes_in += frame.n;
	record_frame(c->record, PCAPNG_OUT, frame);
	c->ops->frame(c, frame);
}

static void
on_message(struct ws *ws, struct span payload, bool text)
{
	struct l2client *c = of(ws);
	struct l2tun m;
	char why[L2TUN_WHY];
	if (text)
		return;
	c->heard = worker_now(c->w);
	if (l2tun_decode(payload, &c->limits, &m, why) < 0) {
		ended(c, L2CLIENT_PROTOCOL, span_str(why));
		ws_close(ws, WS_CODE_PROTOCOL, why, LINGER_MS);
		return;
	}
	switch (m.type) {
	case L2TUN_FRAME: take_frame(c, m.payload); break;
	case L2TUN_PING: send_control(c, L2TUN_PONG, m.payload); break;
	case L2TUN_PONG: take_pong(c, m.payload); break;
	case L2TUN_ERROR: take_error(c, m.payload); break;
	default: break;
	}
}

static void
on_batch_end(struct ws *ws)
{
	struct l2client *c = of(ws);
	if (c->ops->batch_end)
		c->ops->batch_end(c);
}

static void
on_opened(struct ws *ws, struct span subprotocol)
{
	struct l2client *c = of(ws);
	if (!span_is(subprotocol, L2TUN_PROTOCOL)) {
		ended(c, L2CLIENT_PROTOCOL,
		        SPAN_LIT("101 without the subprotocol " L2TUN_PROTOCOL));
		ws_close(ws, WS_CODE_PROTOCOL, "subprotocol", LINGER_MS);
		return;
	}
	c->up = true;
	c->heard = worker_now(c->w);
	if (c->ping_ms)
		wheel_add(&c->w->wheel, &c->ping, c->heard + c->ping_ms);
	c->ops->up(c);
}

static void
on_refused(struct ws *ws, int status, struct span body)
{
	struct l2client *c = of(ws);
	char said[sizeof c->end.text];
	const uint8_t *line = body.n ? memchr(body.p, '\n', body.n) : NULL;
	if (line)
		body.n = (size_t)(line - body.p);
	snprintf(said, sizeof said, "HTTP status %d%s%.*s", status, body.n ? ": " : "", (int)body.n,
	        (const char *)body.p);
	c->end.status = status;
	ended(c, L2CLIENT_REFUSED, span_str(said));
}

/* The client's own sentences about answers that are no upgrade begin in one of two ways. */
static enum l2client_how
how_never_up(struct span reason)
{
	if (span_starts(reason, "101 ") || span_starts(reason, "malformed"))
		return L2CLIENT_PROTOCOL;
	if (span_starts(reason, "no answer") || span_starts(reason, "no connection in time"))
		return L2CLIENT_LATE;
	return L2CLIENT_LOST;
}

static void
never_up(struct l2client *c, struct span reason)
{
	char said[sizeof c->end.text], at[ADDR_TEXT];
	enum l2client_how how = how_never_up(reason);
	snprintf(said, sizeof said, how == L2CLIENT_PROTOCOL ? "%.*s" : "%.*s (%s)", (int)reason.n,
	        (const char *)reason.p, endpoint_text(&c->to, at));
	ended(c, how, span_str(said));
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	struct l2client *c = of(ws);
	wheel_del(&c->w->wheel, &c->ping);
	c->end.code = code;
	if (!c->up)
		never_up(c, reason);
	else if (code == WS_CODE_LOST)
		ended(c, L2CLIENT_LOST, SPAN_LIT("the connection broke"));
	else if (!c->end.text[0]) {
		char said[sizeof c->end.text];
		snprintf(said, sizeof said, "closed by the server with %u%s%.*s", code,
		        reason.n ? ": " : "", (int)reason.n, (const char *)reason.p);
		bool fault = code == WS_CODE_PROTOCOL || code == WS_CODE_BAD_DATA ||
		             code == WS_CODE_TOO_BIG;
		ended(c, fault ? L2CLIENT_PROTOCOL : L2CLIENT_CLOSED, span_str(said));
	}
	c->up = false;
	c->ops->closed(c, &c->end);
}

static const struct ws_ops ws_ops = {
        .opened = on_opened,
        .refused = on_refused,
        .message = on_message,
        .batch_end = on_batch_end,
        .pull = on_pull,
        .closed = on_closed,
};

/* --- opening ---------------------------------------------------------------------------------- */

static void
put_headers(struct buf *b, const struct l2client_dial *d)
{
	char origin[URL_HOST + 16];
	url_origin(&d->url, origin, sizeof origin);
	if (!d->origin || *d->origin)
		buf_addf(b, "Origin: %s\r\n", d->origin ? d->origin : origin);
	if (d->cookie)
		buf_addf(b, "Cookie: %s%s\r\n",
		        strchr(d->cookie, '=') ? "" : "aero_session=", d->cookie);
	if (d->token && d->via == L2CLIENT_HEADER)
		buf_addf(b, "Authorization: Bearer %s\r\n", d->token);
}

static int
connect_ws(struct l2client *c, struct transport *t, const struct l2client_dial *d, struct url *u,
        struct buf *headers, struct buf *protocols)
{
	put_headers(headers, d);
	buf_adds(protocols, L2TUN_PROTOCOL);
	if (d->token && d->via == L2CLIENT_SUBPROTOCOL)
		buf_addf(protocols, ", " L2TUN_TOKEN_PREFIX "%s", d->token);
	bool fits = !d->token || d->via != L2CLIENT_QUERY || url_add_query(u, "token", d->token);
	if (!fits || headers->bad || protocols->bad)
		return -EMSGSIZE;
	struct ws_dial dial = {
	        .to = d->to,
	        .host = u->authority,
	        .target = u->target,
	        .subprotocols = buf_str(protocols),
	        .headers = buf_str(headers),
	        .tls = u->tls,
	        .tls_insecure = d->insecure,
	        .timeout_ms = d->timeout_ms,
	        .max_message = l2tun_most(&d->limits),
	        .unsent_max = UNSENT_MOST,
	        .rcvbuf = d->rcvbuf,
	};
	return ws_connect(t, &c->ws, &ws_ops, &dial);
}

int
l2client_open(struct l2client *c, struct transport *t, struct worker *w,
        const struct l2client_ops *ops, const struct l2client_dial *d, struct err *e)
{
	struct record *record = c->record;
	struct buf headers, protocols;
	struct url u = d->url;
	*c = (struct l2client){
	        .ops = ops,
	        .w = w,
	        .record = record,
	        .limits = d->limits,
	        .to = d->to,
	        .ping_ms = d->ping_ms,
	};
	timer_init(&c->ping, on_ping_time);
	buf_init(&headers, HEADERS_MOST);
	buf_init(&protocols, HEADERS_MOST);
	int r = connect_ws(c, t, d, &u, &headers, &protocols);
	buf_fini(&headers);
	buf_fini(&protocols);
	if (r == -EINVAL || r == -EMSGSIZE)
		return err_set(
		        e, -EINVAL, "origin, cookie or token cannot stand in a request head");
	return r < 0 ? err_set(e, r, "out of memory") : 0;
}

void
l2client_want(struct l2client *c)
{
	ws_want(&c->ws);
}

void
l2client_pause(struct l2client *c)
{
	ws_pause(&c->ws);
}

void
l2client_resume(struct l2client *c)
{
	ws_resume(&c->ws);
}

void
l2client_close(struct l2client *c, uint32_t linger_ms)
{
	ended(c, L2CLIENT_OURS, SPAN_LIT("closed by us"));
	wheel_del(&c->w->wheel, &c->ping);
	ws_close(&c->ws, WS_CODE_NORMAL, "", linger_ms);
}

void
l2client_drop(struct l2client *c)
{
	ended(c, L2CLIENT_OURS, SPAN_LIT("dropped by us"));
	wheel_del(&c->w->wheel, &c->ping);
	ws_drop(&c->ws);
}
