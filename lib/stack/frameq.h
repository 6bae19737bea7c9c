/* frameq: a FIFO of finished frames for the guest, in slab nodes shared by all tunnels of a worker.
 *
 * For      small control frames and datagrams that wait for the transport.
 * Owner    embedded; frameq_clear before the memory goes. An empty queue holds no node.
 * Memory   frames are packed into nodes of STACK_NODE bytes; one longer than a node spans several.
 *          `bytes` counts whole nodes: what the queue really costs.
 * Errors   adding fails when the slab is at its cap, and then changes nothing. The owner bounds
 *          `bytes`.
 * Thread   one worker. */
#pragma once

#include "base/list.h"
#include "base/slab.h"
#include "wire/emit.h"

#include <sys/uio.h>

#define STACK_NODE 2048
#define FRAMEQ_NODE_MOST (STACK_NODE - 32) /* longest frame that lies in one node */

struct frameq {
	struct list nodes;
	uint32_t frames;
	uint32_t groups; /* datagrams: frames that are not followed by more of the same */
	uint32_t bytes;
	bool cut; /* the frame emitted last was not the end of its datagram */
};

/* A state to fall back to. */
struct frameq_mark {
	struct list *last;
	uint32_t frames, groups;
	uint16_t end;
};

void frameq_init(struct frameq *q);
void frameq_clear(struct frameq *q, struct slab *nodes);
/* Memory for a frame of at most FRAMEQ_NODE_MOST bytes, or NULL. `more`: the next frame belongs to
 * the same datagram. */
uint8_t *frameq_room(struct frameq *q, struct slab *nodes, size_t len, uint32_t stamp, bool more);
/* A frame of any length, gathered from v. */
bool frameq_add(struct frameq *q, struct slab *nodes, const struct iovec *v, size_t n,
        uint32_t stamp, bool more);
struct frameq_mark frameq_mark(const struct frameq *q);
void frameq_undo(struct frameq *q, struct slab *nodes, struct frameq_mark mark);

/* Of the first frame; only when frames > 0. */
uint32_t frameq_stamp(const struct frameq *q);
/* Drop the first frame and all that belong to the same datagram; returns how many. */
uint32_t frameq_drop(struct frameq *q, struct slab *nodes);
/* Write the first frame, zero-padded to `least` bytes. 0: e is full, nothing happened. Else its
 * length; one that is too long for e is dropped (and counted there). */
size_t frameq_emit(struct frameq *q, struct slab *nodes, struct emit *e, size_t least);
