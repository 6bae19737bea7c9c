#include "policy/claims.h"

#include "wire/utf8.h"

#include <math.h>
#include <stdlib.h>

/* Why not the JSON library of wire/: a verifier must tell 1 from 1.0, refuse bad UTF-8 and trailing
 * bytes, and compare names exactly; a general tree is lenient in each of these. */

struct reader {
	uint8_t *p, *end;
	struct claim *want;
	size_t n_want;
};

static bool read_value(struct reader *r, unsigned depth, struct claim *out);

static void
skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool
take(struct reader *r, uint8_t c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool
read_hex4(struct reader *r, uint32_t *out)
{
	*out = 0;
	if (r->end - r->p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		uint8_t c = *r->p++;
		uint8_t d = (uint8_t)(c - '0');
		if (d > 9) {
			c |= 32;
			if (c < 'a' || c > 'f')
				return false;
			d = (uint8_t)(c - 'a' + 10);
		}
		*out = *out << 4 | d;
	}
	return true;
}

static uint8_t *
put_utf8(uint8_t *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (uint8_t)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (uint8_t)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (uint8_t)(0xe0 | c >> 12);
		} else {
			*to++ = (uint8_t)(0xf0 | c >> 18);
			*to++ = (uint8_t)(0x80 | (c >> 12 & 63));
		}
		*to++ = (uint8_t)(0x80 | (c >> 6 & 63));
	}
	*to++ = (uint8_t)(0x80 | (c & 63));
	return to;
}

/* Behind "\u": one code unit, or two that make a pair. Six or twelve bytes become at most four, so
 * unescaping in place never overtakes the reader. */
static bool
read_unicode(struct reader *r, uint8_t **to)
{
	uint32_t c, low;
	if (!read_hex4(r, &c) || (c >= 0xdc00 && c <= 0xdfff))
		return false;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (!take(r, '\\') || !take(r, 'u') || !read_hex4(r, &low) || low < 0xdc00 ||
		        low > 0xdfff)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*to = put_utf8(*to, c);
	return true;
}

static bool
read_escape(struct reader *r, uint8_t **to)
{
	static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
	if (r->p == r->end)
		return false;
	uint8_t c = *r->p++;
	if (c == 'u')
		return read_unicode(r, to);
	const char *at = c ? strchr(from, c) : NULL;
	if (!at)
		return false;
	*(*to)++ = (uint8_t)into[at - from];
	return true;
}

static bool
read_string(struct reader *r, struct span *out)
{
	if (!take(r, '"'))
		return false;
	uint8_t *start = r->p, *to = r->p;
	while (r->p < r->end && *r->p != '"') {
		uint8_t c = *r->p++;
		if (c < 0x20)
			return false;
		if (c != '\\')
			*to++ = c;
		else if (!read_escape(r, &to))
			return false;
	}
	*out = span(start, (size_t)(to - start));
	return take(r, '"');
}

static bool
skip_digits(struct reader *r)
{
	uint8_t *start = r->p;
	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start;
}

static bool
read_number(struct reader *r, struct claim *out)
{
	uint8_t *start = r->p;
	out->type = CLAIM_INTEGER;
	take(r, '-');
	if (!take(r, '0') && !skip_digits(r))
		return false;
	if (take(r, '.')) {
		out->type = CLAIM_NUMBER;
		if (!skip_digits(r))
			return false;
	}
	if (take(r, 'e') || take(r, 'E')) {
		out->type = CLAIM_NUMBER;
		if (!take(r, '+'))
			take(r, '-');
		if (!skip_digits(r))
			return false;
	}
	out->text = span(start, (size_t)(r->p - start));
	return true;
}

static bool
read_word(struct reader *r, const char *word)
{
	struct span left = span(r->p, (size_t)(r->end - r->p));
	if (!span_starts(left, word))
		return false;
	r->p += strlen(word);
	return true;
}

static void
keep(struct reader *r, struct span name, const struct claim *value)
{
	for (size_t i = 0; i < r->n_want; i++)
		if (span_is(name, r->want[i].name)) {
			r->want[i].type = value->type;
			r->want[i].text = value->text;
		}
}

static bool
read_object(struct reader *r, unsigned depth)
{
	take(r, '{');
	skip_space(r);
	if (take(r, '}'))
		return true;
	do {
		struct span name;
		struct claim value = {0};
		skip_space(r);
		if (!read_string(r, &name))
			return false;
		skip_space(r);
		if (!take(r, ':') || !read_value(r, depth + 1, &value))
			return false;
		if (depth == 0)
			keep(r, name, &value);
	} while (take(r, ','));
	return take(r, '}');
}

static bool
read_array(struct reader *r, unsigned depth)
{
	take(r, '[');
	skip_space(r);
	if (take(r, ']'))
		return true;
	do {
		struct claim value = {0};
		if (!read_value(r, depth + 1, &value))
			return false;
	} while (take(r, ','));
	return take(r, ']');
}

/* One value with the white space around it. */
static bool
read_value(struct reader *r, unsigned depth, struct claim *out)
{
	bool ok = false;
	skip_space(r);
	out->type = CLAIM_OTHER;
	if (r->p == r->end || depth > CLAIMS_DEPTH)
		return false;
	switch (*r->p) {
	case '{': ok = read_object(r, depth); break;
	case '[': ok = read_array(r, depth); break;
	case '"':
		out->type = CLAIM_STRING;
		ok = read_string(r, &out->text);
		break;
	case 't': ok = read_word(r, "true"); break;
	case 'f': ok = read_word(r, "false"); break;
	case 'n': ok = read_word(r, "null"); break;
	default: ok = read_number(r, out); break;
	}
	skip_space(r);
	return ok;
}

bool
claims_read(uint8_t *json, size_t n, struct claim *want, size_t n_want)
{
	struct reader r = {json, json + n, want, n_want};
	struct claim all;
	for (size_t i = 0; i < n_want; i++)
		want[i] = (struct claim){.name = want[i].name};
	if (!utf8_valid(span(json, n)))
		return false;
	skip_space(&r);
	if (r.p == r.end || *r.p != '{')
		return false;
	return read_value(&r, 0, &all) && r.p == r.end;
}

bool
claims_integer(const struct claim *c, int64_t *out)
{
	bool minus = c->text.n && c->text.p[0] == '-';
	uint64_t v;
	if (c->type != CLAIM_INTEGER ||
	        !span_u64(span_skip(c->text, minus), (uint64_t)INT64_MAX + minus, &v))
		return false;
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool
claims_number(const struct claim *c, double *out)
{
	char text[64];
	if (c->type != CLAIM_INTEGER && c->type != CLAIM_NUMBER)
		return false;
	/* More digits than a double can tell apart: nothing honest writes them. */
	if (c->text.n >= sizeof text)
		return false;
	memcpy(text, c->text.p, c->text.n);
	text[c->text.n] = 0;
	*out = strtod(text, NULL);
	return isfinite(*out);
}
