/* supervisor: one parent process, its workers, and the listening sockets between them.
 *
 * For      several processes that serve one port: the parent accepts and hands each socket to the
 *          worker with the fewest, restarts workers that die, and forwards signals. It never reads
 *          a byte of a client.
 * Owner    the caller's stack: supervisor_run returns when everything has ended.
 * Order    run -> child(i) in each forked process -> ready (all children said so) -> ... -> return.
 *          SIGTERM, SIGINT: drain; sockets are still handed out (to be refused politely) until the
 *          last child has left or the grace time is over, then the rest is killed.
 *          SIGHUP: `reload` in the parent; when it returns 0, every child is told.
 *          A child that ends by itself is restarted, later and later if it does so again at once.
 *          A child that ends before it was ready the first time ends everything.
 * Errors   supervisor_run: 0 orderly, 1 a child could not start, -errno.
 * Thread   no threads; no event loop exists in the parent, so children start clean. */
#pragma once

#include "base/log.h"

#include <sys/types.h>

#define SUPERVISOR_MAX_WORKERS 64
#define SUPERVISOR_MAX_LISTEN 8

struct supervisor_load { /* in shared memory, one per worker; written by that worker */
	uint64_t closed; /* sockets that it was handed and has closed, since it started */
};

struct supervisor {
	const struct log *log;
	int listen_fd[SUPERVISOR_MAX_LISTEN];
	int n_listen;
	int workers;
	uint32_t grace_ms;
	uint32_t max_sockets; /* handed out and not closed, in all; further ones wait in the backlog
	                       */
	struct supervisor_load *load; /* [workers] */
	void *user;
	/* In the child: run the worker until it has drained; its exit status. chan: see below. */
	int (*child)(struct supervisor *s, int index, int chan);
	void (*ready)(struct supervisor *s);
	int (*reload)(struct supervisor *s); /* 0: tell the children */
	/* A child is gone (status as from waitpid): give back what it held. */
	void (*lost)(struct supervisor *s, int index, pid_t pid, int status);
};

int supervisor_run(struct supervisor *s);

/* --- the child's side of its channel (a SOCK_SEQPACKET socket) --------------------------- */
enum sup_msg {
	SUP_NONE = 0,     /* nothing now */
	SUP_SOCKET = 'S', /* *fd is a new client; untouched: it was lost, but counts */
	SUP_DRAIN = 'T',  /* finish what is open and leave */
	SUP_RELOAD = 'H', /* read the configuration again */
	SUP_GONE = 'X',   /* the parent died: drain */
};
enum sup_msg supervisor_recv(int chan, int *fd);
void supervisor_say_ready(int chan);
