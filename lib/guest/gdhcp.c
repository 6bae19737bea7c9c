#include "guest/guest_int.h"

#include "base/crypto.h"
#include "wire/checksum.h"
#include "wire/dhcp.h"
#include "wire/udp.h"

enum {
	MESSAGE_MOST = 576,
	AGAIN_MS = 1000,
	AGAIN_DOUBLINGS = 3,
	REQUESTS_MOST = 4,
	LEASE_UNSAID_S = 3600,
};

static const uint8_t wanted[] = {
        DHCP_OPT_MASK,
        DHCP_OPT_ROUTER,
        DHCP_OPT_DNS,
        DHCP_OPT_DOMAIN,
        DHCP_OPT_MTU,
        DHCP_OPT_BROADCAST,
        DHCP_OPT_NTP,
        DHCP_OPT_LEASE,
        DHCP_OPT_T1,
        DHCP_OPT_T2,
        DHCP_OPT_SEARCH,
        DHCP_OPT_ROUTES,
};

static void
put(struct guest *g, struct wr *w, enum dhcp_type type)
{
	struct gdhcp_part *d = &g->dhcp;
	bool has_address = d->state == GDHCP_RENEWING || d->state == GDHCP_REBINDING ||
	                   type == DHCP_RELEASE || type == DHCP_INFORM;
	struct dhcp m = {
	        .op = DHCP_FROM_CLIENT,
	        .type = (uint8_t)type,
	        .xid = d->xid,
	        .chaddr = g->conf.mac,
	        .ciaddr = has_address ? g->net.addr : ip4(0),
	        .yiaddr = ip4(0),
	        .siaddr = ip4(0),
	        .giaddr = ip4(0),
	};
	dhcp_begin(w, &m);
	if (d->state == GDHCP_REQUESTING)
		dhcp_opt_ip(w, DHCP_OPT_REQUESTED, &d->lease.addr);
	if ((d->state == GDHCP_REQUESTING || type == DHCP_RELEASE) &&
	        !ip_is_unspecified(&d->lease.server))
		dhcp_opt_ip(w, DHCP_OPT_SERVER, &d->lease.server);
	if (type != DHCP_RELEASE) {
		dhcp_opt_u16(w, DHCP_OPT_MAX_SIZE, MESSAGE_MOST);
		dhcp_opt(w, DHCP_OPT_PARAMS, span(wanted, sizeof wanted));
	}
	dhcp_end(w);
}

/* Everything is said to all, but for a renewal and a release, which are the server's business. */
static void
say(struct guest *g, enum dhcp_type type, uint64_t now)
{
	uint8_t p[UDP_HEAD + MESSAGE_MOST];
	struct wr w = wr_init(p + UDP_HEAD, MESSAGE_MOST);
	put(g, &w, type);
	bool unicast = g->dhcp.state == GDHCP_RENEWING || type == DHCP_RELEASE;
	struct ip to = unicast ? g->dhcp.lease.server : ip4(UINT32_MAX);
	struct ip from = guest_source(g, &to);
	size_t n = wr_len(&w);
	udp_put(p, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, &from, &to, n,
	        checksum_sum(p + UDP_HEAD, n));
	g->dhcp.count.sent++;
	guest_send(g, &from, &to, IPPROTO_UDP, 0, span(p, UDP_HEAD + n), now);
}

static void
repeat(struct guest *g, uint64_t now)
{
	static const uint8_t type[] = {
	        [GDHCP_SELECTING] = DHCP_DISCOVER,
	        [GDHCP_REQUESTING] = DHCP_REQUEST,
	        [GDHCP_RENEWING] = DHCP_REQUEST,
	        [GDHCP_REBINDING] = DHCP_REQUEST,
	        [GDHCP_INFORMING] = DHCP_INFORM,
	};
	struct gdhcp_part *d = &g->dhcp;
	uint32_t doublings = d->tries < AGAIN_DOUBLINGS ? d->tries : AGAIN_DOUBLINGS;
	d->tries++;
	say(g, type[d->state], now);
	wheel_add(g->conf.wheel, &d->timer, now + ((uint64_t)AGAIN_MS << doublings));
}

static void
enter(struct guest *g, enum gdhcp_state state, uint64_t now)
{
	g->dhcp.state = state;
	g->dhcp.tries = 0;
	repeat(g, now);
	guest_event(g);
}

static void
new_xid(struct guest *g)
{
	random_bytes(&g->dhcp.xid, sizeof g->dhcp.xid);
}

void
gdhcp_start(struct guest *g, uint64_t now)
{
	new_xid(g);
	g->dhcp.lease = (struct gdhcp_lease){.addr = ip4(0), .server = ip4(0)};
	guest_configure(g, &(struct guest_net){0});
	enter(g, GDHCP_SELECTING, now);
}

void
gdhcp_reboot(struct guest *g, const struct ip *addr, uint64_t now)
{
	new_xid(g);
	g->dhcp.lease = (struct gdhcp_lease){.addr = *addr, .server = ip4(0)};
	guest_configure(g, &(struct guest_net){0});
	enter(g, GDHCP_REQUESTING, now);
}

void
gdhcp_renew(struct guest *g, uint64_t now)
{
	if (g->dhcp.state == GDHCP_BOUND)
		enter(g, GDHCP_RENEWING, now);
}

void
gdhcp_inform(struct guest *g, uint64_t now)
{
	new_xid(g);
	enter(g, GDHCP_INFORMING, now);
}

void
gdhcp_release(struct guest *g, uint64_t now)
{
	if (g->dhcp.state != GDHCP_BOUND)
		return;
	say(g, DHCP_RELEASE, now);
	wheel_del(g->conf.wheel, &g->dhcp.timer);
	g->dhcp.state = GDHCP_OFF;
	guest_configure(g, &(struct guest_net){0});
}

