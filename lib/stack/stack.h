/* stack: the guest's LAN and its gateway, for one tunnel. Sans-I/O: frames and news in, frames and
 * ops out.
 *
 * Owner    stack_new / stack_free, by the tunnel. What all stacks of a worker share (slabs, wheel,
 *          keys, counters) is struct stack_shared, which outlives them.
 * Order    in, any number of times, in any order, from the loop:
 *            stack_frame* then stack_rx_end   one batch of frames from the guest
 *            stack_pull                       write frames for the guest, when the transport can
 *            stack_tcp_*, stack_udp_*, stack_ping_*, stack_dns_*   news from sockets
 *            wheel_advance on the shared wheel, which fires the stack's timers
 *          out: struct stack_ops. AN OP NEVER CALLS BACK INTO THE STACK; it returns, and news
 *          comes later from the loop. `wake` is how the stack says that a pull would give frames;
 *          it may be called often and only marks the tunnel.
 * Memory   frame spans given to stack_frame stay valid and unchanged until stack_rx_end returns:
 *          upstream writes are collected over the batch. Nothing of a span is kept after that.
 *          Frames are written in stack_pull straight into the transport's buffer.
 *          TCP bytes toward the guest are not kept here: the upstream socket holds what the guest
 *          has not acknowledged (peek), the stack only counts.
 * Pace     toward upstream: the window advertised to the guest is what tcp_room promised.
 *          toward the guest: stack_pull takes what fits its budget, control frames first, then
 *          sparse flows, then bulk flows in turn (deficit round robin).
 * Errors   nothing a guest sends can fail a call. Refusals are frames back to the guest.
 * Time     milliseconds of the worker's monotonic clock, always an argument; microseconds where the
 *          name ends in _us.
 * Thread   one worker.
 * Depends  base, wire. Knows no sockets, no clock, no policy: an op returning -EACCES is policy. */
#pragma once

#include "base/addr.h"
#include "base/hash.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "wire/emit.h"
#include "wire/ether.h"

#include <sys/uio.h>

struct stack;       /* opaque; stack_int.h is for lib/stack alone */
struct tcp_flow;    /* complete in stack/tcp.h: the op's owner embeds it */
struct udp_binding; /* complete in stack/udp.h, likewise */

/* Read-only settings, shared by every stack; units in the names. */
struct stack_conf {
	struct mac gateway_mac;
	struct ip gateway, guest; /* guest: the one address DHCP leases */
	uint8_t prefix_bits;      /* of the LAN, 0..128 as in struct cidr */
	uint16_t mtu;             /* of the guest's link */
	uint32_t max_frame;       /* longest frame accepted from and sent to the guest */
	uint32_t lease_s;
	const char *domain;   /* DHCP option 15; "" = none */
	const char *hostname; /* DHCP option 12; "" = none */
	struct span search;   /* DHCP option 119 (RFC 3397), encoded; empty = none */
	struct span routes;   /* DHCP option 121 (RFC 3442), encoded; empty = none */
	const struct ip *ntp; /* DHCP option 42 */
	uint32_t n_ntp;
	const char *wpad; /* DHCP option 252; "" = none */
	bool pad_frames;  /* pad short frames to 60 bytes */

	uint32_t tcp_max_flows;        /* per tunnel; 0 = refuse every SYN */
	uint32_t tcp_max_half_open;    /* per tunnel; beyond it the oldest is reset */
	uint32_t tcp_max_half_open_to; /* per destination */
	uint32_t tcp_early_bytes;      /* guest bytes held before the upstream is up; 0 = reset */
	uint32_t tcp_window_flow, tcp_window_tunnel; /* most bytes promised to the guest */
	uint32_t tcp_ooo_tunnel;                     /* out-of-order guest bytes held */
	uint32_t tcp_idle_ms, tcp_half_open_ms, tcp_fin_wait_ms, tcp_time_wait_ms;
	uint32_t tcp_give_up_ms; /* unanswered retransmission toward the guest */
	uint32_t tcp_delayed_ack_ms;

	uint32_t udp_max_flows;    /* (guest port, destination) pairs per tunnel; 0 = no limit */
	uint32_t udp_idle_ms;      /* 0 = never */
	uint32_t udp_unreplied_ms; /* for a flow never answered, where shorter; 0 = no own limit */
	uint32_t udp_queue_bytes;  /* datagrams waiting for the guest, per tunnel */
	uint32_t udp_queue_ms;     /* older ones are dropped from the head */
	uint32_t frag_bytes, frag_count, frag_ms; /* reassembly, per tunnel */
	uint32_t ping_max;                        /* echo ids in use, per tunnel */
	uint32_t ping_ms;                         /* how long an id stays in use after that */
	uint32_t ping_rate;                       /* echo requests to the world a second; 0 = any */
	uint32_t icmp_error_rate;                 /* errors to the guest a second; 0 = any */
	uint32_t dns_max_pending;                 /* 0 = SERVFAIL whatever is asked */
	uint32_t queue_delay_target_ms; /* standing queue toward the guest that pacing aims at */
};

