#include "probes/lan.h"

#include "guest/gdhcp.h"
#include "guest/gdns.h"
#include "net/worker.h"

#include <errno.h>
#include <stdio.h>

enum { LINGER_MS = 500, FLUSH_MS = 100 };

#define GATEWAY_USUAL 0x0a000202 /* 10.0.2.2 */

static struct lan *
of(struct l2client *c)
{
	return CONTAINER_OF(c, struct lan, client);
}

static void
on_up(struct l2client *c)
{
	wait_wake(of(c)->wait);
}

static void
on_frame(struct l2client *c, struct span frame)
{
	struct lan *l = of(c);
	if (l->g)
		guest_frame(l->g, frame, worker_now(l->w));
}

static bool
on_pull(struct l2client *c, struct emit *e)
{
	struct lan *l = of(c);
	bool more = l->g && guest_pull(l->g, e, worker_now(l->w));
	if (l->flushing && !more) {
		l->flushing = false;
		wait_wake(l->wait);
	}
	return more;
}

static void
on_rtt(struct l2client *c, uint32_t us)
{
	(void)us;
	of(c)->pongs++;
	wait_wake(of(c)->wait);
}

static void
on_closed(struct l2client *c, const struct l2client_end *end)
{
	struct lan *l = of(c);
	l->end = *end;
	l->open = false;
	wait_wake(l->wait);
}

static const struct l2client_ops ops = {
        .up = on_up,
        .frame = on_frame,
        .pull = on_pull,
        .rtt = on_rtt,
        .closed = on_closed,
};

static void
on_wake(struct guest *g)
{
	struct lan *l = guest_user(g);
	if (l->open && l->client.up)
		l2client_want(&l->client);
}

static void
on_event(struct guest *g)
{
	wait_wake(((struct lan *)guest_user(g))->wait);
}

static const struct guest_ops guest_ops = {on_wake, on_event};

/* --- waiting ---------------------------------------------------------------------------------- */

uint64_t
lan_now(struct lan *l)
{
	worker_look(l->w);
	return worker_now(l->w);
}

uint64_t
lan_patience(struct lan *l)
{
	return lan_now(l) + l->p->conf->dial.timeout_ms;
}

enum lan_wait
lan_wait(struct lan *l, uint64_t until)
{
	if (*l->over)
		return LAN_INTERRUPTED;
	if (!l->open)
		return LAN_DOWN;
	bool woken = wait_for(l->wait, until);
	if (*l->over)
		return LAN_INTERRUPTED;
	if (!l->open)
		return LAN_DOWN;
	return woken ? LAN_NEWS : LAN_LATE;
}

int
lan_give_up(struct lan *l, enum lan_wait why, const char *silence)
{
	switch (why) {
	case LAN_INTERRUPTED:
		return step_end(l->p, ANSWER_UNKNOWN, EXIT_INTERRUPTED, "interrupted");
	case LAN_DOWN:
		step_hint(l->p, "%s", dial_hint(&l->end));
		return step_end(
		        l->p, ANSWER_NO, dial_exit(&l->end), "the tunnel ended: %s", l->end.text);
	default: return step_end(l->p, ANSWER_UNKNOWN, EXIT_TIMEOUT, "%s", silence);
	}
}

void
lan_flush(struct lan *l)
{
	uint64_t until = lan_now(l) + FLUSH_MS;
	l->flushing = l->open && l->client.up;
	if (l->flushing)
		l2client_want(&l->client);
	while (l->flushing && lan_wait(l, until) == LAN_NEWS)
		;
	l->flushing = false;
}

/* --- up and down ------------------------------------------------------------------------------ */

static bool
is_over(void *user)
{
	return *((struct lan *)user)->over;
}

static bool
make_guest(struct lan *l)
{
	const struct probe_conf *c = l->p->conf;
	struct guest_conf conf = {
	        .mac = {{0x02, 0xae, 0x50, 0x00, 0x00, 0x01}},
	        .mtu = (uint16_t)c->mtu,
	        .wheel = &l->w->wheel,
	        .ops = &guest_ops,
	        .user = l,
	};
	if (c->mac)
		mac_parse(span_str(c->mac), &conf.mac);
	l->g = guest_new(&conf);
	return l->g != NULL;
}

