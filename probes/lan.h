/* lan: a tunnel with a small guest on it, for code that reads from top to bottom.
 *
 * Owner    lan_new / lan_free, outside callbacks. One at a time.
 * Order    lan_connect, lan_address, then the guest's calls and lan_wait in turns.
 * Errors   steps of the report, and their exit codes.
 * Pace     lan_wait gives LAN_NEWS whenever something may have changed: look, and wait again. */
#pragma once

#include "net/signals.h"
#include "probes/probe.h"
#include "wire/icmp.h"

struct lan {
	struct probe *p;
	struct worker *w;
	struct transport *t;
	struct wait *wait;
	struct l2client client;
	struct guest *g;
	bool open;  /* client has not said `closed` */
	bool *over; /* interrupted: set by a signal */
	bool flushing;
	struct l2client_end end;
	uint32_t pongs;
};

enum lan_wait { LAN_NEWS, LAN_LATE, LAN_DOWN, LAN_INTERRUPTED };

int lan_connect(struct lan *l); /* step "connect" */
int lan_address(struct lan *l); /* static, or step "dhcp" */
void lan_disconnect(struct lan *l, bool in_haste);
uint64_t lan_now(struct lan *l);
uint64_t lan_patience(struct lan *l); /* until when to wait for an answer from now on */
enum lan_wait lan_wait(struct lan *l, uint64_t until);
/* End the step for any reason but LAN_NEWS; `silence` is what LATE means. */
int lan_give_up(struct lan *l, enum lan_wait why, const char *silence);
/* Let what the guest has to say go out. */
void lan_flush(struct lan *l);

struct ip lan_gateway(const struct lan *l);
/* An address as text, or a name that the LAN resolves (step "resolve"): 0 or an exit code. */
int lan_lookup(struct lan *l, struct span host, struct ip *out);
/* "host:port", "[v6]:port": 0, or EXIT_USAGE with the step "target". */
int lan_target(struct lan *l, const char *text, struct endpoint *out);
/* In words; "" for OTHER. */
const char *lan_icmp_text(enum icmp_kind kind);
