/* A message head and what follows, whole and in pieces: both ways must agree, and what is accepted
 * must have one reading. The first byte chooses request or response and the length of the pieces.
 */
#include "http/chunked.h"
#include "http/head.h"

#include "fuzz.h"

static const struct head_limits limits = {.bytes = 2048, .target = 256, .fields = 16};

/* The result, and how many bytes were used. */
static int
feed(struct head *h, struct span in, size_t piece, size_t *used)
{
	int r = HEAD_MORE;
	for (*used = 0; r == HEAD_MORE && *used < in.n;) {
		size_t n;
		struct span part = span_first(span_skip(in, *used), piece);
		r = head_feed(h, &limits, part, &n);
		assert(n <= part.n && (r != HEAD_MORE || n == part.n));
		*used += n;
	}
	return r;
}

static void
inside(const struct head *h, struct span s)
{
	const uint8_t *p = h->text.p;
	assert(!s.n || (s.p >= p && s.p + s.n <= p + h->text.n) || span_is(s, "/"));
	assert(!s.n ||
	        (!memchr(s.p, '\r', s.n) && !memchr(s.p, '\n', s.n) && !memchr(s.p, 0, s.n)));
}

static void
check(const struct head *h)
{
	const struct span parts[] = {h->method, h->target, h->path, h->query, h->host};
	assert(h->text.n <= limits.bytes && h->n_fields <= limits.fields);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		inside(h, parts[i]);
	for (uint32_t i = 0; i < h->n_fields; i++) {
		inside(h, h->field[i].name);
		inside(h, h->field[i].value);
		assert(h->field[i].name.n && !memchr(h->field[i].name.p, ' ', h->field[i].name.n));
		assert(span_eq(h->field[i].value, span_trim(h->field[i].value)));
	}
	if (h->response) {
		assert(h->status >= 100 && h->status <= 999);
		return;
	}
	assert(h->target.n && h->target.n <= limits.target && h->path.n);
	assert(h->path.p[0] == '/' || span_is(h->path, "*"));
}

struct body {
	enum chunked_result end;
	size_t bytes, used;
	uint32_t sum;
};

static struct body
take_body(struct span in, size_t piece)
{
	struct chunked c = {0};
	struct body b = {CHUNKED_MORE, 0, 0, 0};
	while (b.used < in.n && b.end == CHUNKED_MORE) {
		struct span part = span_first(span_skip(in, b.used), piece), rest = part, data;
		while ((b.end = chunked_feed(&c, &rest, &data)) == CHUNKED_DATA)
			for (size_t i = 0; i < data.n; i++, b.bytes++)
				b.sum = b.sum * 31 + data.p[i];
		b.used += part.n - rest.n;
	}
	return b;
}

static void
check_body(struct span in, size_t piece)
{
	struct body a = take_body(in, SIZE_MAX), b = take_body(in, piece);
	assert(a.end == b.end && a.bytes == b.bytes && a.sum == b.sum && a.used == b.used);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	bool response = data[0] & 1;
	size_t piece = 1 + (data[0] >> 1) % 32, used, used2;
	struct span in = span(data + 1, size - 1);
	struct head a, b;
	struct head_body body;
	head_init(&a, response, &limits);
	head_init(&b, response, &limits);
	int r = feed(&a, in, SIZE_MAX, &used);
	int r2 = feed(&b, in, piece, &used2);
	/* The length is checked by the piece, so pieces may be refused for it later. */
	assert(r == r2 || r == 431 || r2 == 431);
	if (r == HEAD_DONE && r2 == HEAD_DONE) {
		assert(used == used2 && a.n_fields == b.n_fields);
		check(&a);
		check(&b);
		if (!response && head_request_body(&a, &body) == 0 && body.chunked)
			check_body(span_skip(in, used), piece);
	}
	head_fini(&a);
	head_fini(&b);
	return 0;
}
