/* shard: the one block of memory that all processes of a service share: counters, global limits.
 *
 * Owner    the parent makes it before it forks and frees it last; children inherit it.
 * Order    shard_new -> (fork -> shard_attach(i))* -> ... -> shard_free. shard_reset_worker(i) in
 *          the parent when worker i is gone and before it is started again.
 * Memory   fixed: everything is laid out in shard_new, pages that are not used cost nothing. What
 *          conf points to is borrowed for as long as the shard lives.
 * Pace     a counter is a plain add to the worker's own row; only limits take a lock.
 * Thread   one writer a row; readers are any process at any time. */
#pragma once

#include "base/span.h"

#include <pthread.h>
#include <sys/types.h>

#define METRIC_BOUNDS_MS 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500
#define METRIC_N_BOUNDS 10
/* Slots of each type in a row; a histogram has its buckets, that of +Inf, and the sum. */
#define METRIC_SLOTS_COUNTER 1
#define METRIC_SLOTS_GAUGE 1
#define METRIC_SLOTS_HISTOGRAM (METRIC_N_BOUNDS + 2)

enum metric {
#define METRIC(id, ty, ...) M_##id, M_##id##_LAST = M_##id + METRIC_SLOTS_##ty - 1,
#define METRIC_SAME(...)
#include "obs/metrics.def"
#undef METRIC
#undef METRIC_SAME
	METRIC_SLOTS
};

#define SHARD_MAX_WORKERS 256

struct shard_conf {
	uint32_t workers;     /* 1..SHARD_MAX_WORKERS */
	uint32_t limit_slots; /* different things that limits may be counting at once */
	size_t extra;         /* zeroed bytes for the caller, see shard_extra */
	const char *version, *revision;
};

struct shard_row {
	_Alignas(64) uint64_t metric[METRIC_SLOTS];
	int32_t pid; /* 0 = not running */
	uint32_t starts;
};

struct limit_table;

struct shard_block {
	uint32_t workers;
	int64_t started; /* Unix seconds */
	uint64_t next_id;
	pthread_mutex_t lock;   /* robust: survives the death of its holder */
	struct shard_row row[]; /* one for each worker, then one of the parent and of the dead */
};

/* A process's view. */
struct shard {
	struct shard_row *mine;
	struct shard_block *block;
	struct limit_table *limits;
	void *extra;
	size_t size;
	const char *version, *revision;
};

int shard_new(struct shard *s, const struct shard_conf *conf); /* -ENOMEM, -EINVAL */
void shard_free(struct shard *s);
/* In the child: this process is worker i from now on. */
void shard_attach(struct shard *s, uint32_t i);
/* Worker i is gone: its gauges fall to zero, its limits are given back, its counts are kept. */
void shard_reset_worker(struct shard *s, uint32_t i);
void *shard_extra(const struct shard *s); /* aligned to 64, shared by all */
/* 1, 2, 3 ... without repetition among all processes. */
uint64_t shard_next_id(struct shard *s);
/* For code that changes what several processes read; a holder that dies leaves it unlocked and
 * limit_repair has run. */
void shard_lock(struct shard *s);
void shard_unlock(struct shard *s);

static inline void
metric_set(struct shard *s, enum metric m, uint64_t v)
{
	__atomic_store_n(&s->mine->metric[m], v, __ATOMIC_RELAXED);
}

static inline void
metric_add(struct shard *s, enum metric m, uint64_t n)
{
	metric_set(s, m, s->mine->metric[m] + n);
}

/* Gauges never fall below zero. */
static inline void
metric_sub(struct shard *s, enum metric m, uint64_t n)
{
	uint64_t v = s->mine->metric[m];
	metric_set(s, m, v > n ? v - n : 0);
}

static inline void
metric_move(struct shard *s, enum metric m, int64_t delta)
{
	if (delta < 0)
		metric_sub(s, m, -(uint64_t)delta);
	else
		metric_add(s, m, (uint64_t)delta);
}

/* m is a histogram. */
void metric_observe(struct shard *s, enum metric m, uint64_t ms);
