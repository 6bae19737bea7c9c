/* Level l has 64 slots of 64^l ms each. A timer sits at the lowest level whose span covers its
 * distance from `now`, in the slot of its own time; when the hand of a level enters a slot, that
 * slot's timers move to lower levels. Bitmaps find the next busy slot without walking. */
#include "base/wheel.h"

#include <string.h>

#define WHEEL_END ((1ull << 6 * WHEEL_LEVELS) - 1)

void
wheel_init(struct wheel *w, uint64_t now)
{
	memset(w->bits, 0, sizeof w->bits);
	w->now = now;
	for (int l = 0; l < WHEEL_LEVELS; l++)
		for (int s = 0; s < WHEEL_SLOTS; s++)
			list_init(&w->slot[l][s]);
}

void
timer_init(struct timer *t, void (*fire)(struct timer *, uint64_t now))
{
	list_init(&t->node);
	t->when = 0;
	t->fire = fire;
}

/* The level at which `when` and `now` first share a slot of the level above. */
static int
level_of(uint64_t now, uint64_t when)
{
	uint64_t diff = now ^ when;
	int l = 0;
	while (l < WHEEL_LEVELS - 1 && diff >> (6 * (l + 1)))
		l++;
	return l;
}

static void
place(struct wheel *w, struct timer *t)
{
	uint64_t when = t->when > w->now ? t->when : w->now + 1;
	if (when > WHEEL_END)
		when = WHEEL_END;
	int l = level_of(w->now, when);
	unsigned s = (when >> (6 * l)) & (WHEEL_SLOTS - 1);
	list_add(&w->slot[l][s], &t->node);
	w->bits[l] |= 1ull << s;
}

void
wheel_del(struct wheel *w, struct timer *t)
{
	(void)w; /* a bit may stay set over an empty slot: the hand clears it when it passes */
	list_del(&t->node);
}

void
wheel_add(struct wheel *w, struct timer *t, uint64_t when)
{
	list_del(&t->node);
	t->when = when;
	place(w, t);
}

/* The next time at which a slot of level l is entered, from the bits at and after the hand. */
static uint64_t
next_at(const struct wheel *w, int l)
{
	unsigned hand = (w->now >> (6 * l)) & (WHEEL_SLOTS - 1);
	uint64_t ahead = hand == 63 ? 0 : w->bits[l] & (~0ull << (hand + 1));
	if (!ahead)
		return UINT64_MAX;
	uint64_t base = w->now >> (6 * (l + 1)) << (6 * (l + 1));
	return base + ((uint64_t)__builtin_ctzll(ahead) << (6 * l));
}

uint64_t
wheel_next(const struct wheel *w)
{
	uint64_t best = UINT64_MAX;
	for (int l = 0; l < WHEEL_LEVELS; l++) {
		uint64_t at = next_at(w, l);
		if (at < best)
			best = at;
	}
	return best;
}

/* Take a slot's timers onto `out`; at the time `w->now`. */
static void
empty_slot(struct wheel *w, int l, struct list *out)
{
	unsigned s = (w->now >> (6 * l)) & (WHEEL_SLOTS - 1);
	struct list *from = &w->slot[l][s];
	w->bits[l] &= ~(1ull << s);
	for (struct list *n; (n = list_pop(from));)
		list_add(out, n);
}

static void
turn(struct wheel *w, uint64_t now)
{
	struct list due;
	list_init(&due);
	for (int l = WHEEL_LEVELS - 1; l >= 0; l--)
		if (l == 0 || (w->now & ((1ull << (6 * l)) - 1)) == 0)
			empty_slot(w, l, &due);
	for (struct list *n; (n = list_pop(&due));) {
		struct timer *t = LIST_ENTRY(n, struct timer, node);
		if (t->when <= w->now)
			t->fire(t, now);
		else
			place(w, t);
	}
}

void
wheel_advance(struct wheel *w, uint64_t now)
{
	while (w->now < now) {
		uint64_t at = wheel_next(w);
		if (at > now) {
			w->now = now;
			return;
		}
		w->now = at;
		turn(w, now);
	}
}
