/* ws: an open WebSocket, either role, as a message pipe whose output is pulled.
 *
 * For      data paths that send many small messages: nothing is queued here. When the connection
 *          can take bytes, `pull` is asked to write finished frames into the worker's output
 *          buffer, and one write hands them to the kernel.
 * Owner    embed struct ws in the endpoint; memory must stay until `closed`.
 * Order    server: req_upgrade (server.h) -> opened state at once; client: ws_connect (wsclient.h)
 *          -> opened? -> (message* batch_end)* ... -> closed. `closed` comes once, last, from the
 *          loop (or from server_free). After ws_close or ws_drop no other callback comes but
 *          `closed`. Nothing is called from inside ws_connect or any call below.
 * Memory   message spans are borrowed until batch_end has returned, and may be changed in place.
 *          Other spans are good for the call only.
 * Pace     out: ws_want says "I have something"; `pull` runs at the end of the turn, and again
 *          whenever the kernel has room, as long as it returns true. About `unsent_max` bytes at
 *          most lie un-sent in the kernel (TCP_NOTSENT_LOWAT, SIOCOUTQNSD), so what is pulled late
 *          is chosen late. in: ws_pause / ws_resume; what was read before is still delivered.
 *          A ping is answered before anything else; from a peer that floods with pings and does
 *          not read, only the latest is.
 * Errors   a violation of RFC 6455 by the peer ends in the right close code by itself.
 * Spec     RFC 6455. No extensions. */
#pragma once

#include "base/addr.h"
#include "base/list.h"
#include "wire/wsparse.h"

struct hconn; /* the connection below */
struct ws;

struct ws_out {        /* what pull writes into */
	uint8_t *p;    /* the output buffer */
	size_t cap;    /* its size: never write beyond */
	size_t budget; /* stop once this many bytes are in; the last frame may run over */
	size_t n; /* bytes written: raised by pull, what of the queue goes first is there already */
	bool masked; /* frames must be masked (client role) */
};

struct ws_ops {
	/* Client role: 101 came, with that subprotocol (empty = none). May be NULL. */
	void (*opened)(struct ws *ws, struct span subprotocol);
	/* Client role: the server said something else than 101; `closed` follows. May be NULL. */
	void (*refused)(struct ws *ws, int status, struct span body);
	void (*message)(struct ws *ws, struct span payload, bool text);
	/* WebSocket-level ping or pong seen (a ping is answered by itself); may be NULL. */
	void (*control)(struct ws *ws, bool ping, struct span payload);
	/* All messages of one read were delivered. May be NULL. */
	void (*batch_end)(struct ws *ws);
	/* Write whole frames (headers included: wsframe_put_head) into out. True: I have more.
	 * At least 64 KiB lie between budget and cap. May be NULL. */
	bool (*pull)(struct ws *ws, struct ws_out *out);
	/* code: what the peer said, or what we did when it said nothing back; WS_CODE_NONE,
	 * WS_CODE_LOST. Client role, never opened: WS_CODE_LOST and a sentence for humans. */
	void (*closed)(struct ws *ws, uint16_t code, struct span reason);
};

struct ws {
	/* private */
	const struct ws_ops *ops;
	struct hconn *conn;
	struct wsparse parse;
	uint16_t close_code; /* the first that was said, by either side; 0 = nothing yet */
	uint8_t reason_n;
	bool dialling, closing;
	char *reason;
};

void ws_want(struct ws *ws);
void ws_pause(struct ws *ws);
void ws_resume(struct ws *ws);
/* Send one frame ahead of anything pulled later (control replies, ERROR messages); copies. Bounded:
 * -ENOBUFS when others wait and all together would be more than 64 KiB; -EPIPE after ws_close;
 * -ENOTCONN before opened. */
int ws_send(struct ws *ws, enum ws_op op, struct span payload);
/* Send Close, wait up to linger_ms for the peer's, then end the connection. Idempotent; what was
 * sent by ws_send before goes out first, nothing is pulled any more. */
void ws_close(struct ws *ws, uint16_t code, const char *reason, uint32_t linger_ms);
/* End the connection now, without a word. */
void ws_drop(struct ws *ws);
/* Bytes handed to the kernel and not yet acknowledged by the peer's kernel; smoothed round trip in
 * microseconds; both from the socket, 0 when unknown. */
void ws_stat(struct ws *ws, uint32_t *unacked, uint32_t *rtt_us);
