#include "client/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
	HEAD_MOST = 256,
	FRAME_MOST = 65536,
	NS = 1000000000,
};

struct record {
	FILE *file;
	uint64_t flushed_ns;
	int err;
	uint8_t block[PCAPNG_PACKET_HEAD + FRAME_MOST + 8];
};

static void
put(struct record *r, const struct wr *w)
{
	if (!r->err && fwrite(w->start, 1, wr_len(w), r->file) != wr_len(w))
		r->err = -errno;
}

int
record_open(const char *path, struct record **out, struct err *e)
{
	FILE *file = fopen(path, "wbe");
	if (!file)
		return err_set(e, -errno, "cannot write %s: %s", path, strerror(errno));
	struct record *r = calloc(1, sizeof *r);
	if (!r) {
		fclose(file);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->file = file;
	struct wr w = wr_init(r->block, HEAD_MOST);
	struct pcapng_section section = {.userappl = SPAN_LIT("aero")};
	struct pcapng_iface iface = {
	        .linktype = PCAPNG_ETHERNET, .snaplen = 65535, .name = SPAN_LIT("guest-eth0")};
	pcapng_put_section(&w, &section);
	pcapng_put_iface(&w, &iface);
	put(r, &w);
	fflush(file);
	*out = r;
	return 0;
}

void
record_frame(struct record *r, enum pcapng_flags way, struct span frame)
{
	struct timespec ts;
	if (!r || frame.n > FRAME_MOST)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	struct wr w = wr_init(r->block, sizeof r->block);
	struct pcapng_packet k = {
	        .timed = true,
	        .ns = (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec,
	        .data = frame,
	        .len = (uint32_t)frame.n,
	        .has_flags = true,
	        .flags = way,
	};
	pcapng_put_packet(&w, &k);
	put(r, &w);
	if (k.ns - r->flushed_ns < NS)
		return;
	r->flushed_ns = k.ns;
	fflush(r->file);
}

int
record_close(struct record *r)
{
	if (!r)
		return 0;
	if (fclose(r->file) && !r->err)
		r->err = -errno;
	int err = r->err;
	free(r);
	return err;
}
