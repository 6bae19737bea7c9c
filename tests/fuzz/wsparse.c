/* Two bytes say role, longest message and how reads are cut; the rest is the peer's bytes. They
 * are read once in one piece and once in small ones, and both must tell the same story. */
#include "base/buf.h"
#include "wire/wsparse.h"

#include "fuzz.h"

enum {
	SPANS = 4096,
};

struct reader {
	struct wsparse parse;
	struct buf log;
	struct {
		struct span s;
		uint8_t *copy;
	} held[SPANS];
	size_t nheld;
};

static void
note(struct wsparse *p, uint8_t what, uint16_t code, struct span s)
{
	struct reader *r = CONTAINER_OF(p, struct reader, parse);
	uint8_t head[] = {
	        what, (uint8_t)(code >> 8), (uint8_t)code, (uint8_t)(s.n >> 8), (uint8_t)s.n};
	assert(buf_add(&r->log, span(head, sizeof head)) && buf_add(&r->log, s));
}

static void
on_message(struct wsparse *p, enum ws_op op, struct span s)
{
	struct reader *r = CONTAINER_OF(p, struct reader, parse);
	note(p, (uint8_t)op, 0, s);
	assert(r->nheld < SPANS);
	r->held[r->nheld].s = s;
	r->held[r->nheld++].copy = fuzz_copy(s);
}

static void
on_ping(struct wsparse *p, struct span s)
{
	note(p, WS_PING, 0, s);
}

static void
on_pong(struct wsparse *p, struct span s)
{
	note(p, WS_PONG, 0, s);
}

static void
on_close(struct wsparse *p, uint16_t code, struct span s)
{
	note(p, WS_CLOSE, code, s);
}

static void
on_batch_end(struct wsparse *p)
{
	struct reader *r = CONTAINER_OF(p, struct reader, parse);
	assert(r->nheld);
	while (r->nheld) {
		struct span s = r->held[--r->nheld].s;
		assert(s.n == 0 || memcmp(s.p, r->held[r->nheld].copy, s.n) == 0);
		free(r->held[r->nheld].copy);
	}
}

static const struct wsparse_ops ops = {on_message, on_ping, on_pong, on_close, on_batch_end};

static int
run(struct reader *r, bool client, size_t max, struct span in, size_t piece)
{
	int result = 0;
	wsparse_init(&r->parse, &ops, client, max);
	buf_init(&r->log, 1 << 20);
	while (in.n && !result) {
		struct span now = span_first(in, piece);
		uint8_t *copy = fuzz_copy(now);
		result = wsparse_feed(&r->parse, copy, now.n);
		assert(r->nheld == 0 && wsparse_held(&r->parse) <= max);
		free(copy);
		in = span_skip(in, now.n);
	}
	wsparse_fini(&r->parse);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reader whole, cut;
	if (size < 2)
		return 0;
	bool client = data[0] & 1;
	size_t max = (size_t)(data[0] >> 1) * 8, piece = 1 + data[1] % 64;
	struct span in = span(data + 2, size - 2);
	int a = run(&whole, client, max, in, in.n + 1);
	int b = run(&cut, client, max, in, piece);
	assert(a == b && (a == 0 || wsframe_code_ok((uint16_t)a)));
	assert(span_eq(buf_span(&whole.log), buf_span(&cut.log)));
	buf_fini(&whole.log);
	buf_fini(&cut.log);
	return 0;
}
