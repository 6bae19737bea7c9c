/* l2tun: messages of the Ethernet tunnel, aero-l2-tunnel-v1.
 *
 * For      both ends: the service, and the clients that probe or attach.
 * Memory   payloads are borrowed from the message.
 * Errors   decode: -EBADMSG, with the sentence that goes into ERROR and Close. An unknown type is
 *          no error: its limit is that of control messages, and the receiver ignores it. */
#pragma once

#include "base/span.h"

#define L2TUN_PROTOCOL "aero-l2-tunnel-v1"
#define L2TUN_TOKEN_PREFIX "aero-l2-token."
#define L2TUN_MAGIC 0xa2
#define L2TUN_VERSION 3
#define L2TUN_HEAD 4
#define L2TUN_WHY 64 /* room for decode's sentence */

enum l2tun_type {
	L2TUN_FRAME = 0x00,
	L2TUN_PING = 0x01,
	L2TUN_PONG = 0x02,
	L2TUN_ERROR = 0x7f,
};

enum l2tun_code {
	L2TUN_PROTOCOL_ERROR = 1,
	L2TUN_AUTH_REQUIRED = 2,
	L2TUN_AUTH_INVALID = 3,
	L2TUN_ORIGIN_MISSING = 4,
	L2TUN_ORIGIN_DENIED = 5,
	L2TUN_QUOTA_BYTES = 6,
	L2TUN_QUOTA_FPS = 7,
	L2TUN_QUOTA_CONNECTIONS = 8,
	L2TUN_BACKPRESSURE = 9,
};

struct l2tun_limits {
	size_t frame, control; /* payload bytes */
};

struct l2tun {
	uint8_t type, flags;
	struct span payload;
};

/* `why` is written on failure only. */
int l2tun_decode(struct span message, const struct l2tun_limits *lim, struct l2tun *out,
        char why[L2TUN_WHY]);

/* Writes L2TUN_HEAD bytes. */
static inline void
l2tun_put_head(uint8_t *p, enum l2tun_type type)
{
	p[0] = L2TUN_MAGIC;
	p[1] = L2TUN_VERSION;
	p[2] = (uint8_t)type;
	p[3] = 0;
}

/* The longest message of these limits; what a WebSocket message may have at most. */
static inline size_t
l2tun_most(const struct l2tun_limits *lim)
{
	return L2TUN_HEAD + (lim->frame > lim->control ? lim->frame : lim->control);
}

/* Payload of an ERROR within `most` bytes: the text cut between characters, nothing at all when
 * not even the code fits. Returns its length. */
size_t l2tun_put_error(uint8_t *p, size_t most, uint16_t code, struct span text);
/* A structured ERROR payload: exact length and valid text. False when it is anything else. */
bool l2tun_get_error(struct span payload, uint16_t *code, struct span *text);
/* "quota_bytes", or "unknown". */
const char *l2tun_code_name(uint16_t code);
