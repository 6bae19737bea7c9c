/* udp_int: what the udp*.c files share.
 *
 *   udp.c        datagrams from the guest, news from sockets
 *   udp_flow.c   bindings and flows: finding, beginning, ending, patience
 *   udp_queue.c  datagrams that wait for the guest
 */
#pragma once

#include "stack/stack_int.h"
#include "stack/udp.h"

struct udp_flow {
	struct hash_node node;
	struct list of;  /* its binding */
	struct list use; /* one of udp_part.use */
	struct udp_binding *b;
	uint64_t last;
	struct endpoint remote;
	uint16_t len, sum, id; /* of the last datagram sent: an error about it quotes them */
	uint8_t tos;
	bool replied;
};

struct udp_flow *udp_flow_find(
        const struct stack *st, const struct endpoint *guest, const struct endpoint *remote);
/* NULL: at the limit (counted), or no memory. */
struct udp_flow *udp_flow_open(
        struct stack *st, const struct endpoint *guest, const struct endpoint *remote);
/* And its binding, if this was the last. */
void udp_flow_close(struct stack *st, struct udp_flow *f);
/* It carried something. */
void udp_flow_touch(struct stack *st, struct udp_flow *f);

void udp_queue_init(struct udp_binding *b);
void udp_queue_fini(struct stack *st, struct udp_binding *b);
/* False: dropped. */
bool udp_queue_add(
        struct stack *st, struct udp_binding *b, const struct endpoint *src, struct span payload);
