/* jsondoc: a strict JSON reader; the door to cJSON. Writing is base/json.
 *
 * For      bodies with a structure of their own: requests, signaling, test vectors.
 * Owner    jsondoc_parse gives a tree that jsondoc_free frees; members belong to their tree.
 * Memory   strings are borrowed from the tree.
 * Errors   parse: NULL for anything that is not exactly one object in RFC 8259 text: bytes behind
 *          it, bad UTF-8, \u0000, nesting deeper than JSONDOC_DEPTH. Of repeated names the last
 *          counts. Getters are false for a missing node and for another type.
 * Spec     RFC 8259. */
#pragma once

#include "base/span.h"

#define JSONDOC_DEPTH 32

struct jsondoc;

struct jsondoc *jsondoc_parse(struct span text);
void jsondoc_free(struct jsondoc *j);

const struct jsondoc *jsondoc_get(const struct jsondoc *object, const char *name); /* or NULL */
bool jsondoc_string(const struct jsondoc *j, struct span *out);
bool jsondoc_number(const struct jsondoc *j, double *out); /* only what a double can hold */
/* A number written without fraction or exponent, within 64 bits. */
bool jsondoc_int(const struct jsondoc *j, int64_t *out);
bool jsondoc_bool(const struct jsondoc *j, bool *out);
bool jsondoc_is_null(const struct jsondoc *j);
bool jsondoc_is_object(const struct jsondoc *j);
bool jsondoc_is_array(const struct jsondoc *j);
/* Members of an array or object, NULL at the end; jsondoc_name is the name of an object's. */
const struct jsondoc *jsondoc_first(const struct jsondoc *j);
const struct jsondoc *jsondoc_next(const struct jsondoc *j);
const char *jsondoc_name(const struct jsondoc *j);
