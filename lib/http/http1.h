/* http1: the requests of one server connection, one after another. For server.c.
 *
 * Owner    the connection (hconn, `user`): a struct req exists from the first byte of a head until
 *          the answer, and while input waits behind it.
 * Order    http1_start; then everything comes from the connection. */
#pragma once

#include "http/chunked.h"
#include "http/head.h"
#include "http/hconn.h"
#include "http/server.h"

enum req_state { REQ_HEAD, REQ_BODY, REQ_ASKED, REQ_ANSWERED };

struct req {
	struct hconn *c;
	struct server *s;
	struct head head;
	struct buf body;
	struct buf behind; /* input that came before the answer, or that waits for output to go */
	struct chunked chunked;
	struct later later;   /* to go on after an answer that came from elsewhere */
	struct list upgraded; /* on the server's list, while `behind` waits for the new owner */
	uint64_t body_left;   /* of a body with a length */
	uint64_t coded;       /* bytes of a chunked body, its coding included */
	const struct route *route;
	void (*gone)(struct req *r);
	unsigned method;
	enum req_state state;
	bool has_body, is_chunked, keep;
	bool running; /* inside the loop that takes input: it goes on by itself */
	bool deaf;    /* too much came behind: this answer is the last */
};

struct server {
	struct transport *t;
	struct server_settings conf; /* with texts of its own */
	struct head_limits limits;
	const struct route *routes;
	void *user;
	struct list conns, upgraded;
	uint32_t n_conns;
	struct list places; /* the first is for new connections */
	struct later tidy;
	bool draining;
	void (*drained)(void *user); /* NULL: told, or not asked for */
	void *drained_user;
};

struct place { /* keeper of connections: one certificate's */
	struct list node;
	struct server *server;
	struct lws_vhost *vhost;
	uint32_t n_conns;
};

void http1_start(struct hconn *c, struct server *s);
/* Draining: end it if no request is under way. */
void http1_drain(struct hconn *c);
/* c is going away while its upgrade was not complete yet. */
void http1_forget_upgrade(struct server *s, const struct hconn *c);