/* Counters of all stacks of a worker; plain integers, read by whoever exports them. */
struct stack_stats {
	uint64_t frames_in, frames_bad, frames_out;
	uint64_t tcp_opened, tcp_refused, tcp_reset, tcp_retransmits, tcp_rto, tcp_shed,
	        tcp_checksum_bad, tcp_challenge;
	uint64_t udp_in, udp_out; /* for the guest; for the world */
	uint64_t udp_dropped, udp_flow_limit;
	uint64_t frag_in, frag_done, frag_dropped;
	uint64_t icmp_in, icmp_errors_out, arp_in, dhcp_in, dns_in;
	uint64_t filtered; /* refused by op filter */
};

struct stack_shared {
	const struct stack_conf *conf;
	const struct stack_ops *ops;
	struct wheel *wheel;
	struct stack_stats *stats;
	struct hash_key hash_key;  /* flow tables */
	uint8_t isn_key[16];       /* RFC 6528 */
	struct slab *nodes;        /* frames that wait, STACK_NODE (stack/frameq.h) bytes each */
	struct stack_batch *batch; /* slabs and scratch of the stack's own; see stack_batch_new */
};

struct stack_batch *stack_batch_new(void);
void stack_batch_free(struct stack_batch *b);

struct stack_ops {
	/* Frames are waiting: arrange for a stack_pull. */
	void (*wake)(struct stack *st);
	/* May the guest address this destination at all (the stack filter)? proto is IPPROTO_TCP,
	 * IPPROTO_UDP or IPPROTO_ICMP. False: TCP is answered RST, UDP with silence. */
	bool (*filter)(struct stack *st, uint8_t proto, const struct endpoint *dst);

	/* --- TCP ------------------------------------------------------------------------- */
	/* Memory for a flow (the op's own struct around it), zeroed; NULL = at the limit. */
	struct tcp_flow *(*tcp_alloc)(struct stack *st);
	/* The flow is over: close whatever socket it has, gracefully unless `abort` (then with RST,
	 * SO_LINGER 0), and free its memory, later from the loop if need be. No news after. */
	void (*tcp_free)(struct stack *st, struct tcp_flow *f, bool abort);
	/* Connect to dst. 0: stack_tcp_opened or stack_tcp_failed will come. -errno: refused now
	 * (-EACCES denied by policy, -EMFILE ...). tos: the guest's, passed on if allowed. */
	int (*tcp_open)(
	        struct stack *st, struct tcp_flow *f, const struct endpoint *dst, uint8_t tos);
	/* How many more bytes tcp_write is certain to take (kernel buffer plus overflow). What was
	 * said once is a promise: the guest was told, and a window is never taken back. */
	uint32_t (*tcp_room)(struct stack *st, struct tcp_flow *f);
	/* Takes all of the bytes, which never reach beyond what some tcp_room promised; -errno =
	 * dead (stack_tcp_failed does not follow). urgent: the last byte is TCP urgent data.
	 * May come before stack_tcp_opened (early data, at most tcp_early_bytes in all, which
	 * tcp_open promises): the op keeps those bytes and sends them first. */
	int (*tcp_write)(
	        struct stack *st, struct tcp_flow *f, const struct iovec *iov, int n, bool urgent);
	/* Half-close, after everything written so far. */
	void (*tcp_shutdown)(struct stack *st, struct tcp_flow *f);
	/* Copy upstream bytes starting `off` bytes after the last discarded one. > 0: bytes;
	 * 0: the end of the stream lies exactly there; -EAGAIN: nothing yet, stack_tcp_readable
	 * will come; other -errno: dead. Urgent bytes are in line (SO_OOBINLINE). Less than was
	 * asked for is no sign that there is no more. */
	ssize_t (*tcp_peek)(
	        struct stack *st, struct tcp_flow *f, uint32_t off, const struct iovec *iov, int n);
	/* The guest has acknowledged n more bytes: forget them. */
	void (*tcp_discard)(struct stack *st, struct tcp_flow *f, uint32_t n);
	/* Both directions are over: let go of the socket now, gracefully, and do not count it any
	 * more. The flow itself stays for its TIME_WAIT; only tcp_free follows, and no news. */
	void (*tcp_release)(struct stack *st, struct tcp_flow *f);
	/* The guest probes whether the connection is still alive: so may the socket, from now on.
	 * Once for a flow; may be NULL. */
	void (*tcp_keepalive)(struct stack *st, struct tcp_flow *f);

