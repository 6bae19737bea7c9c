/* door: every rule an upgrade must pass before limits are counted, in the order clients rely on.
 *
 * Order    door_init from a loaded configuration, door_check for each request, door_fini.
 *          Authentication, then origin, then host name: the first that refuses is the answer.
 * Owner    rules borrow the configuration's strings, so it outlives them.
 * Memory   the result borrows from the request and from `room`.
 * Errors   door_init says what is wrong in one sentence; then there is nothing to fini. */
#pragma once

#include "policy/auth.h"
#include "policy/clientip.h"
#include "policy/hostname.h"
#include "policy/origin.h"

struct door {
	struct auth auth;
	struct origin_rules origin;
	struct hostname_rules host;
	struct clientip_rules client;
};

struct door_result {
	struct refusal refusal; /* of the first rule that refused; why = REFUSAL_NONE: come in */
	struct auth_result auth;
	struct origin_result origin;
	struct hostname_result host; /* raw is filled in even if nothing asked for it */
	struct clientip client;
};

int door_init(struct door *d, const struct l2_conf *c, struct err *e);
void door_fini(struct door *d);
void door_check(const struct door *d, const struct head *h, uint64_t now_ms, struct auth_room *room,
        struct door_result *out);
