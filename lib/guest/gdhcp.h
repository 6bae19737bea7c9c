/* gdhcp: the DHCP client.
 *
 * Order    gdhcp_start -> SELECTING -> REQUESTING -> BOUND -> (RENEWING -> REBINDING)* by itself.
 *          guest_net is set when BOUND, and cleared when the lease is lost.
 * Pace     unanswered messages are repeated after 1, 2, 4, 8, 8 ... seconds, for ever; the caller
 *          has the patience.
 * Spec     RFC 2131, RFC 2132. */
#pragma once

#include "guest/guest.h"

#define GDHCP_DNS 4

enum gdhcp_state {
	GDHCP_OFF,
	GDHCP_SELECTING,
	GDHCP_REQUESTING,
	GDHCP_BOUND,
	GDHCP_RENEWING,
	GDHCP_REBINDING,
	GDHCP_INFORMING,
	GDHCP_INFORMED,
};

struct gdhcp_lease {
	struct ip addr, server, router, broadcast;
	struct ip dns[GDHCP_DNS];
	uint8_t n_dns;
	uint8_t prefix_bits; /* as in struct cidr */
	uint16_t mtu;        /* 0: not said */
	uint32_t lease_s, t1_s, t2_s;
	char domain[256];
};

struct gdhcp_count {
	uint32_t sent, offers, acks, naks;
};

void gdhcp_start(struct guest *g, uint64_t now);
/* Ask for one address at once, without DISCOVER (INIT-REBOOT): what a machine that moved does. */
void gdhcp_reboot(struct guest *g, const struct ip *addr, uint64_t now);
void gdhcp_renew(struct guest *g, uint64_t now);   /* BOUND only: now, unicast */
void gdhcp_inform(struct guest *g, uint64_t now);  /* with the configured address */
void gdhcp_release(struct guest *g, uint64_t now); /* BOUND only */
enum gdhcp_state gdhcp_state(const struct guest *g);
const struct gdhcp_lease *gdhcp_lease(const struct guest *g);
const struct gdhcp_count *gdhcp_count(const struct guest *g);
