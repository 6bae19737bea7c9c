/* chain: a queue of bytes in pieces of a shared slab.
 *
 * For      what a socket would not take yet, or what was read before the far side had room.
 * Owner    embedded; all zero is empty and costs nothing. chain_fini before it goes away.
 * Memory   pieces come from the slab that is given to every call: always the same one.
 * Errors   chain_add: false when the slab is exhausted; then nothing was added. */
#pragma once

#include "base/slab.h"

#include <stdbool.h>
#include <sys/uio.h>

#define CHAIN_PIECE 4048 /* with its head: four to a block of the slab */

struct chain_piece {
	struct chain_piece *next;
	uint32_t from, to;
	uint8_t data[CHAIN_PIECE];
};

struct chain {
	struct chain_piece *head, *tail;
	uint32_t n;
};

void chain_slab_init(struct slab *s, size_t bytes);
void chain_fini(struct chain *c, struct slab *s);
/* At most n bytes of iov, from `skip` on. */
bool chain_add(
        struct chain *c, struct slab *s, const struct iovec *iov, int n_iov, size_t skip, size_t n);
/* The first bytes, at most n, in place; the number of iov filled. */
int chain_front(const struct chain *c, struct iovec *iov, int max, size_t n);
/* Copies what is there from `off` on; how much that was. */
size_t chain_copy(const struct chain *c, size_t off, const struct iovec *iov, int n_iov);
void chain_eat(struct chain *c, struct slab *s, size_t n);