static int
dial(struct lan *l)
{
	struct l2client_dial d;
	struct err e = {0};
	struct dial *from = (struct dial *)&l->p->conf->dial;
	int r = dial_prepare(from, l->t, l->wait, is_over, l, &d, &e);
	if (r == 0 && l2client_open(&l->client, l->t, l->w, &ops, &d, &e) < 0)
		r = EXIT_USAGE;
	if (r)
		return step_end(l->p, ANSWER_NO, r, "%s", e.text);
	l->open = true;
	return 0;
}

int
lan_connect(struct lan *l)
{
	char url[URL_HOST + URL_TARGET];
	step_begin(l->p, "connect");
	if (!l->g && !make_guest(l))
		return step_end(l->p, ANSWER_UNKNOWN, EXIT_LOCAL, "out of memory");
	int r = dial(l);
	if (r)
		return r;
	while (l->open && !l->client.up && !*l->over)
		wait_for(l->wait, UINT64_MAX);
	if (*l->over)
		return lan_give_up(l, LAN_INTERRUPTED, "");
	if (!l->open) {
		step_hint(l->p, "%s", dial_hint(&l->end));
		enum answer a = l->end.how == L2CLIENT_LATE ? ANSWER_UNKNOWN : ANSWER_NO;
		return step_end(l->p, a, dial_exit(&l->end), "%s", l->end.text);
	}
	dial_shown(&l->p->conf->dial, url, sizeof url);
	return step_end(l->p, ANSWER_YES, EXIT_OK, "%s speaks " L2TUN_PROTOCOL, url);
}

void
lan_disconnect(struct lan *l, bool in_haste)
{
	if (l->open && in_haste) {
		l2client_drop(&l->client);
	} else if (l->open) {
		lan_flush(l);
		l2client_close(&l->client, LINGER_MS);
	}
	while (l->open)
		wait_for(l->wait, UINT64_MAX);
	guest_free(l->g);
	l->g = NULL;
}

/* --- the guest's address ---------------------------------------------------------------------- */

struct ip
lan_gateway(const struct lan *l)
{
	const struct guest_net *net = guest_net(l->g);
	struct ip gateway = ip4(GATEWAY_USUAL);
	if (!ip_is_unspecified(&net->router))
		return net->router;
	if (l->p->conf->gateway)
		ip_parse(span_str(l->p->conf->gateway), &gateway);
	return gateway;
}

static void
set_static(struct lan *l)
{
	struct guest_net net = {.prefix_bits = 120};
	struct span text = span_str(l->p->conf->static_ip), addr;
	uint64_t bits;
	span_split(&text, '/', &addr);
	ip_parse(addr, &net.addr);
	if (text.p && span_u64(text, 32, &bits))
		net.prefix_bits = (uint8_t)(96 + bits);
	net.router = net.dns = lan_gateway(l);
	guest_configure(l->g, &net);
}

int
lan_address(struct lan *l)
{
	char ip[ADDR_TEXT], from[ADDR_TEXT];
	enum lan_wait w = LAN_NEWS;
	if (l->p->conf->static_ip) {
		set_static(l);
		return 0;
	}
	step_begin(l->p, "dhcp");
	uint64_t until = lan_patience(l);
	gdhcp_start(l->g, lan_now(l));
	while (gdhcp_state(l->g) != GDHCP_BOUND && (w = lan_wait(l, until)) == LAN_NEWS)
		;
	if (w != LAN_NEWS) {
		step_hint(l->p, "the tunnel is up, but nobody leases an address behind it; "
		                "--static skips DHCP");
		return lan_give_up(l, w, "no lease: no answer to DHCP");
	}
	const struct gdhcp_lease *lease = gdhcp_lease(l->g);
	step_str(l->p, "address", ip_text(&lease->addr, ip));
	step_u64(l->p, "prefix", lease->prefix_bits - 96u);
	step_str(l->p, "server", ip_text(&lease->server, from));
	step_str(l->p, "router", ip_text(&lease->router, from));
	step_str(l->p, "dns", lease->n_dns ? ip_text(&lease->dns[0], from) : NULL);
	step_u64(l->p, "lease_ms", 1000ull * lease->lease_s);
	step_u64(l->p, "t1_ms", 1000ull * lease->t1_s);
	step_u64(l->p, "t2_ms", 1000ull * lease->t2_s);
	step_u64(l->p, "mtu", lease->mtu);
	step_str(l->p, "domain", lease->domain);
	return step_end(l->p, ANSWER_YES, EXIT_OK, "%s/%u from %s, lease %u s", ip,
	        lease->prefix_bits - 96u, ip_text(&lease->server, from), lease->lease_s);
}

