#include "net/capfile.h"

#include "net/worker.h"
#include "wire/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SNAPLEN 65535
#define BUFFER (SNAPLEN + 1 + PCAPNG_PACKET_HEAD) /* the largest block fits an empty buffer */
#define HEADERS 256
#define NAME 64

struct capfile {
	const struct capfile_dir *dir;
	const struct log *log;
	struct timer flush;
	int fd; /* -1: writing failed */
	bool full;
	uint64_t bytes, frames, dropped;
	size_t used; /* of buf */
	char *path;
	uint8_t buf[BUFFER];
};

static uint64_t
unix_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int
capfile_mkdir(const char *path, struct err *e)
{
	if (!*path)
		return err_set(e, -EINVAL, "no directory named");
	char *p = xstrdup(path);
	int r = 0;
	for (char *at = p; r == 0 && at;) {
		at = strchr(at + 1, '/');
		if (at)
			*at = '\0';
		if (mkdir(p, 0750) < 0 && errno != EEXIST)
			r = err_set(e, -errno, "cannot make directory %s: %s", p, strerror(errno));
		if (at)
			*at = '/';
	}
	if (r == 0 && access(path, W_OK | X_OK) < 0)
		r = err_set(e, -errno, "cannot write to directory %s: %s", path, strerror(errno));
	free(p);
	return r;
}

static void
give_up(struct capfile *f, const char *event, int err)
{
	metric_add(f->dir->shard, M_L2_CAPTURE_ERRORS, 1);
	log_warn(f->log, event, kv_str("path", f->path), kv_str("error", strerror(err)));
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->used = 0;
	wheel_del(&f->dir->w->wheel, &f->flush);
}

static void
write_out(struct capfile *f)
{
	wheel_del(&f->dir->w->wheel, &f->flush);
	for (size_t at = 0; at < f->used;) {
		ssize_t n = write(f->fd, f->buf + at, f->used - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			give_up(f, "capture.failed", errno);
			return;
		}
		at += (size_t)n;
	}
	f->used = 0;
}

static void
on_flush(struct timer *t, uint64_t now)
{
	(void)now;
	write_out(CONTAINER_OF(t, struct capfile, flush));
}

static void
accept_bytes(struct capfile *f, size_t n)
{
	const struct capfile_dir *d = f->dir;
	f->used += n;
	f->bytes += n;
	metric_add(d->shard, M_L2_CAPTURE_BYTES, n);
	if (d->flush_ms && !timer_armed(&f->flush))
		wheel_add(&d->w->wheel, &f->flush, worker_now(d->w) + d->flush_ms);
}

static void
put_headers(struct capfile *f)
{
	struct pcapng_section section = {.userappl = SPAN_LIT("aero-l2-proxy")};
	struct pcapng_iface iface = {
	        .linktype = PCAPNG_ETHERNET, .snaplen = SNAPLEN, .name = SPAN_LIT("l2-tunnel")};
	struct wr w = wr_init(f->buf, HEADERS);
	pcapng_put_section(&w, &section);
	pcapng_put_iface(&w, &iface);
	accept_bytes(f, wr_len(&w));
	if (f->dir->flush_ms)
		write_out(f);
}

static char *
path_of(const struct capfile_dir *d, uint64_t id)
{
	size_t n = strlen(d->path) + NAME;
	char *p = malloc(n);
	if (p)
		snprintf(p, n, "%s/%013" PRIu64 "-session-%" PRIu64 ".pcapng", d->path,
		        unix_ns() / 1000000, id);
	return p;
}

struct capfile *
capfile_open(const struct capfile_dir *d, const struct log *log, uint64_t id)
{
	struct capfile *f = malloc(sizeof *f);
	if (!f)
		return NULL;
	memset(f, 0, offsetof(struct capfile, buf));
	f->dir = d;
	f->log = log;
	f->fd = -1;
	f->path = path_of(d, id);
	timer_init(&f->flush, on_flush);
	if (f->path)
		f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (f->fd < 0) {
		give_up(f, "capture.not_opened", f->path ? errno : ENOMEM);
		free(f->path);
		free(f);
		return NULL;
	}
	put_headers(f);
	return f;
}

void
capfile_frame(struct capfile *f, enum capfile_way way, struct span frame)
{
	if (!f || f->fd < 0)
		return;
	struct pcapng_packet k = {.timed = true,
	        .ns = unix_ns(),
	        .data = span_first(frame, SNAPLEN),
	        .len = (uint32_t)frame.n,
	        .has_flags = true,
	        .flags = way == CAPFILE_FROM_GUEST ? PCAPNG_IN : PCAPNG_OUT};
	size_t n = pcapng_packet_len(&k);
	const struct capfile_dir *d = f->dir;
	if (f->full || (d->max_bytes && f->bytes + n > d->max_bytes)) {
		f->full = true;
		f->dropped++;
		metric_add(d->shard, M_L2_CAPTURE_FRAMES_DROPPED, 1);
		return;
	}
	if (f->used + n > sizeof f->buf)
		write_out(f);
	if (f->fd < 0)
		return;
	struct wr w = wr_init(f->buf + f->used, sizeof f->buf - f->used);
	pcapng_put_packet(&w, &k);
	f->frames++;
	metric_add(d->shard, M_L2_CAPTURE_FRAMES, 1);
	accept_bytes(f, wr_len(&w));
}

void
capfile_close(struct capfile *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		write_out(f);
	wheel_del(&f->dir->w->wheel, &f->flush);
	if (f->fd >= 0) {
		if (close(f->fd) == 0)
			log_info(f->log, "wrote capture file", kv_str("path", f->path),
			        kv_u64("bytes", f->bytes), kv_u64("frames", f->frames),
			        kv_u64("dropped", f->dropped));
		else
			log_warn(f->log, "capture.failed", kv_str("path", f->path),
			        kv_str("error", strerror(errno)));
	}
	free(f->path);
	free(f);
}
