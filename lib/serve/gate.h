/* gate: admission to the tunnel: authentication, Origin, Host, limits, in that order.
 *
 * For      every upgrade; it answers refusals itself, with the status, body, counter and log line
 *          that belong together.
 * Order    gate_admit: true = the pass holds slots until gate_release; false = answered.
 * Memory   the pass owns nothing on the heap.
 * Spec     docs/protocol/l2-tunnel.md, "Opening" */
#pragma once

#include "http/server.h"
#include "obs/limit.h"
#include "policy/clientip.h"

#define GATE_SID_TEXT 64

struct l2svc;

struct gate_pass {
	struct clientip client;
	struct limit_hold total, by_ip, by_sid;
	char sid[GATE_SID_TEXT + 1]; /* cut for the log; "" = nobody in particular */
};

bool gate_admit(struct l2svc *s, struct req *r, struct gate_pass *pass);
void gate_release(struct l2svc *s, struct gate_pass *pass);
