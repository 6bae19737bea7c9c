/* app: a configuration and the rules compiled from it. Read-only once made.
 *
 * Owner    app_new / app_free, by the process; a reload makes a new one and swaps the pointer
 *          between two turns of the loop, so nobody may keep anything of it longer than that.
 * Errors   app_new: a sentence that names the option. It takes the conf, also on failure. */
#pragma once

#include "conf/conf.h"
#include "policy/door.h"
#include "policy/egress.h"

struct app {
	struct conf *conf;
	const struct l2_conf *l2;
	struct door door;
	struct egress *egress;
};

int app_new(struct conf *conf, struct app **out, struct err *e);
void app_free(struct app *a);
