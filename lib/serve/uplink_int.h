/* uplink_int: what the files of the uplink share: TCP, UDP, ping and names of one guest, and what
 * all guests of a worker have in common. Nobody else includes it but l2svc.c. */
#pragma once

#include "net/conn.h"
#include "net/dgram.h"
#include "net/ping.h"
#include "serve/l2svc.h"
#include "serve/uplink.h"
#include "stack/tcp.h"
#include "stack/udp.h"

/* Per worker: the libraries' shared halves. */
struct uplink_net {
	struct conn_net conn;
	struct dgram_net dgram;
	struct ping_net ping;
	struct slab flows, bindings;
};

int uplink_init(struct l2svc *s, struct err *e);
void uplink_fini(struct l2svc *s);
void uplink_reload(struct l2svc *s);

static inline struct uplink *
uplink_of(const struct stack *st)
{
	return stack_user(st);
}

static inline uint64_t
uplink_now(const struct uplink *up)
{
	return worker_now(up->svc->w);
}

/* The policy's word about a destination; a denial is counted and, at debug level, logged. */
struct egress_verdict uplink_ask(struct uplink *up, uint8_t proto, const struct endpoint *dst);

/* uplink_tcp.c */
struct tcp_flow *uplink_tcp_alloc(struct stack *st);
void uplink_tcp_free(struct stack *st, struct tcp_flow *f, bool abort);
int uplink_tcp_open(struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos);
uint32_t uplink_tcp_room(struct stack *st, struct tcp_flow *f);
int uplink_tcp_write(
        struct stack *st, struct tcp_flow *f, const struct iovec *iov, int n, bool urgent);
void uplink_tcp_shutdown(struct stack *st, struct tcp_flow *f);
ssize_t uplink_tcp_peek(
        struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n);
void uplink_tcp_discard(struct stack *st, struct tcp_flow *f, uint32_t n);
void uplink_tcp_release(struct stack *st, struct tcp_flow *f);
void uplink_tcp_keepalive(struct stack *st, struct tcp_flow *f);
extern const struct conn_ops uplink_conn_ops;
size_t uplink_flow_size(void);

/* uplink_udp.c */
struct udp_binding *uplink_udp_alloc(struct stack *st);
void uplink_udp_free(struct stack *st, struct udp_binding *b);
int uplink_udp_send(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
        struct span payload, uint8_t ttl, uint8_t tos);
void uplink_udp_flows(struct stack *st, int delta);
extern const struct dgram_ops uplink_dgram_ops;
size_t uplink_binding_size(void);

/* uplink_ping.c */
extern const struct ping_ops uplink_ping_ops;
int uplink_ping_send(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq,
        struct span payload, uint8_t ttl);
void uplink_ping_end(struct stack *st, uint16_t id);

/* uplink_dns.c */
int uplink_dns_query(struct stack *st, uint32_t token, struct span query);
void uplink_dns_cancel(struct stack *st, uint32_t token);
void uplink_dns_close(struct uplink *up);
