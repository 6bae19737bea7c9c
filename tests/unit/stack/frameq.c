#include "stack/frameq.h"

#include "base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST 4000

/* A queue, and the plain list of what it ought to hold. */
struct rig {
	struct slab nodes;
	struct frameq q;
	struct {
		uint32_t seed, len;
		bool more;
	} want[MOST];
	unsigned head, tail;
	uint8_t out[20000];
	struct emit e;
	uint32_t random;
};

static uint32_t
roll(struct rig *r, uint32_t n)
{
	r->random = r->random * 1664525 + 1013904223;
	return (r->random >> 8) % n;
}

static void
fill(uint8_t *p, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(seed * 131 + i * 7 + (i >> 8));
}

static size_t
no_head(const struct emit *e, size_t len)
{
	(void)e, (void)len;
	return 0;
}

static void
no_seal(struct emit *e, uint8_t *frame, size_t len)
{
	(void)e, (void)frame, (void)len;
}

static void
renew(struct rig *r, size_t budget, size_t max_frame)
{
	emit_init(&r->e, r->out, sizeof r->out, budget, max_frame);
	r->e.head_len = no_head;
	r->e.seal = no_seal;
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	slab_init(&r->nodes, STACK_NODE, 100);
	frameq_init(&r->q);
	renew(r, sizeof r->out, 10000);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;
	frameq_clear(&r->q, &r->nodes);
	assert_int_equal(r->nodes.used, 0);
	slab_fini(&r->nodes);
	free(r);
	return 0;
}

/* In up to three pieces, or in place when it fits a node. */
static bool
add(struct rig *r, uint32_t len, bool more)
{
	static uint8_t frame[10000];
	uint32_t seed = r->tail;
	fill(frame, len, seed);
	if (len <= FRAMEQ_NODE_MOST && roll(r, 2)) {
		uint8_t *p = frameq_room(&r->q, &r->nodes, len, seed, more);
		if (!p)
			return false;
		memcpy(p, frame, len);
	} else {
		uint32_t a = roll(r, len + 1), b = a + roll(r, len - a + 1);
		struct iovec v[] = {{frame, a}, {frame + a, b - a}, {frame + b, len - b}};
		if (!frameq_add(&r->q, &r->nodes, v, 3, seed, more))
			return false;
	}
	r->want[r->tail].seed = seed;
	r->want[r->tail].len = len;
	r->want[r->tail++].more = more;
	return true;
}

static void
check(struct rig *r)
{
	unsigned groups = 0;
	for (unsigned i = r->head; i < r->tail; i++)
		groups += !r->want[i].more;
	assert_int_equal(r->q.frames, r->tail - r->head);
	assert_int_equal(r->q.groups, groups);
	assert_int_equal(r->q.bytes, r->nodes.used * STACK_NODE);
	if (r->q.frames)
		assert_int_equal(frameq_stamp(&r->q), r->want[r->head].seed);
	else
		assert_int_equal(r->q.bytes, 0);
}

static void
emit_one(struct rig *r)
{
	uint8_t expect[10000];
	uint32_t len = r->want[r->head].len;
	renew(r, sizeof r->out, 10000);
	assert_int_equal(frameq_emit(&r->q, &r->nodes, &r->e, 0), len);
	fill(expect, len, r->want[r->head].seed);
	assert_memory_equal(r->out, expect, len);
	assert_int_equal(r->q.cut, r->want[r->head].more);
	r->head++;
}

static void
drop_one(struct rig *r)
{
	unsigned n = 0;
	do
		n++;
	while (r->want[r->head++].more && r->head < r->tail);
	assert_int_equal(frameq_drop(&r->q, &r->nodes), n);
	assert_false(r->q.cut);
}

/* Adds some and takes them back. */
static void
regret(struct rig *r)
{
	struct frameq_mark m = frameq_mark(&r->q);
	unsigned tail = r->tail;
	for (uint32_t i = roll(r, 5); i; i--)
		add(r, 1 + roll(r, 5000), true);
	frameq_undo(&r->q, &r->nodes, m);
	r->tail = tail;
}

static void
is_a_queue(void **state)
{
	struct rig *r = *state;
	for (r->random = 1; r->tail < MOST - 10;) {
		uint32_t what = roll(r, 10);
		if (what < 5)
			add(r, 1 + roll(r, what ? 1600 : 9000), roll(r, 4) == 0);
		else if (what == 5)
			regret(r);
		else if (r->q.frames && what == 6)
			drop_one(r);
		else if (r->q.frames)
			emit_one(r);
		check(r);
	}
	while (r->q.frames)
		emit_one(r);
	check(r);
}

/* At the cap nothing is half done. */
static void
fails_whole(void **state)
{
	struct rig *r = *state;
	unsigned failed = 0;
	for (unsigned i = 0; i < 1000; i++) {
		failed += !add(r, 1 + roll(r, 9000), false);
		check(r);
		assert_true(r->nodes.used <= 100);
	}
	assert_true(failed > 500);
	while (r->q.frames)
		emit_one(r);
	check(r);
}

static void
packs_small_frames(void **state)
{
	struct rig *r = *state;
	for (int i = 0; i < 90; i++)
		assert_true(add(r, 60, false));
	assert_true(r->nodes.used <= 4);
	assert_null(frameq_room(&r->q, &r->nodes, FRAMEQ_NODE_MOST + 1, 0, false));
	assert_true(add(r, FRAMEQ_NODE_MOST, false));
	uint8_t b = 0;
	struct iovec v = {&b, 70000};
	assert_false(frameq_add(&r->q, &r->nodes, &v, 1, 0, false));
	while (r->q.frames)
		emit_one(r);
}

static void
waits_and_drops(void **state)
{
	struct rig *r = *state;
	add(r, 100, false);
	add(r, 600, false);
	add(r, 30, false);
	renew(r, 99, 500);
	assert_int_equal(frameq_emit(&r->q, &r->nodes, &r->e, 0), 0);
	assert_int_equal(r->q.frames, 3);
	emit_one(r);
	renew(r, 1000, 500);
	assert_int_equal(frameq_emit(&r->q, &r->nodes, &r->e, 0), 600); /* too long for anyone */
	assert_int_equal(r->e.dropped, 1);
	assert_int_equal(r->e.n, 0);
	memset(r->out, 0xff, 100);
	assert_int_equal(frameq_emit(&r->q, &r->nodes, &r->e, 60), 60);
	assert_int_equal(r->out[30], 0);
	assert_int_equal(r->out[59], 0);
	assert_int_equal(r->out[60], 0xff);
	assert_int_equal(r->q.frames, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(is_a_queue, setup, teardown),
	        cmocka_unit_test_setup_teardown(fails_whole, setup, teardown),
	        cmocka_unit_test_setup_teardown(packs_small_frames, setup, teardown),
	        cmocka_unit_test_setup_teardown(waits_and_drops, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
