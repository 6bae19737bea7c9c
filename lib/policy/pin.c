#include "policy/pin.h"

#include <stdlib.h>

struct pin {
	struct hash_node node;
	struct list recent;
	struct ip ip;
	uint64_t expires;
};

void
pin_init(struct pins *t, const struct hash_key *key, uint32_t cap, uint64_t grace_ms)
{
	*t = (struct pins){.key = key, .cap = cap, .grace_ms = grace_ms};
	hash_init(&t->table);
	list_init(&t->recent);
}

static void
drop(struct pins *t, struct pin *p)
{
	hash_del(&t->table, &p->node);
	list_del(&p->recent);
	t->used--;
	free(p);
}

void
pin_fini(struct pins *t)
{
	while (!list_empty(&t->recent))
		drop(t, LIST_ENTRY(t->recent.next, struct pin, recent));
	hash_fini(&t->table);
}

static struct pin *
find(const struct pins *t, const struct ip *ip, uint64_t h)
{
	HASH_FOR_EACH (it, &t->table, h) {
		struct pin *p = CONTAINER_OF(it, struct pin, node);
		if (ip_eq(&p->ip, ip))
			return p;
	}
	return NULL;
}

static struct pin *
make(struct pins *t, const struct ip *ip, uint64_t h)
{
	if (!t->cap)
		return NULL;
	if (t->used >= t->cap)
		drop(t, LIST_ENTRY(t->recent.prev, struct pin, recent));
	struct pin *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->ip = *ip;
	if (!hash_add(&t->table, &p->node, h)) {
		free(p);
		return NULL;
	}
	list_push(&t->recent, &p->recent);
	t->used++;
	return p;
}

static void
touch(struct pins *t, struct pin *p)
{
	list_del(&p->recent);
	list_push(&t->recent, &p->recent);
}

bool
pin_add(struct pins *t, const struct ip *ip, uint64_t ttl_ms, uint64_t now)
{
	uint64_t h = siphash13(t->key, ip->b, sizeof ip->b);
	uint64_t room = UINT64_MAX - now - t->grace_ms;
	uint64_t until = now + t->grace_ms + (ttl_ms < room ? ttl_ms : room);
	struct pin *p = find(t, ip, h);
	if (p)
		touch(t, p);
	else
		p = make(t, ip, h);
	if (!p)
		return false;
	if (p->expires < until)
		p->expires = until;
	return true;
}

bool
pin_has(struct pins *t, const struct ip *ip, uint64_t now)
{
	struct pin *p = find(t, ip, siphash13(t->key, ip->b, sizeof ip->b));
	if (!p)
		return false;
	if (p->expires <= now) {
		drop(t, p);
		return false;
	}
	touch(t, p);
	return true;
}
