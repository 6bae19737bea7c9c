/* To the device frames are written at once where nothing delays them. A rate is a clock that runs
 * ahead of time by what was let through: each frame is due when the link would have carried it, and
 * the tunnel is not read while that clock is more than a moment ahead.
 *
 * From the device frames are read straight into the tunnel's output, unless a delay or the loss of
 * some makes them wait in a lane first. */
#include "client/bridge.h"

#include "net/worker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	MILLION = 1000000,
	AHEAD_US = 2000, /* how far the rate's clock may run ahead before reading stops */
	FRAME_MOST = 65536,
};

static uint64_t
clock_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MILLION + (uint64_t)ts.tv_nsec / 1000;
}

/* xorshift64*: the same seed loses the same frames. */
static bool
is_lost(struct bridge *b, const struct bridge_link *l)
{
	if (!l->loss_ppm)
		return false;
	b->random ^= b->random >> 12;
	b->random ^= b->random << 25;
	b->random ^= b->random >> 27;
	return (b->random * 0x2545f4914f6cdd1dull >> 32) % MILLION < l->loss_ppm;
}

/* --- to the device ---------------------------------------------------------------------------- */

/* False: the device takes nothing now. */
static bool
write_frame(struct bridge *b, struct span frame)
{
	ssize_t n = write(b->conf.fd, frame.p, frame.n);
	if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
		return false;
	if (n < 0) {
		b->to_device.dropped++;
		return true;
	}
	b->to_device.frames++;
	b->to_device.bytes += frame.n;
	return true;
}

static void
arm(struct bridge *b, uint64_t now)
{
	uint64_t due = b->blocked ? UINT64_MAX : lane_due(&b->to), from = lane_due(&b->from);
	if (b->client && from < due)
		due = from;
	if (b->paused && b->free_at - AHEAD_US / 2 < due)
		due = b->free_at - AHEAD_US / 2;
	if (due == UINT64_MAX)
		return;
	uint64_t ms = due > now ? (due - now + 999) / 1000 : 1;
	wheel_add(&b->w->wheel, &b->timer, worker_now(b->w) + ms);
}

static void
flush_to(struct bridge *b, uint64_t now)
{
	struct span frame;
	while (!b->blocked && (frame = lane_first(&b->to, now)).p) {
		if (write_frame(b, frame))
			lane_drop(&b->to);
		else
			b->blocked = true;
	}
}

static void
pace(struct bridge *b, uint64_t now)
{
	bool ahead = b->free_at > now + (b->paused ? AHEAD_US / 2 : AHEAD_US);
	if (ahead == b->paused || !b->client)
		return;
	b->paused = ahead;
	if (ahead)
		l2client_pause(b->client);
	else
		l2client_resume(b->client);
}

void
bridge_frame(struct bridge *b, struct span frame)
{
	if (is_lost(b, &b->conf.to_device)) {
		b->to_device.lost++;
		return;
	}
	bool plain = !b->conf.rate_bps && !b->conf.to_device.delay_ms;
	if (plain && list_empty(&b->to.frames) && write_frame(b, frame))
		return;
	uint64_t now = clock_us(), due = now;
	if (b->conf.rate_bps) {
		b->free_at = b->free_at > now ? b->free_at : now;
		b->free_at += frame.n * 8 * MILLION / b->conf.rate_bps;
		due = b->free_at;
	}
	due += 1000ull * b->conf.to_device.delay_ms;
	b->blocked = b->blocked || plain;
	if (!lane_add(&b->to, frame, due))
		b->to_device.dropped++;
	pace(b, now);
	arm(b, now);
}

/* --- from the device -------------------------------------------------------------------------- */

static bool
waits(const struct bridge *b)
{
	return b->conf.from_device.delay_ms || b->conf.from_device.loss_ppm;
}

