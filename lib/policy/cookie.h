/* cookie: finding one cookie in a request.
 *
 * Memory   `value` borrows from the header, or from `room` when it had to be percent-decoded.
 * Errors   a value too long to decode into `room` stays undecoded. */
#pragma once

#include "policy/head.h"

struct cookie {
	bool seen; /* the name occurred; only its first occurrence counts, whatever it holds */
	struct span value;
};

struct cookie cookie_get(const struct head *h, const char *name, void *room, size_t cap);
