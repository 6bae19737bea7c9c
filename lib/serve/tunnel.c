/* What happens to a message: quotas, then the tunnel header, then by type: a FRAME goes into the
 * stack, a PING is answered. What happens toward the guest: nothing waits here. The stack is asked
 * for frames when the socket can take them, and each frame gets its two headers (tunnel and
 * WebSocket) in place.
 *
 * One timer serves all of a tunnel's clocks: it fires at the nearest of them and looks at each. */
#include "serve/tunnel.h"

#include "serve/l2svc.h"
#include "wire/l2tun.h"

#include <stdlib.h>
#include <time.h>

#define LINGER_MS 1000         /* for the client's Close after ours */
#define SHUTDOWN_LINGER_MS 250 /* who waits for our end may not wait long */
#define PONG_STALL_MS 1000
#define READ_MOST (256u << 10) /* what one read may bring */
#define FRAME_HEAD(len) (wsframe_head_len((len) + L2TUN_HEAD, false) + L2TUN_HEAD)

static void
count(struct tunnel *t, enum metric m, uint64_t n)
{
	metric_add(t->svc->shard, m, n);
}

static const struct tunnel_conf *
conf_of(const struct tunnel *t)
{
	return &t->svc->app->l2->tunnel;
}

static struct l2tun_limits
limits_of(const struct tunnel *t)
{
	const struct tunnel_conf *c = conf_of(t);
	return (struct l2tun_limits){c->max_frame_payload, c->max_control_payload};
}

/* Once for many frames, and before anybody can learn of the end. */
static void
tell_received(struct tunnel *t)
{
	count(t, M_L2_FRAMES_RX, t->frames_rx - t->told_frames_rx);
	count(t, M_L2_BYTES_RX, t->bytes_rx - t->told_bytes_rx);
	t->told_frames_rx = t->frames_rx;
	t->told_bytes_rx = t->bytes_rx;
}

/* --- closing ----------------------------------------------------------------------------- */

static void
send_error(struct tunnel *t, uint16_t code, const char *text)
{
	uint8_t msg[L2TUN_HEAD + 512];
	struct l2tun_limits lim = limits_of(t);
	size_t most = lim.control < sizeof msg - L2TUN_HEAD ? lim.control : sizeof msg - L2TUN_HEAD;
	l2tun_put_head(msg, L2TUN_ERROR);
	size_t n = l2tun_put_error(msg + L2TUN_HEAD, most, code, span_str(text));
	ws_send(&t->ws, WS_BINARY, span(msg, L2TUN_HEAD + n));
}

static void
close_saying(struct tunnel *t, enum reason why, const char *text)
{
	const struct reason_row *row = reason_row(why);
	if (t->closing)
		return;
	t->closing = true;
	t->reason = why;
	tell_received(t);
	wheel_del(&t->svc->w->wheel, &t->tick);
	if (row->l2_error)
		send_error(t, row->l2_error, text);
	ws_close(&t->ws, row->ws_code, text,
	        why == R_shutting_down ? SHUTDOWN_LINGER_MS : LINGER_MS);
}

void
tunnel_close(struct tunnel *t, enum reason why)
{
	static const enum metric counters[REASON_COUNT] = {
	        [R_quota_bytes] = M_L2_CLOSED_QUOTA_BYTES,
	        [R_quota_fps] = M_L2_CLOSED_QUOTA_FPS,
	        [R_backpressure] = M_L2_CLOSED_BACKPRESSURE,
	        [R_idle_timeout] = M_L2_IDLE_TIMEOUTS,
	};
	if (!t->closing && counters[why])
		count(t, counters[why], 1);
	close_saying(t, why, reason_row(why)->text);
}

/* --- from the client --------------------------------------------------------------------- */

static void
on_pong(struct tunnel *t, struct span payload, uint64_t now)
{
	struct rd r = rd_init(payload);
	uint64_t n = rd_u64(&r);
	if (!t->ping_outstanding || payload.n != 8 || n != t->ping_counter)
		return;
	t->ping_outstanding = false;
	uint64_t ms = now - t->ping_sent_at;
	metric_observe(t->svc->shard, M_L2_PING_RTT_MS, ms);
	stack_rtt(t->up.stack, (uint32_t)ms * 1000);
}

/* A reply is the only thing that waits in user space, because the client asked for it and nothing
 * else can be made to hold it. One read holds at most 256 KiB of requests, so the cap is only met
 * by a client that was not read for good reason. */
