/* A frame goes Ethernet -> ARP or IP -> (reassembly) -> UDP, ICMP, TCP; each of those answers by
 * queueing frames of its own or by asking an op. IPv6 frames are ignored until there is a part for
 * neighbour discovery; nothing behind ip_input asks which family a packet has. */
#include "stack/stack_int.h"

#include "stack/udp.h"

#include <stdlib.h>

struct stack_batch *
stack_batch_new(void)
{
	struct stack_batch *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	icmp_batch_init(b);
	udp_batch_init(b);
	dns_batch_init(b);
	b->tcp = tcp_batch_new();
	if (b->tcp)
		return b;
	stack_batch_free(b);
	return NULL;
}

void
stack_batch_free(struct stack_batch *b)
{
	if (!b)
		return;
	slab_fini(&b->pings);
	slab_fini(&b->flows);
	slab_fini(&b->waits);
	tcp_batch_free(b->tcp);
	free(b);
}

struct stack *
stack_new(struct stack_shared *sh, void *user)
{
	struct stack *st = calloc(1, sizeof *st);
	if (!st)
		return NULL;
	st->sh = sh;
	st->user = user;
	lan_init(st);
	sched_init(&st->sched);
	frameq_init(&st->ctl);
	icmp_init(st);
	udp_init(st);
	frag_init(st);
	dns_init(st);
	tcp_part_init(st);
	return st;
}

void
stack_free(struct stack *st)
{
	if (!st)
		return;
	tcp_part_fini(st);
	dns_fini(st);
	frag_fini(st);
	udp_fini(st);
	icmp_fini(st);
	frameq_clear(&st->ctl, st->sh->nodes);
	free(st);
}

void *
stack_user(const struct stack *st)
{
	return st->user;
}

static void
to_upper(struct stack *st, const struct ippkt *k)
{
	static const struct icmpmsg no_proto = {.kind = ICMP_KIND_PROTO_UNREACHABLE};
	if (k->proto == IPPROTO_UDP)
		udp_input(st, k);
	else if (k->proto == icmp_proto(&k->src))
		icmp_input(st, k);
	else if (k->proto != IPPROTO_TCP)
		icmp_error(st, NULL, k, &no_proto);
	else if (!lan_is_group(st, &k->dst))
		tcp_input(st, k, st->now);
}

/* Who may send: a guest's address, or none yet. From elsewhere only questions to the gateway
 * itself are heard, so that a guest with a stale address can get a new one. */
static bool
admit(struct stack *st, const struct ether *eth, const struct ippkt *k)
{
	if (lan_is_guest(st, &k->src)) {
		lan_learn(st, &k->src, &eth->src);
		return true;
	}
	if (lan_is_gateway(st, &k->src) || k->proto != IPPROTO_UDP || ippkt_is_fragment(k))
		return false;
	lan_guess(st, &conf_of(st)->guest, &eth->src);
	return true;
}

static void
ip_input(struct stack *st, const struct ether *eth)
{
	static const struct icmpmsg exceeded = {.kind = ICMP_KIND_TTL_EXCEEDED};
	struct ippkt k, whole;
	if (ippkt_parse(eth->payload, &k) < 0 || !ip_is4(&k.src) || !admit(st, eth, &k)) {
		stats_of(st)->frames_bad++;
		return;
	}
	if (k.ttl <= 1 && !lan_is_gateway(st, &k.dst) && !lan_is_group(st, &k.dst))
		icmp_error(st, NULL, &k, &exceeded);
	else if (!ippkt_is_fragment(&k))
		to_upper(st, &k);
	else if (frag_input(st, &k, &whole))
		to_upper(st, &whole);
}

void
stack_frame(struct stack *st, struct span frame, uint64_t now)
{
	struct ether eth;
	st->now = now;
	stats_of(st)->frames_in++;
	if (ether_parse(frame, &eth) < 0 || mac_is_multicast(&eth.src)) {
		stats_of(st)->frames_bad++;
		return;
	}
	st->lan.to_group = mac_is_multicast(&eth.dst);
	if (eth.type == ETHER_ARP)
		arp_input(st, eth.payload);
	else if (eth.type == ETHER_IPV4)
		ip_input(st, &eth);
	st->lan.to_group = false;
}

void
stack_rx_end(struct stack *st, uint64_t now)
{
	st->now = now;
	tcp_rx_end(st, now);
	frag_rx_end(st);
}

uint8_t *
stack_emit_frame(struct stack *st, struct emit *e, size_t len)
{
	size_t padded = lan_frame_len(st, len);
	uint8_t *p = emit_frame(e, padded);
	if (p)
		memset(p + len, 0, padded - len);
	return p;
}

static uint64_t
written(const struct emit *e)
{
	return e->frames + (e->open != NULL);
}

bool
stack_pull(struct stack *st, struct emit *e, uint64_t now)
{
	uint64_t before = written(e);
	st->now = now;
	bool more = !ctl_pull(st, e) || !tcp_pull_control(st, e, now) || sched_pull(st, e, now);
	stats_of(st)->frames_out += written(e) - before;
	return more;
}

void
stack_rtt(struct stack *st, uint32_t rtt_us)
{
	tcp_rtt(st, rtt_us);
}

void
stack_totals(const struct stack *st, struct stack_totals *out)
{
	*out = (struct stack_totals){
	        .guest_mac = st->lan.mac,
	        .guest_ip = st->lan.ip,
	        .assigned = st->lan.assigned,
	        .tcp_flows = st->tcp.n_flows,
	        .tcp_half_open = st->tcp.n_half_open,
	        .udp_flows = st->udp.n_flows,
	        .udp_bindings = st->udp.n_bindings,
	        .tcp_opened = st->tcp.opened,
	        .udp_opened = st->udp.opened,
	        .memory = sizeof *st + st->ctl.bytes + icmp_memory(st) + udp_memory(st) +
	                  frag_memory(st) + dns_memory(st) + tcp_memory(st),
	};
}
