#include "http/wsclient.h"

#include "rig.h"

#include "base/buf.h"
#include "http/hconn.h"

#include <limits.h>
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/x509.h>

static char dir[] = "/tmp/aero-tls-XXXXXX";
static char cert[PATH_MAX], key[PATH_MAX], cert2[PATH_MAX], key2[PATH_MAX];
static struct rig rig;

struct end {
	struct ws ws;
	size_t bytes, messages, pulled;
	bool opened, endless, checked;
	int n_closed;
	uint16_t code;
	char reason[200];
};
static struct end client, server;

static struct end *
of(struct ws *ws)
{
	return CONTAINER_OF(ws, struct end, ws);
}

static void
on_opened(struct ws *ws, struct span subprotocol)
{
	(void)subprotocol;
	of(ws)->opened = true;
}

static void
on_message(struct ws *ws, struct span s, bool text)
{
	(void)text;
	for (size_t i = 0; of(ws)->checked && i < s.n; i++)
		assert_int_equal(s.p[i], 'p');
	of(ws)->bytes += s.n;
	of(ws)->messages++;
}

static bool
on_pull(struct ws *ws, struct ws_out *out)
{
	uint8_t mask[4] = {0};
	while (out->n < out->budget) {
		uint8_t *p = out->p + out->n;
		size_t h = wsframe_put_head(p, WS_BINARY, 1500, out->masked ? mask : NULL);
		memset(p + h, 'p', 1500);
		out->n += h + 1500;
		of(ws)->pulled++;
	}
	return of(ws)->endless;
}

static void
on_closed(struct ws *ws, uint16_t code, struct span reason)
{
	struct end *e = of(ws);
	e->n_closed++;
	e->code = code;
	snprintf(e->reason, sizeof e->reason, "%.*s", (int)reason.n,
	        reason.n ? (const char *)reason.p : "");
}

static const struct ws_ops ops = {
        .opened = on_opened,
        .message = on_message,
        .pull = on_pull,
        .closed = on_closed,
};

static void
upgrade(struct req *r, void *user)
{
	const char *body;
	(void)user;
	assert_true(req_is_tls(r));
	assert_int_equal(req_ws_check(r, &body), 0);
	req_upgrade(r, &server.ws, &ops, NULL, 100000, 128 << 10);
}

static void
hello(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 200, NULL, "", SPAN_LIT("hello"));
}

static const struct route routes[] = {
        {"/", METHOD_GET, hello},
        {"/ws", METHOD_GET, upgrade},
        {0},
};

static struct server_settings
settings(void)
{
	struct server_settings s = rig_conf;
	s.tls_cert = cert;
	s.tls_key = key;
	return s;
}

static void
make_cert(const char *c, const char *k, const char *name)
{
	char cmd[3 * PATH_MAX];
	snprintf(cmd, sizeof cmd,
	        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
	        "-subj /CN=%s -addext subjectAltName=DNS:%s -out %s -keyout %s 2>/dev/null",
	        name, name, c, k);
	assert_int_equal(system(cmd), 0);
}

static int
make_files(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(cert, sizeof cert, "%s/a.crt", dir);
	snprintf(key, sizeof key, "%s/a.key", dir);
	snprintf(cert2, sizeof cert2, "%s/b.crt", dir);
	snprintf(key2, sizeof key2, "%s/b.key", dir);
	make_cert(cert, key, "one.example");
	make_cert(cert2, key2, "two.example");
	return 0;
}

static int
remove_files(void **state)
{
	(void)state;
	unlink(cert);
	unlink(key);
	unlink(cert2);
	unlink(key2);
	return rmdir(dir);
}

