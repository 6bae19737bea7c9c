#include "base/json.h"

#include <assert.h>
#include <inttypes.h>

void
json_init(struct json *j, struct buf *b)
{
	*j = (struct json){.b = b, .fresh = true};
}

static void
before_value(struct json *j)
{
	if (!j->after_key && !j->fresh)
		buf_addc(j->b, ',');
	j->fresh = j->after_key = false;
}

static void
open_level(struct json *j, char open, char close)
{
	assert(j->depth < JSON_DEPTH);
	before_value(j);
	buf_addc(j->b, open);
	j->close[j->depth++] = close;
	j->fresh = true;
}

void
json_object(struct json *j)
{
	open_level(j, '{', '}');
}

void
json_array(struct json *j)
{
	open_level(j, '[', ']');
}

void
json_end(struct json *j)
{
	assert(j->depth > 0 && !j->after_key);
	buf_addc(j->b, j->close[--j->depth]);
	j->fresh = false;
}

/* Length of the well-formed UTF-8 sequence at p, 0 if there is none (RFC 3629 4). */
static size_t
utf8_len(const uint8_t *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
	             : (p[0] & 0xf0) == 0xe0        ? 3
	             : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
	                                            : 0;
	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

static void
add_ascii(struct buf *b, uint8_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;
	if (at) {
		buf_addc(b, '\\');
		buf_addc(b, to[at - from]);
	} else if (c < 0x20 || c == 0x7f) {
		buf_addf(b, "\\u%04x", c);
	} else {
		buf_addc(b, (char)c);
	}
}

static void
add_quoted(struct buf *b, struct span s)
{
	buf_addc(b, '"');
	while (s.n) {
		size_t len = utf8_len(s.p, s.n);
		if (len == 1)
			add_ascii(b, s.p[0]);
		else if (len)
			buf_add(b, span(s.p, len));
		else
			buf_adds(b, "\\ufffd");
		s = span_skip(s, len ? len : 1);
	}
	buf_addc(b, '"');
}

void
json_key(struct json *j, const char *key)
{
	assert(j->depth && j->close[j->depth - 1] == '}' && !j->after_key);
	before_value(j);
	add_quoted(j->b, span_str(key));
	buf_addc(j->b, ':');
	j->after_key = true;
}

void
json_span(struct json *j, struct span s)
{
	before_value(j);
	add_quoted(j->b, s);
}

void
json_str(struct json *j, const char *s)
{
	if (s)
		json_span(j, span_str(s));
	else
		json_null(j);
}

void
json_u64(struct json *j, uint64_t v)
{
	before_value(j);
	buf_addf(j->b, "%" PRIu64, v);
}

void
json_i64(struct json *j, int64_t v)
{
	before_value(j);
	buf_addf(j->b, "%" PRId64, v);
}

void
json_ms(struct json *j, double ms)
{
	before_value(j);
	buf_addf(j->b, "%.3f", ms);
}

void
json_bool(struct json *j, bool v)
{
	before_value(j);
	buf_adds(j->b, v ? "true" : "false");
}

void
json_null(struct json *j)
{
	before_value(j);
	buf_adds(j->b, "null");
}

void
json_kv_str(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_str(j, s);
}

void
json_kv_u64(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_u64(j, v);
}

void
json_kv_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}
