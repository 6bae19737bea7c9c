/* Everything at once, at random, from a fixed seed: raw clients that say half of something, our own
 * clients, both sides closing in every way at every moment. What must hold: each WebSocket that
 * was given away is closed exactly once, and nothing is left in the end. */
#include "http/wsclient.h"

#include "rig.h"

#define SLOTS 24
#define STEPS 6000

struct end {
	struct ws ws;
	bool live;
};

static struct rig rig;
static struct end servers[512], clients[SLOTS];
static int raw[SLOTS];
static struct req *asked[64];
static int n_opened, n_closed;
static uint64_t seed = 42;

static unsigned
pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void
hurt(struct ws *ws)
{
	static uint8_t zeros[3000];
	switch (pick(12)) {
	case 0: ws_drop(ws); break;
	case 1: ws_close(ws, 1001, "enough", pick(20)); break;
	case 2: ws_pause(ws); break;
	case 3: ws_resume(ws); break;
	case 4: ws_want(ws); break;
	default:
		ws_send(ws, pick(4) ? WS_BINARY : WS_PING, span(zeros, pick(4) ? pick(126) : 3000));
		break;
	}
}

static void
on_message(struct ws *ws, struct span s, bool text)
{
	(void)s;
	(void)text;
	assert_true(CONTAINER_OF(ws, struct end, ws)->live);
	if (!pick(3))
		hurt(ws);
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	uint8_t mask[4] = {0}, *p = out->p + out->n;
	assert_true(CONTAINER_OF(ws, struct end, ws)->live);
	size_t h = wsframe_put_head(p, WS_BINARY, 2000, out->masked ? mask : NULL);
	memset(p + h, 0, 2000);
	out->n += h + 2000;
	if (!pick(50))
		hurt(ws);
	return pick(8);
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	struct end *e = CONTAINER_OF(ws, struct end, ws);
	(void)code;
	(void)reason;
	assert_true(e->live);
	e->live = false;
	n_closed++;
	memset(&e->ws, 0xa5, sizeof e->ws); /* the memory is ours again */
}

static const struct ws_ops ops = {.message = on_message, .pull = on_pull, .closed = on_closed};

static void
accept_ws(struct req *r)
{
	for (size_t i = 0; i < ARRAY_LEN(servers); i++)
		if (!servers[i].live) {
			servers[i].live = true;
			n_opened++;
			req_upgrade(r, &servers[i].ws, &ops, NULL, 10000, 16 << 10);
			return;
		}
	req_reply(r, 503, NULL, "", SPAN_NONE);
}

static void
on_ws(struct req *r, void *user)
{
	const char *body;
	(void)user;
	if (req_ws_check(r, &body))
		req_reply(r, 400, NULL, "", SPAN_NONE);
	else
		accept_ws(r);
}

static void
on_gone(struct req *r)
{
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		if (asked[i] == r)
			asked[i] = NULL;
}

static void
on_later(struct req *r, void *user)
{
	(void)user;
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		if (!asked[i]) {
			asked[i] = r;
			req_on_gone(r, on_gone);
			return;
		}
	req_reply(r, 503, NULL, "", SPAN_NONE);
}

static const struct route routes[] = {
        {"/ws", METHOD_GET, on_ws},
        {"/later", METHOD_GET, on_later},
        {0},
};

static void
raw_step(int *fd)
{
	static const char *const says[] = {
	        "GET /later HTTP/1.1\r\n\r\n",
	        "GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n\r\n",
	        "GET /later HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n\r\n\x82\x80\0\0\0\0",
	        "GET /nope HTTP/1.1\r\n\r\nGET /no",
	        "pe HTTP/1.1\r\n\r\n",
	        "\x82\x81zzzzy",
	        "\x88\x80zzzz",
	        "\x89\x80zzzz",
	        "junk\r\n",
	};
	char b[4096];
	if (*fd < 0) {
		*fd = rig_connect(&rig, pick(2) ? 4096 : 0);
		return;
	}
	switch (pick(8)) {
	case 0: close(*fd), *fd = -1; break;
	case 1: shutdown(*fd, SHUT_WR); break;
	case 2:
	case 3: (void)!recv(*fd, b, sizeof b, 0); break;
	default:
		strcpy(b, says[pick(ARRAY_LEN(says))]);
		(void)!send(*fd, b, strlen(b), MSG_NOSIGNAL);
	}
}

static void
client_step(struct end *e)
{
	struct ws_dial d = {
	        .to = {ip4(INADDR_LOOPBACK), ntohs(rig.at.sin_port)},
	        .host = "h",
	        .target = pick(6)   ? "/ws"
	                  : pick(2) ? "/later"
	                            : "/nope",
	        .timeout_ms = pick(50) + 1,
	        .max_message = 10000,
	        .unsent_max = 16 << 10,
	};
	if (e->live) {
		hurt(&e->ws);
		return;
	}
	e->live = true;
	n_opened++;
	assert_int_equal(ws_connect(rig.t, &e->ws, &ops, &d), 0);
}

static void
answer_some(void)
{
	struct req **r = &asked[pick(ARRAY_LEN(asked))];
	struct req *it = *r;
	if (!it)
		return;
	*r = NULL;
	if (req_header(it, "sec-websocket-key", 0).p && pick(2))
		accept_ws(it);
	else
		req_reply(it, 200, NULL, "", SPAN_LIT("ok"));
}

static void
step(void)
{
	int fd = accept4(rig.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		server_adopt(rig.s, fd);
	switch (pick(5)) {
	case 0: client_step(&clients[pick(SLOTS)]); break;
	case 1: answer_some(); break;
	case 2: {
		struct end *e = &servers[pick(SLOTS)];
		if (e->live)
			hurt(&e->ws);
		break;
	}
	default: raw_step(&raw[pick(SLOTS)]);
	}
	if (pick(3))
		rig_turn(&rig);
	if (!pick(40))
		poll(NULL, 0, 1);
}

static void
churn(void **state)
{
	(void)state;
	struct server_settings s = rig_conf;
	s.head_ms = 30;
	s.idle_ms = 20;
	rig_open(&rig, &s, routes, NULL);
	fcntl(rig.listen_fd, F_SETFL, O_NONBLOCK);
	memset(raw, 0xff, sizeof raw);
	for (int i = 0; i < STEPS; i++)
		step();
	assert_true(n_opened > 100);
	for (int i = 0; i < SLOTS; i++) {
		if (raw[i] >= 0)
			close(raw[i]);
		if (clients[i].live)
			ws_drop(&clients[i].ws);
	}
	rig_spin(&rig, 10);
	server_free(rig.s);
	rig.s = NULL;
	rig_spin(&rig, 100);
	assert_int_equal(n_opened, n_closed);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++)
		assert_null(asked[i]);
	rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(churn)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
