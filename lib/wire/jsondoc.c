/* cJSON is generous about what it reads: control characters and bad UTF-8 in strings, numbers like
 * 01 and 1., names in any case. So the text is checked first, by the grammar, and cJSON only turns
 * into a tree what passed. It also forgets how a number was written; since a token's times must
 * be integers as written, the digits are put back into the tree's number nodes, in valuestring,
 * which cJSON leaves alone there and frees with the node. */
#include "wire/jsondoc.h"

#include "base/cursor.h"
#include "base/enc.h"
#include "wire/utf8.h"

#include <cjson/cJSON.h>
#include <math.h>

/* --- the grammar ------------------------------------------------------------------------------ */

static int
peek(const struct rd *r)
{
	return rd_left(r) ? *r->p : -1;
}

static void
skip_space(struct rd *r)
{
	while (rd_left(r) && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool
expect(struct rd *r, const char *word)
{
	return span_is(rd_bytes(r, strlen(word)), word);
}

static bool
skip_digits(struct rd *r)
{
	const uint8_t *from = r->p;
	while (rd_left(r) && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from;
}

static bool
skip_number(struct rd *r)
{
	if (peek(r) == '-')
		r->p++;
	if (peek(r) == '0')
		r->p++;
	else if (!skip_digits(r))
		return false;
	if (peek(r) == '.') {
		r->p++;
		if (!skip_digits(r))
			return false;
	}
	if (peek(r) == 'e' || peek(r) == 'E') {
		r->p++;
		if (peek(r) == '+' || peek(r) == '-')
			r->p++;
		return skip_digits(r);
	}
	return true;
}

static bool
skip_escape(struct rd *r)
{
	uint8_t c = rd_u8(r);
	if (c != 'u')
		return !r->bad && c && strchr("\"\\/bfnrt", c);
	uint8_t v[2];
	return hex_decode(rd_bytes(r, 4), v, sizeof v) == 2 && (v[0] || v[1]);
}

static bool
skip_string(struct rd *r)
{
	if (rd_u8(r) != '"')
		return false;
	const uint8_t *from = r->p;
	for (;;) {
		uint8_t c = rd_u8(r);
		if (r->bad || c < 0x20)
			return false;
		if (c == '"')
			return utf8_valid(span(from, (size_t)(r->p - 1 - from)));
		if (c == '\\' && !skip_escape(r))
			return false;
	}
}

static bool skip_value(struct rd *r, int depth);

/* `open` was seen; members up to the closing mark, each after a name in an object. */
static bool
skip_members(struct rd *r, int depth, bool named, int closing)
{
	r->p++;
	skip_space(r);
	if (peek(r) == closing) {
		r->p++;
		return true;
	}
	for (;;) {
		skip_space(r);
		if (named) {
			if (!skip_string(r))
				return false;
			skip_space(r);
			if (!expect(r, ":"))
				return false;
		}
		if (!skip_value(r, depth))
			return false;
		int c = rd_u8(r);
		if (c == closing)
			return true;
		if (c != ',')
			return false;
	}
}

static bool
skip_value(struct rd *r, int depth)
{
	bool ok;
	skip_space(r);
	if (depth > JSONDOC_DEPTH)
		return false;
	switch (peek(r)) {
	case '{': ok = skip_members(r, depth + 1, true, '}'); break;
	case '[': ok = skip_members(r, depth + 1, false, ']'); break;
	case '"': ok = skip_string(r); break;
	case 't': ok = expect(r, "true"); break;
	case 'f': ok = expect(r, "false"); break;
	case 'n': ok = expect(r, "null"); break;
	default: ok = skip_number(r); break;
	}
	skip_space(r);
	return ok;
}

static bool
is_one_object(struct span text)
{
	struct rd r = rd_init(text);
	skip_space(&r);
	return peek(&r) == '{' && skip_value(&r, 1) && rd_left(&r) == 0;
}

/* --- the tree --------------------------------------------------------------------------------- */

/* Outside strings, a minus or a digit can only begin a number. */
static struct span
next_number(struct rd *r)
{
	for (; rd_left(r); r->p++) {
		if (*r->p == '"') {
			skip_string(r);
			r->p--;
		} else if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) {
			break;
		}
	}
	const uint8_t *from = r->p;
	skip_number(r);
	return span(from, (size_t)(r->p - from));
}

/* The tree has its numbers in the order of the text. */
static bool
keep_digits(cJSON *node, struct rd *r)
{
	for (cJSON *it = node->child; it; it = it->next) {
		if (it->child && !keep_digits(it, r))
			return false;
		if (!cJSON_IsNumber(it))
			continue;
		struct span digits = next_number(r);
		it->valuestring = cJSON_malloc(digits.n + 1);
		if (!it->valuestring)
			return false;
		memcpy(it->valuestring, digits.p, digits.n);
		it->valuestring[digits.n] = 0;
	}
	return true;
}

static const cJSON *
node_of(const struct jsondoc *j)
{
	return (const cJSON *)j;
}

struct jsondoc *
jsondoc_parse(struct span text)
{
	if (!is_one_object(text))
		return NULL;
	cJSON *node = cJSON_ParseWithLength((const char *)text.p, text.n);
	struct rd r = rd_init(text);
	if (node && !keep_digits(node, &r)) {
		cJSON_Delete(node);
		return NULL;
	}
	return (struct jsondoc *)node;
}

void
jsondoc_free(struct jsondoc *j)
{
	cJSON_Delete((cJSON *)j);
}

const struct jsondoc *
jsondoc_get(const struct jsondoc *object, const char *name)
{
	const cJSON *found = NULL;
	for (const struct jsondoc *it = jsondoc_is_object(object) ? jsondoc_first(object) : NULL;
	        it; it = jsondoc_next(it))
		if (strcmp(jsondoc_name(it), name) == 0)
			found = node_of(it);
	return (const struct jsondoc *)found;
}

bool
jsondoc_string(const struct jsondoc *j, struct span *out)
{
	if (!cJSON_IsString(node_of(j)))
		return false;
	*out = span_str(node_of(j)->valuestring);
	return true;
}

bool
jsondoc_number(const struct jsondoc *j, double *out)
{
	if (!cJSON_IsNumber(node_of(j)) || !isfinite(node_of(j)->valuedouble))
		return false;
	*out = node_of(j)->valuedouble;
	return true;
}

bool
jsondoc_int(const struct jsondoc *j, int64_t *out)
{
	if (!cJSON_IsNumber(node_of(j)) || !node_of(j)->valuestring)
		return false;
	uint64_t v;
	struct span s = span_str(node_of(j)->valuestring);
	bool minus = s.p[0] == '-';
	if (!span_u64(minus ? span_skip(s, 1) : s, (uint64_t)INT64_MAX + minus, &v))
		return false;
	*out = (int64_t)(minus ? -v : v);
	return true;
}

bool
jsondoc_bool(const struct jsondoc *j, bool *out)
{
	if (!cJSON_IsBool(node_of(j)))
		return false;
	*out = cJSON_IsTrue(node_of(j));
	return true;
}

bool
jsondoc_is_null(const struct jsondoc *j)
{
	return cJSON_IsNull(node_of(j));
}

bool
jsondoc_is_object(const struct jsondoc *j)
{
	return cJSON_IsObject(node_of(j));
}

bool
jsondoc_is_array(const struct jsondoc *j)
{
	return cJSON_IsArray(node_of(j));
}

const struct jsondoc *
jsondoc_first(const struct jsondoc *j)
{
	return j ? (const struct jsondoc *)node_of(j)->child : NULL;
}

const struct jsondoc *
jsondoc_next(const struct jsondoc *j)
{
	return (const struct jsondoc *)node_of(j)->next;
}

const char *
jsondoc_name(const struct jsondoc *j)
{
	return node_of(j)->string;
}
