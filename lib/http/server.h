/* server: HTTP/1.1 (and WebSocket upgrade) on sockets that the caller accepted.
 *
 * For      every service of a worker. libwebsockets moves the bytes (plain or TLS), libhttp-parser
 *          reads request heads under our own limits, this file answers what is wrong with them.
 * Owner    server_new / server_free. server_free is for outside its callbacks; what is still open
 *          is dropped, and `gone` and `closed` come before it returns. The gentle way is
 *          server_drain, then server_free once `drained` has come.
 * Order    server_adopt(fd) for each accepted socket. A request calls its route's handler once the
 *          head (and, if the route takes one, the body) is complete; the handler answers exactly
 *          once, now or later: req_reply, or req_upgrade. If the client goes away first, `gone`
 *          is called and the request must not be touched again.
 * Memory   everything reached through struct req is borrowed until the answer.
 * Pace     limits of struct server_settings; a connection costs nothing but its state while idle.
 * Errors   statuses: 400 malformed, 408 too slow, 413 body, 414 target, 431 headers, 501 transfer
 *          coding, 505; unknown path 404 with empty body, wrong method 405 with Allow.
 * Spec     RFC 9110, RFC 9112, RFC 6455 4.2. */
#pragma once

#include "base/addr.h"
#include "base/err.h"
#include "http/transport.h"
#include "http/ws.h"

struct server;
struct req;

struct server_settings {
	uint32_t head_ms; /* whole request head, from the first byte or from accept */
	uint32_t body_ms; /* whole body */
	uint32_t idle_ms; /* keep-alive; 0 = one request a connection */
	uint32_t head_max, target_max, headers_max; /* bytes, bytes, count */
	uint32_t body_max;
	const char *tls_cert, *tls_key; /* files; NULL = plain */
	const char *tls_min;            /* "1.2" or "1.3" */
};

enum { METHOD_GET = 1, METHOD_HEAD = 2, METHOD_POST = 4, METHOD_OPTIONS = 8 };

struct route {
	const char *path; /* exact, as received (no decoding) */
	unsigned methods; /* METHOD_*; GET implies nothing else: list HEAD too */
	void (*handle)(struct req *r, void *user);
};

/* routes end with a NULL path. */
struct server *server_new(struct transport *t, const struct server_settings *conf,
        const struct route *routes, void *user, struct err *e);
int server_adopt(struct server *s, int fd);          /* takes fd, also on failure */
uint32_t server_connections(const struct server *s); /* adopted and not closed yet */
/* Read the files again, for new connections; on failure everything stays as it was. */
int server_reload_tls(struct server *s, struct err *e);
/* No more requests: idle connections close now, others after their answer, WebSockets when their
 * owners close them; then `drained`, from the loop. */
void server_drain(struct server *s, void (*drained)(void *user), void *user);
void server_free(struct server *s);

/* --- one request ------------------------------------------------------------------------------ */
unsigned req_method(const struct req *r);
struct span req_path(const struct req *r);
struct span req_query(const struct req *r); /* raw, without '?'; p is NULL when there is none */
struct span req_body(const struct req *r);
const struct endpoint *req_peer(const struct req *r);
bool req_is_tls(const struct req *r);
/* The i-th header of that name (any case), or a span with p == NULL. */
struct span req_header(const struct req *r, const char *name, unsigned i);
/* Walk all headers: false at the end. */
bool req_header_at(const struct req *r, unsigned i, struct span *name, struct span *value);
void *req_user(const struct req *r);
void req_on_gone(struct req *r, void (*gone)(struct req *r));

/* type NULL = no Content-Type. `extra`: whole header lines with CRLF, or "". */
void req_reply(struct req *r, int status, const char *type, const char *extra, struct span body);
/* RFC 6455 4.2.1 checks in the order and with the texts the services promise: 0, or the status and
 * body to answer with. */
int req_ws_check(const struct req *r, const char **body);
/* Switch to WebSocket: 101 with that subprotocol (NULL = none). Bytes pipelined behind the request
 * are kept and parsed. max_message: larger ones end with 1009. */
void req_upgrade(struct req *r, struct ws *ws, const struct ws_ops *ops, const char *subprotocol,
        size_t max_message, uint32_t unsent_max);
