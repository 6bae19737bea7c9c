/* bridge: frames between a device (one frame a read or write, as a TAP) and a tunnel, as a link
 * with loss, delay and a rate would carry them.
 *
 * Owner    embeds struct bridge; bridge_close before its memory or the descriptor goes.
 * Order    bridge_open; then bridge_up(client) and bridge_down() in turns; the owner's l2client_ops
 *          pass frames, batch ends and pulls on to it.
 * Pace     to the device: what it does not take waits, up to queue_most bytes, then is dropped.
 *          from the device: frames stay in it until the tunnel pulls them. While there is no
 *          tunnel they are read and forgotten: nobody wants a minute-old frame.
 *          A rate is kept by not reading the tunnel: the server feels it as back-pressure.
 * Errors   a device that is down takes nothing: counted.
 * Thread   one worker. */
#pragma once

#include "client/l2client.h"
#include "client/lane.h"
#include "net/poller.h"

struct bridge_link { /* one direction */
	uint32_t loss_ppm;
	uint32_t delay_ms;
};

struct bridge_conf {
	int fd;
	struct bridge_link to_device, from_device;
	uint64_t rate_bps; /* to the device; 0: unlimited */
	uint64_t seed;     /* of the losses */
	size_t queue_most;
};

struct bridge_count {
	uint64_t frames, bytes;
	uint64_t lost;    /* by the link that is played */
	uint64_t dropped; /* device down, queue full, no tunnel */
};

struct bridge {
	struct bridge_count to_device, from_device;
	/* private */
	struct bridge_conf conf;
	struct worker *w;
	struct poll_fd poll;
	struct l2client *client; /* NULL: no tunnel */
	struct lane to, from;
	struct timer timer;
	uint64_t random;
	uint64_t free_at; /* when the link to the device has carried what it was given; µs */
	bool readable, blocked, paused;
};

int bridge_open(struct bridge *b, struct worker *w, const struct bridge_conf *conf);
void bridge_close(struct bridge *b);
void bridge_up(struct bridge *b, struct l2client *c);
void bridge_down(struct bridge *b);
void bridge_frame(struct bridge *b, struct span frame);
bool bridge_pull(struct bridge *b, struct emit *e);
