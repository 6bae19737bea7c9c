/* wsframe: WebSocket frames as bytes: headers, masks, close payloads, the handshake's key.
 *
 * For      both roles: a server sends unmasked frames, a client masked ones. Reading is wsparse.
 * Errors   none.
 * Thread   none; unmasking uses AVX2 where the processor has it.
 * Spec     RFC 6455 4, 5. No extensions. */
#pragma once

#include "base/span.h"

#define WSFRAME_HEAD_MOST 14
#define WSFRAME_CONTROL_MOST 125
#define WSFRAME_REASON_MOST 123
#define WSFRAME_ACCEPT 29 /* text of an accept key with its terminator */
#define WSFRAME_KEY 25    /* text of a key with its terminator */

enum ws_op {
	WS_CONT = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

enum ws_code {
	WS_CODE_NORMAL = 1000,
	WS_CODE_AWAY = 1001,
	WS_CODE_PROTOCOL = 1002,
	WS_CODE_UNSUPPORTED = 1003,
	WS_CODE_NONE = 1005, /* never on the wire */
	WS_CODE_LOST = 1006, /* never on the wire */
	WS_CODE_BAD_DATA = 1007,
	WS_CODE_POLICY = 1008,
	WS_CODE_TOO_BIG = 1009,
	WS_CODE_INTERNAL = 1011,
	WS_CODE_TRY_LATER = 1013,
};

static inline size_t
wsframe_head_len(uint64_t payload_len, bool masked)
{
	size_t n = payload_len < 126 ? 2 : payload_len < 65536 ? 4 : 10;
	return masked ? n + 4 : n;
}

/* Header of a final, unfragmented frame; mask is NULL in the server role. Returns its length. */
size_t wsframe_put_head(uint8_t *p, enum ws_op op, uint64_t payload_len, const uint8_t *mask);
/* The same with FIN as told, for messages sent in pieces. */
size_t wsframe_put_head_fin(
        uint8_t *p, enum ws_op op, bool fin, uint64_t payload_len, const uint8_t *mask);
/* Mask or unmask in place bytes that start `at` bytes into the payload of their frame. */
void wsframe_mask(uint8_t *p, size_t n, const uint8_t mask[4], uint64_t at);
/* Payload of a Close: code (WS_CODE_NONE: empty payload) and reason, cut to fit between two
 * characters. Writes at most WSFRAME_CONTROL_MOST bytes; returns how many. */
size_t wsframe_put_close(uint8_t *p, uint16_t code, struct span reason);
/* A code that may stand in a Close frame (RFC 6455 7.4). */
bool wsframe_code_ok(uint16_t code);

/* A key is 16 bytes in base64 (RFC 6455 4.1). */
bool wsframe_key_ok(struct span key);
void wsframe_make_key(const uint8_t nonce[16], char out[WSFRAME_KEY]);
/* Sec-WebSocket-Accept for a key (RFC 6455 4.2.2); any key of up to 256 bytes. */
void wsframe_accept(struct span key, char out[WSFRAME_ACCEPT]);
