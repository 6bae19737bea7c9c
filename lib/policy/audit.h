/* audit: does the egress policy hold against the ways people have written forbidden addresses?
 *
 * For      `aero policy-check` without a target: a built-in list of metadata services, loopback
 *          and private addresses in every spelling, run through the functions every dial uses.
 * Memory   none; cases are constant. */
#pragma once

#include "policy/egress.h"

struct audit_case {
	const char *text;    /* as somebody would type it, UTF-8 */
	const char *address; /* what a name resolves to; NULL: the text says it itself */
	const char *what;    /* "loopback, octal" */
};

struct audit_result {
	struct host host;              /* what the text means */
	struct egress_verdict verdict; /* of the name, or of the address; allow = a hole */
	bool unusable;                 /* the text is no host at all, so nothing can be dialled */
};

/* The i-th case, NULL behind the last. */
const struct audit_case *audit_at(size_t i);
/* allow in the verdict means that a guest gets there. Ports are left out of it. */
struct audit_result audit_try(const struct egress *g, const struct audit_case *c);
