/* wsclient: dialling a WebSocket, ws:// or wss://; afterwards it is a struct ws like any other.
 *
 * Owner    struct ws is the caller's, see ws.h; ws_connect copies what struct ws_dial points to.
 * Order    ws_connect 0 -> opened? | refused? -> ... -> closed. ws_close and ws_drop are legal at
 *          any time and end the dialling too.
 * Pace     timeout_ms covers connect, TLS and the upgrade together.
 * Errors   ws_connect: -EINVAL for text that cannot stand in a request head, -ENOMEM. What goes
 *          wrong later comes as `refused` (HTTP status and up to 64 KiB of body) and `closed`.
 * Depends  names are the caller's to resolve: `to` is an address.
 * Spec     RFC 6455 4.1: 101, Upgrade, Connection, Sec-WebSocket-Accept and the subprotocol are
 *          checked; an extension the server dares to answer ends it. */
#pragma once

#include "http/transport.h"
#include "http/ws.h"

struct ws_dial {
	struct endpoint to;
	const char *host;         /* text of the Host header */
	const char *target;       /* "/l2?token=..." */
	const char *subprotocols; /* "a, b"; NULL = none offered */
	const char *headers;      /* more whole lines with CRLF; NULL = none */
	const char *tls_name;     /* SNI, and the name to verify; NULL = host without its port */
	bool tls;
	bool tls_insecure; /* accept any certificate */
	uint32_t timeout_ms;
	size_t max_message;  /* larger ones end with 1009 */
	uint32_t unsent_max; /* see ws.h */
	uint32_t rcvbuf;     /* SO_RCVBUF; 0 = the system's */
};

int ws_connect(
        struct transport *t, struct ws *ws, const struct ws_ops *ops, const struct ws_dial *dial);
