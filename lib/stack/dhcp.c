/* The server of one lease. It remembers nothing: the guest's address is always the same, and any
 * guest may have it.
 *
 * Every reply goes out twice, first to everybody and then to the client's own address, since some
 * clients hear only the one and some only the other; a NAK goes to everybody alone. The first
 * options always come in the same order, then whatever the client asked for. */
#include "stack/stack_int.h"

#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/udp.h"

enum { MESSAGE_MOST = 1500 };

static const struct ip everybody = {{[10] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static void
put_text(struct wr *w, uint8_t code, const char *text)
{
	if (text && *text)
		dhcp_opt(w, code, span_str(text));
}

static void
put_broadcast(struct wr *w, const struct stack_conf *c)
{
	uint32_t host = UINT32_MAX >> (c->prefix_bits - 96);
	dhcp_opt_u32(w, DHCP_OPT_BROADCAST, ip_u32(&c->gateway) | host);
}

/* RFC 3442: whoever takes these routes ignores the router option, so the default route has to be
 * among them. */
static void
put_routes(struct wr *w, uint8_t code, const struct stack_conf *c)
{
	uint8_t b[MESSAGE_MOST];
	struct wr o = wr_init(b, sizeof b);
	struct rd r = rd_init(c->routes);
	bool has_default = false;
	while (rd_left(&r) && !r.bad) {
		uint8_t bits = rd_u8(&r);
		rd_bytes(&r, (bits + 7u) / 8 + 4);
		has_default |= !bits;
	}
	wr_span(&o, c->routes);
	if (!has_default) {
		wr_u8(&o, 0);
		wr_u32(&o, ip_u32(&c->gateway));
	}
	if (c->routes.n && !r.bad && !o.bad)
		dhcp_opt(w, code, span(b, wr_len(&o)));
}

static void
put_asked(const struct stack *st, struct wr *w, uint8_t code)
{
	const struct stack_conf *c = conf_of(st);
	switch (code) {
	case DHCP_OPT_HOSTNAME: put_text(w, code, c->hostname); break;
	case DHCP_OPT_DOMAIN: put_text(w, code, c->domain); break;
	case DHCP_OPT_MTU: dhcp_opt_u16(w, code, (uint16_t)lan_mtu(st)); break;
	case DHCP_OPT_BROADCAST: put_broadcast(w, c); break;
	case DHCP_OPT_NTP: dhcp_opt_ips(w, code, c->ntp, c->n_ntp); break;
	case DHCP_OPT_SEARCH:
		if (c->search.n)
			dhcp_opt(w, code, c->search);
		break;
	case DHCP_OPT_ROUTES:
	case DHCP_OPT_MS_ROUTES: put_routes(w, code, c); break;
	case DHCP_OPT_WPAD: put_text(w, code, c->wpad); break;
	default: break;
	}
}

static void
put_lease(struct wr *w, const struct stack_conf *c)
{
	dhcp_opt_u32(w, DHCP_OPT_LEASE, c->lease_s);
	dhcp_opt_u32(w, DHCP_OPT_T1, c->lease_s / 2);
	dhcp_opt_u32(w, DHCP_OPT_T2, (uint32_t)((uint64_t)c->lease_s * 7 / 8));
}

static void
put_options(const struct stack *st, struct wr *w, const struct dhcp *ask, uint8_t type)
{
	const struct stack_conf *c = conf_of(st);
	uint32_t mask = ~(UINT32_MAX >> (c->prefix_bits - 96));
	dhcp_opt_ip(w, DHCP_OPT_SERVER, &c->gateway);
	if (type == DHCP_NAK)
		return;
	dhcp_opt_u32(w, DHCP_OPT_MASK, mask);
	dhcp_opt_ip(w, DHCP_OPT_ROUTER, &c->gateway);
	dhcp_opt_ip(w, DHCP_OPT_DNS, &c->gateway);
	if (ask->type != DHCP_INFORM)
		put_lease(w, c);
	bool done[256] = {false};
	for (size_t i = 0; i < ask->params.n; i++) {
		uint8_t code = ask->params.p[i];
		if (!done[code])
			put_asked(st, w, code);
		done[code] = true;
	}
}

static struct span
build(const struct stack *st, uint8_t buf[MESSAGE_MOST], const struct dhcp *ask, uint8_t type)
{
	const struct stack_conf *c = conf_of(st);
	size_t most = ask->max_size > DHCP_MOST_UNASKED ? ask->max_size : DHCP_MOST_UNASKED;
	size_t fits = c->mtu - ip_head_len(&c->gateway) + ETHER_HEAD - UDP_HEAD;
	struct dhcp d = {
	        .op = DHCP_FROM_SERVER,
	        .type = type,
	        .xid = ask->xid,
	        .flags = ask->flags,
	        .chaddr = ask->chaddr,
	};
	if (type != DHCP_NAK)
		d.siaddr = c->gateway;
	if (ask->type == DHCP_INFORM)
		d.ciaddr = ask->ciaddr;
	else if (type != DHCP_NAK)
		d.yiaddr = c->guest;
	if (most > fits)
		most = fits;
	struct wr w = wr_init(buf, most < MESSAGE_MOST ? most : MESSAGE_MOST);
	dhcp_begin(&w, &d);
	put_options(st, &w, ask, type);
	dhcp_end(&w);
	return w.bad ? SPAN_NONE : span(buf, wr_len(&w));
}

static void
send_to(struct stack *st, const struct mac *mac, const struct ip *dst, struct span msg)
{
	struct ippkt k = {.src = conf_of(st)->gateway, .dst = *dst, .proto = IPPROTO_UDP};
	uint8_t *p = ctl_frame(st, ip_head_len(&k.src) + UDP_HEAD + msg.n);
	if (!p)
		return;
	p = ip_head_to(st, p, mac, &k, UDP_HEAD + msg.n);
	udp_put(p, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, &k.src, &k.dst, msg.n,
	        checksum_sum(msg.p, msg.n));
	memcpy(p + UDP_HEAD, msg.p, msg.n);
}

static void
reply(struct stack *st, const struct dhcp *ask, uint8_t type)
{
	static const struct mac all = MAC_BROADCAST;
	uint8_t buf[MESSAGE_MOST];
	struct span msg = build(st, buf, ask, type);
	bool keeps = ask->type == DHCP_INFORM && lan_is_guest(st, &ask->ciaddr);
	if (!msg.n)
		return;
	send_to(st, &all, &everybody, msg);
	if (type != DHCP_NAK && !mac_is_multicast(&ask->chaddr))
		send_to(st, &ask->chaddr, keeps ? &ask->ciaddr : &conf_of(st)->guest, msg);
}

static void
request(struct stack *st, const struct dhcp *d)
{
	const struct ip *want = ip_is_unspecified(&d->requested) ? &d->ciaddr : &d->requested;
	if (!ip_is_unspecified(want) && !ip_eq(want, &conf_of(st)->guest)) {
		reply(st, d, DHCP_NAK);
		return;
	}
	lan_learn(st, &conf_of(st)->guest, &d->chaddr);
	reply(st, d, DHCP_ACK);
}

void
dhcp_input(struct stack *st, struct span message)
{
	struct dhcp d;
	stats_of(st)->dhcp_in++;
	if (dhcp_parse(message, &d) < 0) {
		stats_of(st)->frames_bad++;
		return;
	}
	/* Meant for another server: this guest has been in another network. */
	if (!ip_is_unspecified(&d.server) && !lan_is_gateway(st, &d.server))
		return;
	switch (d.type) {
	case DHCP_DISCOVER: reply(st, &d, DHCP_OFFER); break;
	case DHCP_REQUEST: request(st, &d); break;
	case DHCP_INFORM: reply(st, &d, DHCP_ACK); break;
	case DHCP_DECLINE:
	case DHCP_RELEASE: lan_forget(st, &conf_of(st)->guest); break;
	default: break;
	}
}
