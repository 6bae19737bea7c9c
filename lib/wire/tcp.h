/* tcp: the TCP header and its options. Bytes only; the protocol lives in the stack.
 *
 * Memory   payload is borrowed from the packet.
 * Errors   parse: -EBADMSG for a broken data offset, -EILSEQ for a wrong checksum. A broken option
 *          ends the options and costs nothing else.
 * Spec     RFC 9293 3.1, RFC 7323, RFC 2018. */
#pragma once

#include "wire/ippkt.h"

#define TCP_HEAD 20
#define TCP_HEAD_MOST 60
#define TCP_SACKS 4
#define TCP_WSCALE_MOST 14

enum tcp_flag {
	TCPF_FIN = 1,
	TCPF_SYN = 2,
	TCPF_RST = 4,
	TCPF_PSH = 8,
	TCPF_ACK = 16,
	TCPF_URG = 32,
	TCPF_ECE = 64,
	TCPF_CWR = 128,
};

struct tcpsack {
	uint32_t left, right;
};

struct tcpopts {
	uint16_t mss; /* 0: none */
	bool has_wscale, sack_ok, has_stamps;
	uint8_t wscale; /* a parsed one is at most TCP_WSCALE_MOST */
	uint8_t nsack;
	uint32_t stamp, echo; /* timestamps: value and echo reply */
	struct tcpsack sack[TCP_SACKS];
};

struct tcpseg {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window, urgent;
	struct tcpopts opt;
	struct span payload;
};

/* k is a whole datagram whose proto is IPPROTO_TCP. */
int tcp_parse(const struct ippkt *k, struct tcpseg *out);
/* Header bytes tcp_put writes for these options. More SACK blocks than fit are left out. */
size_t tcp_head_len(const struct tcpopts *o);
/* Writes the header in front of len bytes whose partial sum is `sum`, and returns its length, which
 * is always a multiple of four. s->payload is not looked at. */
size_t tcp_put(uint8_t *p, const struct tcpseg *s, const struct ip *src, const struct ip *dst,
        size_t len, uint16_t sum);

/* Sequence numbers compare modulo 2^32 (RFC 9293 3.4). */
static inline bool
tcp_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
tcp_after(uint32_t a, uint32_t b)
{
	return tcp_before(b, a);
}

/* What a segment takes of the sequence space. */
static inline uint32_t
tcp_seg_len(const struct tcpseg *s)
{
	return (uint32_t)s->payload.n + !!(s->flags & TCPF_SYN) + !!(s->flags & TCPF_FIN);
}