/* Everything the device has, into the lane, or away when there is no tunnel to carry it. */
static void
drain(struct bridge *b)
{
	uint8_t *p = b->w->scratch;
	ssize_t n = 0;
	while (b->readable && b->from.bytes + FRAME_MOST <= b->from.most) {
		n = read(b->conf.fd, p, FRAME_MOST);
		if (n <= 0) {
			b->readable = false;
			break;
		}
		uint64_t due = clock_us() + 1000ull * b->conf.from_device.delay_ms;
		if (!b->client)
			b->from_device.dropped++;
		else if (is_lost(b, &b->conf.from_device))
			b->from_device.lost++;
		else if (!lane_add(&b->from, span(p, (size_t)n), due))
			b->from_device.dropped++;
	}
}

static bool
pull_lane(struct bridge *b, struct emit *e)
{
	struct span frame;
	uint64_t now = clock_us();
	drain(b);
	while ((frame = lane_first(&b->from, now)).p) {
		uint8_t *p = emit_frame(e, frame.n);
		if (!p && e->full)
			return true;
		if (p) {
			memcpy(p, frame.p, frame.n);
			b->from_device.frames++;
			b->from_device.bytes += frame.n;
		}
		lane_drop(&b->from);
	}
	arm(b, now);
	return b->readable;
}

static bool
pull_device(struct bridge *b, struct emit *e)
{
	uint8_t *p;
	size_t stride;
	while (b->readable) {
		if (!emit_slots(e, e->max_frame, 1, &p, &stride))
			return true;
		ssize_t n = read(b->conf.fd, p, e->max_frame);
		b->readable = n > 0;
		if (n <= 0)
			break;
		emit_commit(e, 1, (size_t)n);
		b->from_device.frames++;
		b->from_device.bytes += (size_t)n;
	}
	return false;
}

bool
bridge_pull(struct bridge *b, struct emit *e)
{
	return waits(b) ? pull_lane(b, e) : pull_device(b, e);
}

/* --- events ----------------------------------------------------------------------------------- */

static void
on_timer(struct timer *t, uint64_t now_ms)
{
	(void)now_ms;
	struct bridge *b = CONTAINER_OF(t, struct bridge, timer);
	uint64_t now = clock_us();
	flush_to(b, now);
	pace(b, now);
	if (b->client && lane_first(&b->from, now).p)
		l2client_want(b->client);
	arm(b, now);
}

static void
on_ready(struct poll_fd *p, uint32_t events)
{
	struct bridge *b = CONTAINER_OF(p, struct bridge, poll);
	if (events & EPOLLOUT && b->blocked) {
		uint64_t now = clock_us();
		b->blocked = false;
		flush_to(b, now);
		arm(b, now);
	}
	if (!(events & EPOLLIN))
		return;
	b->readable = true;
	if (!b->client || waits(b))
		drain(b);
	if (!b->client)
		return;
	if (waits(b))
		arm(b, clock_us());
	if (!waits(b) || !b->conf.from_device.delay_ms)
		l2client_want(b->client);
}

int
bridge_open(struct bridge *b, struct worker *w, const struct bridge_conf *conf)
{
	*b = (struct bridge){.conf = *conf, .w = w};
	b->random = conf->seed * 0x9e3779b97f4a7c15ull | 1;
	lane_init(&b->to, conf->queue_most);
	lane_init(&b->from, conf->queue_most);
	timer_init(&b->timer, on_timer);
	b->poll = (struct poll_fd){.ready = on_ready, .fd = conf->fd};
	return poller_add(w->poller, &b->poll);
}

void
bridge_close(struct bridge *b)
{
	poller_del(b->w->poller, &b->poll);
	wheel_del(&b->w->wheel, &b->timer);
	lane_fini(&b->to);
	lane_fini(&b->from);
}

void
bridge_up(struct bridge *b, struct l2client *c)
{
	drain(b);
	b->client = c;
	b->paused = false;
	l2client_want(c);
}

void
bridge_down(struct bridge *b)
{
	b->client = NULL;
	lane_fini(&b->from);
	drain(b);
}
