/* Frames of our own making (pongs, Close, what ws_send is given) go through the connection's queue
 * and so ahead of everything pulled. Closing: once either side has sent Close nothing more is
 * delivered or pulled; when both have, or the peer broke the rules, or time is up, the connection
 * finishes: FIN, then input is read and forgotten until the peer's FIN. */
#include "http/ws.h"

#include "base/crypto.h"
#include "http/hconn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SEND_MOST (64u << 10)  /* waiting frames of our own */
#define PONGS_MOST (16u << 10) /* from here on only the latest ping is answered */
#define FINISH_MS 1000

static bool
put_frame(struct ws *ws, enum ws_op op, struct span payload)
{
	struct hconn *c = ws->conn;
	uint8_t head[WSFRAME_HEAD_MOST], mask[4];
	if (c->client)
		random_bytes(mask, sizeof mask);
	size_t n = wsframe_put_head(head, op, payload.n, c->client ? mask : NULL);
	if (!hconn_send(c, span(head, n)) || !hconn_send(c, payload))
		return false;
	if (c->client && payload.n && !c->finishing)
		wsframe_mask(c->out + c->out_n - payload.n, payload.n, mask, 0);
	return true;
}

static void
put_close(struct ws *ws, uint16_t code, struct span reason)
{
	uint8_t payload[WSFRAME_CONTROL_MOST];
	put_frame(ws, WS_CLOSE, span(payload, wsframe_put_close(payload, code, reason)));
}

static void
finish(struct ws *ws)
{
	wsparse_stop(&ws->parse);
	hconn_finish(ws->conn, FINISH_MS, FINISH_MS);
}

/* Remember the first word on closing, and let nothing else out or up. */
static bool
begin_closing(struct ws *ws, uint16_t code, struct span reason)
{
	if (ws->closing)
		return false;
	ws->closing = true;
	ws->close_code = code;
	reason = span_first(reason, WSFRAME_REASON_MOST);
	ws->reason = reason.n ? malloc(reason.n) : NULL;
	if (ws->reason) {
		ws->reason_n = (uint8_t)reason.n;
		memcpy(ws->reason, reason.p, ws->reason_n);
	}
	hconn_pause(ws->conn, HCONN_PAUSE_OWNER, false);
	return true;
}

/* --- what the parser found -------------------------------------------------------------------- */

static void
on_message(struct wsparse *p, enum ws_op op, struct span payload)
{
	struct ws *ws = CONTAINER_OF(p, struct ws, parse);
	if (!ws->closing)
		ws->ops->message(ws, payload, op == WS_TEXT);
}

static void
on_batch_end(struct wsparse *p)
{
	struct ws *ws = CONTAINER_OF(p, struct ws, parse);
	if (!ws->closing && ws->ops->batch_end)
		ws->ops->batch_end(ws);
}

/* RFC 6455 5.5.3: it may be the latest ping only that is answered. That is what happens to a peer
 * that pings and does not read. */
static void
answer_ping(struct ws *ws, struct span payload)
{
	struct hconn *c = ws->conn;
	if (hconn_queued(c) >= PONGS_MOST)
		c->out_n -= c->replaceable;
	if (put_frame(ws, WS_PONG, payload))
		c->replaceable = (uint8_t)(wsframe_head_len(payload.n, c->client) + payload.n);
}

static void
on_ping(struct wsparse *p, struct span payload)
{
	struct ws *ws = CONTAINER_OF(p, struct ws, parse);
	if (ws->closing)
		return;
	answer_ping(ws, payload);
	if (ws->ops->control)
		ws->ops->control(ws, true, payload);
}

static void
on_pong(struct wsparse *p, struct span payload)
{
	struct ws *ws = CONTAINER_OF(p, struct ws, parse);
	if (!ws->closing && ws->ops->control)
		ws->ops->control(ws, false, payload);
}

static void
on_close(struct wsparse *p, uint16_t code, struct span reason)
{
	struct ws *ws = CONTAINER_OF(p, struct ws, parse);
	if (begin_closing(ws, code, reason))
		put_close(ws, code, SPAN_NONE);
	finish(ws);
}

