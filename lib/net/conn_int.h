/* conn_int: what the files of conn share. */
#pragma once

#include "net/chain.h"
#include "net/conn.h"

#define PEEK_OFF_UNSET UINT32_MAX

enum {
	CONNECTING = 1,
	DEAD = 2,
	PEEKING = 4,    /* the kernel keeps what is read */
	SHUTDOWN = 8,   /* asked for */
	SHUT = 16,      /* done */
	ENDED = 32,     /* without PEEKING: the stream's end was read */
	HELD_BACK = 64, /* without PEEKING: not read because read_ahead was used up */
	LITTLE = 128,   /* little room was told: say writable when there is more */
	UNREAD = 256,   /* the kernel may hold unread bytes */
	LINGERING = 512,
};

struct conn_held {
	struct chain out, in;
	uint32_t urgent; /* 1 + offset in `out` of a byte to be sent as urgent; 0 = none */
};

/* An option that makes the connection better, and that is not worth losing it. */
void conn_set_int(const struct conn *c, int level, int name, int value);
uint32_t conn_waiting(const struct conn *c); /* bytes written that the kernel has not taken */
int conn_drain(struct conn *c);              /* until none wait or the kernel is full */
uint32_t conn_overflow_limit(const struct conn_net *net);
void conn_release_held(struct conn *c);
void conn_dead(struct conn *c); /* no news from now on */

_Static_assert(sizeof(struct conn) <= 64, "there are thousands of them");
