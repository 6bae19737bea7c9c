#include "serve/l2svc.h"

#include "base/crypto.h"
#include "serve/tunnel.h"
#include "serve/uplink_int.h"
#include "wire/dns.h"

#include <errno.h>
#include <stdlib.h>

#define UDP_QUEUE_MS 20  /* an older datagram is of no use to anybody */
#define QUEUE_DELAY_MS 2 /* the queue in front of the guest that pacing aims at */

/* --- settings of the stack --------------------------------------------------------------- */

/* RFC 3397: names in wire form one after another. RFC 3442: prefix length, its significant bytes,
 * router. Both lists were checked when the configuration was loaded. */
static void
encode_search(struct buf *b, const struct opt_list *l)
{
	struct dnsname name;
	for (uint32_t i = 0; i < l->n; i++)
		if (dnsname_parse(span_str(l->v[i]), &name) == 0)
			buf_add(b, dnsname_span(&name));
}

static void
encode_routes(struct buf *b, const struct opt_list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct span rest = span_str(l->v[i]), range;
		struct cidr c;
		struct ip via;
		span_split(&rest, '=', &range);
		if (!cidr_parse(range, &c) || !ip_parse(rest, &via) || !ip_is4(&via) || c.bits < 96)
			continue;
		buf_addc(b, (char)(c.bits - 96));
		buf_add(b, span(c.ip.b + 12, (size_t)(c.bits - 96 + 7) / 8));
		buf_add(b, span(via.b + 12, 4));
	}
}

static void
fill_lan(struct l2svc *s, const struct lan_conf *c)
{
	struct stack_conf *k = &s->stack_conf;
	memcpy(k->gateway_mac.b, c->mac.b, sizeof k->gateway_mac.b);
	k->gateway = c->gateway;
	k->guest = c->guest;
	k->prefix_bits = (uint8_t)(ip_is4(&c->gateway) ? 96 + c->prefix : c->prefix);
	k->mtu = (uint16_t)c->mtu;
	k->lease_s = (uint32_t)(c->lease / 1000);
	k->domain = c->domain;
	k->hostname = c->hostname;
	k->wpad = c->wpad;
	buf_clear(&s->dhcp_search);
	buf_clear(&s->dhcp_routes);
	encode_search(&s->dhcp_search, &c->search);
	encode_routes(&s->dhcp_routes, &c->routes);
	k->search = buf_span(&s->dhcp_search);
	k->routes = buf_span(&s->dhcp_routes);
	k->n_ntp = 0;
	k->ntp = s->ntp;
	for (uint32_t i = 0; i < c->ntp.n && i < ARRAY_LEN(s->ntp); i++)
		if (ip_parse(span_str(c->ntp.v[i]), &s->ntp[k->n_ntp]))
			k->n_ntp++;
}

static void
fill_tcp(struct stack_conf *k, const struct tcp_conf *c)
{
	k->tcp_max_flows = c->max_connections;
	k->tcp_max_half_open = c->max_half_open;
	k->tcp_max_half_open_to = c->max_half_open_per_host;
	k->tcp_early_bytes = (uint32_t)c->max_buffered;
	k->tcp_window_flow = (uint32_t)c->max_window;
	k->tcp_window_tunnel = (uint32_t)c->max_window_tunnel;
	k->tcp_ooo_tunnel = (uint32_t)c->max_out_of_order;
	k->tcp_idle_ms = c->idle_timeout > UINT32_MAX ? UINT32_MAX : (uint32_t)c->idle_timeout;
	k->tcp_half_open_ms = (uint32_t)c->syn_timeout;
	k->tcp_fin_wait_ms = (uint32_t)c->fin_timeout;
	k->tcp_time_wait_ms = (uint32_t)c->time_wait;
	k->tcp_give_up_ms = (uint32_t)c->give_up;
	k->tcp_delayed_ack_ms = (uint32_t)c->delayed_ack;
}

static void
fill_rest(struct stack_conf *k, const struct l2_conf *c)
{
	k->max_frame = (uint32_t)c->tunnel.max_frame_payload;
	k->udp_max_flows = c->udp.max_flows;
	k->udp_idle_ms = (uint32_t)c->udp.idle_timeout;
	k->udp_unreplied_ms = (uint32_t)c->udp.unreplied_timeout;
	k->udp_queue_bytes = (uint32_t)c->tunnel.send_queue;
	k->udp_queue_ms = UDP_QUEUE_MS;
	k->frag_bytes = (uint32_t)c->udp.max_reassembly_bytes;
	k->frag_count = c->udp.max_reassembly;
	k->frag_ms = (uint32_t)c->udp.reassembly_timeout;
	k->ping_max = c->icmp.max_pings;
	k->ping_ms = (uint32_t)c->icmp.ping_timeout;
	k->ping_rate = c->icmp.ping_rate;
	k->icmp_error_rate = c->icmp.error_rate;
	k->dns_max_pending = c->dns.max_pending;
	k->queue_delay_target_ms = QUEUE_DELAY_MS;
}

static void
fill_conf(struct l2svc *s)
{
	const struct l2_conf *c = s->app->l2;
	fill_lan(s, &c->lan);
	fill_tcp(&s->stack_conf, &c->tcp);
	fill_rest(&s->stack_conf, c);
}

/* --- numbers ----------------------------------------------------------------------------- */

