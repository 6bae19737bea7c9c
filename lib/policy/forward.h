/* forward: destinations that a guest sees in one place and that lie in another.
 *
 * For      "192.0.2.1:80=localhost:8080" rows (tests, and services put on the guest's LAN), and
 *          "name=address" rows: names that are answered from the configuration.
 * Owner    _load / _fini; constant in between. Of equal keys the last row wins.
 * Errors   _load names the option and the row that is wrong; _fini is still due. */
#pragma once

#include "conf/opt.h"
#include "policy/host.h"

struct forward {
	struct endpoint from; /* as the guest sees it */
	struct host to;       /* a name is resolved when it is dialled */
	uint16_t port;
	uint32_t item; /* which row */
};

struct forwards {
	struct forward *v; /* sorted by `from` */
	uint32_t n;
};

int forward_load(struct forwards *t, const struct opt_list *l, const char *option, struct err *e);
void forward_fini(struct forwards *t);
const struct forward *forward_find(const struct forwards *t, const struct endpoint *from);

struct static_name {
	char name[HOST_NAME_MAX_LEN + 1];
	struct ip ip;
	uint32_t item;
};

struct static_names {
	struct static_name *v; /* sorted by name, IPv4 first */
	uint32_t n;
};

int static_load(
        struct static_names *t, const struct opt_list *l, const char *option, struct err *e);
void static_fini(struct static_names *t);
/* name: lower case, no dot at the end. */
const struct static_name *static_find(const struct static_names *t, struct span name, bool four);
