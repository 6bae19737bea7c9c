/* json: strict JSON in, JSON out; the door to cJSON.
 *
 * For      tokens, session and signaling bodies, reports. Not for the data path.
 * Owner    json_parse, json_object and json_array give a tree that json_free frees; members belong
 *          to their tree, and adding a tree to another hands it over.
 * Memory   strings read are borrowed from the tree.
 * Errors   parse: NULL for anything that is not exactly one object in RFC 8259 text: bytes behind
 *          it, bad UTF-8, \u0000, nesting deeper than JSON_DEPTH. Of repeated names the last
 *          counts. Getters are false for a missing node and for another type.
 * Spec     RFC 8259. */
#pragma once

#include "base/buf.h"

#define JSON_DEPTH 32

struct json;

struct json *json_parse(struct span text);
void json_free(struct json *j);

const struct json *json_get(const struct json *object, const char *name); /* NULL when absent */
bool json_string(const struct json *j, struct span *out);
bool json_number(const struct json *j, double *out); /* only what a double can hold */
/* A number written without fraction or exponent, within 64 bits. */
bool json_int(const struct json *j, int64_t *out);
bool json_bool(const struct json *j, bool *out);
bool json_is_null(const struct json *j);
bool json_is_object(const struct json *j);
/* Members of an array or object, NULL at the end; json_name gives the name of an object's. */
const struct json *json_first(const struct json *j);
const struct json *json_next(const struct json *j);
const char *json_name(const struct json *j);

/* Building; name is NULL inside arrays. Out of memory ends the process: what is built is ours. */
struct json *json_object(void);
struct json *json_array(void);
void json_add(struct json *to, const char *name, struct json *tree); /* takes tree */
void json_add_str(struct json *to, const char *name, const char *v);
void json_add_span(struct json *to, const char *name, struct span v); /* bad UTF-8 is replaced */
void json_add_int(struct json *to, const char *name, int64_t v);
void json_add_u64(struct json *to, const char *name, uint64_t v);
void json_add_number(struct json *to, const char *name, double v);
void json_add_bool(struct json *to, const char *name, bool v);
void json_add_null(struct json *to, const char *name);
/* Append the text, without spaces or with line breaks; false when it does not fit. */
bool json_print(const struct json *j, struct buf *out);
bool json_print_pretty(const struct json *j, struct buf *out);
