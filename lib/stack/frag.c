/* Nothing behind this file sees a fragment: a datagram is put together first, or it is dropped.
 *
 * Fragments that overlap end their datagram, and so does everything else that does not fit together
 * (RFC 5722 for IPv6; no honest sender of IPv4 needs better). So do first fragments too short for
 * their transport header and second ones that could change it (RFC 1858, RFC 3128). An exact
 * duplicate is ignored. What one tunnel may hold is bounded in datagrams, bytes and time; the
 * oldest makes room. */
#include "stack/stack_int.h"

#include "wire/ipv4.h"
#include "wire/ipv6.h"

#include <stdlib.h>

enum {
	HEAD_ROOM = 40, /* in front of the data, for the header of the whole datagram */
	FIRST_CAP = 4096,
	TOTAL_MOST = 65535, /* what the length field of a header can say */
	RANGES = 24,
};

struct dgram {
	struct list node; /* open or done */
	uint64_t since;
	struct ippkt k; /* addresses, proto, id, and from the first fragment ttl and tos */
	uint8_t *mem;   /* HEAD_ROOM bytes, then cap bytes of data */
	uint32_t cap;
	uint32_t total; /* 0 = not known yet */
	bool bad;       /* its fragments are swallowed until it times out */
	uint8_t n;
	struct range {
		uint16_t start, end;
	} got[RANGES]; /* sorted, neither touching nor overlapping */
};

static void
set_mem(struct stack *st, struct dgram *d, uint8_t *mem, uint32_t cap)
{
	st->frag.bytes += cap - d->cap;
	d->mem = mem;
	d->cap = cap;
}

static void
spoil(struct stack *st, struct dgram *d)
{
	free(d->mem);
	set_mem(st, d, NULL, 0);
	d->bad = true;
}

/* From the list of open ones; its memory no longer counts. */
static void
leave(struct stack *st, struct dgram *d)
{
	list_del(&d->node);
	st->frag.bytes -= d->cap;
	st->frag.n--;
}

static void
drop(struct stack *st, struct dgram *d)
{
	leave(st, d);
	free(d->mem);
	free(d);
	stats_of(st)->frag_dropped++;
}

static struct dgram *
oldest(const struct stack *st)
{
	const struct list *l = &st->frag.open;
	return list_empty(l) ? NULL : LIST_ENTRY(l->next, struct dgram, node);
}

/* Header and data side by side, as one packet. */
static struct span
packet_of(const struct dgram *d, const struct ippkt *k, size_t len)
{
	size_t head = ippkt_head_len(k) > HEAD_ROOM ? HEAD_ROOM : ippkt_head_len(k);
	uint8_t *p = d->mem + HEAD_ROOM - head;
	struct ippkt plain = *k;
	plain.more = false;
	ippkt_put(p, &plain, len);
	return span(p, head + len);
}

/* RFC 1122 3.3.2: say so, if the first fragment is there to be quoted. */
static void
complain(struct stack *st, const struct dgram *d)
{
	static const struct icmpmsg late = {.kind = ICMP_KIND_REASSEMBLY_TIMEOUT};
	if (d->bad || !d->n || d->got[0].start)
		return;
	struct ippkt k = d->k;
	k.whole = packet_of(d, &k, d->got[0].end);
	k.payload = span(d->mem + HEAD_ROOM, d->got[0].end);
	icmp_error(st, NULL, &k, &late);
}

static void
arm(struct stack *st)
{
	struct dgram *d = oldest(st);
	if (d && !timer_armed(&st->frag.late))
		wheel_add(st->sh->wheel, &st->frag.late, d->since + conf_of(st)->frag_ms);
}

static void
on_late(struct timer *t, uint64_t now)
{
	struct stack *st = CONTAINER_OF(t, struct stack, frag.late);
	struct dgram *d;
	st->now = now;
	while ((d = oldest(st)) && d->since + conf_of(st)->frag_ms <= now) {
		complain(st, d);
		drop(st, d);
	}
	arm(st);
}

static struct dgram *
find(const struct stack *st, const struct ippkt *k)
{
	LIST_FOR_EACH (n, &st->frag.open) {
		struct dgram *d = LIST_ENTRY(n, struct dgram, node);
		bool same =
		        d->k.id == k->id && ip_eq(&d->k.src, &k->src) && ip_eq(&d->k.dst, &k->dst);
		if (same && (d->k.proto == k->proto || !ip_is4(&k->src)))
			return d;
	}
	return NULL;
}

static struct dgram *
begin(struct stack *st, const struct ippkt *k)
{
	uint32_t most = conf_of(st)->frag_count;
	if (!most)
		return NULL;
	while (st->frag.n >= most)
		drop(st, oldest(st));
	struct dgram *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->k = *k;
	d->k.more = d->k.dont_fragment = false;
	d->k.offset = 0;
	d->since = st->now;
	list_add(&st->frag.open, &d->node);
	st->frag.n++;
	arm(st);
	return d;
}

