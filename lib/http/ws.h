/* ws: an open WebSocket, either role, as a message pipe whose output is pulled.
 *
 * For      data paths that send many small messages: nothing is queued here. When the connection
 *          can take bytes, `pull` is asked to write finished frames into the worker's output
 *          buffer, and one write hands them to the kernel.
 * Owner    embed struct ws in the endpoint; memory must stay until `closed`.
 * Order    server: req_upgrade (server.h) -> opened state at once; client: ws_connect (wsclient.h)
 *          -> opened? -> (message* batch_end)* ... -> closed. `closed` comes once, last, from the
 *          loop. After ws_close or ws_drop no other callback comes but `closed`.
 * Memory   message spans are borrowed until batch_end has returned, and may be changed in place.
 * Pace     out: ws_want says "I have something"; `pull` runs at the end of the turn, and again
 *          whenever the kernel has room, as long as it returns true. At most `unsent_max` bytes lie
 *          un-sent in the kernel (TCP_NOTSENT_LOWAT, SIOCOUTQNSD), so what is pulled late is chosen
 *          late. in: ws_pause / ws_resume.
 * Errors   a violation of RFC 6455 by the peer ends in the right close code by itself.
 * Spec     RFC 6455. No extensions. */
#pragma once

#include "base/addr.h"
#include "base/list.h"
#include "wire/wsparse.h"

struct hconn; /* the transport below: server.h or wsclient.h */
struct ws;

struct ws_out {        /* what pull writes into */
	uint8_t *p;    /* the output buffer */
	size_t cap;    /* its size */
	size_t budget; /* bytes that may be written now */
	size_t n;      /* bytes written: set by pull */
	bool masked;   /* frames must be masked (client role) */
};

struct ws_ops {
	void (*opened)(struct ws *ws); /* client role only; may be NULL */
	void (*message)(struct ws *ws, struct span payload, bool text);
	/* WebSocket-level ping or pong seen (a pong is answered before this); may be NULL. */
	void (*control)(struct ws *ws, bool ping, struct span payload);
	void (*batch_end)(struct ws *ws); /* all messages of one read were delivered */
	/* Write whole frames (headers included: wsframe_put_head) into out. True: I have more. */
	bool (*pull)(struct ws *ws, struct ws_out *out);
	/* code: what the peer or we said, 1005 none, 1006 lost. */
	void (*closed)(struct ws *ws, uint16_t code, struct span reason);
};

struct ws {
	/* private */
	const struct ws_ops *ops;
	struct hconn *conn;
	struct wsparse parse;
	struct list dirty; /* on the worker's list of sockets to flush */
	uint32_t unsent_max;
	uint16_t close_code; /* what we sent, 0 = nothing yet */
	bool wants, paused, closing, client;
};

void ws_want(struct ws *ws);
void ws_pause(struct ws *ws);
void ws_resume(struct ws *ws);
/* Send one frame ahead of anything pulled later (control replies, ERROR messages); copies. Bounded:
 * -ENOBUFS when more than 64 KiB of such frames wait. */
int ws_send(struct ws *ws, uint8_t opcode, struct span payload);
/* Send Close, wait up to linger_ms for the peer's, then end the connection. Idempotent; what was
 * sent by ws_send before goes out first, nothing is pulled any more. */
void ws_close(struct ws *ws, uint16_t code, const char *reason, uint32_t linger_ms);
/* End the connection now, without a word. */
void ws_drop(struct ws *ws);
/* Bytes handed to the kernel and not yet acknowledged by the peer's kernel; smoothed round trip in
 * microseconds; both from the socket, 0 when unknown. */
void ws_stat(struct ws *ws, uint32_t *unacked, uint32_t *rtt_us);
