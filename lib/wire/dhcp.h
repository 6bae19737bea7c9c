/* dhcp: DHCP messages, both sides.
 *
 * Memory   spans in struct dhcp point into the message or into the struct itself: do not copy it.
 * Errors   parse: -EBADMSG when shorter than 240 bytes, not for Ethernet, without the cookie or a
 *          message type, or with an option cut off. A known option of the wrong length counts as
 *          absent.
 * Spec     RFC 2131, RFC 2132, RFC 3396 (long options). */
#pragma once

#include "base/addr.h"
#include "base/cursor.h"
#include "wire/mac.h"

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_HEAD 240         /* with the cookie */
#define DHCP_LEAST 300        /* what relays and old clients want (RFC 1542 2.1) */
#define DHCP_MOST_UNASKED 548 /* what every client takes: 576 with IP and UDP (RFC 2131 2) */
#define DHCP_BROADCAST 0x8000 /* in flags */

enum dhcp_op {
	DHCP_FROM_CLIENT = 1,
	DHCP_FROM_SERVER = 2,
};

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_DECLINE = 4,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
	DHCP_INFORM = 8,
};

enum dhcp_option {
	DHCP_OPT_MASK = 1,
	DHCP_OPT_ROUTER = 3,
	DHCP_OPT_DNS = 6,
	DHCP_OPT_HOSTNAME = 12,
	DHCP_OPT_DOMAIN = 15,
	DHCP_OPT_MTU = 26,
	DHCP_OPT_BROADCAST = 28,
	DHCP_OPT_NTP = 42,
	DHCP_OPT_VENDOR = 43,
	DHCP_OPT_REQUESTED = 50,
	DHCP_OPT_LEASE = 51,
	DHCP_OPT_OVERLOAD = 52,
	DHCP_OPT_TYPE = 53,
	DHCP_OPT_SERVER = 54,
	DHCP_OPT_PARAMS = 55,
	DHCP_OPT_MESSAGE = 56,
	DHCP_OPT_MAX_SIZE = 57,
	DHCP_OPT_T1 = 58,
	DHCP_OPT_T2 = 59,
	DHCP_OPT_VENDOR_CLASS = 60,
	DHCP_OPT_CLIENT_ID = 61,
	DHCP_OPT_FQDN = 81,
	DHCP_OPT_SEARCH = 119,
	DHCP_OPT_ROUTES = 121,
	DHCP_OPT_MS_ROUTES = 249,
	DHCP_OPT_WPAD = 252,
	DHCP_OPT_END = 255,
};

struct dhcp {
	uint8_t op, hops, type;
	uint32_t xid;
	uint16_t secs, flags;
	struct ip ciaddr, yiaddr, siaddr, giaddr; /* 0.0.0.0: none */
	struct mac chaddr;
	struct ip requested, server; /* options 50 and 54; 0.0.0.0: none */
	uint32_t lease;              /* option 51; 0: none */
	uint16_t max_size;           /* option 57, of the UDP payload; 0: none, else 548 or more */
	struct span params, client_id, hostname, vendor_class; /* absent: p is NULL */
	/* private */
	struct span area[3]; /* where options lie, in the order in which their pieces join */
	uint16_t njoined;
	uint8_t joined[512];
};

int dhcp_parse(struct span msg, struct dhcp *out);
/* Any option; pieces of a long one are joined in `scratch` (cut at cap). p is NULL when absent. */
struct span dhcp_get(const struct dhcp *d, uint8_t code, uint8_t *scratch, size_t cap);
bool dhcp_get_ip(const struct dhcp *d, uint8_t code, struct ip *out); /* the first one */
bool dhcp_get_u32(const struct dhcp *d, uint8_t code, uint32_t *out);
bool dhcp_get_u16(const struct dhcp *d, uint8_t code, uint16_t *out);
bool dhcp_wants(const struct dhcp *d, uint8_t code); /* on the parameter request list */

/* Building: dhcp_begin, options, dhcp_end. An option that does not fit is left out and its call
 * returns false; the others and the end still fit. w->bad only when not even a header does. */
void dhcp_begin(struct wr *w, const struct dhcp *d); /* fixed part, cookie, d->type as option 53 */
bool dhcp_opt(struct wr *w, uint8_t code, struct span body);
bool dhcp_opt_u8(struct wr *w, uint8_t code, uint8_t v);
bool dhcp_opt_u16(struct wr *w, uint8_t code, uint16_t v);
bool dhcp_opt_u32(struct wr *w, uint8_t code, uint32_t v);
bool dhcp_opt_ips(struct wr *w, uint8_t code, const struct ip *a, size_t n);
bool dhcp_opt_ip(struct wr *w, uint8_t code, const struct ip *a);
void dhcp_end(struct wr *w); /* end mark, and zeros up to DHCP_LEAST */

const char *dhcp_type_name(uint8_t type); /* "DISCOVER", or "unknown" */