/* Memory for the first `need` bytes of data, others' if there is too little. */
static bool
make_room(struct stack *st, struct dgram *d, uint32_t need)
{
	uint32_t most = conf_of(st)->frag_bytes, want = d->cap ? d->cap * 2 : FIRST_CAP;
	if (need <= d->cap)
		return true;
	if (d->total)
		want = d->total;
	if (want > most)
		want = most;
	if (want < need)
		want = need;
	while (st->frag.bytes - d->cap + want > most) {
		struct dgram *old = oldest(st);
		if (old == d)
			old = d->node.next == &st->frag.open
			              ? NULL
			              : LIST_ENTRY(d->node.next, struct dgram, node);
		if (!old)
			return false;
		drop(st, old);
	}
	uint8_t *mem = realloc(d->mem, HEAD_ROOM + (size_t)want);
	if (mem)
		set_mem(st, d, mem, want);
	return mem;
}

/* Too short for what filters look at, or beginning inside it. */
static bool
is_tiny(const struct ippkt *k)
{
	size_t least = k->proto == IPPROTO_TCP ? 20 : 8;
	bool upper = k->proto == IPPROTO_TCP || k->proto == IPPROTO_UDP ||
	             k->proto == icmp_proto(&k->src);
	if (k->offset == 0)
		return upper && k->payload.n < least;
	return k->proto == IPPROTO_TCP && k->offset < least;
}

/* What is known of the datagram's length agrees with this fragment. */
static bool
fits(struct dgram *d, const struct ippkt *k, uint32_t end)
{
	if (k->more)
		return !d->total || end < d->total;
	if (d->total)
		return d->total == end;
	d->total = end;
	return !d->n || d->got[d->n - 1].end <= end;
}

static bool
is_duplicate(const struct dgram *d, const struct ippkt *k, uint32_t end)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->got[i].start <= k->offset && end <= d->got[i].end)
			return memcmp(d->mem + HEAD_ROOM + k->offset, k->payload.p, k->payload.n) ==
			       0;
	return false;
}

/* False: it overlaps what is there, or is a hole too many. */
static bool
mark(struct dgram *d, uint32_t start, uint32_t end)
{
	unsigned i = 0;
	while (i < d->n && d->got[i].end < start)
		i++;
	struct range *at = &d->got[i];
	if (i < d->n && at->end == start) {
		if (i + 1 < d->n && at[1].start < end)
			return false;
		at->end = (uint16_t)end;
		if (i + 1 < d->n && at[1].start == end) {
			at->end = at[1].end;
			memmove(at + 1, at + 2, (d->n - i - 2u) * sizeof *at);
			d->n--;
		}
		return true;
	}
	if (i < d->n && at->start < end)
		return false;
	if (i < d->n && at->start == end) {
		at->start = (uint16_t)start;
		return true;
	}
	if (d->n == RANGES)
		return false;
	memmove(at + 1, at, (d->n - i) * sizeof *at);
	*at = (struct range){(uint16_t)start, (uint16_t)end};
	d->n++;
	return true;
}

static bool
add(struct stack *st, struct dgram *d, const struct ippkt *k)
{
	uint32_t end = k->offset + (uint32_t)k->payload.n;
	uint32_t most = TOTAL_MOST - (ip_is4(&k->src) ? IPV4_HEAD : 0);
	if (is_tiny(k) || !k->payload.n || end > most || !fits(d, k, end))
		return false;
	if (is_duplicate(d, k, end))
		return true;
	if (!make_room(st, d, end) || !mark(d, k->offset, end))
		return false;
	memcpy(d->mem + HEAD_ROOM + k->offset, k->payload.p, k->payload.n);
	if (!k->offset) {
		d->k.proto = k->proto;
		d->k.ttl = k->ttl;
		d->k.tos = k->tos;
	}
	return true;
}

static bool
finish(struct stack *st, struct dgram *d, struct ippkt *whole)
{
	leave(st, d);
	list_add(&st->frag.done, &d->node);
	*whole = d->k;
	whole->payload = span(d->mem + HEAD_ROOM, d->total);
	if (!ip_is4(&d->k.src) && ipv6_upper(whole) < 0) {
		stats_of(st)->frag_dropped++;
		return false;
	}
	whole->whole = packet_of(d, &d->k, d->total);
	stats_of(st)->frag_done++;
	return true;
}

bool
frag_input(struct stack *st, const struct ippkt *k, struct ippkt *whole)
{
	struct dgram *d = find(st, k);
	stats_of(st)->frag_in++;
	if (!d)
		d = begin(st, k);
	if (!d || d->bad)
		return false;
	if (!add(st, d, k)) {
		spoil(st, d);
		return false;
	}
	if (d->total && d->n == 1 && d->got[0].start == 0 && d->got[0].end == d->total)
		return finish(st, d, whole);
	return false;
}

static void
free_done(struct stack *st)
{
	for (struct list *n; (n = list_pop(&st->frag.done));) {
		struct dgram *d = LIST_ENTRY(n, struct dgram, node);
		free(d->mem);
		free(d);
	}
}

void
frag_rx_end(struct stack *st)
{
	free_done(st);
}

void
frag_init(struct stack *st)
{
	list_init(&st->frag.open);
	list_init(&st->frag.done);
	timer_init(&st->frag.late, on_late);
}

void
frag_fini(struct stack *st)
{
	for (struct dgram *d; (d = oldest(st));)
		drop(st, d);
	free_done(st);
	wheel_del(st->sh->wheel, &st->frag.late);
}

size_t
frag_memory(const struct stack *st)
{
	return st->frag.bytes + st->frag.n * (sizeof(struct dgram) + HEAD_ROOM);
}
