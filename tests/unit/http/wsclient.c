#include "http/wsclient.h"

#include "rig.h"

#include "base/buf.h"
#include "wire/wsframe.h"

struct end {
	struct ws ws;
	struct buf log;
	int n_closed, frames, expected;
	struct span expect;
	bool echo;
};

static struct rig rig;
static struct end client, server;

static struct end *
of(struct ws *ws)
{
	return CONTAINER_OF(ws, struct end, ws);
}

static void
on_opened(struct ws *ws, struct span subprotocol)
{
	buf_addf(&of(ws)->log, "opened(%.*s)", (int)subprotocol.n,
	        subprotocol.n ? (const char *)subprotocol.p : "");
}

static void
on_refused(struct ws *ws, int status, struct span body)
{
	buf_addf(&of(ws)->log, "refused(%d %.*s)", status, (int)(body.n < 50 ? body.n : 50),
	        body.n ? (const char *)body.p : "");
}

static void
on_message(struct ws *ws, struct span s, bool text)
{
	buf_addf(&of(ws)->log, "%c(%.*s)", text ? 'T' : 'B', (int)(s.n < 40 ? s.n : 40),
	        s.n ? (const char *)s.p : "");
	of(ws)->expected += of(ws)->expect.n && span_eq(s, of(ws)->expect);
	if (of(ws)->echo)
		assert_int_equal(ws_send(ws, text ? WS_TEXT : WS_BINARY, s), 0);
}

static void
on_control(struct ws *ws, bool ping, struct span s)
{
	buf_addf(&of(ws)->log, "%s(%.*s)", ping ? "ping" : "pong", (int)s.n,
	        s.n ? (const char *)s.p : "");
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	uint8_t mask[4] = {9, 8, 7, 6}, *p = out->p + out->n;
	size_t h = wsframe_put_head(p, WS_BINARY, 4, out->masked ? mask : NULL);
	memcpy(p + h, "pull", 4);
	if (out->masked)
		wsframe_mask(p + h, 4, mask, 0);
	out->n += h + 4;
	return --of(ws)->frames > 0;
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	of(ws)->n_closed++;
	buf_addf(&of(ws)->log, "closed(%u %.*s)", code, (int)reason.n,
	        reason.n ? (const char *)reason.p : "");
}

static const struct ws_ops ops = {
        .opened = on_opened,
        .refused = on_refused,
        .message = on_message,
        .control = on_control,
        .pull = on_pull,
        .closed = on_closed,
};

static char heads[1024];

static void
upgrade(struct req *r, void *user)
{
	const char *body;
	struct span name, value;
	size_t n = 0;
	(void)user;
	if (req_ws_check(r, &body))
		fail_msg("%s", body);
	n += (size_t)snprintf(heads, sizeof heads, "%.*s?%.*s ", (int)req_path(r).n, req_path(r).p,
	        (int)req_query(r).n, req_query(r).n ? (const char *)req_query(r).p : "");
	for (unsigned i = 0; req_header_at(r, i, &name, &value); i++)
		if (!span_ieq(name, SPAN_LIT("sec-websocket-key")))
			n += (size_t)snprintf(heads + n, sizeof heads - n, "%.*s=%.*s ",
			        (int)name.n, name.p, (int)value.n, value.p);
	req_upgrade(r, &server.ws, &ops, "b", 100000, 64 << 10);
}

static void
deny(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 403, "text/plain", "", SPAN_LIT("not you"));
}

static const struct route routes[] = {
        {"/ws", METHOD_GET, upgrade},
        {"/deny", METHOD_GET, deny},
        {0},
};

static void
end_init(struct end *e)
{
	*e = (struct end){0};
	buf_init(&e->log, 1 << 20);
}