/* The stacks count in plain integers; once a turn the difference goes into the shard. */
static const struct {
	enum metric to;
	size_t off;
} told[] = {
#define TOLD(m, f)                                        \
	{                                                 \
		M_L2_##m, offsetof(struct stack_stats, f) \
	}
        TOLD(STACK_FRAMES_BAD, frames_bad),
        TOLD(STACK_CHECKSUM_BAD, tcp_checksum_bad),
        TOLD(STACK_FILTERED, filtered),
        TOLD(STACK_ARP_IN, arp_in),
        TOLD(STACK_DHCP_IN, dhcp_in),
        TOLD(STACK_DNS_IN, dns_in),
        TOLD(STACK_ICMP_IN, icmp_in),
        TOLD(STACK_ICMP_ERRORS_OUT, icmp_errors_out),
        TOLD(STACK_FRAGMENTS_IN, frag_in),
        TOLD(STACK_REASSEMBLED, frag_done),
        TOLD(STACK_FRAGMENTS_DROPPED, frag_dropped),
        TOLD(TCP_OPENED, tcp_opened),
        TOLD(TCP_REFUSED, tcp_refused),
        TOLD(TCP_RESET, tcp_reset),
        TOLD(TCP_SHED, tcp_shed),
        TOLD(TCP_RETRANSMITS, tcp_retransmits),
        TOLD(TCP_TIMEOUTS, tcp_rto),
        TOLD(TCP_CHALLENGE_ACKS, tcp_challenge),
        TOLD(UDP_TO_WORLD, udp_out),
        TOLD(UDP_TO_GUEST, udp_in),
        TOLD(UDP_DROPPED, udp_dropped),
        TOLD(UDP_FLOW_LIMIT, udp_flow_limit),
#undef TOLD
};

static void
on_turn(struct turn_hook *h)
{
	struct l2svc *s = CONTAINER_OF(h, struct l2svc, hook);
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		uint64_t now = *(uint64_t *)((char *)&s->stats + told[i].off);
		uint64_t *was = (uint64_t *)((char *)&s->stats_told + told[i].off);
		if (now != *was)
			metric_add(s->shard, told[i].to, now - *was);
		*was = now;
	}
}

/* --- life -------------------------------------------------------------------------------- */

void
l2svc_upgrade(struct req *r, void *user)
{
	struct l2svc *s = user;
	struct gate_pass pass;
	if (!gate_admit(s, r, &pass))
		return;
	if (tunnel_open(s, r, &pass) < 0) {
		gate_release(s, &pass);
		req_reply(r, 503, "text/plain; charset=utf-8", "", SPAN_LIT("out of memory"));
	}
}

static void
maybe_drained(struct l2svc *s)
{
	if (!s->draining || !s->drained || !list_empty(&s->tunnels))
		return;
	void (*drained)(void *) = s->drained;
	s->drained = NULL;
	drained(s->user);
}

static void
on_drain_later(struct later *l)
{
	maybe_drained(CONTAINER_OF(l, struct l2svc, later));
}

void
l2svc_tunnel_gone(struct l2svc *s)
{
	if (s->draining)
		worker_later(s->w, &s->later);
}

void
l2svc_drain(struct l2svc *s, void (*drained)(void *user), void *user)
{
	s->draining = true;
	s->drained = drained;
	s->user = user;
	LIST_FOR_EACH_SAFE (it, &s->tunnels)
		tunnel_close(LIST_ENTRY(it, struct tunnel, node), R_shutting_down);
	worker_later(s->w, &s->later);
}

void
l2svc_reload(struct l2svc *s, const struct app *app)
{
	s->app = app;
	fill_conf(s);
	uplink_reload(s);
	LIST_FOR_EACH (it, &s->tunnels)
		tunnel_reloaded(LIST_ENTRY(it, struct tunnel, node));
}

/* A directory that cannot be had costs the captures, not the service. */
static void
open_capture(struct l2svc *s)
{
	const struct capture_conf *c = &s->app->l2->capture;
	struct err e = {0};
	if (!c->dir[0])
		return;
	if (capfile_mkdir(c->dir, &e) < 0) {
		log_warn(&s->w->log, "capture.off", kv_str("error", e.text));
		metric_add(s->shard, M_L2_CAPTURE_ERRORS, 1);
		return;
	}
	s->capture_path = xstrdup(c->dir); /* a reload frees the configuration */
	s->capture = (struct capfile_dir){
	        .w = s->w,
	        .shard = s->shard,
	        .path = s->capture_path,
	        .max_bytes = c->max_bytes,
	        .flush_ms = (uint32_t)c->flush_interval,
	};
}

int
l2svc_init(struct l2svc *s, struct worker *w, const struct app *app, struct shard *shard,
        struct err *e)
{
	*s = (struct l2svc){.w = w, .app = app, .shard = shard};
	list_init(&s->tunnels);
	later_init(&s->later, on_drain_later);
	buf_init(&s->dhcp_search, 255);
	buf_init(&s->dhcp_routes, 255);
	fill_conf(s);
	slab_init(&s->nodes, STACK_NODE, UINT32_MAX);
	s->stack = (struct stack_shared){
	        .conf = &s->stack_conf,
	        .ops = &uplink_ops,
	        .wheel = &w->wheel,
	        .stats = &s->stats,
	        .nodes = &s->nodes,
	        .batch = stack_batch_new(),
	};
	random_bytes(&s->stack.hash_key, sizeof s->stack.hash_key);
	random_bytes(s->stack.isn_key, sizeof s->stack.isn_key);
	if (!s->stack.batch)
		return err_set(e, -ENOMEM, "out of memory");
	int rc = uplink_init(s, e);
	if (rc < 0)
		return rc;
	open_capture(s);
	s->hook.turn = on_turn;
	worker_hook(w, &s->hook);
	return 0;
}

void
l2svc_fini(struct l2svc *s)
{
	worker_unhook(s->w, &s->hook);
	later_cancel(&s->later);
	uplink_fini(s);
	stack_batch_free(s->stack.batch);
	slab_fini(&s->nodes);
	free(s->capture_path);
	buf_fini(&s->dhcp_search);
	buf_fini(&s->dhcp_routes);
}
