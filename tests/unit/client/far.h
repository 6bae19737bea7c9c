/* far: the server's end of a tunnel, played by a test, in the same loop as the client. */
#pragma once

#include "../http/rig.h"

#include "base/cursor.h"
#include "client/bridge.h"
#include "client/l2client.h"

struct far {
	struct rig rig;
	struct ws ws;
	bool open, refuse, wrong_protocol;
	char head[2048]; /* what the client asked with */
	size_t frames, pings, pongs, last_n;
	uint8_t last[2048]; /* the last frame */
	int closed;
	uint16_t code;
};

static struct far far;

static inline void
far_send(enum l2tun_type type, struct span payload)
{
	uint8_t p[L2TUN_HEAD + 2048];
	l2tun_put_head(p, type);
	if (payload.n)
		memcpy(p + L2TUN_HEAD, payload.p, payload.n);
	assert_int_equal(ws_send(&far.ws, WS_BINARY, span(p, L2TUN_HEAD + payload.n)), 0);
}

static void
far_message(struct ws *ws, struct span s, bool text)
{
	static const struct l2tun_limits lim = {2048, 256};
	struct l2tun m;
	char why[L2TUN_WHY];
	(void)ws;
	assert_false(text);
	assert_int_equal(l2tun_decode(s, &lim, &m, why), 0);
	far.frames += m.type == L2TUN_FRAME;
	far.pings += m.type == L2TUN_PING;
	far.pongs += m.type == L2TUN_PONG;
	far.last_n = m.payload.n;
	memcpy(far.last, m.payload.p, m.payload.n);
	if (m.type == L2TUN_PING)
		far_send(L2TUN_PONG, m.payload);
}

static void
far_closed(struct ws *ws, uint16_t code, struct span reason)
{
	(void)ws;
	(void)reason;
	far.closed++;
	far.code = code;
	far.open = false;
}

static const struct ws_ops far_ops = {.message = far_message, .closed = far_closed};

static void
far_upgrade(struct req *r, void *user)
{
	struct span name, value;
	size_t n = 0;
	(void)user;
	for (unsigned i = 0; req_header_at(r, i, &name, &value); i++)
		n += (size_t)snprintf(far.head + n, sizeof far.head - n, "%.*s: %.*s\n",
		        (int)name.n, (const char *)name.p, (int)value.n, (const char *)value.p);
	struct span q = req_query(r);
	snprintf(far.head + n, sizeof far.head - n, "?%.*s\n", (int)q.n,
	        q.n ? (const char *)q.p : "");
	if (far.refuse) {
		req_reply(r, 401, "text/plain", "", SPAN_LIT("invalid token\nmore"));
		return;
	}
	far.open = true;
	req_upgrade(r, &far.ws, &far_ops, far.wrong_protocol ? NULL : L2TUN_PROTOCOL, 4096, 65536);
}

static const struct route far_routes[] = {
        {"/l2", METHOD_GET, far_upgrade},
        {NULL, 0, NULL},
};

static inline void
far_start(void)
{
	memset(&far, 0, sizeof far);
	rig_open(&far.rig, &rig_conf, far_routes, NULL);
}

static inline void
far_stop(void)
{
	rig_close(&far.rig);
}

/* Take the connection that is being made, if there is one. */
static inline void
far_accept(void)
{
	struct pollfd p = {.fd = far.rig.listen_fd, .events = POLLIN};
	if (poll(&p, 1, 0) == 1) {
		int fd = accept4(far.rig.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		assert_int_equal(server_adopt(far.rig.s, fd), 0);
	}
}

#define FAR_UNTIL(cond) RIG_UNTIL(&far.rig, (far_accept(), (cond)))

static inline struct l2client_dial
far_dial(void)
{
	char text[64];
	struct l2client_dial d = {.timeout_ms = 1000, .limits = {2048, 256}};
	snprintf(text, sizeof text, "ws://127.0.0.1:%u/l2", ntohs(far.rig.at.sin_port));
	assert_int_equal(url_parse(text, &d.url, NULL), 0);
	assert_int_equal(url_resolve(&d.url, &d.to, NULL), 0);
	return d;
}
