#include "client/pcapfile.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM_FIRST = 256 << 10 };

struct pcapfile {
	int fd;
	struct pcapng p;
	uint8_t *buf;
	size_t at, n, room; /* bytes at..n are still to be read */
	bool ended, over;
};

int
pcapfile_open(const char *path, struct pcapfile **out, struct err *e)
{
	struct stat st;
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		close(fd);
		return err_set(e, -EISDIR, "%s is a directory", path);
	}
	struct pcapfile *f = xcalloc(1, sizeof *f);
	f->fd = fd;
	f->room = ROOM_FIRST;
	f->buf = xcalloc(1, f->room);
	pcapng_init(&f->p);
	*out = f;
	return 0;
}

void
pcapfile_close(struct pcapfile *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f->buf);
	free(f);
}

/* Until there are `need` bytes, or the file ends. Blocks have a limit, so the buffer has too. */
static void
fill(struct pcapfile *f, size_t need)
{
	memmove(f->buf, f->buf + f->at, f->n - f->at);
	f->n -= f->at;
	f->at = 0;
	if (need > f->room) {
		f->room = need;
		f->buf = xrealloc(f->buf, f->room);
	}
	while (f->n < need && !f->ended) {
		ssize_t got = read(f->fd, f->buf + f->n, f->room - f->n);
		if (got < 0 && errno == EINTR)
			continue;
		f->ended = got <= 0;
		f->n += got > 0 ? (size_t)got : 0;
	}
}

bool
pcapfile_next(struct pcapfile *f, struct pcapng_block *out)
{
	if (f->over)
		return false;
	ssize_t used;
	while ((used = pcapng_read(&f->p, span(f->buf + f->at, f->n - f->at), out)) == 0) {
		size_t had = f->n - f->at;
		fill(f, f->p.need);
		if (f->n - f->at > had)
			continue;
		f->over = true;
		if (!had)
			return false;
		out->kind = PCAPNG_FAULT;
		out->offset = f->p.offset;
		out->why = "the file ends inside a block";
		return true;
	}
	f->over = used < 0;
	if (used > 0)
		f->at += (size_t)used;
	return true;
}

uint16_t
pcapfile_linktype(const struct pcapfile *f, uint32_t iface)
{
	return pcapng_linktype(&f->p, iface);
}
