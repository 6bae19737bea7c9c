#include "base/jout.h"

#include <assert.h>
#include <inttypes.h>

void
jout_init(struct jout *j, struct buf *b)
{
	*j = (struct jout){.b = b, .fresh = true};
}

static void
before_value(struct jout *j)
{
	if (!j->after_key && !j->fresh)
		buf_addc(j->b, ',');
	j->fresh = j->after_key = false;
}

static void
open_level(struct jout *j, char open, char close)
{
	assert(j->depth < JOUT_DEPTH);
	before_value(j);
	buf_addc(j->b, open);
	j->close[j->depth++] = close;
	j->fresh = true;
}

void
jout_object(struct jout *j)
{
	open_level(j, '{', '}');
}

void
jout_array(struct jout *j)
{
	open_level(j, '[', ']');
}

void
jout_end(struct jout *j)
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
jout_key(struct jout *j, const char *key)
{
	assert(j->depth && j->close[j->depth - 1] == '}' && !j->after_key);
	before_value(j);
	add_quoted(j->b, span_str(key));
	buf_addc(j->b, ':');
	j->after_key = true;
}

void
jout_span(struct jout *j, struct span s)
{
	before_value(j);
	add_quoted(j->b, s);
}

void
jout_str(struct jout *j, const char *s)
{
	if (s)
		jout_span(j, span_str(s));
	else
		jout_null(j);
}

void
jout_u64(struct jout *j, uint64_t v)
{
	before_value(j);
	buf_addf(j->b, "%" PRIu64, v);
}

void
jout_i64(struct jout *j, int64_t v)
{
	before_value(j);
	buf_addf(j->b, "%" PRId64, v);
}

void
jout_ms(struct jout *j, double ms)
{
	before_value(j);
	buf_addf(j->b, "%.3f", ms);
}

void
jout_bool(struct jout *j, bool v)
{
	before_value(j);
	buf_adds(j->b, v ? "true" : "false");
}

void
jout_null(struct jout *j)
{
	before_value(j);
	buf_adds(j->b, "null");
}

void
jout_kv_str(struct jout *j, const char *key, const char *s)
{
	jout_key(j, key);
	jout_str(j, s);
}

void
jout_kv_u64(struct jout *j, const char *key, uint64_t v)
{
	jout_key(j, key);
	jout_u64(j, v);
}

void
jout_kv_bool(struct jout *j, const char *key, bool v)
{
	jout_key(j, key);
	jout_bool(j, v);
}
