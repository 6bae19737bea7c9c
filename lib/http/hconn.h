/* hconn: one connection on libwebsockets, plain or TLS, either role: bytes come pushed, bytes go
 * pulled. For the files of this folder only.
 *
 * Owner    hconn_new gives the memory; it goes after `gone`. A protocol (HTTP, then perhaps
 *          WebSocket) is a table of callbacks and its `user`; both may be replaced at any time.
 * Order    server: hconn_accept -> data* -> closed -> gone. client: hconn_dial -> open? -> data*
 *          -> closed -> gone. closed and gone come once, from the loop, never from inside a call.
 *          After hconn_finish or hconn_drop only these two come.
 * Memory   `data` may be changed in place and is good for the call.
 * Pace     what hconn_send queued goes first; then, if hconn_want was called, `pull` is asked for
 *          as much as the kernel should take now. One write a turn. At most one batch is ever
 *          left over, and then nothing is pulled until it is gone. Reading goes on meanwhile,
 *          but under TLS it rests while a left-over record waits.
 * Thread   the worker's. */
#pragma once

#include "http/tlsc.h"
#include "http/transport.h"
#include "http/ws.h"

struct lws;
struct lws_context;
struct lws_vhost;

#define HCONN_PROTOCOL "bytes"
#define HCONN_BATCH (256u << 10) /* most that is pulled for one write */

struct transport {
	struct worker *w;
	struct lws_context *cx;
	struct lws_vhost *client; /* this and the next: made when first needed */
	struct tlsc_ctx tlsc;
	struct turn_hook hook; /* flushes the dirty */
	struct later wake;     /* a turn more, for who is still dirty */
	struct later reap;
	struct list dirty; /* connections with something to send */
	struct list dying; /* connections to close */
	int fd_end;        /* descriptors from here on do not fit its tables */
	uint8_t *arena;    /* LWS_PRE + TRANSPORT_OUT */
	char *ca_file;
};

enum hconn_pause {
	HCONN_PAUSE_OWNER = 1,  /* who gets the messages */
	HCONN_PAUSE_BEHIND = 2, /* input waits behind a request */
	HCONN_PAUSE_OUT = 4,    /* libwebsockets holds output */
};

struct hconn_ops {
	void (*open)(struct hconn *c); /* client role; may be NULL */
	void (*data)(struct hconn *c, uint8_t *p, size_t n);
	bool (*pull)(struct hconn *c, struct ws_out *out); /* may be NULL */
	void (*sent)(struct hconn *c); /* all that was queued is the kernel's; may be NULL */
	void (*closed)(struct hconn *c);
};

struct hconn {
	const struct hconn_ops *ops;
	void *user;
	void *keeper; /* who made it */
	void (*gone)(struct hconn *c);
	struct transport *t;
	struct lws *wsi;
	struct tlsc *tlsc;  /* client role: TLS is ours */
	struct list node;   /* the keeper's */
	struct list todo;   /* private: on the transport's dirty or dying list */
	struct timer timer; /* the protocol's, until hconn_finish */
	uint8_t *out;       /* what hconn_send queued: out_at..out_n of out_room */
	uint32_t out_at, out_n, out_room;
	uint32_t unsent_max;
	struct endpoint peer;
	char *why; /* client role: what went wrong, a sentence; NULL = nothing known */
	uint32_t linger_ms;
	uint8_t paused;      /* HCONN_PAUSE_* */
	uint8_t replaceable; /* bytes at the queue's end that its owner may take back */
	bool client, wants;
	bool tls;                             /* server role: TLS is libwebsockets' */
	bool connected, up;                   /* the socket; all below the protocol */
	bool finishing, half_closed, dropped; /* the ways to the end, in this order */
};

struct hconn *hconn_new(struct transport *t);
/* Takes fd; on failure (negative errno) nothing is called and c is gone. */
int hconn_accept(struct hconn *c, struct lws_vhost *vh, int fd, bool tls);

struct hconn_dial {
	struct endpoint to;
	const char *tls_name; /* NULL = plain */
	bool insecure;
};
int hconn_dial(struct hconn *c, const struct hconn_dial *d); /* failing: likewise */

/* Queue bytes; false when memory is out: the connection is then dropped. */
bool hconn_send(struct hconn *c, struct span s);
uint32_t hconn_queued(const struct hconn *c);
void hconn_want(struct hconn *c);
/* Reading rests while anybody wants it to; what was read already is still delivered. */
void hconn_pause(struct hconn *c, enum hconn_pause why, bool pause);
/* Send what is queued (for at most flush_ms), say goodbye, read and forget until the peer does so
 * too (for at most linger_ms). */
void hconn_finish(struct hconn *c, uint32_t flush_ms, uint32_t linger_ms);
void hconn_drop(struct hconn *c);
void hconn_set_unsent(struct hconn *c, uint32_t unsent_max);
int hconn_fd(const struct hconn *c);
void hconn_timer(struct hconn *c, void (*fire)(struct timer *, uint64_t), uint32_t ms);
void hconn_no_timer(struct hconn *c);

/* For server.c and wsclient.c, in ws.c: c becomes a WebSocket. */
void ws_attach(struct ws *ws, struct hconn *c, const struct ws_ops *ops, size_t max_message,
        uint32_t unsent_max);

/* For transport.c: what libwebsockets told. */
void hconn_on_connected(struct hconn *c);
void hconn_on_data(struct hconn *c, uint8_t *p, size_t n);
void hconn_on_writable(struct hconn *c);
void hconn_on_failed(struct hconn *c, struct span why); /* never got up */
void hconn_on_closed(struct hconn *c);
/* Between hconn.c and hconn_out.c. */
void hconn_dirty(struct hconn *c);        /* flush it at the end of the turn */
bool hconn_send_records(struct hconn *c); /* false when some still wait, or it is lost */
bool hconn_records_wait(const struct hconn *c);
void hconn_flush(struct hconn *c);
void hconn_reap(struct hconn *c);

/* Close what is dropped now; outside callbacks of libwebsockets. */
void transport_reap(struct transport *t);

struct tls_files {
	const char *cert, *key, *min; /* "1.2" or "1.3" */
};
/* A place for server connections; tls NULL = plain. NULL: the sentence is in e. */
struct lws_vhost *transport_vhost(struct transport *t, const struct tls_files *tls, struct err *e);
void transport_vhost_free(struct lws_vhost *vh); /* it has no connection any more */
/* The place for client connections, made when first asked for; NULL: logged. */
struct lws_vhost *transport_client_vhost(struct transport *t);
const struct tlsc_ctx *transport_tlsc(struct transport *t); /* likewise */
