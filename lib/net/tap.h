/* tap: a Linux TAP device, in this or another network namespace.
 *
 * Owner    the caller closes the descriptor; the device goes with it unless `persist`.
 * Pace     non-blocking. One read is one Ethernet frame without FCS, one write likewise; EAGAIN
 *          from read when there is none, EIO from write while the device is down.
 * Errors   set-up: negative errno and a sentence that says what to do about it.
 * Thread   changes the thread's namespace for the duration of the call. */
#pragma once

#include "base/err.h"
#include "wire/mac.h"

#include <net/if.h>

struct tap_conf {
	const char *name;  /* may hold one "%d" */
	const char *netns; /* NULL: this one; a name of `ip netns`, or a path */
	bool persist, up;
	uint16_t mtu; /* 0: as it is */
	bool has_mac;
	struct mac mac;
};

/* name: the device's in the end. */
int tap_open(const struct tap_conf *c, char name[IFNAMSIZ], struct err *e);
