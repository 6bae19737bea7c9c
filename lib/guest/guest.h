/* guest: a small machine on a tunnel's LAN: asks for an address, resolves, pings, connects.
 * Sans-I/O: frames in, frames out.
 *
 * For      probes and tests: the other side of lib/stack, sharing nothing with it but the codecs.
 * Owner    guest_new / guest_free; guest_free also frees every flow, socket and question.
 * Order    in: guest_frame for each frame, guest_pull when the transport can take some, the wheel
 *          for time. Out: ops.wake (a pull would give frames) and ops.event (something that one
 *          may ask about has changed: a lease, a neighbour, bytes, an error). Both may come from
 *          inside any call, often, and must only make a mark.
 * Memory   frames are borrowed for the call. Everything waiting to be sent or read has a cap.
 * Errors   what the other side sends cannot fail a call; broken packets are counted.
 * Time     milliseconds of the clock that drives the wheel, always an argument.
 * Depends  base, wire. Knows no sockets and no clock.
 * Spec     RFC 826, RFC 791, RFC 1122; see gdhcp.h, gping.h, gudp.h, gtcp.h, gdns.h for the rest.
 */
#pragma once

#include "base/addr.h"
#include "base/wheel.h"
#include "wire/emit.h"
#include "wire/mac.h"

struct guest;

struct guest_ops {
	void (*wake)(struct guest *g);
	void (*event)(struct guest *g);
};

struct guest_conf {
	struct mac mac;
	uint16_t mtu; /* 576 to 9000 */
	struct wheel *wheel;
	const struct guest_ops *ops;
	void *user;
};

/* What the machine believes about its network; an unspecified address means "not known". */
struct guest_net {
	struct ip addr;
	uint8_t prefix_bits; /* of 128, as in struct cidr */
	struct ip router, dns;
};

struct guest_stats {
	uint64_t frames_in, frames_out;
	uint64_t bad;     /* broken headers or checksums */
	uint64_t dropped; /* by us: queue full, nobody to take it */
};

enum guest_neighbour { NEIGHBOUR_UNKNOWN, NEIGHBOUR_ASKED, NEIGHBOUR_FOUND, NEIGHBOUR_SILENT };

struct guest *guest_new(const struct guest_conf *conf); /* NULL = out of memory */
void guest_free(struct guest *g);
void *guest_user(const struct guest *g);
const struct guest_stats *guest_stats(const struct guest *g);

/* A static configuration; gdhcp sets the same when it is bound. */
void guest_configure(struct guest *g, const struct guest_net *net);
const struct guest_net *guest_net(const struct guest *g);

void guest_frame(struct guest *g, struct span frame, uint64_t now);
/* True: more is waiting. Never calls emit_end; the caller does. */
bool guest_pull(struct guest *g, struct emit *e, uint64_t now);

/* Ask for a neighbour's Ethernet address, also one already known; three times, a second apart.
 * Works before the guest has an address of its own (RFC 5227 probes). */
void guest_resolve(struct guest *g, const struct ip *ip, uint64_t now);
enum guest_neighbour guest_neighbour(const struct guest *g, const struct ip *ip, struct mac *out);
