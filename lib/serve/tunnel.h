/* tunnel: one client of the Ethernet tunnel: a WebSocket, the protocol on it, and the guest's LAN
 * behind it.
 *
 * Owner    itself: tunnel_open makes it, it frees itself after the WebSocket's `closed`.
 * Order    tunnel_open (with an admitted request) -> ... -> tunnel_close or the client's end.
 * Pace     toward the guest everything is pulled (stack_pull) when the socket has room; replies to
 *          PING are the only thing queued, and a client that lets more than tunnel.send-buffer of
 *          those pile up is not read until it takes them.
 * Errors   tunnel_open: -ENOMEM, then the request is still to be answered and the slots are still
 *          the caller's.
 * Spec     docs/protocol/l2-tunnel.md */
#pragma once

#include "base/buf.h"
#include "base/reason.h"
#include "http/server.h"
#include "net/capfile.h"
#include "policy/quota.h"
#include "serve/gate.h"
#include "serve/uplink.h"

struct tunnel {
	struct ws ws;
	struct uplink up;
	struct l2svc *svc;
	struct list node; /* in svc->tunnels */
	struct log log;
	struct gate_pass pass; /* who it is, and the slots it holds */
	struct quota quota;
	struct timer tick; /* idle, PING, stall: whichever is next */
	struct capfile *capture;
	struct buf replies; /* PONGs, as wire bytes */
	uint32_t n_replies;
	uint64_t id, opened_at, last_rx;
	uint64_t waiting_since; /* something could not be sent since then; 0 = nothing waits */
	uint64_t ping_due, ping_sent_at, ping_counter;
	uint64_t frames_rx, frames_tx, bytes_rx, bytes_tx, dropped;
	uint64_t told_frames_rx, told_bytes_rx; /* already in the shard */
	size_t good; /* of the buffer being pulled into: bytes within the quota */
	enum reason reason;
	bool ping_outstanding, closing, over_quota;
};

int tunnel_open(struct l2svc *svc, struct req *r, const struct gate_pass *pass);
/* Something waits for the client: have it pulled. */
void tunnel_wake(struct tunnel *t);
/* The configuration has changed: clocks that it sets start now. */
void tunnel_reloaded(struct tunnel *t);
/* Say why on the wire (ERROR, Close), then end. Idempotent; the first reason stays. */
void tunnel_close(struct tunnel *t, enum reason why);