static const struct wsparse_ops parse_ops = {
        .message = on_message,
        .ping = on_ping,
        .pong = on_pong,
        .close = on_close,
        .batch_end = on_batch_end,
};

/* --- the connection --------------------------------------------------------------------------- */

static void
on_data(struct hconn *c, uint8_t *p, size_t n)
{
	struct ws *ws = c->user;
	int code = wsparse_feed(&ws->parse, p, n);
	if (!code)
		return;
	if (begin_closing(ws, (uint16_t)code, SPAN_NONE))
		put_close(ws, (uint16_t)code, SPAN_NONE);
	finish(ws);
}

static bool
on_pull(struct hconn *c, struct ws_out *out)
{
	struct ws *ws = c->user;
	return !ws->closing && ws->ops->pull && ws->ops->pull(ws, out);
}

static void
on_closed(struct hconn *c)
{
	struct ws *ws = c->user;
	char *reason = ws->reason;
	wsparse_fini(&ws->parse);
	ws->conn = NULL;
	ws->closing = true;
	ws->ops->closed(
	        ws, ws->close_code ? ws->close_code : WS_CODE_LOST, span(reason, ws->reason_n));
	free(reason);
}

static const struct hconn_ops conn_ops = {
        .data = on_data,
        .pull = on_pull,
        .closed = on_closed,
};

void
ws_attach(struct ws *ws, struct hconn *c, const struct ws_ops *ops, size_t max_message,
        uint32_t unsent_max)
{
	*ws = (struct ws){.ops = ops, .conn = c};
	wsparse_init(&ws->parse, &parse_ops, c->client, max_message);
	hconn_no_timer(c);
	hconn_set_unsent(c, unsent_max);
	c->ops = &conn_ops;
	c->user = ws;
}

/* --- calls ------------------------------------------------------------------------------------ */

void
ws_want(struct ws *ws)
{
	if (ws->conn && !ws->closing)
		hconn_want(ws->conn);
}

void
ws_pause(struct ws *ws)
{
	if (ws->conn && !ws->closing)
		hconn_pause(ws->conn, HCONN_PAUSE_OWNER, true);
}

void
ws_resume(struct ws *ws)
{
	if (ws->conn)
		hconn_pause(ws->conn, HCONN_PAUSE_OWNER, false);
}

int
ws_send(struct ws *ws, enum ws_op op, struct span payload)
{
	if (ws->dialling)
		return -ENOTCONN;
	if (!ws->conn || ws->closing)
		return -EPIPE;
	size_t queued = hconn_queued(ws->conn);
	if (queued && queued + payload.n > SEND_MOST)
		return -ENOBUFS;
	return put_frame(ws, op, payload) ? 0 : -ENOMEM;
}

static void
on_no_answer(struct timer *t, uint64_t now)
{
	(void)now;
	finish(CONTAINER_OF(t, struct hconn, timer)->user);
}

void
ws_close(struct ws *ws, uint16_t code, const char *reason, uint32_t linger_ms)
{
	if (!ws->conn || !begin_closing(ws, code, span_str(reason)))
		return;
	if (ws->dialling) {
		hconn_drop(ws->conn);
		return;
	}
	put_close(ws, code, span_str(reason));
	hconn_timer(ws->conn, on_no_answer, linger_ms);
}

void
ws_drop(struct ws *ws)
{
	if (!ws->conn)
		return;
	wsparse_stop(&ws->parse);
	ws->closing = true;
	hconn_drop(ws->conn);
}

void
ws_stat(struct ws *ws, uint32_t *unacked, uint32_t *rtt_us)
{
	struct tcp_info info;
	socklen_t len = sizeof info;
	int n, fd = ws->conn ? hconn_fd(ws->conn) : -1;
	*unacked = fd >= 0 && ioctl(fd, SIOCOUTQ, &n) == 0 ? (uint32_t)n : 0;
	bool known = fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0;
	*rtt_us = known ? info.tcpi_rtt : 0;
}
