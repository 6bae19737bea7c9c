/* jout: writes one JSON document into a buf, compact, commas placed by itself.
 *
 *   jout_init(&j, &buf); jout_object(&j); jout_key(&j, "ok"); jout_bool(&j, true); jout_end(&j);
 *
 * Owner    the buf is the caller's; its cap and its sticky `bad` are the only way to fail.
 * Order    inside an object every value follows a jout_key; jout_end closes the innermost of
 *          jout_object and jout_array, at most JOUT_DEPTH deep (asserted).
 * Spec     RFC 8259. Bytes that are not UTF-8 are written as U+FFFD. */
#pragma once

#include "base/buf.h"

#define JOUT_DEPTH 16

struct jout {
	struct buf *b;
	uint8_t depth;
	bool fresh; /* nothing written yet at this level */
	bool after_key;
	char close[JOUT_DEPTH];
};

void jout_init(struct jout *j, struct buf *b);
void jout_object(struct jout *j);
void jout_array(struct jout *j);
void jout_end(struct jout *j);
void jout_key(struct jout *j, const char *key);
void jout_str(struct jout *j, const char *s); /* NULL is null */
void jout_span(struct jout *j, struct span s);
void jout_u64(struct jout *j, uint64_t v);
void jout_i64(struct jout *j, int64_t v);
void jout_ms(struct jout *j, double ms); /* three decimals */
void jout_bool(struct jout *j, bool v);
void jout_null(struct jout *j);

/* A key and its value at once. */
void jout_kv_str(struct jout *j, const char *key, const char *s);
void jout_kv_u64(struct jout *j, const char *key, uint64_t v);
void jout_kv_bool(struct jout *j, const char *key, bool v);
