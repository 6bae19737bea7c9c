/* refusal: why the door says no, with the status and body the client sees and the log's label.
 *
 * For      origin, hostname and auth answer with one of these; serve counts by `why`.
 * Memory   `detail` borrows from the request or from the result it came with.
 * The body is `text` followed by `detail`. */
#pragma once

#include "base/span.h"

enum refusal_why {
	REFUSAL_NONE, /* come in */
	REFUSAL_AUTH,
	REFUSAL_ORIGIN_MISSING,
	REFUSAL_ORIGIN_INVALID,
	REFUSAL_ORIGIN_NOT_ALLOWED,
	REFUSAL_HOST_MISSING,
	REFUSAL_HOST_INVALID,
	REFUSAL_HOST_NOT_ALLOWED,
};

struct refusal {
	enum refusal_why why;
	int status;
	const char *label; /* "origin_missing", for the log */
	const char *text;
	struct span detail;
};
