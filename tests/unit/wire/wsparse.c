#include "wire/wsparse.h"

#include "t.h"

enum {
	SPANS = 512,
	LOG = 1 << 17,
};

/* A reader that writes down what it hears, and holds the parser to its word: message spans must be
 * as they were until batch_end. */
struct reader {
	struct wsparse parse;
	struct buf log;
	struct {
		struct span s;
		uint8_t *copy;
	} held[SPANS];
	size_t nheld;
	unsigned batches;
	int stop_after; /* events until wsparse_stop; 0 = never */
};

static struct reader *
reader_of(struct wsparse *p)
{
	return CONTAINER_OF(p, struct reader, parse);
}

static void
note(struct reader *r, const char *what, struct span s)
{
	buf_addf(&r->log, "%s ", what);
	for (size_t i = 0; i < s.n; i++)
		buf_addf(&r->log, "%02x", s.p[i]);
	buf_addc(&r->log, '\n');
	if (r->stop_after && --r->stop_after == 0)
		wsparse_stop(&r->parse);
}

static void
on_message(struct wsparse *p, enum ws_op op, struct span s)
{
	struct reader *r = reader_of(p);
	assert_true(op == WS_TEXT || op == WS_BINARY);
	assert_true(r->nheld < SPANS);
	r->held[r->nheld].s = s;
	r->held[r->nheld].copy = malloc(s.n + 1);
	if (s.n)
		memcpy(r->held[r->nheld].copy, s.p, s.n);
	r->nheld++;
	note(r, op == WS_TEXT ? "text" : "binary", s);
}

static void
on_ping(struct wsparse *p, struct span s)
{
	note(reader_of(p), "ping", s);
}

static void
on_pong(struct wsparse *p, struct span s)
{
	note(reader_of(p), "pong", s);
}

static void
on_close(struct wsparse *p, uint16_t code, struct span s)
{
	char what[16];
	snprintf(what, sizeof what, "close %u", code);
	note(reader_of(p), what, s);
}

static void
drop_held(struct reader *r)
{
	for (size_t i = 0; i < r->nheld; i++)
		free(r->held[i].copy);
	r->nheld = 0;
}

static void
on_batch_end(struct wsparse *p)
{
	struct reader *r = reader_of(p);
	assert_true(r->nheld > 0);
	for (size_t i = 0; i < r->nheld; i++)
		t_same(r->held[i].s, span(r->held[i].copy, r->held[i].s.n));
	drop_held(r);
	r->batches++;
}

static const struct wsparse_ops ops = {on_message, on_ping, on_pong, on_close, on_batch_end};

static void
reader_init(struct reader *r, bool client, size_t max)
{
	memset(r, 0, sizeof *r);
	wsparse_init(&r->parse, &ops, client, max);
	buf_init(&r->log, 16 * LOG);
}

static void
reader_fini(struct reader *r)
{
	drop_held(r);
	wsparse_fini(&r->parse);
	buf_fini(&r->log);
}

/* Each read in memory of its own, freed at once, so that a checker sees what looks back. */
static int
feed(struct reader *r, struct span s, size_t piece)
{
	int result = 0;
	while (s.n && !result) {
		struct span now = span_first(s, piece);
		uint8_t *copy = malloc(now.n);
		memcpy(copy, now.p, now.n);
		result = wsparse_feed(&r->parse, copy, now.n);
		if (!r->parse.stopped)
			assert_int_equal(r->nheld, 0);
		free(copy);
		s = span_skip(s, now.n);
	}
	return result;
}

static void
test_vectors(void **state)
{
	(void)state;
	struct jsondoc *vectors = t_vectors("tests/vectors/wsframe.json");
	const struct jsondoc *v = jsondoc_first(jsondoc_get(vectors, "parse"));
	static struct reader r;
	assert_non_null(v);
	for (; v; v = jsondoc_next(v)) {
		struct bytes in = t_hex(t_str(v, "hex"));
		size_t max = jsondoc_get(v, "max") ? (size_t)t_int(v, "max") : 1024;
		struct buf want;
		struct span line;
		buf_init(&want, LOG);
		const struct jsondoc *e = jsondoc_first(jsondoc_get(v, "events"));
		for (; e && jsondoc_string(e, &line); e = jsondoc_next(e)) {
			buf_add(&want, line);
			buf_addc(&want, '\n');
		}
		for (size_t piece = 1; piece <= in.n; piece++) {
			print_message("# %s, %zu at a time\n", t_str(v, "name"), piece);
			reader_init(&r, strcmp(t_str(v, "role"), "client") == 0, max);
			assert_int_equal(feed(&r, t_span(&in), piece), t_int(v, "result"));
			assert_string_equal(buf_str(&r.log), buf_str(&want));
			reader_fini(&r);
		}
		buf_fini(&want);
	}
	jsondoc_free(vectors);
}

