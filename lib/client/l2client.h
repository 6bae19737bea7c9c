/* l2client: the client's end of an Ethernet tunnel.
 *
 * For      probes and attach: what a browser's network driver does, on the same codecs.
 * Owner    embed struct l2client; memory must stay until `closed`.
 * Order    l2client_open 0 -> up? -> (frame* batch_end)* -> closed. l2client_want says that there
 *          is something to send; then `pull` is asked to write frames, at the end of the turn.
 *          closed comes once, last, from the loop; l2client_close and _drop are legal any time.
 * Memory   frames are borrowed until batch_end has returned. struct l2client_dial is copied but
 *          for its texts, which must stay.
 * Pace     out: pull. in: l2client_pause, l2client_resume. PINGs of the server are answered here.
 * Errors   l2client_open: -errno and a sentence. Later: struct l2client_end says how it ended.
 * Spec     docs/protocol/l2-tunnel.md, client side. */
#pragma once

#include "client/record.h"
#include "client/url.h"
#include "http/wsclient.h"
#include "wire/emit.h"
#include "wire/l2tun.h"

struct l2client;

enum l2client_via { L2CLIENT_QUERY, L2CLIENT_SUBPROTOCOL, L2CLIENT_HEADER };

struct l2client_dial {
	struct url url;
	struct endpoint to;
	const char *origin; /* NULL: the URL's own; "": none at all */
	const char *cookie; /* a Cookie header's value, or the session's alone; NULL: none */
	const char *token;  /* NULL: none */
	enum l2client_via via;
	bool insecure;
	uint32_t timeout_ms;
	uint32_t ping_ms; /* PING this often, and give up after three unanswered; 0: neither */
	uint32_t rcvbuf;  /* of the socket; 0: the system's */
	struct l2tun_limits limits;
};

enum l2client_how {
	L2CLIENT_OURS,     /* we closed */
	L2CLIENT_LOST,     /* no connection, or it broke, or there was no answer */
	L2CLIENT_LATE,     /* time was up before the tunnel was */
	L2CLIENT_REFUSED,  /* an HTTP status */
	L2CLIENT_CLOSED,   /* the server closed, with a code */
	L2CLIENT_PROTOCOL, /* the server said something that it must not */
};

struct l2client_end {
	enum l2client_how how;
	int status;     /* REFUSED */
	uint16_t code;  /* CLOSED: of the WebSocket */
	uint16_t error; /* of the ERROR message before it; 0: none */
	char text[256]; /* for humans */
};

struct l2client_ops {
	void (*up)(struct l2client *c);
	void (*frame)(struct l2client *c, struct span frame);
	void (*batch_end)(struct l2client *c); /* may be NULL */
	bool (*pull)(struct l2client *c, struct emit *e);
	void (*rtt)(struct l2client *c, uint32_t us); /* a PONG came; may be NULL */
	void (*closed)(struct l2client *c, const struct l2client_end *end);
};

struct l2client_stats {
	uint64_t frames_in, frames_out, bytes_in, bytes_out;
	uint32_t pings, pongs, rtt_us; /* rtt: the last one */
};

struct l2client {
	const struct l2client_ops *ops;
	struct worker *w;
	struct record *record; /* may be set at any time; not owned */
	struct l2client_stats stats;
	bool up;
	/* private */
	struct ws ws;
	struct l2tun_limits limits;
	struct endpoint to;
	struct timer ping;
	uint32_t ping_ms, nonce, unanswered;
	uint64_t ping_ns; /* when the last PING was sent, 0: it was answered */
	uint64_t heard;
	struct l2client_end end;
	uint8_t mask[1024];
	uint32_t mask_at;
};

int l2client_open(struct l2client *c, struct transport *t, struct worker *w,
        const struct l2client_ops *ops, const struct l2client_dial *d, struct err *e);
void l2client_want(struct l2client *c);
void l2client_pause(struct l2client *c);
void l2client_resume(struct l2client *c);
void l2client_ping(struct l2client *c); /* one PING now */
void l2client_close(struct l2client *c, uint32_t linger_ms);
void l2client_drop(struct l2client *c);
