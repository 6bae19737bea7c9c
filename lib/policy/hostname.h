/* hostname: which names of this server a request may use (a guard against DNS rebinding).
 *
 * Memory   rules own copies; a check writes what it looked at into the result.
 * Errors   hostname_init names an entry that is no host name, for it could never match; then there
 *          is nothing to fini.
 * With no entries the check is off. */
#pragma once

#include "conf/sections.h"
#include "policy/head.h"
#include "policy/refusal.h"

#define HOSTNAME_TEXT 320 /* longest host[:port] that can match anything */

struct hostname_rules {
	bool trust_proxy; /* Forwarded host=, X-Forwarded-Host and their protocols are believed */
	size_t n;
	char **list; /* as written; which default port is dropped depends on the request */
};

struct hostname_result {
	struct refusal refusal;
	struct span raw; /* what the request said, for the log */
	char text[HOSTNAME_TEXT];
};

/* "Name:443" -> "name" if https, else "name:443"; quotes around it and a list behind it are cut. */
bool hostname_normalise(struct span in, bool https, char out[HOSTNAME_TEXT]);

int hostname_init(struct hostname_rules *r, const struct host_conf *c, struct err *e);
void hostname_fini(struct hostname_rules *r);
/* `origin` is the normalised Origin or "": its scheme stands in where no proxy names one. */
void hostname_check(const struct hostname_rules *r, const struct head *h, const char *origin,
        struct hostname_result *out);
