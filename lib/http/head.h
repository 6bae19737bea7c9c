/* head: one HTTP/1.x message head, read strictly.
 *
 * For      requests that services get and responses that clients get. libhttp-parser as Debian
 *          builds it is lenient (bare LF, folded lines, blanks in names, any byte in targets), so
 *          every byte passes a scanner of our own first; the parser then takes the proven text
 *          apart.
 * Owner    whoever embeds it; head_fini frees.
 * Order    head_init -> head_feed until it gives HEAD_DONE or a status. Then the fields are valid.
 * Memory   holds the head's bytes and one entry for each field; all spans point into them.
 * Pace     never more than limits.bytes; a bad byte is seen as it comes, not at the end.
 * Errors   head_feed: HEAD_MORE, HEAD_DONE, or the status to answer with: 400, 414, 431, 505, and
 *          503 when memory is out. Field counts are checked before anything is allocated for them.
 * Thread   none.
 * Spec     RFC 9112 2 to 5; lines end with CRLF alone, obsolete folding is refused. */
#pragma once

#include "base/buf.h"

struct head_limits {
	uint32_t bytes;  /* the whole head */
	uint32_t target; /* its request target */
	uint32_t fields;
};

struct head_field {
	struct span name, value; /* the value without blanks around it */
};

enum { HEAD_MORE = 0, HEAD_DONE = 1 };

struct head {
	bool response;
	int status;         /* of a response */
	uint8_t minor;      /* HTTP/1.minor */
	struct span method; /* of a request, like all below */
	struct span target; /* as received */
	struct span path;   /* its path, "*" for the asterisk form */
	struct span query;  /* without '?'; p is NULL when there is none */
	struct span host;   /* authority of the absolute form, else the Host field; p NULL = none */
	struct head_field *field;
	uint32_t n_fields;
	/* private */
	struct buf text;
	uint8_t state;
	uint32_t target_n, lines;
};

void head_init(struct head *h, bool response, const struct head_limits *limits);
void head_fini(struct head *h);
/* *used: how many of these bytes belong to the head. */
int head_feed(struct head *h, const struct head_limits *limits, struct span in, size_t *used);

/* The i-th field of that name (any case), or a span with p == NULL. */
struct span head_get(const struct head *h, const char *name, uint32_t i);
/* Is `token` an element of the comma-separated lists of that name? Any case. */
bool head_has_token(const struct head *h, const char *name, const char *token);

struct head_body {
	bool chunked;
	uint64_t length; /* when not chunked */
};

/* What body a request brings (RFC 9112 6): 0, or the status to answer with: 400, 501. */
int head_request_body(const struct head *h, struct head_body *out);