static void
on_ping(struct tunnel *t, struct span payload)
{
	uint8_t head[WSFRAME_HEAD_MOST + L2TUN_HEAD];
	size_t len = L2TUN_HEAD + payload.n;
	if (!quota_bytes(&t->quota, len)) {
		tunnel_close(t, R_quota_bytes);
		return;
	}
	size_t n = wsframe_put_head(head, WS_BINARY, len, NULL);
	l2tun_put_head(head + n, L2TUN_PONG);
	if (!buf_add(&t->replies, span(head, n + L2TUN_HEAD)) || !buf_add(&t->replies, payload)) {
		tunnel_close(t, R_backpressure);
		return;
	}
	if (++t->n_replies > conf_of(t)->send_buffer)
		ws_pause(&t->ws);
	tunnel_wake(t);
}

static void
on_frame(struct tunnel *t, struct span frame, uint64_t now)
{
	t->frames_rx++;
	t->bytes_rx += frame.n;
	capfile_frame(t->capture, CAPFILE_FROM_GUEST, frame);
	stack_frame(t->up.stack, frame, now);
}

/* Charged before anything is looked at; bytes come before rate. */
static bool
within_quota(struct tunnel *t, size_t bytes, uint64_t now)
{
	if (!quota_bytes(&t->quota, bytes))
		tunnel_close(t, R_quota_bytes);
	else if (!quota_message(&t->quota, now))
		tunnel_close(t, R_quota_fps);
	return !t->closing;
}

static void
on_message(struct ws *ws, struct span payload, bool text)
{
	struct tunnel *t = CONTAINER_OF(ws, struct tunnel, ws);
	uint64_t now = worker_now(t->svc->w);
	struct l2tun_limits lim = limits_of(t);
	char why[L2TUN_WHY];
	struct l2tun m;
	if (t->closing || !within_quota(t, payload.n, now))
		return;
	t->last_rx = now;
	if (text)
		return;
	if (l2tun_decode(payload, &lim, &m, why) < 0) {
		t->dropped++;
		count(t, M_L2_FRAMES_DROPPED, 1);
		log_debug(&t->log, "dropping invalid l2 message", kv_str("why", why));
		close_saying(t, R_protocol_error, why);
		return;
	}
	if (m.type == L2TUN_FRAME)
		on_frame(t, m.payload, now);
	else if (m.type == L2TUN_PING)
		on_ping(t, m.payload);
	else if (m.type == L2TUN_PONG)
		on_pong(t, m.payload, now);
}

static void
on_control(struct ws *ws, bool ping, struct span payload)
{
	struct tunnel *t = CONTAINER_OF(ws, struct tunnel, ws);
	uint64_t now = worker_now(t->svc->w);
	size_t reply = ping ? payload.n : 0;
	if (!t->closing && within_quota(t, payload.n + reply, now))
		t->last_rx = now;
}

static void
on_batch_end(struct ws *ws)
{
	struct tunnel *t = CONTAINER_OF(ws, struct tunnel, ws);
	stack_rx_end(t->up.stack, worker_now(t->svc->w));
	tell_received(t);
}

/* --- to the client ----------------------------------------------------------------------- */

static size_t
reply_cap(const struct tunnel *t)
{
	return conf_of(t)->send_queue + conf_of(t)->max_control_payload + READ_MOST;
}

static size_t
head_len(const struct emit *e, size_t len)
{
	(void)e;
	return FRAME_HEAD(len);
}

static void
tap(struct emit *e, struct span frame)
{
	struct tunnel *t = e->user;
	if (t->over_quota)
		return;
	if (!quota_bytes(&t->quota, L2TUN_HEAD + frame.n)) {
		t->over_quota = true;
		return;
	}
	t->frames_tx++;
	t->bytes_tx += frame.n;
	capfile_frame(t->capture, CAPFILE_TO_GUEST, frame);
}

static void
seal(struct emit *e, uint8_t *frame, size_t len)
{
	struct tunnel *t = e->user;
	uint8_t *p = frame - L2TUN_HEAD;
	l2tun_put_head(p, L2TUN_FRAME);
	wsframe_put_head(
	        p - wsframe_head_len(len + L2TUN_HEAD, false), WS_BINARY, len + L2TUN_HEAD, NULL);
	if (!t->over_quota)
		t->good = (size_t)(frame + len - e->base);
}

/* The length of a WebSocket frame that we wrote ourselves. */
static size_t
reply_len(const uint8_t *p)
{
	if (p[1] < 126)
		return 2u + p[1];
	return p[1] == 126 ? 4u + get16(p + 2) : 10u + get32(p + 6);
}

/* Whole frames from the front of the replies, as many as fit, at least one. */
static void
pull_replies(struct tunnel *t, struct ws_out *out)
{
	size_t n = 0;
	while (n < t->replies.n) {
		size_t len = reply_len(t->replies.p + n);
		if (out->n + n + len > (n ? out->budget : out->cap))
			break;
		n += len;
		t->n_replies--;
	}
	memcpy(out->p + out->n, t->replies.p, n);
	out->n += n;
	buf_eat(&t->replies, n);
	if (!t->replies.n) { /* an idle tunnel holds no memory for replies */
		buf_fini(&t->replies);
		buf_init(&t->replies, reply_cap(t));
	}
	if (t->n_replies <= conf_of(t)->send_buffer)
		ws_resume(&t->ws);
}

