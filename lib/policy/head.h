/* head: what the rules at the door need to know of a request.
 *
 * Memory   borrows everything: header lines in the order they arrived, the raw query, the peer.
 * Errors   lookups give SPAN_NONE (p == NULL) for what is not there; an empty value has p != NULL.
 * Depends  base. The HTTP room fills it; nothing here knows a socket or a parser. */
#pragma once

#include "base/addr.h"

struct head_field {
	struct span name, value;
};

struct head {
	const struct head_field *field;
	size_t n;
	struct span query; /* between '?' and the end of the target, undecoded */
	struct ip peer;
};

/* The next line called `name` (any case) at or after *at; moves *at behind it. */
struct span head_next(const struct head *h, const char *name, size_t *at);
struct span head_first(const struct head *h, const char *name);
size_t head_count(const struct head *h, const char *name);
/* Is `item`, spelled exactly so, in the comma-separated list of all lines called `name`? */
bool head_lists(const struct head *h, const char *name, const char *item);
/* Value of the first query parameter spelled exactly `key`, undecoded. */
struct span head_query(const struct head *h, const char *key);
