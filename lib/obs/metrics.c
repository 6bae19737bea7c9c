#include "obs/metrics.h"

#include "base/buf.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum metric_type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

struct metric_row {
	enum metric_type type;
	enum metric slot;
	const char *name, *labels;
};

static const struct metric_row metric_row[] = {
#define METRIC(id, ty, nm, lb) {TYPE_##ty, M_##id, nm, lb},
#define METRIC_SAME(id, ty, nm, lb) {TYPE_##ty, M_##id, nm, lb},
#include "obs/metrics.def"
#undef METRIC
#undef METRIC_SAME
};

static const char *const type_name[] = {"counter", "gauge", "histogram"};

static void
head(struct buf *b, const char *name, enum metric_type type)
{
	buf_addf(b, "# TYPE %s %s\n", name, type_name[type]);
}

static void
histogram(struct buf *b, const char *name, const uint64_t *v)
{
	static const uint16_t bound[METRIC_N_BOUNDS] = {METRIC_BOUNDS_MS};
	uint64_t n = 0;
	for (int i = 0; i < METRIC_N_BOUNDS; i++) {
		n += v[i];
		buf_addf(b, "%s_bucket{le=\"%u\"} %" PRIu64 "\n", name, bound[i], n);
	}
	n += v[METRIC_N_BOUNDS];
	buf_addf(b, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, n);
	buf_addf(b, "%s_sum %" PRIu64 "\n%s_count %" PRIu64 "\n", name, v[METRIC_N_BOUNDS + 1],
	        name, n);
}

/* The lock keeps a worker that is being buried from being counted twice or not at all. */
static void
sum(struct shard *s, uint64_t out[METRIC_SLOTS])
{
	memset(out, 0, METRIC_SLOTS * sizeof out[0]);
	shard_lock(s);
	for (uint32_t w = 0; w <= s->block->workers; w++)
		for (int m = 0; m < METRIC_SLOTS; m++)
			out[m] += __atomic_load_n(&s->block->row[w].metric[m], __ATOMIC_RELAXED);
	shard_unlock(s);
}

static void
rows(struct buf *b, const uint64_t *v)
{
	const char *last = "";
	for (size_t i = 0; i < sizeof metric_row / sizeof metric_row[0]; i++) {
		const struct metric_row *r = &metric_row[i];
		if (strcmp(r->name, last) != 0)
			head(b, r->name, r->type);
		last = r->name;
		if (r->type == TYPE_HISTOGRAM)
			histogram(b, r->name, &v[r->slot]);
		else if (r->labels[0])
			buf_addf(b, "%s{%s} %" PRIu64 "\n", r->name, r->labels, v[r->slot]);
		else
			buf_addf(b, "%s %" PRIu64 "\n", r->name, v[r->slot]);
	}
}

/* --- what is read, not counted ---------------------------------------------------------------- */

/* Versions come from the environment: nothing in them may break a line or a label. */
static void
label_text(struct buf *b, const char *key, const char *value)
{
	buf_addf(b, "%s=\"", key);
	for (const char *p = value ? value : ""; *p; p++) {
		bool plain = (unsigned char)*p > ' ' && (unsigned char)*p < 127 && *p != '"' &&
		             *p != '\\';
		buf_addc(b, plain ? *p : '_');
	}
	buf_addc(b, '"');
}

static void
build(const struct shard *s, struct buf *b)
{
	head(b, "aero_build_info", TYPE_GAUGE);
	buf_adds(b, "aero_build_info{");
	label_text(b, "version", s->version);
	buf_addc(b, ',');
	label_text(b, "revision", s->revision);
	buf_adds(b, "} 1\n");
	head(b, "aero_start_time_seconds", TYPE_GAUGE);
	buf_addf(b, "aero_start_time_seconds %" PRIi64 "\n", s->block->started);
}

struct proc {
	bool alive;
	uint64_t cpu_ms, resident, fds;
};

/* Fields 14, 15 and 24 of /proc/PID/stat; the name in field 2 may hold spaces and brackets. */
static bool
parse_stat(const char *text, struct proc *p)
{
	const char *at = strrchr(text, ')');
	unsigned long user, sys;
	long pages;
	if (!at || sscanf(at,
	                   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d "
	                   "%*d %*d %*d %*u %*u %ld",
	                   &user, &sys, &pages) != 3)
		return false;
	p->cpu_ms = (user + sys) * 1000ull / (unsigned long)sysconf(_SC_CLK_TCK);
	p->resident = (uint64_t)pages * (unsigned long)sysconf(_SC_PAGESIZE);
	return true;
}

static struct proc
look_at(int32_t pid)
{
	struct proc p = {0};
	char path[40], text[512];
	if (!pid)
		return p;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return p;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	p.alive = parse_stat(text, &p);
	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	struct stat st;
	if (stat(path, &st) == 0)
		p.fds = (uint64_t)st.st_size; /* their number, since Linux 6.2 */
	return p;
}

struct proc_metric {
	const char *name;
	enum metric_type type;
	size_t off;
};

static const struct proc_metric proc_metric[] = {
        {"aero_process_cpu_ms_total", TYPE_COUNTER, offsetof(struct proc, cpu_ms)},
        {"aero_process_resident_bytes", TYPE_GAUGE, offsetof(struct proc, resident)},
        {"aero_process_open_fds", TYPE_GAUGE, offsetof(struct proc, fds)},
};

static void
proc_line(struct buf *b, const char *name, const struct shard *s, uint32_t i, uint64_t v)
{
	if (i < s->block->workers)
		buf_addf(b, "%s{process=\"worker-%u\"} %" PRIu64 "\n", name, i, v);
	else
		buf_addf(b, "%s{process=\"parent\"} %" PRIu64 "\n", name, v);
}

static void
processes(const struct shard *s, struct buf *b)
{
	struct proc p[SHARD_MAX_WORKERS + 1];
	uint32_t n = s->block->workers;
	for (uint32_t i = 0; i <= n; i++)
		p[i] = look_at(__atomic_load_n(&s->block->row[i].pid, __ATOMIC_RELAXED));
	head(b, "aero_worker_up", TYPE_GAUGE);
	for (uint32_t i = 0; i < n; i++)
		buf_addf(b, "aero_worker_up{worker=\"%u\"} %d\n", i, p[i].alive);
	head(b, "aero_worker_restarts_total", TYPE_COUNTER);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t starts = s->block->row[i].starts;
		buf_addf(b, "aero_worker_restarts_total{worker=\"%u\"} %u\n", i,
		        starts ? starts - 1 : 0);
	}
	for (size_t k = 0; k < sizeof proc_metric / sizeof proc_metric[0]; k++) {
		head(b, proc_metric[k].name, proc_metric[k].type);
		for (uint32_t i = 0; i <= n; i++)
			if (p[i].alive)
				proc_line(b, proc_metric[k].name, s, i,
				        *(const uint64_t *)((const char *)&p[i] +
				                            proc_metric[k].off));
	}
}

void
metrics_text(struct shard *s, struct buf *b)
{
	uint64_t v[METRIC_SLOTS];
	sum(s, v);
	rows(b, v);
	build(s, b);
	processes(s, b);
}