	/* --- UDP ------------------------------------------------------------------------- */
	/* One socket per guest port (opened at once or at the first send). NULL: at the limit.
	 * Zeroed memory. */
	struct udp_binding *(*udp_alloc)(struct stack *st);
	void (*udp_free)(struct stack *st, struct udp_binding *b);
	/* 0: sent, or dropped as UDP may be; payload is borrowed for the call. -EACCES: denied by
	 * policy, dropped. Other -errno: the stack answers the matching ICMP error, if there is
	 * one, and forgets the flow unless it is -EMSGSIZE. */
	int (*udp_send)(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
	        struct span payload, uint8_t ttl, uint8_t tos);
	/* (guest port, destination) flows began (+n) or ended (-n); for the gauge. */
	void (*udp_flows)(struct stack *st, int delta);

	/* --- ICMP echo to the world ------------------------------------------------------ */
	/* -EACCES policy, -EPERM no ping sockets here: both answered administratively prohibited.
	 * id stands for one guest program, whatever it pings; payload is borrowed for the call. */
	int (*ping_send)(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq,
	        struct span payload, uint8_t ttl);
	/* Nothing was sent or heard with this id for a while, or others need the room: its socket
	 * can go. Comes once for every id that ping_send was given, unless that failed. */
	void (*ping_end)(struct stack *st, uint16_t id);

	/* --- DNS to the gateway, over UDP or TCP ------------------------------------------ */
	/* A whole query message that passed the sanity checks (one question, QR=0). 0:
	 * stack_dns_answer(token) will come once, later, from the loop. -errno: the stack answers
	 * SERVFAIL. A few more than dns_max_pending may be asked, so that what is cached is
	 * answered all the same: the rest of them is to be refused. */
	int (*dns_query)(struct stack *st, uint32_t token, struct span query);
	/* Nobody waits for this token any more. */
	void (*dns_cancel)(struct stack *st, uint32_t token);
};

struct stack *stack_new(struct stack_shared *sh, void *user); /* NULL = out of memory */
/* Ends every flow (tcp_free, udp_free, dns_cancel run) and frees all. No frames come out. */
void stack_free(struct stack *st);
void *stack_user(const struct stack *st);

void stack_frame(struct stack *st, struct span frame, uint64_t now);
void stack_rx_end(struct stack *st, uint64_t now);
/* Write frames into e until it is full or nothing may be sent now. True: more is waiting and would
 * be written if there was room. Never calls emit_end; the caller does. */
bool stack_pull(struct stack *st, struct emit *e, uint64_t now);
/* A measured round trip of the tunnel itself (PING/PONG, or TCP_INFO of its socket). */
void stack_rtt(struct stack *st, uint32_t rtt_us);

void stack_tcp_opened(struct stack *st, struct tcp_flow *f, uint64_t now);
/* Connect failed or the connection died; err > 0. Before the handshake: ECONNREFUSED -> RST,
 * ETIMEDOUT -> silence, EHOSTUNREACH, ENETUNREACH, EACCES -> ICMP unreachable (then RST if the
 * guest insists). After it: RST. */
void stack_tcp_failed(struct stack *st, struct tcp_flow *f, int err, uint64_t now);
void stack_tcp_readable(struct stack *st, struct tcp_flow *f, uint64_t now);
void stack_tcp_writable(struct stack *st, struct tcp_flow *f, uint64_t now);

/* A datagram for a guest port, or an ICMP error the host was told for one we sent. `from` is the
 * router or host that complained; type and code are those of ICMP or ICMPv6 as dst's family says;
 * mtu only with fragmentation needed / packet too big. Port unreachable ends the flow, and b with
 * it if that was its last (op udp_free runs before this returns). */
void stack_udp_input(struct stack *st, struct udp_binding *b, const struct endpoint *src,
        struct span payload, uint64_t now);
void stack_udp_error(struct stack *st, struct udp_binding *b, const struct endpoint *dst,
        const struct ip *from, uint8_t type, uint8_t code, uint32_t mtu, uint64_t now);

void stack_ping_reply(struct stack *st, const struct ip *src, uint16_t id, uint16_t seq,
        struct span payload, uint8_t ttl, uint64_t now);
void stack_ping_error(struct stack *st, const struct ip *dst, uint16_t id, uint16_t seq,
        const struct ip *from, uint8_t type, uint8_t code, uint32_t mtu, uint64_t now);

/* The answer to a query: a whole DNS message with the query's id and question; an empty span means
 * SERVFAIL. The stack truncates for UDP by the query's EDNS size and frames it for TCP. */
void stack_dns_answer(struct stack *st, uint32_t token, struct span answer, uint64_t now);

/* Numbers for the end-of-session line, limits and tests. */
struct stack_totals {
	struct mac guest_mac;
	struct ip guest_ip;
	bool assigned; /* leased or adopted */
	uint32_t tcp_flows, tcp_half_open, udp_flows, udp_bindings;
	uint64_t tcp_opened, udp_opened; /* since stack_new */
	size_t memory;                   /* heap bytes held for this tunnel */
};
void stack_totals(const struct stack *st, struct stack_totals *out);
