/* list: an intrusive, circular, doubly linked list.
 *
 * Owner    the node lives in the thing that is listed; a list head is a node that lists nothing.
 * Order    list_init before any use; a node that is on no list points to itself, so list_del is
 *          legal at any time and idempotent. */
#pragma once

#include "base/mem.h"

#include <stdbool.h>

struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_insert(struct list *n, struct list *prev, struct list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}

static inline void
list_push(struct list *head, struct list *n) /* at the front */
{
	list_insert(n, head, head->next);
}

static inline void
list_add(struct list *head, struct list *n) /* at the tail */
{
	list_insert(n, head->prev, head);
}

static inline void
list_del(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

static inline struct list *
list_pop(struct list *head) /* NULL when empty */
{
	if (list_empty(head))
		return NULL;
	struct list *n = head->next;
	list_del(n);
	return n;
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FOR_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* `it` may be deleted inside the loop; its neighbour may not. */
#define LIST_FOR_EACH_SAFE(it, head)                                              \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
	        it = it##_next, it##_next = it->next)
