/* sim: a guest without a kernel. Ethernet frames straight into the tunnel, so that what is measured
 * is the server and not a TAP device.
 *
 * Its TCP is the least that loads the server like a good guest does: window scale, SACK, an ACK for
 * every second segment at the latest but only once a read batch, delayed ACKs below that, a
 * time-out that is counted because it should not happen. */
#pragma once

#include "tests/bench/kit/kit.h"

#include "base/cursor.h"

enum {
	MSS = 1460,
	FRAME_MOST = 1514,
	RX_BYTES = 256 << 10,
	TX_BYTES = 1 << 20,
	FLOWS_MOST = 20000,
	RANGES = 256,
	SHIFT = 8, /* of the window */
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

/* --- the tunnel ----------------------------------------------------------------------- */

struct ssl_st;

/* A WebSocket (ws, wss), or a stream of frames behind 32-bit lengths (passt, QEMU). */
struct link {
	int fd;
	bool framed; /* lengths, no WebSocket */
	struct ssl_st *tls;
};

struct where {
	const char *path, *token; /* path: of a socket that takes lengths and frames */
	int port, rcvbuf;
	bool tls;
};

void link_open(struct link *l, const struct where *to);
/* -1 with EAGAIN when it would wait. */
ssize_t link_send(struct link *l, const uint8_t *p, size_t n);
ssize_t link_recv(struct link *l, uint8_t *p, size_t n);
/* Head and tail of one message around a frame of n bytes; LINK_HEAD bytes are enough before it. */
#define LINK_HEAD 12
size_t link_head(const struct link *l, uint8_t *p, size_t n);
void link_seal(const struct link *l, uint8_t *message, size_t head, size_t n);
/* The first message of what was read: its length, 0 if it is not whole, -1 if the server closed.
 * *frame: what it holds, empty for anything but a frame. */
ssize_t link_next(const struct link *l, const uint8_t *p, size_t n, struct span *frame);

/* --- the guest ------------------------------------------------------------------------ */

struct range {
	uint32_t from, to;
};

struct flow {
	uint32_t dst;
	uint16_t port, dport;
	uint32_t snd_nxt, snd_una, rcv_nxt, wnd;
	uint32_t unacked; /* segments */
	bool up, asked, closed;
	bool owes, ack_now;
	uint8_t shift;
	int n_ranges;
	struct range *range; /* RANGES of them once there is a hole */
	uint64_t got, sent_at, rto_at, ack_at;
};

struct opts {
	struct where to;
	uint32_t host; /* the servers' address as the guest sees it */
	int pid, aux;  /* the programs whose CPU time counts: the server; a helper of its */
	int flows, rtt_ms, drop_ppm, size, window_kb, rate_mbit, pps, stale, tunnels, hosts;
	double seconds;
};

struct delayed {
	uint64_t at;
	uint32_t n;
	uint8_t data[FRAME_MOST + 2];
};

struct count {
	uint64_t frames_in, frames_out, dropped, duplicates, bytes, rtos, acks_in, transactions;
	uint64_t lost;
};

struct sim {
	struct opts o;
	struct link link;
	uint8_t *rx, *tx;
	size_t rx_n, tx_n;
	size_t begun, begun_head; /* the frame that is being written behind tx_n */
	struct flow *flow;
	int n_flows;
	struct flow **by_port, **owing;
	size_t n_owing;
	struct count c;
	struct lat lat;
	uint32_t seed;
	uint16_t next_port, ip_id;
	struct delayed *line; /* frames on their way, oldest first */
	size_t line_head, line_n;
	double credit; /* bytes that may be read, at a rate */
	uint64_t credit_at;
	void (*on_udp)(struct sim *s, const uint8_t *payload, size_t n);
	uint64_t at, cpu, aux_cpu, up_bytes; /* when the measurement began */
	uint64_t opened_cpu;                 /* before the first tunnel */
	const struct upstream *sink;
};

void sim_open(struct sim *s);
/* Wait at most `us` for the server, take what came, send what is owed. */
void sim_turn(struct sim *s, uint64_t us);
void sim_flush(struct sim *s);
bool sim_unlucky(struct sim *s); /* is this frame one that gets lost? */

void flow_open(struct sim *s, struct flow *f, uint32_t dst, uint16_t dport);
/* Open the first n, to one server, and wait until all are up. */
void flows_open(struct sim *s, int n, uint16_t dport);
/* len bytes of the flow's data, at seq. */
void flow_send(struct sim *s, struct flow *f, uint32_t seq, size_t len);
/* As much new data as the window takes. */
void flow_push(struct sim *s, struct flow *f);
void flows_ack(struct sim *s);
void flow_input(struct sim *s, const uint8_t *ip, size_t n);

void send_datagram(struct sim *s, uint16_t from, uint16_t to, const void *payload, size_t n);
/* Ethernet, IPv4 (20 bytes) in front of n bytes; returns where they go. */
uint8_t *put_ip(uint8_t *frame, uint32_t dst, uint8_t proto, size_t n);
uint16_t l4_checksum(const uint8_t *l4, size_t n, uint8_t proto, uint32_t dst);
/* Room for a frame in what is sent next; NULL when the server takes nothing. */
uint8_t *frame_begin(struct sim *s, size_t n);
void frame_end(struct sim *s);

/* --- what is measured ----------------------------------------------------------------- */

void measure_start(struct sim *s);
bool measuring(const struct sim *s); /* until --seconds have passed */
/* Everything counted since, as JSON that the caller may add to and closes. */
void measure_report(struct sim *s, const char *mode);

void mode_down(struct sim *s);
void mode_up(struct sim *s);
void mode_rr(struct sim *s);
void mode_crr(struct sim *s);
void mode_udp(struct sim *s);
void mode_pace(struct sim *s);
void mode_pingpong(struct sim *s);
void mode_synflood(struct sim *s);
void mode_flows(struct sim *s);
void mode_tunnels(struct sim *s);