/* --- a writer of random conversations ---------------------------------------------------- */

struct writer {
	struct buf wire, log;
	uint64_t seed;
	bool masked;
};

static void
put_frame(struct writer *w, enum ws_op op, bool fin, struct span payload)
{
	uint8_t head[WSFRAME_HEAD_MOST], mask[4], *copy = malloc(payload.n + 1);
	uint32_t m = t_rand(&w->seed);
	memcpy(mask, &m, 4);
	if (payload.n)
		memcpy(copy, payload.p, payload.n);
	if (w->masked)
		wsframe_mask(copy, payload.n, mask, 0);
	size_t n = wsframe_put_head_fin(head, op, fin, payload.n, w->masked ? mask : NULL);
	assert_int_equal(n, wsframe_head_len(payload.n, w->masked));
	assert_true(buf_add(&w->wire, span(head, n)));
	assert_true(buf_add(&w->wire, span(copy, payload.n)));
	free(copy);
}

static void
log_line(struct writer *w, const char *what, struct span s)
{
	buf_addf(&w->log, "%s ", what);
	for (size_t i = 0; i < s.n; i++)
		buf_addf(&w->log, "%02x", s.p[i]);
	assert_true(buf_addc(&w->log, '\n'));
}

static void
put_control(struct writer *w)
{
	uint8_t b[WSFRAME_CONTROL_MOST];
	size_t n = t_rand(&w->seed) % (sizeof b + 1);
	bool ping = t_rand(&w->seed) % 2;
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)t_rand(&w->seed);
	put_frame(w, ping ? WS_PING : WS_PONG, true, span(b, n));
	log_line(w, ping ? "ping" : "pong", span(b, n));
}

static void
put_message(struct writer *w, size_t most)
{
	static uint8_t b[70000];
	bool text = t_rand(&w->seed) % 4 == 0;
	size_t n = t_rand(&w->seed) % (most + 1);
	enum ws_op op = text ? WS_TEXT : WS_BINARY;
	for (size_t i = 0; i < n; i++)
		b[i] = text ? (uint8_t)(' ' + t_rand(&w->seed) % 90) : (uint8_t)t_rand(&w->seed);
	struct span left = span(b, n);
	while (t_rand(&w->seed) % 4 == 0) {
		struct span part = span_first(left, t_rand(&w->seed) % (left.n + 1));
		put_frame(w, op, false, part);
		left = span_skip(left, part.n);
		op = WS_CONT;
		if (t_rand(&w->seed) % 2)
			put_control(w);
	}
	put_frame(w, op, true, left);
	log_line(w, text ? "text" : "binary", span(b, n));
}

static void
converse(uint64_t seed, bool masked, size_t most, unsigned messages)
{
	static struct reader r;
	struct writer w = {.seed = seed, .masked = masked};
	buf_init(&w.wire, 4 << 20);
	buf_init(&w.log, 8 << 20);
	for (unsigned i = 0; i < messages; i++) {
		put_message(&w, most);
		if (t_rand(&w.seed) % 5 == 0)
			put_control(&w);
	}
	reader_init(&r, !masked, most);
	struct span left = buf_span(&w.wire);
	while (left.n) {
		size_t piece = 1 + t_rand(&w.seed) % (t_rand(&w.seed) % 3 ? 4 * most + 20 : 9);
		struct span now = span_first(left, piece);
		assert_int_equal(feed(&r, now, now.n), 0);
		left = span_skip(left, now.n);
	}
	assert_int_equal(wsparse_held(&r.parse), 0);
	assert_string_equal(buf_str(&r.log), buf_str(&w.log));
	reader_fini(&r);
	buf_fini(&w.wire);
	buf_fini(&w.log);
}

static void
test_conversations(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 40; seed++) {
		converse(seed, seed % 2, 40, 200);
		converse(seed, seed % 2, 1600, 30);
	}
	converse(99, true, 69999, 5);
	converse(98, false, 69999, 5);
}

/* --- what the header promises ------------------------------------------------------------ */

static void
test_idle_holds_nothing(void **state)
{
	(void)state;
	static struct reader r;
	reader_init(&r, true, 2052);
	assert_int_equal(feed(&r, SPAN_LIT("\x82\x7e\x08"), 3), 0);
	assert_int_equal(wsparse_held(&r.parse), 0);
	assert_int_equal(feed(&r, SPAN_LIT("\x00"), 1), 0);
	assert_int_equal(wsparse_held(&r.parse), 0); /* 2048 bytes announced, none came */
	assert_int_equal(feed(&r, SPAN_LIT("x"), 1), 0);
	assert_int_equal(wsparse_held(&r.parse), 2048);
	static uint8_t rest[2047];
	assert_int_equal(feed(&r, span(rest, sizeof rest), sizeof rest), 0);
	assert_int_equal(wsparse_held(&r.parse), 0);
	assert_int_equal(r.batches, 1);
	reader_fini(&r);
}

