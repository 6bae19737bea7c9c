/* claims: strict JSON reading of what a signed token says.
 *
 * For      one object with a handful of members that matter; everything else is only checked.
 * Memory   works inside the buffer it is given: strings are unescaped in place, and spans point
 *          there. No allocation; nesting deeper than CLAIMS_DEPTH is an error.
 * Errors   false for anything RFC 8259 does not allow, bad UTF-8, lone surrogates, bytes behind
 *          the object. Names are case-sensitive; of several equal names the last counts. */
#pragma once

#include "base/span.h"

#define CLAIMS_DEPTH 32

enum claim_type {
	CLAIM_ABSENT,
	CLAIM_STRING,  /* text: unescaped */
	CLAIM_INTEGER, /* text: digits, maybe a minus in front */
	CLAIM_NUMBER,  /* with a fraction or an exponent */
	CLAIM_OTHER,   /* null, a boolean, an array, an object */
};

struct claim {
	const char *name; /* set by the caller */
	enum claim_type type;
	struct span text;
};

bool claims_read(uint8_t *json, size_t n, struct claim *want, size_t n_want);
/* Of CLAIM_INTEGER; false when it does not fit. */
bool claims_integer(const struct claim *c, int64_t *out);
/* Of either kind of number; false when it is not finite. */
bool claims_number(const struct claim *c, double *out);
