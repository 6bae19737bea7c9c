#include "tests/unit/stack/lab.h"

#include "stack/stack_int.h"

/* A flow that has `left` frames of `len` bytes, each marked with its number. */
struct source {
	struct sched_ent ent;
	unsigned left, len, id, calls;
	size_t most; /* given in one turn */
	bool liar;   /* says more, writes nothing */
	bool goes;   /* is freed while it pulls */
};

static size_t
pull(struct stack *st, struct sched_ent *ent, struct emit *e, size_t bytes, uint64_t now,
        bool *more)
{
	struct source *s = CONTAINER_OF(ent, struct source, ent);
	size_t n = 0;
	(void)now;
	assert_true(bytes > 0);
	s->calls++;
	if (s->goes) {
		sched_remove(st, ent);
		memset(s, 0xff, sizeof *s);
		return SCHED_GONE;
	}
	while (s->left && n < bytes && !s->liar) {
		uint8_t *p = emit_frame(e, s->len);
		if (!p)
			break;
		memset(p, (int)s->id, s->len);
		s->left--;
		n += s->len;
	}
	if (n > s->most)
		s->most = n;
	*more = s->left > 0;
	return n;
}

static const struct sched_ops ops = {.pull = pull};

/* The lab's seal wants no headers; sources of fresh lists want time to have passed. */
static void
add(struct lab *l, struct source *s, unsigned id, unsigned left, unsigned len)
{
	*s = (struct source){.id = id, .left = left, .len = len};
	sched_ent_init(&s->ent, &ops);
	sched_ready(l->st, &s->ent);
}

static unsigned
count(struct lab *l, unsigned id)
{
	unsigned n = 0;
	for (unsigned i = 0; i < l->n; i++)
		n += l->frame[i].p[0] == id;
	return n;
}

static void
serves_one(void **state)
{
	struct lab *l = *state;
	struct source a;
	add(l, &a, 1, 100, 1514);
	assert_int_equal(l->wakes, 1);
	sched_ready(l->st, &a.ent);
	assert_int_equal(l->wakes, 1);
	assert_int_equal(lab_pull(l), 100);
	assert_false(l->more);
	assert_false(sched_waits(&a.ent));
	assert_true(a.calls < 5); /* alone, it may read a lot at a time */
	lab_silence(l);
	sched_ready(l->st, &a.ent);
	assert_int_equal(l->wakes, 2);
	lab_silence(l);
}

static void
shares_fairly(void **state)
{
	struct lab *l = *state;
	struct source s[8];
	unsigned got[8] = {0};
	for (unsigned i = 0; i < 8; i++)
		add(l, &s[i], i, 100000, i % 2 ? 1514 : 300);
	l->budget = 20000;
	for (int i = 0; i < 800; i++) {
		lab_pull(l);
		assert_true(l->more);
		for (unsigned k = 0; k < 8; k++)
			got[k] += count(l, k) * s[k].len;
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_in_range(got[i], 2000000 * 9 / 10, 2000000 * 11 / 10);
		assert_true(s[i].most <= l->budget / 4 + 1514);
		sched_remove(l->st, &s[i].ent);
	}
	lab_silence(l);
}

/* A flow that sends little goes ahead of any number that send much. */
static void
serves_sparse_flows_first(void **state)
{
	struct lab *l = *state;
	struct source s[16], quiet;
	for (unsigned i = 0; i < 16; i++)
		add(l, &s[i], i, 100000, 1514);
	l->budget = 16000;
	for (int i = 0; i < 20; i++)
		lab_pull(l);
	add(l, &quiet, 99, 1, 60);
	for (int i = 0; i < 200; i++) {
		lab_tick(l, 1);
		lab_pull(l);
		assert_int_equal(l->frame[0].p[0], 99);
		quiet.left = 1;
		sched_ready(l->st, &quiet.ent);
	}
	for (unsigned i = 0; i < 16; i++)
		sched_remove(l->st, &s[i].ent);
	sched_remove(l->st, &quiet.ent);
}

