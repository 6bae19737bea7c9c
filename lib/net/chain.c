#include "net/chain.h"

#include <string.h>

void
chain_slab_init(struct slab *s, size_t bytes)
{
	size_t pieces = bytes / CHAIN_PIECE;
	slab_init(
	        s, sizeof(struct chain_piece), pieces < UINT32_MAX ? (uint32_t)pieces : UINT32_MAX);
}

void
chain_fini(struct chain *c, struct slab *s)
{
	chain_eat(c, s, c->n);
}

/* Empty pieces behind the tail, enough for n bytes more. */
static struct chain_piece *
more_pieces(const struct chain *c, struct slab *s, size_t n, bool *ok)
{
	size_t have = c->tail ? CHAIN_PIECE - c->tail->to : 0;
	struct chain_piece *fresh = NULL;
	*ok = true;
	for (; have < n; have += CHAIN_PIECE) {
		struct chain_piece *p = slab_alloc(s);
		if (!p) {
			*ok = false;
			break;
		}
		p->next = fresh;
		fresh = p;
	}
	while (!*ok && fresh) {
		struct chain_piece *p = fresh;
		fresh = p->next;
		slab_free(s, p);
	}
	return fresh;
}

static void
append(struct chain *c, const uint8_t *p, size_t n, struct chain_piece **fresh)
{
	while (n) {
		if (!c->tail || c->tail->to == CHAIN_PIECE) {
			struct chain_piece *q = *fresh;
			*fresh = q->next;
			q->next = NULL;
			if (c->tail)
				c->tail->next = q;
			else
				c->head = q;
			c->tail = q;
		}
		size_t k = CHAIN_PIECE - c->tail->to;
		k = k < n ? k : n;
		memcpy(c->tail->data + c->tail->to, p, k);
		c->tail->to += (uint32_t)k;
		c->n += (uint32_t)k;
		p += k;
		n -= k;
	}
}

bool
chain_add(
        struct chain *c, struct slab *s, const struct iovec *iov, int n_iov, size_t skip, size_t n)
{
	bool ok;
	struct chain_piece *fresh = more_pieces(c, s, n, &ok);
	if (!ok)
		return false;
	for (int i = 0; i < n_iov && n; i++) {
		size_t len = iov[i].iov_len;
		if (skip >= len) {
			skip -= len;
			continue;
		}
		size_t k = len - skip < n ? len - skip : n;
		append(c, (const uint8_t *)iov[i].iov_base + skip, k, &fresh);
		skip = 0;
		n -= k;
	}
	return true;
}

int
chain_front(const struct chain *c, struct iovec *iov, int max, size_t n)
{
	int k = 0;
	for (struct chain_piece *p = c->head; p && k < max && n; p = p->next, k++) {
		size_t len = p->to - p->from;
		len = len < n ? len : n;
		iov[k] = (struct iovec){p->data + p->from, len};
		n -= len;
	}
	return k;
}

size_t
chain_copy(const struct chain *c, size_t off, const struct iovec *iov, int n_iov)
{
	const struct chain_piece *p = c->head;
	while (p && off >= p->to - p->from) {
		off -= p->to - p->from;
		p = p->next;
	}
	size_t done = 0, at = 0;
	for (int i = 0; p && i < n_iov;) {
		size_t left = p->to - p->from - off, want = iov[i].iov_len - at;
		size_t k = left < want ? left : want;
		memcpy((uint8_t *)iov[i].iov_base + at, p->data + p->from + off, k);
		done += k;
		at += k;
		off += k;
		if (at == iov[i].iov_len) {
			i++;
			at = 0;
		}
		if (off == p->to - p->from) {
			p = p->next;
			off = 0;
		}
	}
	return done;
}

void
chain_eat(struct chain *c, struct slab *s, size_t n)
{
	while (n && c->head) {
		struct chain_piece *p = c->head;
		size_t k = p->to - p->from;
		k = k < n ? k : n;
		p->from += (uint32_t)k;
		c->n -= (uint32_t)k;
		n -= k;
		if (p->from != p->to)
			break;
		c->head = p->next;
		if (!c->head)
			c->tail = NULL;
		slab_free(s, p);
	}
}
