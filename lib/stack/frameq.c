/* A node holds records one after another: a head, the frame, the next head. A record whose frame
 * is longer than what its node has left goes on at the start of the following nodes; that happens
 * only to frames that are longer than a node, so a short one is always in one piece. */
#include "stack/frameq.h"

#include <assert.h>
#include <string.h>

struct node {
	struct list link;
	uint16_t start, end; /* of the bytes in use */
	uint8_t data[STACK_NODE - 24];
};

struct head {
	uint32_t stamp;
	uint16_t len;
	uint16_t more;
};

static_assert(sizeof(struct node) == STACK_NODE);
static_assert(FRAMEQ_NODE_MOST == sizeof((struct node *)0)->data - sizeof(struct head));

#define NODE(l) LIST_ENTRY(l, struct node, link)

void
frameq_init(struct frameq *q)
{
	*q = (struct frameq){0};
	list_init(&q->nodes);
}

static void
drop_node(struct frameq *q, struct slab *nodes, struct list *l)
{
	list_del(l);
	slab_free(nodes, NODE(l));
	q->bytes -= STACK_NODE;
}

void
frameq_clear(struct frameq *q, struct slab *nodes)
{
	while (!list_empty(&q->nodes))
		drop_node(q, nodes, q->nodes.next);
	frameq_init(q);
}

static struct node *
add_node(struct frameq *q, struct slab *nodes)
{
	struct node *n = slab_alloc(nodes);
	if (!n)
		return NULL;
	list_add(&q->nodes, &n->link);
	q->bytes += STACK_NODE;
	return n;
}

/* A node whose free end takes a head and, if it can be had at all, len bytes in one piece. */
static struct node *
node_for(struct frameq *q, struct slab *nodes, size_t len)
{
	struct node *n = list_empty(&q->nodes) ? NULL : NODE(q->nodes.prev);
	if (n && n->end + sizeof(struct head) + len <= sizeof n->data)
		return n;
	return add_node(q, nodes);
}

static void
put_head(struct frameq *q, struct node *n, size_t len, uint32_t stamp, bool more)
{
	struct head h = {.stamp = stamp, .len = (uint16_t)len, .more = more};
	memcpy(n->data + n->end, &h, sizeof h);
	n->end += sizeof h;
	q->frames++;
	q->groups += !more;
}

uint8_t *
frameq_room(struct frameq *q, struct slab *nodes, size_t len, uint32_t stamp, bool more)
{
	struct node *n = len <= FRAMEQ_NODE_MOST ? node_for(q, nodes, len) : NULL;
	if (!n)
		return NULL;
	put_head(q, n, len, stamp, more);
	uint8_t *p = n->data + n->end;
	n->end += (uint16_t)len;
	return p;
}

static size_t
node_put(struct node *n, const uint8_t *p, size_t len)
{
	size_t room = sizeof n->data - n->end;
	if (len > room)
		len = room;
	if (len)
		memcpy(n->data + n->end, p, len);
	n->end += (uint16_t)len;
	return len;
}

bool
frameq_add(struct frameq *q, struct slab *nodes, const struct iovec *v, size_t n, uint32_t stamp,
        bool more)
{
	struct frameq_mark mark = frameq_mark(q);
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		len += v[i].iov_len;
	struct node *to = len <= UINT16_MAX ? node_for(q, nodes, len) : NULL;
	if (!to)
		return false;
	put_head(q, to, len, stamp, more);
	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < v[i].iov_len;) {
			size_t did = node_put(
			        to, (const uint8_t *)v[i].iov_base + at, v[i].iov_len - at);
			at += did;
			if (!did && !(to = add_node(q, nodes))) {
				frameq_undo(q, nodes, mark);
				return false;
			}
		}
	return true;
}

struct frameq_mark
frameq_mark(const struct frameq *q)
{
	bool empty = list_empty(&q->nodes);
	return (struct frameq_mark){
	        .last = empty ? NULL : q->nodes.prev,
	        .frames = q->frames,
	        .groups = q->groups,
	        .end = empty ? 0 : NODE(q->nodes.prev)->end,
	};
}

void
frameq_undo(struct frameq *q, struct slab *nodes, struct frameq_mark mark)
{
	while (!list_empty(&q->nodes) && q->nodes.prev != mark.last)
		drop_node(q, nodes, q->nodes.prev);
	if (mark.last)
		NODE(mark.last)->end = mark.end;
	q->frames = mark.frames;
	q->groups = mark.groups;
}

static struct head
first(const struct frameq *q)
{
	const struct node *n = NODE(q->nodes.next);
	struct head h;
	memcpy(&h, n->data + n->start, sizeof h);
	return h;
}

uint32_t
frameq_stamp(const struct frameq *q)
{
	return first(q).stamp;
}

/* Move len bytes off the front, to `to` if that is not NULL. */
static void
take(struct frameq *q, struct slab *nodes, uint8_t *to, size_t len)
{
	do {
		struct node *n = NODE(q->nodes.next);
		size_t part = (size_t)(n->end - n->start);
		if (part > len)
			part = len;
		if (to) {
			memcpy(to, n->data + n->start, part);
			to += part;
		}
		len -= part;
		n->start += (uint16_t)part;
		if (n->start == n->end)
			drop_node(q, nodes, &n->link);
	} while (len);
}

static void
take_head(struct frameq *q, const struct head *h)
{
	NODE(q->nodes.next)->start += sizeof *h;
	q->frames--;
	q->groups -= !h->more;
	q->cut = h->more;
}

uint32_t
frameq_drop(struct frameq *q, struct slab *nodes)
{
	uint32_t n = 0;
	do {
		struct head h = first(q);
		take_head(q, &h);
		take(q, nodes, NULL, h.len);
		n++;
	} while (q->cut && q->frames);
	q->cut = false;
	return n;
}

size_t
frameq_emit(struct frameq *q, struct slab *nodes, struct emit *e, size_t least)
{
	struct head h = first(q);
	size_t len = h.len < least ? least : h.len;
	uint8_t *p = emit_frame(e, len);
	if (!p && e->full)
		return 0;
	take_head(q, &h);
	take(q, nodes, p, h.len);
	if (p)
		memset(p + h.len, 0, len - h.len);
	return len;
}
