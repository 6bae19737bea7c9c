/* Echo, and errors.
 *
 * An echo request to the world leaves through op ping_send under an id of ours: the guest's own
 * unless another address of the guest uses that already. Replies and errors find the way back by
 * that id. Errors about what the guest sent quote its packet where it is at hand, or else a
 * packet forged from what is remembered of it: its addresses and the first eight bytes behind the
 * IP header, all that RFC 792 promises. */
#include "stack/stack_int.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include <errno.h>

struct ping {
	struct hash_node by_guest, by_id;
	struct list use;
	uint64_t last;
	struct ip guest;
	uint16_t guest_id, id;
};

bool
rate_take(struct rate *r, uint32_t per_second, uint64_t now)
{
	if (!per_second)
		return true;
	uint64_t most = (uint64_t)per_second * 1000;
	uint64_t credit = most;
	if (r->started && now - r->at < 1000)
		credit = r->credit + (now - r->at) * per_second;
	if (credit > most)
		credit = most;
	r->at = now;
	r->started = true;
	r->credit = (uint32_t)credit;
	if (credit < 1000)
		return false;
	r->credit -= 1000;
	return true;
}

/* --- errors ----------------------------------------------------------------------------------- */

static const struct {
	int err;
	enum icmp_kind kind;
} errnos[] = {
        {ECONNREFUSED, ICMP_KIND_PORT_UNREACHABLE},
        {ENETUNREACH, ICMP_KIND_NET_UNREACHABLE},
        {ENETDOWN, ICMP_KIND_NET_UNREACHABLE},
        {EHOSTUNREACH, ICMP_KIND_HOST_UNREACHABLE},
        {EHOSTDOWN, ICMP_KIND_HOST_UNREACHABLE},
        {EACCES, ICMP_KIND_PROHIBITED},
        {EPERM, ICMP_KIND_PROHIBITED},
        {EMSGSIZE, ICMP_KIND_TOO_BIG},
        {ENOPROTOOPT, ICMP_KIND_PROTO_UNREACHABLE},
};

bool
icmp_of_errno(int err, struct icmpmsg *out)
{
	for (size_t i = 0; i < ARRAY_LEN(errnos); i++)
		if (errnos[i].err == err) {
			*out = (struct icmpmsg){.kind = errnos[i].kind};
			return true;
		}
	return false;
}

/* An address a router on the way could have. A host of the server's own network that happens to
 * look like one of the guest's is none, nor is the server itself. */
static bool
may_complain(const struct stack *st, const struct ip *a, const struct ippkt *k)
{
	static const struct ip loopback6 = {{[15] = 1}};
	struct cidr net = {.ip = conf_of(st)->gateway, .bits = conf_of(st)->prefix_bits};
	if (ip_is4(a) != ip_is4(&k->src) || lan_is_group(st, a) || cidr_has(&net, a))
		return false;
	return ip_is4(a) ? ip_u32(a) >> 24 != 127 : !ip_eq(a, &loopback6);
}

static const struct ip *
complainer(const struct stack *st, const struct ip *from, const struct ippkt *k,
        const struct icmpmsg *m)
{
	bool host_says = m->kind == ICMP_KIND_PORT_UNREACHABLE ||
	                 (m->kind == ICMP_KIND_PROTO_UNREACHABLE && from);
	if (host_says)
		return &k->dst;
	return from && may_complain(st, from, k) ? from : &conf_of(st)->gateway;
}

void
icmp_error(struct stack *st, const struct ip *from, const struct ippkt *k, const struct icmpmsg *m)
{
	if (st->lan.to_group || !icmp_may_answer(k) || !lan_is_guest(st, &k->src) ||
	        lan_is_group(st, &k->dst))
		return;
	if (!rate_take(&st->icmp.errors, conf_of(st)->icmp_error_rate, st->now))
		return;
	struct span quote = icmp_quote(k);
	struct ippkt out = {
	        .src = *complainer(st, from, k, m),
	        .dst = k->src,
	        .proto = icmp_proto(&k->src),
	};
	uint8_t head[ICMP_HEAD];
	icmp_put(head, m, &out.src, &out.dst, quote.n, checksum_sum(quote.p, quote.n));
	if (ctl_packet(st, &out, span(head, sizeof head), quote))
		stats_of(st)->icmp_errors_out++;
}

/* The next MTU down for a packet that was too big, where nobody said what would fit
 * (RFC 1191 7.1). */
static uint32_t
lower_mtu(size_t len)
{
	static const uint16_t plateau[] = {
	        32000, 17914, 8166, 4352, 2002, 1492, 1280, 1006, 508, 296};
	for (size_t i = 0; i < ARRAY_LEN(plateau); i++)
		if (plateau[i] < len)
			return plateau[i];
	return 68;
}

