#include "obs/shard.h"

#include "obs/limit.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum slot_kind { SLOT_KEPT, SLOT_GAUGE };

/* Whether a slot outlives the process that counted it. */
static const uint8_t slot_kind[METRIC_SLOTS] = {
#define KIND_COUNTER SLOT_KEPT
#define KIND_GAUGE SLOT_GAUGE
#define KIND_HISTOGRAM SLOT_KEPT
#define METRIC(id, ty, ...) [M_##id] = KIND_##ty,
#define METRIC_SAME(...)
#include "obs/metrics.def"
#undef METRIC
#undef METRIC_SAME
};

static size_t
align64(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static int
lock_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;
	if (pthread_mutexattr_init(&a) != 0)
		return -ENOMEM;
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	int r = pthread_mutex_init(m, &a);
	pthread_mutexattr_destroy(&a);
	return -r;
}

int
shard_new(struct shard *s, const struct shard_conf *conf)
{
	if (!conf->workers || conf->workers > SHARD_MAX_WORKERS)
		return -EINVAL;
	size_t rows = align64(
	        sizeof(struct shard_block) + (conf->workers + 1) * sizeof(struct shard_row));
	size_t limits = align64(limit_table_size(conf->limit_slots, conf->workers));
	size_t size = rows + limits + conf->extra;
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	struct shard_block *b = (struct shard_block *)p;
	int r = lock_init(&b->lock);
	if (r < 0) {
		munmap(p, size);
		return r;
	}
	b->workers = conf->workers;
	b->started = time(NULL);
	*s = (struct shard){.block = b,
	        .size = size,
	        .limits = (struct limit_table *)(p + rows),
	        .extra = p + rows + limits,
	        .version = conf->version,
	        .revision = conf->revision};
	limit_table_init(s->limits, conf->limit_slots, conf->workers);
	shard_attach(s, conf->workers);
	return 0;
}

void
shard_free(struct shard *s)
{
	if (s->block)
		munmap(s->block, s->size);
	*s = (struct shard){0};
}

void
shard_attach(struct shard *s, uint32_t i)
{
	assert(i <= s->block->workers);
	s->mine = &s->block->row[i];
	s->mine->starts++;
	__atomic_store_n(&s->mine->pid, getpid(), __ATOMIC_RELAXED);
}

void
shard_reset_worker(struct shard *s, uint32_t i)
{
	assert(i < s->block->workers);
	struct shard_row *gone = &s->block->row[i], *kept = &s->block->row[s->block->workers];
	shard_lock(s);
	__atomic_store_n(&gone->pid, 0, __ATOMIC_RELAXED);
	for (int m = 0; m < METRIC_SLOTS; m++) {
		if (slot_kind[m] == SLOT_KEPT)
			kept->metric[m] += gone->metric[m];
		gone->metric[m] = 0;
	}
	limit_forget(s, i);
	shard_unlock(s);
}

void *
shard_extra(const struct shard *s)
{
	return s->extra;
}

uint64_t
shard_next_id(struct shard *s)
{
	return __atomic_add_fetch(&s->block->next_id, 1, __ATOMIC_RELAXED);
}

void
shard_lock(struct shard *s)
{
	int r = pthread_mutex_lock(&s->block->lock);
	if (r == EOWNERDEAD) {
		limit_repair(s->limits);
		r = pthread_mutex_consistent(&s->block->lock);
	}
	assert(r == 0);
}

void
shard_unlock(struct shard *s)
{
	pthread_mutex_unlock(&s->block->lock);
}

void
metric_observe(struct shard *s, enum metric m, uint64_t ms)
{
	static const uint16_t bound[METRIC_N_BOUNDS] = {METRIC_BOUNDS_MS};
	unsigned i = 0;
	while (i < METRIC_N_BOUNDS && ms > bound[i])
		i++;
	metric_add(s, (enum metric)(m + i), 1);
	metric_add(s, (enum metric)(m + METRIC_N_BOUNDS + 1), ms);
}