enum gdhcp_state
gdhcp_state(const struct guest *g)
{
	return g->dhcp.state;
}

const struct gdhcp_lease *
gdhcp_lease(const struct guest *g)
{
	return &g->dhcp.lease;
}

const struct gdhcp_count *
gdhcp_count(const struct guest *g)
{
	return &g->dhcp.count;
}

static void
on_timer(struct timer *t, uint64_t now)
{
	struct guest *g = CONTAINER_OF(t, struct guest, dhcp.timer);
	struct gdhcp_part *d = &g->dhcp;
	uint64_t t2 = d->bound_at + 1000ull * d->lease.t2_s;
	uint64_t end = d->bound_at + 1000ull * d->lease.lease_s;
	bool holding = d->state == GDHCP_RENEWING || d->state == GDHCP_REBINDING;
	if (d->state == GDHCP_BOUND)
		enter(g, GDHCP_RENEWING, now);
	else if ((holding && now >= end) ||
	         (d->state == GDHCP_REQUESTING && d->tries == REQUESTS_MOST))
		gdhcp_start(g, now);
	else if (d->state == GDHCP_RENEWING && now >= t2)
		enter(g, GDHCP_REBINDING, now);
	else
		repeat(g, now);
}

void
gdhcp_init(struct guest *g)
{
	timer_init(&g->dhcp.timer, on_timer);
}

void
gdhcp_fini(struct guest *g)
{
	wheel_del(g->conf.wheel, &g->dhcp.timer);
}

static uint8_t
prefix_of(const struct ip *mask)
{
	uint32_t m = ip_u32(mask);
	return (uint8_t)(m == UINT32_MAX ? 128 : 96 + __builtin_clz(~m));
}

static void
read_addresses(const struct dhcp *m, struct gdhcp_lease *l)
{
	uint8_t scratch[4 * GDHCP_DNS];
	struct ip mask = ip4(0xffffff00);
	struct span dns = dhcp_get(m, DHCP_OPT_DNS, scratch, sizeof scratch);
	l->router = l->broadcast = ip4(0);
	l->n_dns = 0;
	dhcp_get_ip(m, DHCP_OPT_MASK, &mask);
	dhcp_get_ip(m, DHCP_OPT_ROUTER, &l->router);
	dhcp_get_ip(m, DHCP_OPT_BROADCAST, &l->broadcast);
	l->prefix_bits = prefix_of(&mask);
	for (; dns.n >= 4 && l->n_dns < GDHCP_DNS; dns = span_skip(dns, 4))
		l->dns[l->n_dns++] = ip4(get32(dns.p));
}

static void
read_lease(const struct dhcp *m, struct gdhcp_lease *l)
{
	read_addresses(m, l);
	l->server = m->server;
	l->lease_s = m->lease ? m->lease : LEASE_UNSAID_S;
	l->t1_s = l->lease_s / 2;
	l->t2_s = l->lease_s / 8 * 7;
	l->mtu = 0;
	dhcp_get_u32(m, DHCP_OPT_T1, &l->t1_s);
	dhcp_get_u32(m, DHCP_OPT_T2, &l->t2_s);
	dhcp_get_u16(m, DHCP_OPT_MTU, &l->mtu);
	uint8_t scratch[sizeof l->domain];
	struct span domain = dhcp_get(m, DHCP_OPT_DOMAIN, scratch, sizeof scratch);
	domain = span_first(domain, sizeof l->domain - 1);
	memset(l->domain, 0, sizeof l->domain);
	if (domain.n)
		memcpy(l->domain, domain.p, domain.n);
}

static void
bound(struct guest *g, const struct dhcp *m, uint64_t now)
{
	struct gdhcp_part *d = &g->dhcp;
	bool informed = d->state == GDHCP_INFORMING;
	read_lease(m, &d->lease);
	d->state = informed ? GDHCP_INFORMED : GDHCP_BOUND;
	wheel_del(g->conf.wheel, &d->timer);
	if (informed) {
		guest_event(g);
		return;
	}
	d->lease.addr = m->yiaddr;
	d->bound_at = now;
	wheel_add(g->conf.wheel, &d->timer, now + 1000ull * d->lease.t1_s);
	struct guest_net net = {
	        .addr = d->lease.addr,
	        .prefix_bits = d->lease.prefix_bits,
	        .router = d->lease.router,
	        .dns = d->lease.n_dns ? d->lease.dns[0] : ip4(0),
	};
	guest_configure(g, &net);
}

void
gdhcp_input(struct guest *g, struct span msg, uint64_t now)
{
	struct gdhcp_part *d = &g->dhcp;
	struct dhcp m;
	if (dhcp_parse(msg, &m) < 0) {
		g->stats.bad++;
		return;
	}
	if (m.op != DHCP_FROM_SERVER || m.xid != d->xid || !mac_eq(&m.chaddr, &g->conf.mac))
		return;
	d->count.offers += m.type == DHCP_OFFER;
	d->count.acks += m.type == DHCP_ACK;
	d->count.naks += m.type == DHCP_NAK;
	bool asked = d->state == GDHCP_REQUESTING || d->state == GDHCP_RENEWING ||
	             d->state == GDHCP_REBINDING;
	if (m.type == DHCP_OFFER && d->state == GDHCP_SELECTING) {
		d->lease.addr = m.yiaddr;
		d->lease.server = m.server;
		enter(g, GDHCP_REQUESTING, now);
	} else if (m.type == DHCP_ACK && (asked || d->state == GDHCP_INFORMING)) {
		bound(g, &m, now);
	} else if (m.type == DHCP_NAK && asked) {
		gdhcp_start(g, now);
	}
	guest_event(g);
}
