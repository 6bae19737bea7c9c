/* utf8: is this UTF-8, in one piece or as it arrives.
 *
 * Surrogates, overlong forms and values beyond U+10FFFF are not.
 * Spec     RFC 3629. */
#pragma once

#include "base/span.h"

#define UTF8_START ((struct utf8){0})

struct utf8 {
	uint8_t left;      /* continuation bytes still to come */
	uint8_t low, high; /* bounds of the next one */
};

/* False as soon as no continuation could make it right; then do not go on. */
bool utf8_feed(struct utf8 *u, struct span s);
static inline bool
utf8_complete(const struct utf8 *u)
{
	return u->left == 0;
}
bool utf8_valid(struct span s);
/* The longest start of valid text that has at most `most` bytes and cuts no character. */
struct span utf8_cut(struct span s, size_t most);
