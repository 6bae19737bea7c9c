/* url: the few kinds of URL that the tools take: ws, wss, http, https.
 *
 * Errors   a sentence that names the text and what is wrong with it.
 * Spec     RFC 3986, without user names and fragments. */
#pragma once

#include "base/addr.h"
#include "base/err.h"

#define URL_HOST 256
#define URL_TARGET 2048

struct url {
	bool tls;
	bool ws;
	uint16_t port;
	char host[URL_HOST];          /* a name or an address, without brackets */
	char authority[URL_HOST + 8]; /* as a Host header has it: no default port */
	char target[URL_TARGET];      /* path and query; "/" at least */
};

int url_parse(const char *text, struct url *out, struct err *e);
/* The address to connect to, the first that the system's resolver gives. May take its time. */
int url_resolve(const struct url *u, struct endpoint *out, struct err *e);
/* "http://host:port": what a page served from there has as its Origin. */
void url_origin(const struct url *u, char *out, size_t cap);
/* Append "key=value" to the query, percent-encoded; false when it does not fit. */
bool url_add_query(struct url *u, const char *key, const char *value);
/* A path that does not name a tunnel endpoint gets "/l2" behind it. */
bool url_for_tunnel(struct url *u);
