/* The guest may have any address of its network, several at once, and change them: it is known by
 * what it sends. DHCP only tells it what it could use. */
#include "stack/stack_int.h"

#include "wire/ipv4.h"
#include "wire/ipv6.h"

enum { TTL = 64 };

void
lan_init(struct stack *st)
{
	st->lan.mac = MAC_BROADCAST;
	st->lan.ip = conf_of(st)->guest;
}

bool
lan_is_gateway(const struct stack *st, const struct ip *a)
{
	return ip_eq(a, &conf_of(st)->gateway);
}

static bool
on_link(const struct stack *st, const struct ip *a)
{
	const struct stack_conf *c = conf_of(st);
	struct cidr net = {.ip = c->gateway, .bits = c->prefix_bits};
	return cidr_has(&net, a);
}

/* All bits behind the prefix are the same: the network's own address or its broadcast. */
static bool
is_edge(const struct stack *st, const struct ip *a)
{
	unsigned prefix = conf_of(st)->prefix_bits;
	if (!ip_is4(a) || prefix < 96 || prefix > 126) /* RFC 3021: no edges in a /31 */
		return false;
	uint32_t host = UINT32_MAX >> (prefix - 96);
	uint32_t bits = ip_u32(a) & host;
	return bits == 0 || bits == host;
}

bool
lan_is_guest(const struct stack *st, const struct ip *a)
{
	return on_link(st, a) && !is_edge(st, a) && !lan_is_gateway(st, a);
}

bool
lan_is_group(const struct stack *st, const struct ip *a)
{
	if (!ip_is4(a))
		return a->b[0] == 0xff || ip_is_unspecified(a);
	uint32_t v = ip_u32(a);
	return v >> 28 == 14 || v == UINT32_MAX || v == 0 || (on_link(st, a) && is_edge(st, a));
}

static struct lan_host *
find(const struct stack *st, const struct ip *a)
{
	for (unsigned i = 0; i < st->lan.n; i++)
		if (ip_eq(&st->lan.host[i].ip, a))
			return (struct lan_host *)&st->lan.host[i];
	return NULL;
}

static struct lan_host *
add(struct lan *l, const struct ip *a)
{
	struct lan_host *h = &l->host[l->n < LAN_HOSTS ? l->n : l->turn++ % LAN_HOSTS];
	if (l->n < LAN_HOSTS)
		l->n++;
	h->ip = *a;
	return h;
}

void
lan_learn(struct stack *st, const struct ip *a, const struct mac *mac)
{
	struct lan *l = &st->lan;
	struct lan_host *h = find(st, a);
	if (!h)
		h = add(l, a);
	h->mac = l->mac = *mac;
	l->ip = *a;
	l->assigned = true;
}

void
lan_guess(struct stack *st, const struct ip *a, const struct mac *mac)
{
	if (mac_is_broadcast(&st->lan.mac))
		st->lan.mac = *mac;
	if (!find(st, a))
		add(&st->lan, a)->mac = *mac;
}

void
lan_forget(struct stack *st, const struct ip *a)
{
	if (ip_eq(&st->lan.ip, a))
		st->lan.assigned = false;
}

const struct mac *
lan_mac(const struct stack *st, const struct ip *a)
{
	const struct lan_host *h = find(st, a);
	return h ? &h->mac : &st->lan.mac;
}

size_t
lan_mtu(const struct stack *st)
{
	const struct stack_conf *c = conf_of(st);
	size_t most = c->max_frame > ETHER_HEAD ? c->max_frame - ETHER_HEAD : 0;
	return c->mtu < most ? c->mtu : most;
}

size_t
lan_frame_len(const struct stack *st, size_t len)
{
	return conf_of(st)->pad_frames && len < ETHER_LEAST ? ETHER_LEAST : len;
}

static uint8_t *
put_heads(struct stack *st, uint8_t *p, const struct mac *mac, const struct ippkt *k, size_t len)
{
	ether_put(p, mac, &conf_of(st)->gateway_mac, ip_is4(&k->src) ? ETHER_IPV4 : ETHER_IPV6);
	return p + ETHER_HEAD + ippkt_put(p + ETHER_HEAD, k, len);
}

/* What every packet of ours has in common. */
static struct ippkt
ours(struct stack *st, const struct ippkt *k)
{
	return (struct ippkt){
	        .src = k->src,
	        .dst = k->dst,
	        .proto = k->proto,
	        .tos = k->tos,
	        .ttl = k->ttl ? k->ttl : TTL,
	        .id = ++st->lan.ip_id,
	        .dont_fragment = true,
	};
}

uint8_t *
ip_head(struct stack *st, uint8_t *p, const struct ippkt *k, size_t l4_len)
{
	return ip_head_to(st, p, lan_mac(st, &k->dst), k, l4_len);
}

uint8_t *
ip_head_to(
        struct stack *st, uint8_t *p, const struct mac *mac, const struct ippkt *k, size_t l4_len)
{
	struct ippkt out = ours(st, k);
	return put_heads(st, p, mac, &out, l4_len);
}

/* The bytes [at, at + n) of head and body together, behind the headers in v[0]. */
static void
cut(struct iovec v[3], struct span head, struct span body, size_t at, size_t n)
{
	struct span a = span_first(span_skip(head, at), n);
	struct span b = span_skip(body, at > head.n ? at - head.n : 0);
	b = span_first(b, n - a.n);
	v[1] = (struct iovec){(void *)a.p, a.n};
	v[2] = (struct iovec){(void *)b.p, b.n};
}

bool
ip_queue(struct stack *st, struct frameq *q, const struct ippkt *k, struct span head,
        struct span body)
{
	struct slab *nodes = st->sh->nodes;
	struct frameq_mark mark = frameq_mark(q);
	struct ippkt out = ours(st, k);
	size_t total = head.n + body.n, mtu = lan_mtu(st), step = total;
	if (total + ippkt_head_len(&out) > mtu) {
		out.dont_fragment = false;
		out.more = true;
		if (mtu < ippkt_head_len(&out) + 8)
			return false;
		step = (mtu - ippkt_head_len(&out)) & ~(size_t)7;
	}
	for (size_t at = 0; at < total; at += step) {
		size_t n = total - at < step ? total - at : step;
		uint8_t heads[ETHER_HEAD + IPPKT_HEAD_MOST];
		struct iovec v[3];
		out.offset = (uint16_t)at;
		out.more = at + n < total;
		uint8_t *l4 = put_heads(st, heads, lan_mac(st, &k->dst), &out, n);
		v[0] = (struct iovec){heads, (size_t)(l4 - heads)};
		cut(v, head, body, at, n);
		if (!frameq_add(q, nodes, v, 3, (uint32_t)st->now, out.more)) {
			frameq_undo(q, nodes, mark);
			return false;
		}
	}
	return true;
}
