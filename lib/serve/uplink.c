#include "serve/uplink_int.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

#define PIN_GRACE_MS 300000 /* guests keep answers longer than they should */
#define PIN_MAX 1024
#define OVERFLOW_LEAST 16384
#define SEGMENT 1460
#define LINGER_MS 60000 /* for bytes a slow server still has to take */
#define LINGER_MAX 1024
#define POOL_BYTES (256u << 20) /* of all connections of a worker, outside the kernel */
#define MAX_LOOKUPS 4096
#define MAX_PING_IDS 4096

/* --- the policy's word ------------------------------------------------------------------- */

struct egress_verdict
uplink_ask(struct uplink *up, uint8_t proto, const struct endpoint *dst)
{
	const struct egress *rules = up->svc->app->egress;
	struct egress_query q = {.dst = *dst, .proto = proto, .ask = EGRESS_ASK_POLICY};
	if (egress_pins(rules))
		q.pinned = pin_has(&up->pins, &dst->ip, uplink_now(up));
	struct egress_verdict v = egress_addr(rules, &q, NULL);
	if (v.allow)
		return v;
	up->denied++;
	if (v.counted)
		metric_add(up->svc->shard, M_L2_POLICY_DENIED, 1);
	log_debug(up->log, "policy.denied", kv_u64("proto", proto), kv_ep("to", dst),
	        kv_str("rule", egress_rule_name(v.rule)), kv_str("option", v.option));
	return v;
}

static bool
filter(struct stack *st, uint8_t proto, const struct endpoint *dst)
{
	struct uplink *up = uplink_of(st);
	struct egress_query q = {.dst = *dst, .proto = proto, .ask = EGRESS_ASK_FILTER};
	bool allow = egress_addr(up->svc->app->egress, &q, NULL).allow;
	/* The gateway's address is ours wherever else it may exist; only a forward leads on. */
	if (allow && ip_eq(&dst->ip, &up->svc->stack_conf.gateway)) {
		q.ask = EGRESS_ASK_POLICY;
		allow = egress_addr(up->svc->app->egress, &q, NULL).forward != NULL;
	}
	up->denied += !allow;
	return allow;
}

static void
wake(struct stack *st)
{
	struct uplink *up = uplink_of(st);
	up->wake(up);
}

const struct stack_ops uplink_ops = {
        .wake = wake,
        .filter = filter,
        .tcp_alloc = uplink_tcp_alloc,
        .tcp_free = uplink_tcp_free,
        .tcp_release = uplink_tcp_release,
        .tcp_keepalive = uplink_tcp_keepalive,
        .tcp_open = uplink_tcp_open,
        .tcp_room = uplink_tcp_room,
        .tcp_write = uplink_tcp_write,
        .tcp_shutdown = uplink_tcp_shutdown,
        .tcp_peek = uplink_tcp_peek,
        .tcp_discard = uplink_tcp_discard,
        .udp_alloc = uplink_udp_alloc,
        .udp_free = uplink_udp_free,
        .udp_send = uplink_udp_send,
        .udp_flows = uplink_udp_flows,
        .ping_send = uplink_ping_send,
        .ping_end = uplink_ping_end,
        .dns_query = uplink_dns_query,
        .dns_cancel = uplink_dns_cancel,
};

/* --- one guest --------------------------------------------------------------------------- */

int
uplink_open(struct uplink *up, struct l2svc *svc, const struct log *log,
        void (*up_wake)(struct uplink *up))
{
	*up = (struct uplink){.svc = svc, .log = log, .wake = up_wake};
	list_init(&up->lookups);
	ping_open(&svc->net->ping, &up->pings);
	pin_init(&up->pins, &svc->stack.hash_key, PIN_MAX, PIN_GRACE_MS);
	up->stack = stack_new(&svc->stack, up);
	return up->stack ? 0 : -ENOMEM;
}

void
uplink_close(struct uplink *up)
{
	stack_free(up->stack);
	uplink_dns_close(up);
	ping_close(&up->pings);
	pin_fini(&up->pins);
}

/* --- what all guests of a worker share --------------------------------------------------- */

