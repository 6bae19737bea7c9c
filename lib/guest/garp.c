/* Neighbours: a small table of who has answered. A frame for somebody unknown waits with the
 * question, and goes when the answer comes or is lost with it. */
#include "guest/guest_int.h"

#include "wire/arp.h"
#include "wire/ether.h"

#include <errno.h>

enum {
	TRIES = 3,
	AGAIN_MS = 1000,
};

static struct neighbour *
find(const struct guest *g, const struct ip *ip)
{
	for (size_t i = 0; i < GUEST_NEIGHBOURS; i++) {
		const struct neighbour *n = &g->neighbour[i];
		if (n->state != NEIGHBOUR_UNKNOWN && ip_eq(&n->ip, ip))
			return (struct neighbour *)n;
	}
	return NULL;
}

static void
send_arp(struct guest *g, const struct arp *a, const struct mac *to)
{
	struct gframe *f = gframe_new(g, ETHER_HEAD + ARP_LEN);
	if (!f)
		return;
	ether_put(f->b, to, &g->conf.mac, ETHER_ARP);
	arp_put(f->b + ETHER_HEAD, a);
	gframe_queue(g, f);
}

static void
ask(struct neighbour *n, uint64_t now)
{
	struct guest *g = n->g;
	struct arp a = {
	        .op = ARP_REQUEST,
	        .sender_mac = g->conf.mac,
	        .sender = guest_source(g, &n->ip),
	        .target = n->ip,
	};
	send_arp(g, &a, &MAC_BROADCAST);
	n->tries++;
	wheel_add(g->conf.wheel, &n->timer, now + AGAIN_MS);
}

static void
drop_waiting(struct neighbour *n)
{
	for (struct list *l; (l = list_pop(&n->waiting));) {
		n->g->stats.dropped++;
		gframe_free(n->g, LIST_ENTRY(l, struct gframe, node));
	}
}

static void
on_timer(struct timer *t, uint64_t now)
{
	struct neighbour *n = CONTAINER_OF(t, struct neighbour, timer);
	if (n->tries < TRIES) {
		ask(n, now);
		return;
	}
	n->state = NEIGHBOUR_SILENT;
	drop_waiting(n);
	gtcp_neighbour(n->g, &n->ip, false, now);
	guest_event(n->g);
}

void
garp_init(struct guest *g)
{
	for (size_t i = 0; i < GUEST_NEIGHBOURS; i++) {
		struct neighbour *n = &g->neighbour[i];
		n->g = g;
		timer_init(&n->timer, on_timer);
		list_init(&n->waiting);
	}
}

void
garp_fini(struct guest *g)
{
	for (size_t i = 0; i < GUEST_NEIGHBOURS; i++) {
		wheel_del(g->conf.wheel, &g->neighbour[i].timer);
		drop_waiting(&g->neighbour[i]);
	}
}

/* A free place, or that of whoever has been here longest. */
static struct neighbour *
place(struct guest *g)
{
	struct neighbour *n = &g->neighbour[g->next_neighbour++ % GUEST_NEIGHBOURS];
	wheel_del(g->conf.wheel, &n->timer);
	drop_waiting(n);
	return n;
}

void
guest_resolve(struct guest *g, const struct ip *ip, uint64_t now)
{
	if (!ip_is4(ip))
		return;
	struct neighbour *n = find(g, ip);
	if (!n) {
		n = place(g);
		n->ip = *ip;
	}
	n->state = NEIGHBOUR_ASKED;
	n->tries = 0;
	ask(n, now);
}

enum guest_neighbour
guest_neighbour(const struct guest *g, const struct ip *ip, struct mac *out)
{
	const struct neighbour *n = find(g, ip);
	if (!n)
		return NEIGHBOUR_UNKNOWN;
	if (n->state == NEIGHBOUR_FOUND)
		*out = n->mac;
	return n->state;
}

static void
go(struct guest *g, struct gframe *f, const struct mac *to)
{
	memcpy(f->b, to->b, sizeof to->b);
	gframe_queue(g, f);
}

void
garp_send_take(struct guest *g, const struct ip *hop, struct gframe *f, uint64_t now)
{
	struct mac mac;
	enum guest_neighbour state = guest_neighbour(g, hop, &mac);
	if (state == NEIGHBOUR_FOUND) {
		go(g, f, &mac);
		return;
	}
	if (state != NEIGHBOUR_ASKED)
		guest_resolve(g, hop, now);
	struct neighbour *n = find(g, hop);
	if (n)
		list_add(&n->waiting, &f->node);
	else
		gframe_free(g, f);
}

static void
learned(struct neighbour *n, const struct mac *mac, uint64_t now)
{
	n->state = NEIGHBOUR_FOUND;
	n->mac = *mac;
	wheel_del(n->g->conf.wheel, &n->timer);
	for (struct list *l; (l = list_pop(&n->waiting));)
		go(n->g, LIST_ENTRY(l, struct gframe, node), mac);
	gtcp_neighbour(n->g, &n->ip, true, now);
	guest_event(n->g);
}

void
garp_input(struct guest *g, struct span payload, uint64_t now)
{
	struct arp a;
	if (arp_parse(payload, &a) < 0) {
		g->stats.bad++;
		return;
	}
	struct neighbour *n = find(g, &a.sender);
	if (n && a.op == ARP_REPLY)
		learned(n, &a.sender_mac, now);
	if (a.op != ARP_REQUEST || ip_is_unspecified(&g->net.addr) ||
	        !ip_eq(&a.target, &g->net.addr))
		return;
	struct arp reply = {
	        .op = ARP_REPLY,
	        .sender_mac = g->conf.mac,
	        .sender = g->net.addr,
	        .target_mac = a.sender_mac,
	        .target = a.sender,
	};
	send_arp(g, &reply, &a.sender_mac);
}
