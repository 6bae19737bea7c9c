/* poller: many sockets, edge-triggered, behind one handle of the loop.
 *
 * Why      a level-triggered poll spins on bytes that were only peeked at, and one uv_poll_t for
 *          each flow costs memory and system calls at every change of interest. Here a socket is
 *          registered once, for everything, and never touched again.
 * Owner    struct poll_fd is embedded in the socket's owner; poller_del before the fd is closed.
 * Order    `ready` runs from the loop with the EPOLL* bits that fired. Edge rule: after EPOLLIN
 * read (or peek) until EAGAIN or remember that you did not; likewise EPOLLOUT. poller_del is legal
 * inside any `ready`, also for others whose event is in the same batch. Errors   negative errno
 * (ENOSPC, ENOMEM). Thread   one worker. */
#pragma once

#include <stdint.h>

struct worker;
struct poller;

struct poll_fd {
	void (*ready)(struct poll_fd *p, uint32_t events);
	int fd;
	int32_t slot; /* private: index in the batch being delivered, or -1 */
};

int poller_open(struct worker *w, struct poller **out);
void poller_close(struct poller *p); /* the memory goes when the loop has closed its handle */
int poller_add(struct poller *p, struct poll_fd *f);  /* EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET */
void poller_del(struct poller *p, struct poll_fd *f); /* idempotent */
