/* l2svc: the Ethernet tunnel service of one worker: what all its tunnels share.
 *
 * Owner    the worker's main; l2svc_init / l2svc_fini (after `drained`).
 * Order    l2svc_init -> l2svc_routes go into the HTTP server -> requests -> l2svc_drain: new
 *          upgrades are refused with 503 and every tunnel is told 1001; `drained` comes from the
 *          loop when the last one is gone.
 * Thread   one worker. */
#pragma once

#include "base/buf.h"
#include "http/server.h"
#include "net/capfile.h"
#include "net/resolve.h"
#include "obs/shard.h"
#include "policy/door.h"
#include "serve/app.h"
#include "stack/stack.h"

struct l2svc {
	struct worker *w;
	const struct app *app; /* replaced whole by a reload; never kept over a turn */
	struct shard *shard;
	struct stack_shared stack;
	struct stack_conf stack_conf;
	struct stack_stats stats, stats_told; /* told: already in the shard */
	struct slab nodes;
	struct uplink_net *net;              /* sockets' shared halves; see uplink_int.h */
	struct buf dhcp_search, dhcp_routes; /* encoded options */
	struct ip ntp[8];
	struct resolve *resolve;
	struct capfile_dir capture; /* path NULL: nothing is captured */
	char *capture_path;
	struct list tunnels;
	struct auth_room auth_room;     /* where one upgrade's credentials are decoded */
	struct door_result door_result; /* and judged */
	struct turn_hook hook;
	struct later later;
	bool draining;
	void (*drained)(void *user);
	void *user;
};

int l2svc_init(struct l2svc *s, struct worker *w, const struct app *app, struct shard *shard,
        struct err *e);
void l2svc_fini(struct l2svc *s);
void l2svc_reload(struct l2svc *s, const struct app *app);
void l2svc_drain(struct l2svc *s, void (*drained)(void *user), void *user);
void l2svc_tunnel_gone(struct l2svc *s); /* told by tunnel.c */
/* GET /l2 and its three other names. */
void l2svc_upgrade(struct req *r, void *user);
