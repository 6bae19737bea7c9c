/* conn: one outgoing TCP connection, as a stream that can be read again until it is let go.
 *
 * For      flows by the thousand: 64 bytes each, and no buffer unless the kernel's are full.
 * Owner    embeds struct conn, zeroed, and may free it as soon as conn_free has returned.
 *          struct conn_net is what all connections of a worker share; it ends after them.
 * Order    conn_open -> opened -> (readable | writable)*, or -> failed at any point.
 *          `failed` comes once and last. conn_free always, also after failed and inside any
 *          callback; nothing comes after it. What was written but did not fit the kernel yet is
 *          still delivered after a graceful conn_free, for linger_ms at the most and
 *          for the latest linger_max connections.
 * Memory   unread and unacknowledged bytes stay in the kernel's receive buffer where that can be
 *          peeked at from an offset; elsewhere in pieces of a shared pool, up to read_ahead bytes a
 *          connection, with the same calls.
 * Pace     writing: conn_room tells what conn_write is certain to take; a larger room is told by
 *          `writable`. Reading: `readable` after conn_peek gave -EAGAIN; peeking less pauses it.
 * Errors   negative errno. conn_open < 0: nothing happened, nothing will be called.
 *          conn_write, conn_peek < 0 other than -EAGAIN: dead; `failed` does not follow.
 * Urgent   one byte at a time, as TCP has it: written with `urgent` it leaves as such; arriving it
 *          stays in its place in the stream.
 * Thread   one worker.
 * Depends  base, net/poller. Knows no policy. */
#pragma once

#include "base/addr.h"
#include "base/slab.h"
#include "net/poller.h"
#include "net/worker.h"

#include <sys/uio.h>

struct conn;

/* What this kernel can do; found out once, before workers are made. */
struct conn_caps {
	bool peek4, peek6; /* SO_PEEK_OFF on TCP of each family */
};
void conn_probe(struct conn_caps *caps);

struct conn_conf {
	struct conn_caps caps;
	uint32_t connect_ms; /* 0 is a timeout of zero, which nearly every connect misses */
	uint32_t overflow;   /* promised beyond the kernel's send buffer */
	uint32_t room_max;   /* most bytes ever promised and not yet written, overflow included */
	uint32_t recv_max;   /* bound of the kernel's receive window; 0 = its own choice */
	uint32_t read_ahead; /* without peek_off: bytes held for reading again, a connection */
	uint32_t linger_ms;
	uint32_t linger_max; /* so many at once: the oldest goes. They are in nobody's limit */
	size_t pool;         /* bytes that all connections together may hold outside the kernel */
};

struct conn_ops {
	void (*opened)(struct conn *c);
	void (*failed)(struct conn *c, int err); /* err > 0; ETIMEDOUT: nobody answered in time */
	void (*readable)(struct conn *c);        /* bytes, or the end of the stream */
	void (*writable)(struct conn *c);
};

struct conn_net {
	struct worker *w;
	const struct conn_ops *ops;
	struct conn_conf conf; /* connect_ms may be changed at any time */
	/* private */
	struct slab pieces;
	struct list connecting, lingering, again;
	uint32_t n_lingering;
	struct timer connect_timer, linger_timer;
	struct later later;
	struct conn *current; /* in a callback; NULL once it was freed there */
};

struct conn {
	/* private */
	struct poll_fd poll;
	struct conn_net *net;
	struct list node;
	struct conn_held *held; /* bytes outside the kernel, if any */
	uint32_t peek_off;      /* where the kernel's next peek starts */
	uint32_t free;          /* what its send buffer is known to take */
	uint32_t mark;          /* ask again below that; a deadline while connecting or lingering */
	uint16_t flags;
};

void conn_net_init(struct conn_net *net, struct worker *w, const struct conn_conf *conf,
        const struct conn_ops *ops);
void conn_net_fini(struct conn_net *net); /* after all its connections were freed */

int conn_open(struct conn_net *net, struct conn *c, const struct endpoint *dst, uint8_t tos);
void conn_free(struct conn *c, bool abort); /* abort: with RST. Idempotent */
/* Once for each batch of writes: it may cost a system call. Bytes count as promised until the next
 * call. Also before `opened`: they wait. */
uint32_t conn_room(struct conn *c);
#define CONN_IOV_MAX 1024 /* a call */
/* All of the bytes, or an error. */
int conn_write(struct conn *c, const struct iovec *iov, int n, bool urgent);
void conn_shutdown(struct conn *c); /* half-close, after everything written so far */
/* Copies bytes that start `off` behind the last one discarded; off is at most what was peeked at
 * since. > 0: bytes, perhaps fewer than there are; 0: the stream ends exactly there. */
ssize_t conn_peek(struct conn *c, uint32_t off, const struct iovec *iov, int n);
void conn_discard(struct conn *c, uint32_t n);
/* Have the kernel probe an idle peer after so many seconds. */
void conn_keepalive(struct conn *c, uint32_t idle_s);
