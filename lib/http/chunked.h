/* chunked: the chunked transfer coding, read strictly (RFC 9112 7.1).
 *
 * Order    chunked_feed until *in is empty or it gives anything but CHUNKED_DATA.
 * Memory   nothing is held; data spans point into what was fed. Extensions and trailers are
 *          dropped.
 * Errors   CHUNKED_BAD: malformed, or a line of more than CHUNKED_LINE bytes, or trailers of more
 *          than CHUNKED_TRAILERS. */
#pragma once

#include "base/span.h"

#define CHUNKED_LINE 256
#define CHUNKED_TRAILERS 8192

enum chunked_result { CHUNKED_MORE, CHUNKED_DATA, CHUNKED_DONE, CHUNKED_BAD };

struct chunked { /* all zero to start with */
	uint64_t left;
	uint32_t line, trailers;
	uint8_t state;
};

/* Takes bytes off *in; CHUNKED_DATA comes with the next piece of data. */
enum chunked_result chunked_feed(struct chunked *c, struct span *in, struct span *data);