/* Frames of the stack behind what is there. One always fits, so that having more to send and not
 * sending it can only mean that there was no room at all. */
static bool
pull_frames(struct tunnel *t, struct ws_out *out, uint64_t now)
{
	struct emit e;
	size_t most = conf_of(t)->max_frame_payload, least = most + FRAME_HEAD(most);
	size_t left = out->budget > out->n ? out->budget - out->n : 0;
	emit_init(&e, out->p + out->n, out->cap - out->n, left > least ? left : least, most);
	e.head_len = head_len;
	e.seal = seal;
	e.tap = tap;
	e.user = t;
	t->good = 0;
	bool more = stack_pull(t->up.stack, &e, now);
	emit_end(&e);
	out->n += t->good;
	count(t, M_L2_FRAMES_DROPPED, e.dropped);
	t->dropped += e.dropped;
	return more;
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	struct tunnel *t = CONTAINER_OF(ws, struct tunnel, ws);
	uint64_t now = worker_now(t->svc->w), frames = t->frames_tx, bytes = t->bytes_tx;
	size_t before = out->n;
	if (t->replies.n)
		pull_replies(t, out);
	bool more = pull_frames(t, out, now) || t->replies.n;
	count(t, M_L2_FRAMES_TX, t->frames_tx - frames);
	count(t, M_L2_BYTES_TX, t->bytes_tx - bytes);
	if (!more)
		t->waiting_since = 0;
	else if (out->n > before)
		t->waiting_since = now;
	if (t->over_quota)
		tunnel_close(t, R_quota_bytes);
	return more && !t->closing;
}

/* --- clocks ------------------------------------------------------------------------------ */

static void
sooner(uint64_t *at, uint64_t when)
{
	if (when < *at)
		*at = when;
}

static uint64_t
stall_patience(const struct tunnel *t)
{
	uint64_t ms = conf_of(t)->stall_timeout;
	bool flooded = t->n_replies > conf_of(t)->send_buffer;
	return flooded && ms > PONG_STALL_MS ? PONG_STALL_MS : ms;
}

/* Arm the timer for whatever comes first. */
static void
rearm(struct tunnel *t)
{
	uint64_t at = UINT64_MAX, idle = conf_of(t)->idle_timeout;
	if (idle)
		sooner(&at, t->last_rx + idle);
	if (t->ping_due)
		sooner(&at, t->ping_due);
	if (t->waiting_since)
		sooner(&at, t->waiting_since + stall_patience(t));
	if (at != UINT64_MAX)
		wheel_add(&t->svc->w->wheel, &t->tick, at);
}

void
tunnel_reloaded(struct tunnel *t)
{
	if (t->closing)
		return;
	if (conf_of(t)->ping_interval && !t->ping_due)
		t->ping_due = worker_now(t->svc->w) + conf_of(t)->ping_interval;
	rearm(t);
}

void
tunnel_wake(struct tunnel *t)
{
	if (t->closing)
		return;
	if (!t->waiting_since)
		t->waiting_since = worker_now(t->svc->w);
	uint64_t at = t->waiting_since + stall_patience(t); /* a flood makes it sooner */
	if (!timer_armed(&t->tick) || t->tick.when > at)
		wheel_add(&t->svc->w->wheel, &t->tick, at);
	ws_want(&t->ws);
}

/* A missing PONG never ends a tunnel; it only delays the next PING by up to three intervals. */
static void
ping(struct tunnel *t, uint64_t now)
{
	uint64_t every = conf_of(t)->ping_interval;
	uint8_t msg[L2TUN_HEAD + 8];
	struct wr w = wr_init(msg + L2TUN_HEAD, 8);
	t->ping_due = every ? now + every : 0;
	if (!every || conf_of(t)->max_control_payload < 8)
		return;
	if (t->ping_outstanding && now - t->ping_sent_at <= 3 * every)
		return;
	if (!quota_bytes(&t->quota, sizeof msg)) {
		tunnel_close(t, R_quota_bytes);
		return;
	}
	l2tun_put_head(msg, L2TUN_PING);
	wr_u64(&w, ++t->ping_counter);
	t->ping_outstanding = ws_send(&t->ws, WS_BINARY, span(msg, sizeof msg)) == 0;
	t->ping_sent_at = now;
}