static int
up(void **state)
{
	(void)state;
	end_init(&client);
	end_init(&server);
	rig_open(&rig, &rig_conf, routes, NULL);
	fcntl(rig.listen_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	rig_close(&rig);
	buf_fini(&client.log);
	buf_fini(&server.log);
	return 0;
}

static struct ws_dial
to(const char *target)
{
	return (struct ws_dial){
	        .to = {ip4(INADDR_LOOPBACK), ntohs(rig.at.sin_port)},
	        .host = "a.example:99",
	        .target = target,
	        .timeout_ms = 2000,
	        .max_message = 100000,
	        .unsent_max = 64 << 10,
	};
}

static int
accept_now(void)
{
	int fd = -1;
	for (int i = 0; i < 3000 && fd < 0; i++) {
		rig_turn(&rig);
		poll(NULL, 0, 1);
		fd = accept4(rig.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

static void
dial(const struct ws_dial *d)
{
	assert_int_equal(ws_connect(rig.t, &client.ws, &ops, d), 0);
	assert_string_equal(buf_str(&client.log), "");
	assert_int_equal(server_adopt(rig.s, accept_now()), 0);
}

#define LOG(e, text)                                                                             \
	do {                                                                                     \
		for (int log_i = 0; log_i < 3000 && strcmp(buf_str(&(e)->log), text); log_i++) { \
			rig_turn(&rig);                                                          \
			poll(NULL, 0, 1);                                                        \
		}                                                                                \
		assert_string_equal(buf_str(&(e)->log), text);                                   \
	} while (0)

static void
round_trip(void **state)
{
	(void)state;
	struct ws_dial d = to("/ws?q=1");
	d.subprotocols = "a, b";
	d.headers = "Origin: https://o\r\nCookie: c=d\r\n";
	server.echo = true;
	client.frames = 2;
	dial(&d);
	assert_int_equal(ws_send(&client.ws, WS_TEXT, SPAN_NONE), -ENOTCONN);
	ws_want(&client.ws); /* kept until there is something to want from */
	LOG(&client, "opened(b)B(pull)B(pull)");
	assert_string_equal(heads, "/ws?q=1 Host=a.example:99 Upgrade=websocket Connection=Upgrade "
	                           "Sec-WebSocket-Version=13 Sec-WebSocket-Protocol=a, b "
	                           "Origin=https://o Cookie=c=d ");
	assert_int_equal(ws_send(&client.ws, WS_TEXT, SPAN_LIT("hi")), 0);
	assert_int_equal(ws_send(&client.ws, WS_PING, SPAN_LIT("p")), 0);
	LOG(&server, "B(pull)B(pull)T(hi)ping(p)");
	LOG(&client, "opened(b)B(pull)B(pull)T(hi)pong(p)");
	assert_int_equal(ws_send(&server.ws, WS_PING, SPAN_LIT("q")), 0);
	LOG(&server, "B(pull)B(pull)T(hi)ping(p)pong(q)");
	buf_clear(&client.log);
	buf_clear(&server.log);
	ws_close(&client.ws, 1000, "done", 1000);
	LOG(&server, "closed(1000 done)");
	LOG(&client, "closed(1000 done)");
}

/* A message larger than any buffer on the way, both directions, every byte. */
static void
big_messages(void **state)
{
	(void)state;
	static uint8_t big[99999];
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)('a' + i % 26);
	struct ws_dial d = to("/ws");
	d.subprotocols = "b";
	server.echo = true;
	dial(&d);
	LOG(&client, "opened(b)");
	client.expect = span(big, sizeof big);
	for (int i = 0; i < 5; i++)
		while (ws_send(&client.ws, WS_BINARY, client.expect) == -ENOBUFS)
			rig_spin(&rig, 2);
	RIG_UNTIL(&rig, client.expected == 5);
}

static void
server_closes(void **state)
{
	(void)state;
	struct ws_dial d = to("/ws");
	d.subprotocols = "b";
	dial(&d);
	LOG(&client, "opened(b)");
	assert_int_equal(ws_send(&server.ws, WS_BINARY, SPAN_LIT("last")), 0);
	ws_close(&server.ws, 1008, "no", 1000);
	LOG(&client, "opened(b)B(last)closed(1008 no)");
	LOG(&server, "closed(1008 no)");
}

static void
refused(void **state)
{
	(void)state;
	struct ws_dial d = to("/deny");
	dial(&d);
	LOG(&client, "refused(403 not you)closed(1006 HTTP status 403)");
	buf_clear(&client.log);
	d = to("/nope");
	dial(&d);
	LOG(&client, "refused(404 )closed(1006 HTTP status 404)");
}

static void
connection_refused(void **state)
{
	(void)state;
	struct ws_dial d = to("/ws");
	int fd = socket(AF_INET, SOCK_STREAM, 0); /* a port where nobody listens */
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	d.to.port = ntohs(at.sin_port);
	assert_int_equal(ws_connect(rig.t, &client.ws, &ops, &d), 0);
	assert_int_equal(client.n_closed, 0);
	RIG_UNTIL(&rig, client.n_closed);
	assert_true(span_starts(buf_span(&client.log), "closed(1006 "));
	assert_null(strstr(buf_str(&client.log), "lost"));
	close(fd);
}

static void
bad_text(void **state)
{
	(void)state;
	struct ws_dial good = to("/ws"), d;
#define BAD(set)                                                                    \
	do {                                                                        \
		d = good;                                                           \
		set;                                                                \
		assert_int_equal(ws_connect(rig.t, &client.ws, &ops, &d), -EINVAL); \
	} while (0)
	BAD(d.target = "ws");
	BAD(d.target = "/a b");
	BAD(d.target = "/a\r\nX: y");
	BAD(d.host = "");
	BAD(d.host = "a\r\nX: y");
	BAD(d.headers = "X: y");
	BAD(d.headers = "X: y\r\n\r\n");
	BAD(d.headers = "X y\r\n");
	BAD(d.headers = "X: y\nZ: z\r\n");
	BAD(d.subprotocols = "a\r\nX: y");
}

/* A server of our own making: what it says, and what comes of it. KEY stands for the right accept
 * text. */
static void
fakes(void **state)
{
	(void)state;
#define OK101 "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
	static const struct {
		const char *say, *log;
		bool stay;
	} all[] = {
	        {OK101 "Sec-WebSocket-Accept: KEY\r\n\r\n\x82\x01x", "opened()B(x)closed(1006 )",
	                false},
	        {OK101 "Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: b\r\n\r\n\x81\x80",
	                "opened(b)closed(1002 )", false},
	        {OK101 "Sec-WebSocket-Accept: bad\r\n\r\n",
	                "closed(1006 101 with a wrong Sec-WebSocket-Accept)", false},
	        {OK101 "\r\n", "closed(1006 101 with a wrong Sec-WebSocket-Accept)", false},
	        {"HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nSec-WebSocket-Accept: KEY\r\n\r\n",
	                "closed(1006 101 without Upgrade: websocket)", false},
	        {"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n\r\n",
	                "closed(1006 101 without Connection: Upgrade)", false},
	        {OK101 "Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Protocol: c\r\n\r\n",
	                "closed(1006 101 with a subprotocol that was not offered)", false},
	        {OK101 "Sec-WebSocket-Accept: KEY\r\nSec-WebSocket-Extensions: x\r\n\r\n",
	                "closed(1006 101 with an extension that was not offered)", false},
	        {"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	                "refused(200 until the end)closed(1006 HTTP status 200)", false},
	        {"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nshort",
	                "refused(503 short)closed(1006 HTTP status 503)", false},
	        {"HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nnow and then",
	                "refused(429 no)closed(1006 HTTP status 429)", true},
	        {"HTTP/1.1 204 No\r\n\r\n", "refused(204 )closed(1006 HTTP status 204)", true},
	        {"SSH-2.0-x\r\n", "closed(1006 no answer to the upgrade in time)", true},
	        {"HTTP/2 200\r\n\r\n", "closed(1006 malformed answer to the upgrade)", true},
	        {"HTTP/1.1 101 half", "closed(1006 connection lost before the upgrade)", false},
	        {"", "closed(1006 connection lost before the upgrade)", false},
	        {"HTTP/1.1 101 half", "closed(1006 no answer to the upgrade in time)", true},
	        {"HTTP/1.1 404 No\r\n\r\nhalf", "refused(404 half)closed(1006 HTTP status 404)",
	                true},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		char out[400], accept[WSFRAME_ACCEPT];
		struct ws_dial d = to("/");
		d.subprotocols = "a,b";
		d.timeout_ms = 150;
		assert_int_equal(ws_connect(rig.t, &client.ws, &ops, &d), 0);
		int fd = accept_now();
		rig.n = 0;
		while (!rig_has(&rig, "\r\n\r\n"))
			assert_true(rig_take(&rig, fd));
		char *key = strstr((char *)rig.got, "Sec-WebSocket-Key: ") + 19;
		wsframe_accept(span(key, 24), accept);
		const char *k = strstr(all[i].say, "KEY");
		if (k)
			snprintf(out, sizeof out, "%.*s%s%s", (int)(k - all[i].say), all[i].say,
			        accept, k + 3);
		else
			snprintf(out, sizeof out, "%s", all[i].say);
		rig_say(&rig, fd, out);
		if (!all[i].stay)
			shutdown(fd, SHUT_WR);
		RIG_UNTIL(&rig, client.n_closed);
		assert_string_equal(buf_str(&client.log), all[i].log);
		close(fd);
		buf_clear(&client.log);
		client.n_closed = 0;
		rig.got[0] = 0;
	}
}

static void
given_up(void **state)
{
	(void)state;
	struct ws_dial d = to("/ws");
	assert_int_equal(ws_connect(rig.t, &client.ws, &ops, &d), 0);
	ws_drop(&client.ws);
	LOG(&client, "closed(1006 connection lost before the upgrade)");
	close(accept_now());
	buf_clear(&client.log);
	assert_int_equal(ws_connect(rig.t, &client.ws, &ops, &d), 0);
	int fd = accept_now();
	rig_spin(&rig, 10);
	ws_close(&client.ws, 1001, "changed my mind", 1000);
	LOG(&client, "closed(1001 connection lost before the upgrade)");
	close(fd);
}

static void
no_answer_to_connect(void **state)
{
	(void)state;
	struct ws_dial d = to("/ws");
	d.to.ip = ip4(0xc0000201); /* TEST-NET-1 */
	d.timeout_ms = 50;
	assert_int_equal(ws_connect(rig.t, &client.ws, &ops, &d), 0);
	RIG_UNTIL(&rig, client.n_closed);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
	        T(round_trip),
	        T(big_messages),
	        T(server_closes),
	        T(refused),
	        T(connection_refused),
	        T(bad_text),
	        T(fakes),
	        T(given_up),
	        T(no_answer_to_connect),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
