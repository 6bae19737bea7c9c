/* capfile: a pcapng file that records one tunnel.
 *
 * Owner    capfile_open / capfile_close, by the tunnel. NULL is a tunnel that is not recorded, and
 *          every call takes it. struct capfile_dir is read-only and outlives them.
 * Memory   frames are copied; a buffer of 64 KiB for each recorded tunnel.
 * Pace     files are written when the buffer is full or flush_ms have passed; what would make one
 *          longer than max_bytes is dropped, and everything behind it, small or not.
 * Errors   never the tunnel's business: one warning, one count, and this tunnel is not recorded any
 *          more. capfile_mkdir is set-up: -errno and a sentence.
 * Thread   one worker. */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "obs/shard.h"

struct worker;
struct capfile;

struct capfile_dir {
	struct worker *w;
	struct shard *shard;
	const char *path;
	uint64_t max_bytes; /* 0 = no limit */
	uint32_t flush_ms;  /* 0 = only when the buffer is full, and at the end */
};

enum capfile_way { CAPFILE_FROM_GUEST, CAPFILE_TO_GUEST };

/* The directory and all above it, where they are missing. */
int capfile_mkdir(const char *path, struct err *e);
/* A new file "<ms since 1970>-session-<id>.pcapng"; NULL = not recorded. `log` is borrowed. */
struct capfile *capfile_open(const struct capfile_dir *d, const struct log *log, uint64_t id);
void capfile_frame(struct capfile *f, enum capfile_way way, struct span frame);
void capfile_close(struct capfile *f);