static void
test_announced_is_not_allocated(void **state)
{
	(void)state;
	static struct reader r;
	static uint8_t some[10000];
	reader_init(&r, true, 1 << 20);
	assert_int_equal(feed(&r, SPAN_LIT("\x82\x7f\0\0\0\0\0\x0f\0\0x"), 100), 0);
	assert_true(wsparse_held(&r.parse) <= 4096);
	assert_int_equal(feed(&r, span(some, sizeof some), sizeof some), 0);
	assert_true(wsparse_held(&r.parse) <= 20480);
	reader_fini(&r);
	/* Fragments grow up to the most a message may have, no further. */
	reader_init(&r, true, 9000);
	assert_int_equal(feed(&r, SPAN_LIT("\x02\x7e\x20\x00"), 100), 0);
	assert_int_equal(feed(&r, span(some, 8192), 100), 0);
	assert_int_equal(feed(&r, SPAN_LIT("\x00\x05zzzzz"), 100), 0);
	assert_int_equal(wsparse_held(&r.parse), 9000);
	reader_fini(&r);
}

static void
test_in_place(void **state)
{
	(void)state;
	static struct reader r;
	uint8_t data[] = "\x82\x83\x01\x02\x03\x04\x60\x60\x60\x82\x80\x01\x02\x03\x04";
	reader_init(&r, false, 100);
	assert_int_equal(wsparse_feed(&r.parse, data, sizeof data - 1), 0);
	assert_string_equal(buf_str(&r.log), "binary 616263\nbinary \n");
	assert_memory_equal(data + 6, "abc", 3);
	assert_int_equal(r.batches, 1); /* one for the read, not one a message */
	reader_fini(&r);
}

static void
test_no_batch_without_messages(void **state)
{
	(void)state;
	static struct reader r;
	reader_init(&r, true, 100);
	assert_int_equal(feed(&r, SPAN_LIT("\x89\x01p\x8a\x01q\x82\x05hel"), 100), 0);
	assert_int_equal(r.batches, 0);
	assert_int_equal(wsparse_feed(&r.parse, NULL, 0), 0);
	assert_int_equal(r.batches, 0);
	reader_fini(&r);
}

/* Messages before the bad frame count, and so does their batch_end. */
static void
test_batch_before_error(void **state)
{
	(void)state;
	static struct reader r;
	reader_init(&r, true, 100);
	assert_int_equal(feed(&r, SPAN_LIT("\x82\x01p\x83"), 100), 1002);
	assert_int_equal(r.batches, 1);
	assert_int_equal(feed(&r, SPAN_LIT("\x82\x01p"), 100), 0);
	assert_string_equal(buf_str(&r.log), "binary 70\n");
	reader_fini(&r);
}

static void
test_stop(void **state)
{
	(void)state;
	static struct reader r;
	static const char *const want[] = {
	        "binary 6162\n", "binary 6162\nping 70\n", "binary 6162\nping 70\nbinary 6364\n"};
	for (int i = 0; i < 3; i++) {
		for (size_t piece = 1; piece < 30; piece++) {
			reader_init(&r, true, 100);
			r.stop_after = i + 1;
			struct span s = SPAN_LIT("\x02\x01"
			                         "a\x80\x01"
			                         "b\x89\x01p\x02\x01"
			                         "c\x80\x01"
			                         "d\x82\x01"
			                         "e\x83");
			assert_int_equal(feed(&r, s, piece), 0);
			assert_string_equal(buf_str(&r.log), want[i]);
			drop_held(&r);
			reader_fini(&r);
		}
	}
}

static void
test_fini_in_the_middle(void **state)
{
	(void)state;
	static struct reader r;
	reader_init(&r, true, 100);
	assert_int_equal(feed(&r,
	                         SPAN_LIT("\x02\x03"
	                                  "abc\x00\x05x"),
	                         100),
	        0);
	assert_true(wsparse_held(&r.parse) > 0);
	wsparse_fini(&r.parse);
	assert_int_equal(wsparse_held(&r.parse), 0);
	wsparse_fini(&r.parse);
	reader_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_vectors),
	        cmocka_unit_test(test_conversations),
	        cmocka_unit_test(test_idle_holds_nothing),
	        cmocka_unit_test(test_announced_is_not_allocated),
	        cmocka_unit_test(test_in_place),
	        cmocka_unit_test(test_no_batch_without_messages),
	        cmocka_unit_test(test_batch_before_error),
	        cmocka_unit_test(test_stop),
	        cmocka_unit_test(test_fini_in_the_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
