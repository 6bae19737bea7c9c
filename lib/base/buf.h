/* buf: owned bytes that grow, up to a cap given at the start.
 *
 * For      what a peer or a report can make longer: HTTP bodies, JSON, /metrics, lines.
 * Owner    whoever embeds it; buf_fini frees.
 * Errors   appending beyond the cap (or out of memory) sets `bad` and changes nothing; sticky. */
#pragma once

#include "base/span.h"

struct buf {
	uint8_t *p;
	size_t n;   /* bytes in use */
	size_t cap; /* most it may ever hold */
	size_t room;
	bool bad;
};

void buf_init(struct buf *b, size_t cap);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory, clears bad */
bool buf_add(struct buf *b, struct span s);
bool buf_addc(struct buf *b, char c);
bool buf_adds(struct buf *b, const char *s);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Cut n bytes off the front. */
void buf_eat(struct buf *b, size_t n);
/* NUL-terminated view (the terminator is not counted in n); "" when empty; until next call. */
const char *buf_str(struct buf *b);

static inline struct span
buf_span(const struct buf *b)
{
	return span(b->p, b->n);
}