void
icmp_refuse(struct stack *st, const struct ippkt *k, int err)
{
	struct icmpmsg m;
	if (!icmp_of_errno(err, &m))
		return;
	if (m.kind == ICMP_KIND_TOO_BIG) {
		if (!k->dont_fragment)
			return;
		m.mtu = lower_mtu(k->whole.n);
	}
	icmp_error(st, NULL, k, &m);
}

bool
icmp_is_error_type(bool v6, uint8_t type)
{
	return v6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

void
icmp_forge(uint8_t buf[ICMP_FORGED_MOST], struct ippkt *k, const uint8_t l4[8], size_t l4_len)
{
	size_t head = ippkt_put(buf, k, l4_len);
	memcpy(buf + head, l4, 8);
	k->payload = span(buf + head, 8);
	k->whole = span(buf, head + 8);
}

/* --- ids of echo requests --------------------------------------------------------------------- */

static uint64_t
hash_guest(const struct stack *st, const struct ip *guest, uint16_t id)
{
	uint8_t key[18];
	memcpy(key, guest->b, 16);
	put16(key + 16, id);
	return siphash13(&st->sh->hash_key, key, sizeof key);
}

static uint64_t
hash_id(const struct stack *st, uint16_t id)
{
	return siphash13(&st->sh->hash_key, &id, sizeof id);
}

static struct ping *
find_guest(const struct stack *st, const struct ip *guest, uint16_t id)
{
	uint64_t h = hash_guest(st, guest, id);
	HASH_FOR_EACH (n, &st->icmp.by_guest, h) {
		struct ping *p = CONTAINER_OF(n, struct ping, by_guest);
		if (p->guest_id == id && ip_eq(&p->guest, guest))
			return p;
	}
	return NULL;
}

static struct ping *
find_id(const struct stack *st, uint16_t id)
{
	uint64_t h = hash_id(st, id);
	HASH_FOR_EACH (n, &st->icmp.by_id, h) {
		struct ping *p = CONTAINER_OF(n, struct ping, by_id);
		if (p->id == id)
			return p;
	}
	return NULL;
}

static void
forget(struct stack *st, struct ping *p)
{
	struct icmp_part *i = &st->icmp;
	hash_del(&i->by_guest, &p->by_guest);
	hash_del(&i->by_id, &p->by_id);
	list_del(&p->use);
	slab_free(&st->sh->batch->pings, p);
	i->n--;
}

static void
end_ping(struct stack *st, struct ping *p)
{
	uint16_t id = p->id;
	forget(st, p);
	ops_of(st)->ping_end(st, id);
}

static struct ping *
idlest(const struct stack *st)
{
	const struct list *l = &st->icmp.by_use;
	return list_empty(l) ? NULL : LIST_ENTRY(l->next, struct ping, use);
}

static void
on_idle(struct timer *t, uint64_t now)
{
	struct stack *st = CONTAINER_OF(t, struct stack, icmp.idle);
	uint32_t patience = conf_of(st)->ping_ms;
	struct ping *p;
	st->now = now;
	while ((p = idlest(st)) && p->last + patience <= now)
		end_ping(st, p);
	if (p)
		wheel_add(st->sh->wheel, t, p->last + patience);
}

static void
touch(struct stack *st, struct ping *p)
{
	struct icmp_part *i = &st->icmp;
	p->last = st->now;
	list_del(&p->use);
	list_add(&i->by_use, &p->use);
	if (!timer_armed(&i->idle))
		wheel_add(st->sh->wheel, &i->idle, st->now + conf_of(st)->ping_ms);
}

/* At the cap the idlest makes room, so at most ping_max ids are taken and the search ends. */
static struct ping *
new_ping(struct stack *st, const struct ip *guest, uint16_t id)
{
	struct icmp_part *i = &st->icmp;
	uint32_t most = conf_of(st)->ping_max;
	if (!most)
		return NULL;
	if (i->n >= (most < UINT16_MAX ? most : UINT16_MAX))
		end_ping(st, idlest(st));
	struct ping *p = slab_alloc(&st->sh->batch->pings);
	if (!p)
		return NULL;
	p->guest = *guest;
	p->guest_id = p->id = id;
	list_init(&p->use);
	while (find_id(st, p->id))
		p->id++;
	i->n++;
	if (!hash_add(&i->by_guest, &p->by_guest, hash_guest(st, guest, id)) ||
	        !hash_add(&i->by_id, &p->by_id, hash_id(st, p->id))) {
		forget(st, p);
		return NULL;
	}
	return p;
}

/* --- in and out ------------------------------------------------------------------------------- */

static void
send_reply(struct stack *st, const struct ippkt *k, uint16_t id, uint16_t seq, struct span body)
{
	struct icmpmsg m = {.kind = ICMP_KIND_ECHO_REPLY, .id = id, .seq = seq};
	uint8_t head[ICMP_HEAD];
	icmp_put(head, &m, &k->src, &k->dst, body.n, checksum_sum(body.p, body.n));
	ctl_packet(st, k, span(head, sizeof head), body);
}

static void
ping_world(struct stack *st, const struct ippkt *k, const struct icmpmsg *m)
{
	struct endpoint dst = {.ip = k->dst};
	if (!ops_of(st)->filter(st, k->proto, &dst)) {
		stats_of(st)->filtered++;
		icmp_refuse(st, k, EACCES);
		return;
	}
	if (!rate_take(&st->icmp.pings, conf_of(st)->ping_rate, st->now))
		return;
	struct ping *p = find_guest(st, &k->src, m->id);
	bool fresh = !p;
	if (!p)
		p = new_ping(st, &k->src, m->id);
	if (!p)
		return;
	int r = ops_of(st)->ping_send(st, &k->dst, p->id, m->seq, m->body, (uint8_t)(k->ttl - 1));
	if (r == 0)
		touch(st, p);
	else if (fresh)
		forget(st, p);
	if (r < 0)
		icmp_refuse(st, k, -r);
}

void
icmp_input(struct stack *st, const struct ippkt *k)
{
	struct icmpmsg m;
	stats_of(st)->icmp_in++;
	if (icmp_parse(k, &m) < 0) {
		stats_of(st)->frames_bad++;
		return;
	}
	if (m.kind != ICMP_KIND_ECHO || lan_is_group(st, &k->dst))
		return;
	if (!lan_is_gateway(st, &k->dst)) {
		ping_world(st, k, &m);
		return;
	}
	struct ippkt reply = {.src = k->dst, .dst = k->src, .proto = k->proto, .tos = k->tos};
	send_reply(st, &reply, m.id, m.seq, m.body);
}

void
stack_ping_reply(struct stack *st, const struct ip *src, uint16_t id, uint16_t seq,
        struct span payload, uint8_t ttl, uint64_t now)
{
	st->now = now;
	struct ping *p = find_id(st, id);
	if (!p || ip_is4(src) != ip_is4(&p->guest))
		return;
	touch(st, p);
	struct ippkt reply = {
	        .src = *src,
	        .dst = p->guest,
	        .proto = icmp_proto(src),
	        .ttl = ttl > 1 ? ttl - 1 : ttl,
	};
	send_reply(st, &reply, p->guest_id, seq, payload);
}

void
stack_ping_error(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq,
        const struct ip *from, uint8_t type, uint8_t code, uint32_t mtu, uint64_t now)
{
	st->now = now;
	struct ping *p = find_id(st, id);
	if (!p || ip_is4(dst) != ip_is4(&p->guest) || !icmp_is_error_type(!ip_is4(dst), type))
		return;
	bool v6 = !ip_is4(dst);
	struct ippkt k = {.src = p->guest, .dst = *dst, .proto = icmp_proto(dst), .ttl = 1};
	struct icmpmsg echo = {.kind = ICMP_KIND_ECHO, .id = p->guest_id, .seq = seq};
	struct icmpmsg m = {
	        .kind = icmp_kind_of(v6, type, code),
	        .type = type,
	        .code = code,
	        .mtu = mtu,
	};
	uint8_t l4[ICMP_HEAD], buf[ICMP_FORGED_MOST];
	icmp_put(l4, &echo, &k.src, &k.dst, 0, 0);
	icmp_forge(buf, &k, l4, ICMP_HEAD);
	icmp_error(st, from, &k, &m);
}

/* --- life ------------------------------------------------------------------------------------- */

void
icmp_batch_init(struct stack_batch *b)
{
	slab_init(&b->pings, sizeof(struct ping), UINT32_MAX);
}

void
icmp_init(struct stack *st)
{
	list_init(&st->icmp.by_use);
	timer_init(&st->icmp.idle, on_idle);
}

void
icmp_fini(struct stack *st)
{
	struct icmp_part *i = &st->icmp;
	for (struct ping *p; (p = idlest(st));)
		end_ping(st, p);
	wheel_del(st->sh->wheel, &i->idle);
	hash_fini(&i->by_guest);
	hash_fini(&i->by_id);
}

size_t
icmp_memory(const struct stack *st)
{
	const struct icmp_part *i = &st->icmp;
	return i->n * sizeof(struct ping) +
	       ((size_t)i->by_guest.size + i->by_id.size) * sizeof(struct hash_node *);
}
