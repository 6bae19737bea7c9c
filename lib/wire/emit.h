/* emit: where frames for the guest are written, ready for the wire.
 *
 * For      building many frames straight into one output buffer that is sent with one write. The
 *          transport puts its own header (WebSocket + tunnel, or anything else) before each frame.
 * Owner    the caller of a pull (stack_pull, guest_pull), for the duration of the call.
 * Order    emit_frame(len) -> fill exactly len bytes;  or
 *          emit_slots(len, n) -> fill some or all of them -> emit_commit(used, last_len).
 *          emit_end once after the last frame. `seal`, then `tap`, run for each frame when its
 *          bytes are in place: at the next call of this module.
 * Pace     emit_left says what may still be written; a call that does not fit returns NULL or 0 and
 *          sets `full`: stop, and expect another pull later.
 * Errors   only "does not fit"; a frame longer than max_frame is dropped and counted.
 * Thread   one worker. */
#pragma once

#include "base/span.h"

struct emit {
	/* Bytes the transport needs before a frame of len bytes. */
	size_t (*head_len)(const struct emit *e, size_t len);
	/* Write that header so that it ends right before `frame`; may change the frame (masking),
	 * but tap has seen it before. */
	void (*seal)(struct emit *e, uint8_t *frame, size_t len);
	/* Sees every finished frame (capture, counters); may be NULL. */
	void (*tap)(struct emit *e, struct span frame);
	void *user;
	uint8_t *base;
	size_t cap;       /* bytes of memory at base */
	size_t n;         /* bytes written */
	size_t budget;    /* most bytes to write in this pull, <= cap */
	size_t max_frame; /* longest frame the peer accepts */
	uint32_t frames, dropped;
	bool full;
	/* private */
	uint8_t *open; /* frame handed out by emit_frame, not yet sealed */
	size_t open_len;
	size_t slot_head, slot_len, slot_n;
};

/* The three functions and `user` are set by the caller afterwards. */
void emit_init(struct emit *e, uint8_t *base, size_t cap, size_t budget, size_t max_frame);
/* Memory for one frame of exactly len bytes, or NULL (full, or longer than max_frame). */
uint8_t *emit_frame(struct emit *e, size_t len);
/* Up to n equal frames of len bytes, side by side: the i-th starts at *first + i * *stride.
 * Returns how many there is room for (0 = full). */
size_t emit_slots(struct emit *e, size_t len, size_t n, uint8_t **first, size_t *stride);
/* Keep the first `used` slots; the last of them is only last_len bytes long. */
void emit_commit(struct emit *e, size_t used, size_t last_len);
void emit_end(struct emit *e);

static inline size_t
emit_left(const struct emit *e)
{
	return e->budget > e->n ? e->budget - e->n : 0;
}
