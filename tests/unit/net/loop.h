/* loop: a worker for tests, and real sockets on the loopback for it to talk to. */
#pragma once

#include "base/addr.h"
#include "net/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static inline void
loop_open(struct worker *w)
{
	struct log log;
	log_root(&log, 2, LOG_ERROR, LOG_TEXT);
	assert_int_equal(worker_init(w, &log), 0);
}

static inline void
loop_close(struct worker *w)
{
	assert_int_equal(worker_fini(w), 0);
}

static inline void
loop_turn(struct worker *w)
{
	uv_run(&w->loop, UV_RUN_NOWAIT);
	uv_update_time(&w->loop);
}

static inline void
loop_for(struct worker *w, uint64_t ms)
{
	for (uint64_t end = worker_now(w) + ms; worker_now(w) < end;) {
		loop_turn(w);
		usleep(300);
	}
}

/* Turns the loop until cond holds; five seconds are for ever. */
#define LOOP_UNTIL(w, cond)                                        \
	do {                                                       \
		uint64_t loop_end = worker_now(w) + 5000;          \
		while (!(cond)) {                                  \
			if (worker_now(w) > loop_end)              \
				fail_msg("never came: %s", #cond); \
			loop_turn(w);                              \
			usleep(100);                               \
		}                                                  \
	} while (0)

static inline struct ip
loopback(int family)
{
	return family == AF_INET ? ip4(INADDR_LOOPBACK) : (struct ip){.b = {[15] = 1}};
}

/* A bound socket on the loopback; where it is. */
static inline int
loop_socket(int family, int type, struct endpoint *at)
{
	struct sockaddr_storage ss;
	*at = (struct endpoint){loopback(family), 0};
	socklen_t len = endpoint_to_sockaddr(at, &ss);
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_true(endpoint_from_sockaddr((struct sockaddr *)&ss, at));
	return fd;
}

static inline int
loop_listen(int family, int backlog, struct endpoint *at)
{
	int fd = loop_socket(family, SOCK_STREAM, at);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static inline void
loop_nonblock(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* A port where nobody listens. */
static inline struct endpoint
loop_closed_port(int family, int type)
{
	struct endpoint at;
	close(loop_socket(family, type, &at));
	return at;
}
