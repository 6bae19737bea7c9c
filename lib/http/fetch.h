/* fetch: one HTTP request to a server, and its answer.
 *
 * For      tools and health checks: GET and POST with small bodies. No redirects, no cookies kept.
 * Owner    fetch_start / fetch_free; freeing early ends it without another call.
 * Order    fetch_start 0 -> done, once, from the loop.
 * Memory   fetch_start copies what struct fetch_req points to; the answer is valid in `done` and
 *          until fetch_free.
 * Pace     timeout_ms covers everything; at most body_most bytes of body are kept, more is an
 *          error.
 * Errors   fetch_start: -EINVAL for text that cannot stand in a request, -ENOMEM. Later: status 0
 *          and a sentence in `why`.
 * Spec     RFC 9112, HTTP/1.1, one request a connection. */
#pragma once

#include "http/head.h"
#include "http/transport.h"

#include "base/addr.h"

struct fetch;

struct fetch_req {
	struct endpoint to;
	const char *method; /* "GET" */
	const char *host;   /* text of the Host header */
	const char *target;
	const char *headers; /* more whole lines with CRLF; NULL = none */
	struct span body;    /* p NULL: none */
	bool tls, tls_insecure;
	uint32_t timeout_ms;
	size_t body_most;
	void (*done)(struct fetch *f, void *user);
	void *user;
};

int fetch_start(struct transport *t, const struct fetch_req *r, struct fetch **out);
void fetch_free(struct fetch *f);        /* NULL is fine */
int fetch_status(const struct fetch *f); /* 0: there was no whole answer */
const char *fetch_why(const struct fetch *f);
bool fetch_broken(const struct fetch *f); /* there was an answer, but not one of HTTP/1.1 */
struct span fetch_body(const struct fetch *f);
struct span fetch_header(const struct fetch *f, const char *name, uint32_t i);