/* Running dry for a moment, as a flow does whose peer's window is full, makes no flow sparse. */
static void
sees_through_pauses(void **state)
{
	struct lab *l = *state;
	struct source bulk, dry, quiet;
	add(l, &bulk, 1, 1000000, 1514);
	add(l, &dry, 2, 20, 1514);
	l->budget = 16000;
	unsigned first = 0;
	add(l, &quiet, 3, 0, 60);
	for (int i = 0; i < 1000; i++) {
		lab_pull(l);
		if (i > 10)
			first += l->frame[0].p[0] == 2;
		if (!sched_waits(&dry.ent)) {
			dry.left = 20;
			sched_ready(l->st, &dry.ent);
		}
		if (i % 10 == 0)
			lab_tick(l, 1);
	}
	assert_true(first < 600);
	assert_true(dry.ent.bulk);
	quiet.left = 1;
	sched_ready(l->st, &quiet.ent);
	lab_pull(l);
	assert_int_equal(l->frame[0].p[0], 3);
	sched_remove(l->st, &bulk.ent);
	sched_remove(l->st, &dry.ent);
	lab_silence(l);
}

static void
gives_a_fresh_flow_two_frames(void **state)
{
	struct lab *l = *state;
	struct source a, b;
	add(l, &a, 1, 100, 1514);
	add(l, &b, 2, 100, 1514);
	l->budget = 6 * 1514;
	lab_pull(l);
	static const uint8_t order[] = {1, 1, 2, 2, 1, 1};
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(l->frame[i].p[0], order[i]);
	sched_remove(l->st, &a.ent);
	sched_remove(l->st, &b.ent);
}

/* The one whose turn it was goes on where a full pull stopped it. */
static void
keeps_the_place(void **state)
{
	struct lab *l = *state;
	struct source a, b;
	add(l, &a, 1, 100, 1000);
	add(l, &b, 2, 100, 1000);
	l->budget = 1000;
	uint8_t got[12];
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(lab_pull(l), 1);
		got[i] = l->frame[0].p[0];
	}
	static const uint8_t order[] = {1, 1, 1, 1, 2, 2, 2, 2};
	assert_memory_equal(got, order, sizeof order);
	sched_remove(l->st, &a.ent);
	sched_remove(l->st, &b.ent);
}

static void
survives_liars_and_the_dead(void **state)
{
	struct lab *l = *state;
	struct source liar, dead, last;
	add(l, &liar, 1, 100, 1000);
	liar.liar = true;
	add(l, &dead, 2, 100, 1000);
	dead.goes = true;
	add(l, &last, 3, 1, 1000);
	assert_int_equal(lab_pull(l), 1);
	assert_int_equal(l->frame[0].p[0], 3);
	assert_false(l->more);
	assert_false(sched_waits(&liar.ent));
	sched_remove(l->st, &liar.ent);
	sched_remove(l->st, &liar.ent);
}

static void
goes_behind_control_frames(void **state)
{
	struct lab *l = *state;
	struct source a;
	add(l, &a, 1, 1000, 1000);
	l->budget = 10000;
	lab_pull(l);
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	lab_pull(l);
	assert_int_equal(l->frame[0].n, 42);
	assert_int_equal(l->frame[1].p[0], 1);
	/* not even those when there is no room for one */
	lab_arp(l, ARP_REQUEST, GUEST, GATEWAY);
	l->budget = 41;
	assert_int_equal(lab_pull(l), 0);
	assert_true(l->more);
	l->budget = 42;
	assert_int_equal(lab_pull(l), 1);
	assert_true(l->more);
	sched_remove(l->st, &a.ent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB_TEST(serves_one),
	        LAB_TEST(shares_fairly),
	        LAB_TEST(serves_sparse_flows_first),
	        LAB_TEST(sees_through_pauses),
	        LAB_TEST(gives_a_fresh_flow_two_frames),
	        LAB_TEST(keeps_the_place),
	        LAB_TEST(survives_liars_and_the_dead),
	        LAB_TEST(goes_behind_control_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
