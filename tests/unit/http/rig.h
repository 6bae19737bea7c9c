/* rig: a worker with a server on it, and plain sockets as its clients, all in one thread. */
#pragma once

#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct rig {
	struct worker w;
	struct transport *t;
	struct server *s;
	int listen_fd;
	struct sockaddr_in at;
	uint8_t got[1 << 20];
	size_t n;
};

static const struct server_settings rig_conf = {
        .head_ms = 2000,
        .body_ms = 2000,
        .idle_ms = 2000,
        .head_max = 4096,
        .target_max = 1024,
        .headers_max = 20,
        .body_max = 1000,
};

/* ca_file: see transport.h */
static inline void
rig_open_ca(struct rig *r, const struct server_settings *conf, const struct route *routes,
        void *user, const char *ca_file)
{
	struct transport_conf tc = {.ca_file = ca_file};
	struct log log;
	struct err e = {0};
	socklen_t len = sizeof r->at;
	memset(r, 0, sizeof *r);
	log_root(&log, STDERR_FILENO, LOG_ERROR, LOG_TEXT);
	assert_int_equal(worker_init(&r->w, &log), 0);
	assert_int_equal(transport_open(&r->w, &tc, &r->t, &e), 0);
	r->s = server_new(r->t, conf, routes, user, &e);
	assert_string_equal(e.text, "");
	assert_non_null(r->s);
	r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r->at = (struct sockaddr_in){
	        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(r->listen_fd, (struct sockaddr *)&r->at, sizeof r->at), 0);
	assert_int_equal(listen(r->listen_fd, 64), 0);
	assert_int_equal(getsockname(r->listen_fd, (struct sockaddr *)&r->at, &len), 0);
}

static inline void
rig_open(struct rig *r, const struct server_settings *conf, const struct route *routes, void *user)
{
	rig_open_ca(r, conf, routes, user, NULL);
}

static inline void
rig_close(struct rig *r)
{
	if (r->s)
		server_free(r->s);
	transport_close(r->t);
	close(r->listen_fd);
	assert_int_equal(worker_fini(&r->w), 0);
}

/* A connected pair: the server gets one end, the test the other. rcvbuf 0 = the default. */
static inline int
rig_connect(struct rig *r, int rcvbuf)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	assert_int_equal(connect(fd, (struct sockaddr *)&r->at, sizeof r->at), 0);
	int peer = accept4(r->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(peer >= 0);
	assert_int_equal(server_adopt(r->s, peer), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline void
rig_turn(struct rig *r)
{
	uv_run(&r->w.loop, UV_RUN_NOWAIT);
}

static inline void
rig_spin(struct rig *r, unsigned ms)
{
	uv_update_time(&r->w.loop);
	uint64_t end = uv_now(&r->w.loop) + ms;
	while (uv_now(&r->w.loop) < end) {
		rig_turn(r);
		poll(NULL, 0, 1);
	}
}

/* Turn until cond or time is up. */
#define RIG_UNTIL(r, cond)                                              \
	do {                                                            \
		for (int rig_i = 0; rig_i < 5000 && !(cond); rig_i++) { \
			rig_turn(r);                                    \
			if (!(cond))                                    \
				poll(NULL, 0, 1);                       \
		}                                                       \
		assert_true(cond);                                      \
	} while (0)

static inline void
rig_send(struct rig *r, int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	for (int i = 0; i < 5000 && n; i++) {
		ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
		if (k > 0) {
			at += k;
			n -= (size_t)k;
		} else if (errno != EAGAIN) {
			return; /* it closed: what it said before tells */
		}
		rig_turn(r);
	}
	assert_int_equal(n, 0);
}

static inline void
rig_say(struct rig *r, int fd, const char *text)
{
	rig_send(r, fd, text, strlen(text));
}

/* Append what has come to r->got; false at the end of the stream. */
static inline bool
rig_take(struct rig *r, int fd)
{
	rig_turn(r);
	ssize_t k = recv(fd, r->got + r->n, sizeof r->got - 1 - r->n, 0);
	if (k > 0)
		r->n += (size_t)k;
	else if (k < 0 && errno == EAGAIN)
		poll(NULL, 0, 1);
	else
		return false;
	r->got[r->n] = 0;
	return true;
}

static inline void
rig_read(struct rig *r, int fd, size_t n)
{
	r->n = 0;
	for (int i = 0; i < 5000 && r->n < n; i++)
		assert_true(rig_take(r, fd));
	assert_true(r->n >= n);
}

/* Until the server ends the stream; true when it did so with FIN and not with RST. */
static inline bool
rig_read_end(struct rig *r, int fd)
{
	r->n = 0;
	for (int i = 0; i < 5000; i++)
		if (!rig_take(r, fd))
			return errno != ECONNRESET;
	fail_msg("the stream did not end");
	return false;
}

/* One answer with Content-Length: everything up to its end. */
static inline void
rig_answer(struct rig *r, int fd, bool head_only)
{
	r->n = 0;
	r->got[0] = 0;
	for (int i = 0; i < 5000; i++) {
		char *end = strstr((char *)r->got, "\r\n\r\n");
		if (end) {
			char *cl = strstr((char *)r->got, "Content-Length: ");
			size_t n = cl && !head_only ? (size_t)atol(cl + 16) : 0;
			if (r->n >= (size_t)(end + 4 - (char *)r->got) + n)
				return;
		}
		assert_true(rig_take(r, fd));
	}
	fail_msg("no answer");
}

static inline int
rig_status(const struct rig *r)
{
	return strncmp((const char *)r->got, "HTTP/1.1 ", 9) ? -1 : atoi((const char *)r->got + 9);
}

static inline bool
rig_has(const struct rig *r, const char *text)
{
	return strstr((const char *)r->got, text) != NULL;
}
