/* wsparse: WebSocket frames in, whole messages out.
 *
 * For      the data phase of a connection, either role. Strict: what RFC 6455 forbids ends it.
 * Owner    embeds struct wsparse; wsparse_fini frees what it may hold.
 * Order    wsparse_feed for every read, in order -> (message | ping | pong)* close? batch_end.
 *          close comes once, and nothing after it. Callbacks may call wsparse_stop, and then no
 *          other comes; they must not free the parser.
 * Memory   the bytes fed are changed in place (unmasked). A message that lies inside them is
 *          handed up where it lies; one that straddles reads or comes in fragments is assembled
 *          in a stash, which exists only meanwhile. Message spans stay valid until batch_end has
 *          returned; it comes at the end of every feed that gave a message, and before the stash
 *          is used again. Other spans are good for the call only. The owner may write into them.
 * Pace     no message, whole or partial, is longer than max; the stash holds at most that.
 * Errors   wsparse_feed: 0, or the close code to answer with: 1002, 1007, 1009, or 1011 when the
 *          stash cannot be had. After an error or a close, what is fed is ignored (0).
 * Spec     RFC 6455 5, 7.4, 8.1. */
#pragma once

#include "wire/utf8.h"
#include "wire/wsframe.h"

struct wsparse;

struct wsparse_ops {
	void (*message)(struct wsparse *p, enum ws_op op, struct span payload); /* TEXT or BINARY */
	void (*ping)(struct wsparse *p, struct span payload);
	void (*pong)(struct wsparse *p, struct span payload);
	void (*close)(struct wsparse *p, uint16_t code, struct span reason); /* or WS_CODE_NONE */
	void (*batch_end)(struct wsparse *p);
};

struct wsparse {
	/* private */
	const struct wsparse_ops *ops;
	size_t max;
	uint64_t len, at; /* payload of the current frame: all of it, and how much was seen */
	uint8_t *stash;
	size_t stashed, room; /* bytes of the message so far; bytes allocated */
	uint8_t mask[4];
	struct utf8 utf8;
	enum ws_op op;      /* of the current frame */
	enum ws_op message; /* of the message under way, WS_CONT = none */
	uint8_t nhead, ncontrol;
	bool client, in_payload, fin;
	bool stopped;    /* by the owner */
	bool dead;       /* by a close or a violation */
	bool owed;       /* spans are out: batch_end must come */
	bool stash_lent; /* one of them is the stash */
	uint8_t head[WSFRAME_HEAD_MOST];
	uint8_t control[WSFRAME_CONTROL_MOST];
};

/* client: we are the client, so frames must come without masks. */
void wsparse_init(struct wsparse *p, const struct wsparse_ops *ops, bool client, size_t max);
void wsparse_fini(struct wsparse *p);
int wsparse_feed(struct wsparse *p, uint8_t *data, size_t n);
/* Deliver nothing more; the rest of the feed is ignored. */
void wsparse_stop(struct wsparse *p);
/* Bytes of heap held for a message under way. */
size_t wsparse_held(const struct wsparse *p);
