/* A binding is a guest's port and one socket of the server; a flow is a binding and one remote
 * endpoint. The guest opens flows by sending; a datagram from outside is let in only by the flow
 * that it belongs to. */
#include "stack/udp_int.h"

#include "base/cursor.h"
#include "wire/dhcp.h"
#include "wire/udp.h"

#include <errno.h>

enum { PORT_DNS = 53 };

/* --- from the guest --------------------------------------------------------------------------- */

static void
remember(struct udp_flow *f, const struct ippkt *k)
{
	f->len = get16(k->payload.p + 4);
	f->sum = get16(k->payload.p + 6);
	f->id = (uint16_t)k->id;
	f->tos = k->tos;
}

static void
to_world(struct stack *st, const struct ippkt *k, const struct udpdgram *d)
{
	struct endpoint guest = {k->src, d->sport}, remote = {k->dst, d->dport};
	struct udp_flow *f = udp_flow_find(st, &guest, &remote);
	bool fresh = !f;
	if (!f)
		f = udp_flow_open(st, &guest, &remote);
	if (!f) {
		stats_of(st)->udp_dropped++;
		return;
	}
	remember(f, k);
	/* What is meant for the gateway itself but forwarded by it has no hop behind it. */
	uint8_t ttl = k->ttl > 1 ? k->ttl - 1 : 1;
	int r = ops_of(st)->udp_send(st, f->b, &remote, d->payload, ttl, k->tos);
	if (r == 0 || (r == -EMSGSIZE && !fresh)) {
		udp_flow_touch(st, f);
		st->udp.opened += fresh;
		stats_of(st)->udp_out += r == 0;
	} else {
		udp_flow_close(st, f);
	}
	if (r < 0 && r != -EACCES)
		icmp_refuse(st, k, -r);
}

static void
nat_input(struct stack *st, const struct ippkt *k, const struct udpdgram *d)
{
	static const struct icmpmsg closed = {.kind = ICMP_KIND_PORT_UNREACHABLE};
	struct endpoint remote = {k->dst, d->dport};
	if (!lan_is_guest(st, &k->src) || lan_is_group(st, &k->dst) || !d->sport || !d->dport)
		return;
	if (ops_of(st)->filter(st, IPPROTO_UDP, &remote)) {
		to_world(st, k, d);
		return;
	}
	stats_of(st)->filtered++;
	if (lan_is_gateway(st, &k->dst))
		icmp_error(st, NULL, k, &closed);
}

void
udp_input(struct stack *st, const struct ippkt *k)
{
	struct udpdgram d;
	if (udp_parse(k, &d) < 0) {
		stats_of(st)->frames_bad++;
		return;
	}
	if (d.sport == DHCP_CLIENT_PORT && d.dport == DHCP_SERVER_PORT)
		dhcp_input(st, d.payload);
	else if (d.dport == PORT_DNS && lan_is_gateway(st, &k->dst))
		dns_input(st, k, d.sport, d.payload);
	else
		nat_input(st, k, &d);
}

/* --- news ------------------------------------------------------------------------------------- */

void
stack_udp_input(struct stack *st, struct udp_binding *b, const struct endpoint *src,
        struct span payload, uint64_t now)
{
	st->now = now;
	struct udp_flow *f = udp_flow_find(st, &b->guest, src);
	if (!f || !udp_queue_add(st, b, src, payload)) {
		stats_of(st)->udp_dropped++;
		return;
	}
	stats_of(st)->udp_in++;
	f->replied = true;
	udp_flow_touch(st, f);
}

void
stack_udp_error(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
        const struct ip *from, uint8_t type, uint8_t code, uint32_t mtu, uint64_t now)
{
	st->now = now;
	bool v6 = !ip_is4(&dst->ip);
	struct udp_flow *f = udp_flow_find(st, &b->guest, dst);
	if (!f || !icmp_is_error_type(v6, type))
		return;
	struct ippkt k = {
	        .src = b->guest.ip,
	        .dst = dst->ip,
	        .proto = IPPROTO_UDP,
	        .ttl = 1,
	        .tos = f->tos,
	        .id = f->id,
	};
	struct icmpmsg m = {
	        .kind = icmp_kind_of(v6, type, code),
	        .type = type,
	        .code = code,
	        .mtu = mtu,
	};
	uint8_t l4[UDP_HEAD], buf[ICMP_FORGED_MOST];
	put16(l4, b->guest.port);
	put16(l4 + 2, dst->port);
	put16(l4 + 4, f->len);
	put16(l4 + 6, f->sum);
	icmp_forge(buf, &k, l4, f->len);
	icmp_error(st, from, &k, &m);
	if (m.kind == ICMP_KIND_PORT_UNREACHABLE)
		udp_flow_close(st, f);
}