/* tcp.send-buffer counts segments, whatever their size; both options name a least amount. */
static uint32_t
overflow(const struct tcp_conf *c)
{
	uint64_t bytes = (uint64_t)c->send_buffer * SEGMENT;
	if (bytes < c->max_buffered)
		bytes = c->max_buffered;
	return bytes < OVERFLOW_LEAST ? OVERFLOW_LEAST : (uint32_t)bytes;
}

static struct conn_conf
conn_conf(const struct l2_conf *c)
{
	struct conn_conf k = {
	        .connect_ms = (uint32_t)c->tcp.connect_timeout,
	        .overflow = overflow(&c->tcp),
	        .room_max = (uint32_t)c->tcp.max_window,
	        .read_ahead = (uint32_t)c->tcp.max_buffered,
	        .linger_ms = LINGER_MS,
	        .linger_max = LINGER_MAX,
	        .pool = POOL_BYTES,
	};
	conn_probe(&k.caps);
	return k;
}

/* Lists of the configuration become the one text that the resolver takes. */
static void
join(struct buf *b, const struct opt_list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		buf_addf(b, "%s%s", i ? "," : "", l->v[i]);
}

static int
open_resolve(struct l2svc *s, struct err *e)
{
	const struct dns_conf *c = &s->app->l2->dns;
	struct buf servers;
	buf_init(&servers, 4096);
	join(&servers, &c->servers);
	struct resolve_conf k = {
	        .shard = s->shard,
	        .servers = buf_str(&servers),
	        .timeout_ms = (uint32_t)c->timeout,
	        .tries = c->tries,
	        .max_ttl_s = (uint32_t)(c->max_ttl / 1000),
	        .negative_ttl_s = (uint32_t)(c->negative_ttl / 1000),
	        .hosts_ttl_s = (uint32_t)(c->default_ttl / 1000),
	        .default_ttl_s = (uint32_t)(c->default_ttl / 1000),
	        .max_entries = c->max_cache_entries,
	        .max_bytes = c->max_cache_bytes,
	        .max_lookups = MAX_LOOKUPS,
	        .hosts_file = c->hosts_file,
	};
	int rc = resolve_new(s->w, &k, &s->resolve, e);
	buf_fini(&servers);
	return rc;
}

int
uplink_init(struct l2svc *s, struct err *e)
{
	const struct l2_conf *c = s->app->l2;
	struct conn_conf k = conn_conf(c);
	struct uplink_net *net = xcalloc(1, sizeof *net);
	s->net = net;
	conn_net_init(&net->conn, s->w, &k, &uplink_conn_ops);
	slab_init(&net->flows, uplink_flow_size(), UINT32_MAX);
	slab_init(&net->bindings, uplink_binding_size(), UINT32_MAX);
	int rc = dgram_net_init(&net->dgram, s->w, DGRAM_DF_KERNEL, &uplink_dgram_ops);
	if (rc < 0)
		return err_set(e, rc, "cannot set up UDP: %s", strerror(-rc));
	struct ping_caps caps;
	ping_probe(&caps);
	if (c->icmp.ping && !caps.v4)
		log_info(&s->w->log, "ping.off", kv_str("why", caps.why4));
	rc = ping_net_init(&net->ping, s->w, &caps, MAX_PING_IDS, &uplink_ping_ops);
	if (rc < 0)
		return err_set(e, rc, "cannot set up ping: %s", strerror(-rc));
	return open_resolve(s, e);
}

void
uplink_fini(struct l2svc *s)
{
	if (s->resolve)
		resolve_free(s->resolve);
	if (!s->net)
		return;
	conn_net_fini(&s->net->conn);
	dgram_net_fini(&s->net->dgram);
	ping_net_fini(&s->net->ping);
	slab_fini(&s->net->flows);
	slab_fini(&s->net->bindings);
	free(s->net);
}

void
uplink_reload(struct l2svc *s)
{
	s->net->conn.conf.connect_ms = (uint32_t)s->app->l2->tcp.connect_timeout;
	resolve_conf(s->resolve)->timeout_ms = (uint32_t)s->app->l2->dns.timeout;
}
