/* json: writes one JSON document into a buf, compact, commas placed by itself.
 *
 *   json_init(&j, &buf); json_object(&j); json_key(&j, "ok"); json_bool(&j, true); json_end(&j);
 *
 * Owner    the buf is the caller's; its cap and its sticky `bad` are the only way to fail.
 * Order    inside an object every value follows a json_key; json_end closes the innermost of
 *          json_object and json_array, at most JSON_DEPTH deep (asserted).
 * Spec     RFC 8259. Bytes that are not UTF-8 are written as U+FFFD. */
#pragma once

#include "base/buf.h"

#define JSON_DEPTH 16

struct json {
	struct buf *b;
	uint8_t depth;
	bool fresh; /* nothing written yet at this level */
	bool after_key;
	char close[JSON_DEPTH];
};

void json_init(struct json *j, struct buf *b);
void json_object(struct json *j);
void json_array(struct json *j);
void json_end(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s); /* NULL is null */
void json_span(struct json *j, struct span s);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_ms(struct json *j, double ms); /* three decimals */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);

/* A key and its value at once. */
void json_kv_str(struct json *j, const char *key, const char *s);
void json_kv_u64(struct json *j, const char *key, uint64_t v);
void json_kv_bool(struct json *j, const char *key, bool v);