static int
up(void **state)
{
	(void)state;
	struct server_settings s = settings();
	client = server = (struct end){0};
	rig_open_ca(&rig, &s, routes, NULL, cert);
	fcntl(rig.listen_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

static int
down(void **state)
{
	(void)state;
	rig_close(&rig);
	return 0;
}

/* --- a client of OpenSSL alone ---------------------------------------------------------------- */

struct tls {
	SSL_CTX *cx;
	SSL *ssl;
	int fd;
};

static bool
tls_wait(struct tls *t, int r)
{
	int e = SSL_get_error(t->ssl, r);
	rig_turn(&rig);
	poll(NULL, 0, 1);
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static bool
tls_dial(struct tls *t, int max_version, int rcvbuf)
{
	static const unsigned char alpn[] = "\x02h2\x08http/1.1";
	int r;
	t->cx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(t->cx, max_version);
	t->ssl = SSL_new(t->cx);
	SSL_set_alpn_protos(t->ssl, alpn, sizeof alpn - 1);
	t->fd = rig_connect(&rig, rcvbuf);
	SSL_set_fd(t->ssl, t->fd);
	while ((r = SSL_connect(t->ssl)) != 1)
		if (!tls_wait(t, r))
			return false;
	return true;
}

static void
tls_say(struct tls *t, const char *text)
{
	int r;
	while ((r = SSL_write(t->ssl, text, (int)strlen(text))) <= 0)
		assert_true(tls_wait(t, r));
}

/* Bytes until `want` is in them, or until the end if NULL; 0 = closed in order. */
static int
tls_read(struct tls *t, const char *want)
{
	rig.n = 0;
	rig.got[0] = 0;
	for (int i = 0; i < 5000; i++) {
		int r = SSL_read(t->ssl, rig.got + rig.n, (int)(sizeof rig.got - 1 - rig.n));
		if (r > 0) {
			rig.n += (size_t)r;
			rig.got[rig.n] = 0;
			if (want && rig_has(&rig, want))
				return 1;
		} else if (SSL_get_error(t->ssl, r) == SSL_ERROR_ZERO_RETURN) {
			return 0;
		} else if (!tls_wait(t, r)) {
			return -1;
		}
	}
	return -2;
}

static void
tls_close(struct tls *t)
{
	SSL_free(t->ssl);
	SSL_CTX_free(t->cx);
	close(t->fd);
	ERR_clear_error();
}

static void
https(void **state)
{
	(void)state;
	struct tls t;
	const unsigned char *alpn;
	unsigned n;
	assert_true(tls_dial(&t, TLS1_3_VERSION, 0));
	SSL_get0_alpn_selected(t.ssl, &alpn, &n);
	assert_int_equal(n, 8);
	assert_memory_equal(alpn, "http/1.1", 8);
	tls_say(&t, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(tls_read(&t, "hello"), 1);
	tls_say(&t, "GET /nope HTTP/1.1\r\nConnection: close\r\n\r\n");
	assert_int_equal(tls_read(&t, NULL), 0); /* close_notify, not a cut */
	assert_int_equal(rig_status(&rig), 404);
	tls_close(&t);
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
}

static void
versions(void **state)
{
	(void)state;
	struct tls t;
	struct err e;
	assert_true(tls_dial(&t, TLS1_2_VERSION, 0));
	tls_close(&t);
	assert_false(tls_dial(&t, TLS1_1_VERSION, 0));
	tls_close(&t);
	struct server_settings s = settings();
	s.tls_min = "1.3";
	server_free(rig.s);
	rig.s = server_new(rig.t, &s, routes, NULL, &e);
	assert_non_null(rig.s);
	assert_false(tls_dial(&t, TLS1_2_VERSION, 0));
	tls_close(&t);
	assert_true(tls_dial(&t, TLS1_3_VERSION, 0));
	tls_close(&t);
}

static void
common_name(struct tls *t, char *out, size_t n)
{
	X509 *x = SSL_get1_peer_certificate(t->ssl);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, (int)n);
	X509_free(x);
}

static void
copy(const char *from, const char *to)
{
	char cmd[3 * PATH_MAX];
	snprintf(cmd, sizeof cmd, "cp %s %s", from, to);
	assert_int_equal(system(cmd), 0);
}

static void
reload(void **state)
{
	(void)state;
	struct tls old, new;
	struct err e = {0};
	char name[64], live_cert[PATH_MAX + 8], live_key[PATH_MAX + 8];
	struct server_settings s = settings();
	snprintf(live_cert, sizeof live_cert, "%s/live.crt", dir);
	snprintf(live_key, sizeof live_key, "%s/live.key", dir);
	copy(cert, live_cert);
	copy(key, live_key);
	s.tls_cert = live_cert;
	s.tls_key = live_key;
	server_free(rig.s);
	rig.s = server_new(rig.t, &s, routes, NULL, &e);
	assert_true(tls_dial(&old, TLS1_3_VERSION, 0));
	common_name(&old, name, sizeof name);
	assert_string_equal(name, "one.example");

	copy(cert2, live_cert); /* the key does not fit */
	assert_true(server_reload_tls(rig.s, &e) < 0);
	assert_non_null(strstr(e.text, "live.key"));
	assert_true(tls_dial(&new, TLS1_3_VERSION, 0));
	common_name(&new, name, sizeof name);
	assert_string_equal(name, "one.example");
	tls_close(&new);

	copy(key2, live_key);
	assert_int_equal(server_reload_tls(rig.s, &e), 0);
	assert_int_equal(server_reload_tls(rig.s, &e), 0); /* the one between had no connection */
	assert_true(tls_dial(&new, TLS1_3_VERSION, 0));
	common_name(&new, name, sizeof name);
	assert_string_equal(name, "two.example");
	tls_say(&old, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(tls_read(&old, "hello"), 1);
	tls_close(&old);
	RIG_UNTIL(&rig, server_connections(rig.s) == 1);
	rig_spin(&rig, 5);
	tls_say(&new, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(tls_read(&new, "hello"), 1);
	tls_close(&new);
	unlink(live_cert);
	unlink(live_key);
}

static void
bad_files(void **state)
{
	(void)state;
	struct err e = {0};
	struct server_settings s = settings();
	s.tls_cert = "/nonexistent.crt";
	assert_null(server_new(rig.t, &s, routes, NULL, &e));
	assert_non_null(strstr(e.text, "/nonexistent.crt"));
	s = settings();
	s.tls_key = key2;
	e = (struct err){0};
	assert_null(server_new(rig.t, &s, routes, NULL, &e));
	assert_non_null(strstr(e.text, key2));
}

static void
hurry(void)
{
	struct err e;
	struct server_settings s = settings();
	s.head_ms = 60;
	server_free(rig.s);
	rig.s = server_new(rig.t, &s, routes, NULL, &e);
}

/* A handshake that never ends falls under the head's deadline, a finished one with no request too.
 */
static void
stalled_handshakes(void **state)
{
	(void)state;
	struct tls t;
	hurry();
	int silent = rig_connect(&rig, 0), half = rig_connect(&rig, 0), http = rig_connect(&rig, 0);
	rig_send(&rig, half, "\x16\x03\x01\x02\x00\x01\x00", 7);
	rig_say(&rig, http, "GET / HTTP/1.1\r\n\r\n");
	assert_true(tls_dial(&t, TLS1_3_VERSION, 0));
	RIG_UNTIL(&rig, server_connections(rig.s) == 0);
	close(silent);
	close(half);
	close(http);
	tls_close(&t);
}

static void
free_with_stalled_handshakes(void **state)
{
	(void)state;
	struct tls t;
	int silent = rig_connect(&rig, 0), half = rig_connect(&rig, 0);
	rig_send(&rig, half, "\x16\x03\x01\x02\x00\x01\x00", 7);
	assert_true(tls_dial(&t, TLS1_3_VERSION, 4096));
	tls_say(&t, "GET / HT");
	rig_spin(&rig, 5);
	server_free(rig.s);
	rig.s = NULL;
	close(silent);
	close(half);
	tls_close(&t);
}

/* --- our own client --------------------------------------------------------------------------- */

static struct ws_dial
to(const char *name)
{
	return (struct ws_dial){
	        .to = {ip4(INADDR_LOOPBACK), ntohs(rig.at.sin_port)},
	        .host = name,
	        .target = "/ws",
	        .tls = true,
	        .timeout_ms = 2000,
	        .max_message = 100000,
	        .unsent_max = 128 << 10,
	};
}

static void
dial(const struct ws_dial *d)
{
	int fd = -1;
	client = (struct end){0};
	assert_int_equal(ws_connect(rig.t, &client.ws, &ops, d), 0);
	for (int i = 0; i < 3000 && fd < 0; i++) {
		rig_turn(&rig);
		poll(NULL, 0, 1);
		fd = accept4(rig.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	assert_int_equal(server_adopt(rig.s, fd), 0);
	RIG_UNTIL(&rig, client.opened || client.n_closed);
}

static void
verification(void **state)
{
	(void)state;
	struct ws_dial d = to("one.example:4433");
	dial(&d);
	assert_string_equal(client.reason, "");
	assert_true(client.opened);
	ws_drop(&client.ws);
	RIG_UNTIL(&rig, client.n_closed && server.n_closed);

	d = to("two.example");
	dial(&d);
	assert_false(client.opened);
	assert_int_equal(client.code, 1006);
	assert_string_not_equal(client.reason, "");

	d.tls_name = "one.example";
	dial(&d);
	assert_true(client.opened);
	ws_drop(&client.ws);
	RIG_UNTIL(&rig, client.n_closed);

	d.tls_name = NULL;
	d.tls_insecure = true;
	dial(&d);
	assert_true(client.opened);
	ws_close(&client.ws, 1000, "", 1000);
	RIG_UNTIL(&rig, client.n_closed && server.n_closed == 3);
	assert_int_equal(server.code, 1000);
}

static void
untrusted(void **state)
{
	(void)state;
	rig_close(&rig);
	struct server_settings s = settings();
	rig_open_ca(&rig, &s, routes, NULL, cert2);
	fcntl(rig.listen_fd, F_SETFL, O_NONBLOCK);
	struct ws_dial d = to("one.example");
	dial(&d);
	assert_false(client.opened);
	assert_int_equal(client.code, 1006);
}

static void
bulk_both_ways(void **state)
{
	(void)state;
	struct ws_dial d = to("one.example");
	dial(&d);
	assert_true(client.opened);
	client.endless = server.endless = client.checked = server.checked = true;
	ws_want(&client.ws);
	ws_want(&server.ws);
	RIG_UNTIL(&rig, client.bytes > 20000000 && server.bytes > 20000000);
	client.endless = server.endless = false;
	ws_pause(&client.ws);
	rig_spin(&rig, 10);
	ws_resume(&client.ws);
	size_t had = client.messages;
	RIG_UNTIL(&rig, client.messages > had); /* OpenSSL held some */
	RIG_UNTIL(&rig, client.messages == server.pulled && server.messages == client.pulled);
}

/* The reader stops: nothing piles up, the loop sleeps; it reads on: all comes. */
static void
stalled_reader(void **state)
{
	(void)state;
	struct ws_dial d = to("one.example");
	dial(&d);
	server.endless = client.checked = true;
	ws_pause(&client.ws);
	ws_want(&server.ws);
	rig_spin(&rig, 100);
	size_t pulled = server.pulled;
	assert_true(hconn_queued(server.ws.conn) < 300 << 10);
	int turns = 0;
	uv_update_time(&rig.w.loop);
	for (uint64_t stop = uv_now(&rig.w.loop) + 100; uv_now(&rig.w.loop) < stop; turns++) {
		int ms = uv_backend_timeout(&rig.w.loop);
		struct pollfd p = {uv_backend_fd(&rig.w.loop), POLLIN, 0};
		if (ms != 0)
			poll(&p, 1, ms < 0 || ms > 20 ? 20 : ms);
		rig_turn(&rig);
	}
	assert_true(turns < 60);
	assert_true(server.pulled < pulled + 200);
	assert_int_equal(ws_send(&client.ws, WS_BINARY, SPAN_LIT("p")), 0);
	RIG_UNTIL(&rig, server.messages == 1); /* and it is still heard */
	ws_resume(&client.ws);
	RIG_UNTIL(&rig, client.bytes > 5000000);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
	        T(https),
	        T(versions),
	        T(reload),
	        T(bad_files),
	        T(stalled_handshakes),
	        T(free_with_stalled_handshakes),
	        T(verification),
	        T(untrusted),
	        T(bulk_both_ways),
	        T(stalled_reader),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
