/* poller: many sockets, edge-triggered, behind one handle of the loop.
 *
 * Why      a level-triggered poll spins on bytes that were only peeked at, and one uv_poll_t for
 *          each flow costs memory and system calls at every change of interest. Here a socket is
 *          registered once, for everything, and never touched again.
 * Owner    struct poll_fd is embedded in the socket's owner, zeroed at first; poller_del before the
 *          fd is closed or the memory goes.
 * Order    `ready` runs from the loop with the EPOLL* bits that fired. Edge rule: after EPOLLIN
 *          read (or peek) until EAGAIN or remember that you did not; likewise EPOLLOUT. EPOLLERR
 *          and EPOLLHUP may come at any time. poller_del is legal inside any `ready`, also for
 *          others whose event is in the same batch: then it does not come.
 * Errors   negative errno (ENOSPC, ENOMEM, EPERM for what cannot be polled).
 * Thread   one worker. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct poller;

struct poll_fd {
	void (*ready)(struct poll_fd *p, uint32_t events);
	int fd;
	/* private */
	uint16_t slot; /* 1 + index in the batch being delivered, 0 = in none */
	bool on;
};

int poller_open(struct worker *w, struct poller **out);
void poller_close(struct poller *p); /* the memory goes when the loop has closed its handle */
int poller_add(struct poller *p, struct poll_fd *f);  /* EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET */
void poller_del(struct poller *p, struct poll_fd *f); /* idempotent */
