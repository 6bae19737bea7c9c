/* origin: which web pages may open a tunnel.
 *
 * Memory   rules own copies of their entries; a check writes the normalised Origin into the result
 *          and borrows nothing but the raw header for a refusal's detail.
 * Errors   origin_init names the entry that is neither "*" nor an origin; then there is nothing to
 *          fini.
 * Spec     RFC 6454 7, WHATWG URL 3.5; `null` is an origin like any other, admitted when listed. */
#pragma once

#include "conf/sections.h"
#include "policy/head.h"
#include "policy/refusal.h"

#define ORIGIN_MAX 4096               /* longest text taken */
#define ORIGIN_TEXT (ORIGIN_MAX + 32) /* holds any normalised origin: short IPv4 forms grow */

struct origin_rules {
	bool open; /* no Origin is asked for at all */
	bool any;  /* "*" is listed */
	size_t n;
	char **list; /* normalised */
};

struct origin_result {
	struct refusal refusal;
	char text[ORIGIN_TEXT]; /* normalised; "" if there is none */
};

/* "HTTPS://Example.COM:443/" -> "https://example.com"; false for what is not an origin. */
bool origin_normalise(struct span in, char out[ORIGIN_TEXT]);
/* host[:port] as it follows "<scheme>://" in a normalised origin; https or http decides which
 * default port is dropped. */
bool origin_host(struct span host, bool https, char out[ORIGIN_TEXT]);

int origin_init(struct origin_rules *r, const struct origin_conf *c, struct err *e);
void origin_fini(struct origin_rules *r);
/* No entries at all means: the request's own Host, or refuse. */
bool origin_allowed(const struct origin_rules *r, const char *normalised, struct span host);
/* refusal.why is REFUSAL_NONE when the door is open; `text` is filled in either way. */
void origin_check(const struct origin_rules *r, const struct head *h, struct origin_result *out);
