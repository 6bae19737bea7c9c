/* log: an event name and typed fields, one line each, as text or JSON.
 *
 *   log_info(&s->log, "tcp.open", kv_str("to", host), kv_u64("port", port));
 *
 * A struct log is a link in a chain (session, worker, root): fields set on a link appear in every
 * line written through it or below it, so ids are said once.
 * Levels   error: somebody must act. warn: we refused or degraded. info: start, stop and one line
 *          per ended session. debug: per flow. Per packet is a metric or a capture, never a line.
 * Owner    links are embedded; the chain above must outlive them. Field values of a link must too.
 * Secrets  there is no kv_ for them, nor for payload. Text is escaped, so no value forges a line.
 * Thread   one process, one writer; a line is one write(2). */
#pragma once

#include "base/addr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

enum kv_type { KV_END, KV_STR, KV_SPAN, KV_U64, KV_I64, KV_BOOL, KV_IP, KV_ENDPOINT, KV_MS };

struct kv {
	const char *key;
	enum kv_type type;
	union {
		const char *str;
		struct span span;
		uint64_t u64;
		int64_t i64;
		bool b;
		const struct ip *ip;
		const struct endpoint *ep;
	};
};

#define kv_str(k, v) ((struct kv){k, KV_STR, .str = (v)})
#define kv_span(k, v) ((struct kv){k, KV_SPAN, .span = (v)})
#define kv_u64(k, v) ((struct kv){k, KV_U64, .u64 = (v)})
#define kv_i64(k, v) ((struct kv){k, KV_I64, .i64 = (v)})
#define kv_bool(k, v) ((struct kv){k, KV_BOOL, .b = (v)})
#define kv_ip(k, v) ((struct kv){k, KV_IP, .ip = (v)})
#define kv_ep(k, v) ((struct kv){k, KV_ENDPOINT, .ep = (v)})

#define LOG_LINK_KV 3

struct log {
	const struct log *up; /* NULL for a root: then the sink fields below apply */
	struct kv kv[LOG_LINK_KV];
	int fd;
	enum log_level level;
	enum log_format format;
	bool colour;
};

/* A root writing to fd. */
void log_root(struct log *l, int fd, enum log_level level, enum log_format format);
/* A link below `up` with up to LOG_LINK_KV fields. */
void log_link(struct log *l, const struct log *up, const struct kv *kv, int n);
bool log_on(const struct log *l, enum log_level level);
void log_write(const struct log *l, enum log_level level, const char *event, const struct kv *kv);

/* A dummy in front lets the list of fields be empty. */
#define LOG_KV(...) (&((const struct kv[]){{.type = KV_END}, ##__VA_ARGS__, {.type = KV_END}})[1])
#define log_error(l, ev, ...) log_write(l, LOG_ERROR, ev, LOG_KV(__VA_ARGS__))
#define log_warn(l, ev, ...) log_write(l, LOG_WARN, ev, LOG_KV(__VA_ARGS__))
#define log_info(l, ev, ...) log_write(l, LOG_INFO, ev, LOG_KV(__VA_ARGS__))
#define log_debug(l, ev, ...)                                             \
	do {                                                              \
		if (log_on(l, LOG_DEBUG))                                 \
			log_write(l, LOG_DEBUG, ev, LOG_KV(__VA_ARGS__)); \
	} while (0)
