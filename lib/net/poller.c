/* An epoll set of our own is itself a pollable file: the loop watches that one file, level
 * triggered, so a batch that was not finished brings the loop back by itself. */
#include "net/poller.h"

#include "net/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 256 /* events a turn: the rest of the loop gets its share between batches */

struct poller {
	uv_poll_t poll;
	int epfd;
	int n; /* of the batch being delivered */
	struct epoll_event batch[BATCH];
};

static void
on_epoll(uv_poll_t *h, int status, int events)
{
	(void)events;
	struct poller *p = CONTAINER_OF(h, struct poller, poll);
	if (status < 0)
		return;
	p->n = epoll_wait(p->epfd, p->batch, BATCH, 0);
	for (int i = 0; i < p->n; i++)
		((struct poll_fd *)p->batch[i].data.ptr)->slot = (uint16_t)(i + 1);
	for (int i = 0; i < p->n; i++) {
		struct poll_fd *f = p->batch[i].data.ptr;
		if (!f)
			continue;
		f->slot = 0;
		f->ready(f, p->batch[i].events);
	}
	p->n = 0;
}

int
poller_open(struct worker *w, struct poller **out)
{
	struct poller *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	int r;
	p->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epfd < 0) {
		r = -errno;
		goto fail;
	}
	r = uv_poll_init(&w->loop, &p->poll, p->epfd);
	if (r < 0)
		goto fail_fd;
	uv_poll_start(&p->poll, UV_READABLE, on_epoll);
	*out = p;
	return 0;
fail_fd:
	close(p->epfd);
fail:
	free(p);
	return r;
}

static void
on_closed(uv_handle_t *h)
{
	free(CONTAINER_OF(h, struct poller, poll));
}

void
poller_close(struct poller *p)
{
	uv_poll_stop(&p->poll);
	close(p->epfd);
	uv_close((uv_handle_t *)&p->poll, on_closed);
}

int
poller_add(struct poller *p, struct poll_fd *f)
{
	struct epoll_event ev = {
	        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = f};
	if (epoll_ctl(p->epfd, EPOLL_CTL_ADD, f->fd, &ev) < 0)
		return -errno;
	f->slot = 0;
	f->on = true;
	return 0;
}

void
poller_del(struct poller *p, struct poll_fd *f)
{
	if (!f->on)
		return;
	epoll_ctl(p->epfd, EPOLL_CTL_DEL, f->fd, NULL);
	if (f->slot)
		p->batch[f->slot - 1].data.ptr = NULL;
	f->slot = 0;
	f->on = false;
}