static void
on_tick(struct timer *timer, uint64_t now)
{
	struct tunnel *t = CONTAINER_OF(timer, struct tunnel, tick);
	uint64_t idle = conf_of(t)->idle_timeout;
	if (idle && now >= t->last_rx + idle) {
		log_warn(&t->log, "closing idle session", kv_str("reason", "idle_timeout"),
		        kv_u64("idle_ms", now - t->last_rx));
		tunnel_close(t, R_idle_timeout);
	} else if (t->waiting_since && now >= t->waiting_since + stall_patience(t)) {
		tunnel_close(t, R_backpressure);
	} else if (t->ping_due && now >= t->ping_due) {
		ping(t, now);
	}
	if (!t->closing)
		rearm(t);
}

/* --- life -------------------------------------------------------------------------------- */

static enum reason
reason_of_code(uint16_t code)
{
	switch (code) {
	case WS_CODE_LOST: return R_client_lost;
	case WS_CODE_PROTOCOL: return R_websocket_violation;
	case WS_CODE_BAD_DATA: return R_bad_text;
	case WS_CODE_TOO_BIG: return R_message_too_big;
	default: return R_client_closed;
	}
}

/* The one line about an ended session; `why` and the totals explain it. */
static void
log_end(const struct tunnel *t, uint16_t code, const struct stack_totals *sum, uint64_t now)
{
	log_info(&t->log, "session closed", kv_str("reason", reason_row(t->reason)->name),
	        kv_u64("ws_code", code), kv_u64("ms", now - t->opened_at),
	        kv_u64("frames_rx", t->frames_rx), kv_u64("bytes_rx", t->bytes_rx),
	        kv_u64("frames_tx", t->frames_tx), kv_u64("bytes_tx", t->bytes_tx),
	        kv_u64("dropped", t->dropped), kv_u64("tcp", sum->tcp_opened),
	        kv_u64("udp", sum->udp_opened), kv_u64("tcp_open", sum->tcp_flows),
	        kv_u64("denied", t->up.denied), kv_u64("dns", t->up.dns_queries),
	        kv_str("guest_mac", mac_text(&sum->guest_mac, (char[MAC_TEXT]){0})),
	        kv_bool("address", sum->assigned));
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	struct tunnel *t = CONTAINER_OF(ws, struct tunnel, ws);
	struct l2svc *svc = t->svc;
	struct stack_totals sum;
	(void)reason;
	if (!t->closing)
		t->reason = reason_of_code(code);
	t->closing = true;
	tell_received(t);
	wheel_del(&svc->w->wheel, &t->tick);
	stack_totals(t->up.stack, &sum);
	log_end(t, code, &sum, worker_now(svc->w));
	uplink_close(&t->up);
	capfile_close(t->capture);
	metric_sub(svc->shard, M_L2_SESSIONS_ACTIVE, 1);
	gate_release(svc, &t->pass);
	list_del(&t->node);
	buf_fini(&t->replies);
	free(t);
	l2svc_tunnel_gone(svc);
}

static const struct ws_ops ws_ops = {
        .message = on_message,
        .control = on_control,
        .batch_end = on_batch_end,
        .pull = on_pull,
        .closed = on_closed,
};

static void
on_uplink_wake(struct uplink *up)
{
	tunnel_wake(CONTAINER_OF(up, struct tunnel, up));
}

static void
begin(struct tunnel *t, uint64_t now)
{
	const struct kv ids[] = {kv_u64("tunnel", t->id), kv_str("sid", t->pass.sid)};
	log_link(&t->log, &t->svc->w->log, ids, t->pass.sid[0] ? 2 : 1);
	t->opened_at = t->last_rx = now;
	timer_init(&t->tick, on_tick);
	buf_init(&t->replies, reply_cap(t));
	list_add(&t->svc->tunnels, &t->node);
	count(t, M_L2_SESSIONS_ACTIVE, 1);
	count(t, M_L2_SESSIONS, 1);
	log_info(&t->log, "session opened", kv_ip("client", &t->pass.client.ip));
	if (t->svc->capture.path)
		t->capture = capfile_open(&t->svc->capture, &t->log, t->id);
}

int
tunnel_open(struct l2svc *svc, struct req *r, const struct gate_pass *pass)
{
	const struct app *app = svc->app;
	const struct tunnel_conf *c = &app->l2->tunnel;
	const struct limits_conf *l = &app->l2->limits;
	uint64_t now = worker_now(svc->w);
	struct tunnel *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->svc = svc;
	t->pass = *pass;
	t->id = shard_next_id(svc->shard);
	quota_init(&t->quota, l->max_bytes_per_connection, l->max_frames_per_second, now);
	if (uplink_open(&t->up, svc, &t->log, on_uplink_wake) < 0) {
		free(t);
		return -ENOMEM;
	}
	begin(t, now);
	struct l2tun_limits lim = limits_of(t);
	req_upgrade(r, &t->ws, &ws_ops, L2TUN_PROTOCOL, l2tun_most(&lim), (uint32_t)c->not_sent);
	if (c->ping_interval)
		ping(t, now);
	if (!t->closing)
		rearm(t);
	return 0;
}
