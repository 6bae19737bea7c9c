/* span: borrowed bytes.
 *
 * Owner    nobody; a span is a view, valid as long as the call or the object that gave it says.
 * Errors   none.
 * Thread   none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t n;
};

#define SPAN_NONE ((struct span){NULL, 0})
/* A span over a string literal, without its terminator. */
#define SPAN_LIT(s) ((struct span){(const uint8_t *)(s), sizeof(s) - 1})

static inline struct span
span(const void *p, size_t n)
{
	return (struct span){p, n};
}

static inline struct span
span_str(const char *s)
{
	return (struct span){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

/* The first n bytes cut off; n beyond the end gives an empty span. */
static inline struct span
span_skip(struct span a, size_t n)
{
	if (!a.n) /* p may be NULL, to which nothing is added */
		return a;
	return n >= a.n ? span(a.p + a.n, 0) : span(a.p + n, a.n - n);
}

static inline struct span
span_first(struct span a, size_t n)
{
	return span(a.p, n < a.n ? n : a.n);
}

/* ASCII text helpers; none allocates. */
struct span span_trim(struct span s); /* spaces and tabs off both ends */
bool span_ieq(struct span a, struct span b);
bool span_istarts(struct span s, const char *prefix);
bool span_starts(struct span s, const char *prefix);
/* Cut the next `sep`-separated item off *rest; false when nothing is left.
 * An empty *rest with p != NULL still gives one last empty item; afterwards p is NULL. */
bool span_split(struct span *rest, char sep, struct span *item);
/* Decimal digits only, no sign, no spaces; false on empty, junk or overflow of max. */
bool span_u64(struct span s, uint64_t max, uint64_t *out);
/* NUL-terminated heap copy, to be freed with free(). */
char *span_dup(struct span s);