/* --- names ------------------------------------------------------------------------------------ */

/* The first address of an answer. */
static bool
first_address(const struct dnsmsg *m, struct ip *out)
{
	struct dnswalk w;
	struct dnsrr rr;
	dns_walk(&w, m);
	while (dns_next(&w, &rr) > 0)
		if (rr.section == DNS_ANSWER && dns_rr_ip(&rr, out))
			return true;
	return false;
}

int
lan_lookup(struct lan *l, struct span host, struct ip *out)
{
	struct gdns_question q = {.type = DNS_A};
	struct dnsmsg m;
	char text[ADDR_TEXT];
	enum lan_wait w = LAN_NEWS;
	bool answered = false;
	if (ip_parse(host, out))
		return 0;
	step_begin(l->p, "resolve");
	if (dnsname_parse(host, &q.name) < 0)
		return step_end(l->p, ANSWER_NO, EXIT_USAGE, "'%.*s' is no name", (int)host.n,
		        (const char *)host.p);
	uint64_t until = lan_patience(l);
	struct gdns *d = gdns_ask(l->g, &q, lan_now(l));
	while (d && !(answered = gdns_answer(d, &m, lan_now(l))) && !gdns_error(d) &&
	        (w = lan_wait(l, until)) == LAN_NEWS)
		;
	bool found = answered && first_address(&m, out);
	int err = d ? gdns_error(d) : ENOMEM;
	gdns_free(d, lan_now(l));
	if (w != LAN_NEWS)
		return lan_give_up(l, w, "no answer from the resolver");
	if (!found)
		return step_end(l->p, ANSWER_NO, EXIT_CONNECT, "%.*s has no address%s%s",
		        (int)host.n, (const char *)host.p, err ? ": " : "",
		        err ? strerror(err) : "");
	return step_end(l->p, ANSWER_YES, EXIT_OK, "%.*s is %s", (int)host.n, (const char *)host.p,
	        ip_text(out, text));
}

int
lan_target(struct lan *l, const char *text, struct endpoint *out)
{
	struct span host = span_str(text), port;
	uint64_t n;
	const char *colon = strrchr(text, ':');
	if (endpoint_parse(host, out) && out->port)
		return 0;
	port = colon ? span_str(colon + 1) : SPAN_NONE;
	if (!colon || !span_u64(port, 65535, &n) || !n) {
		step_begin(l->p, "target");
		return step_end(l->p, ANSWER_NO, EXIT_USAGE, "'%s' is no HOST:PORT", text);
	}
	host.n = (size_t)(colon - text);
	out->port = (uint16_t)n;
	return lan_lookup(l, host, &out->ip);
}

const char *
lan_icmp_text(enum icmp_kind kind)
{
	switch (kind) {
	case ICMP_KIND_NET_UNREACHABLE: return "network unreachable";
	case ICMP_KIND_HOST_UNREACHABLE: return "host unreachable";
	case ICMP_KIND_PROTO_UNREACHABLE: return "protocol unreachable";
	case ICMP_KIND_PORT_UNREACHABLE: return "port unreachable";
	case ICMP_KIND_TOO_BIG: return "packet too big";
	case ICMP_KIND_PROHIBITED: return "administratively prohibited";
	case ICMP_KIND_TTL_EXCEEDED: return "time exceeded";
	case ICMP_KIND_REASSEMBLY_TIMEOUT: return "reassembly time exceeded";
	case ICMP_KIND_BAD_PARAMETER: return "parameter problem";
	default: return "";
	}
}
