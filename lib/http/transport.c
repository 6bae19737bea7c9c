/* libwebsockets as a carrier of bytes. Every connection is of its raw socket role; of HTTP and
 * WebSocket it knows nothing. Why: its own parsers are neither strict nor fast enough, and its
 * WebSocket role would copy every message out.
 *
 * What it must be told here: use the worker's libuv loop; make no listener and no default virtual
 * host; read up to 256 KiB at once; leave timeouts to us (its handshake timer stays armed on a raw
 * TLS connection and would kill it); and at the end be destroyed twice, with turns of the loop
 * between, because its handles close asynchronously. */
#include "http/transport.h"

#include "http/hconn.h"

#include <errno.h>
#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_MOST (256u << 10)
#define NEVER_SECS 86400 /* for timers of libwebsockets that ours make pointless */
#define CLOSE_TURNS 32

static const struct log *lws_log; /* the log callback of libwebsockets has no user pointer */

static void
on_log(int level, const char *line)
{
	struct span text = span_str(line);
	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == ' '))
		text.n--;
	if (!lws_log)
		return;
	if (level == LLL_ERR)
		log_error(lws_log, "lws", kv_span("text", text));
	else
		log_warn(lws_log, "lws", kv_span("text", text));
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	(void)user;
	struct hconn *c = lws_get_opaque_user_data(wsi);
	if (!c)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_RAW_CONNECTED: hconn_on_connected(c); break;
	case LWS_CALLBACK_RAW_RX: hconn_on_data(c, in, len); break;
	case LWS_CALLBACK_RAW_WRITEABLE: hconn_on_writable(c); break;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		lws_set_opaque_user_data(wsi, NULL);
		hconn_on_failed(c, in ? span(in, strnlen(in, len)) : SPAN_NONE);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE:
		lws_set_opaque_user_data(wsi, NULL);
		hconn_on_closed(c);
		return 0;
	default: return 0;
	}
	return c->dropped ? -1 : 0;
}

static const struct lws_protocols protocols[] = {
        {.name = HCONN_PROTOCOL, .callback = on_event, .tx_packet_size = 4 << 20},
        {0},
};

/* --- the end of a turn ------------------------------------------------------------------------ */

static void
on_turn(struct turn_hook *h)
{
	struct transport *t = CONTAINER_OF(h, struct transport, hook);
	struct list now = t->dirty;
	if (list_empty(&t->dirty))
		return;
	now.next->prev = now.prev->next = &now;
	list_init(&t->dirty);
	for (struct list *n; (n = list_pop(&now));)
		hconn_flush(LIST_ENTRY(n, struct hconn, todo));
	if (!list_empty(&t->dirty))
		worker_later(t->w, &t->wake);
}

static void
on_wake(struct later *l)
{
	(void)l; /* the turn itself is what was wanted */
}

void
transport_reap(struct transport *t)
{
	for (struct list *n; (n = list_pop(&t->dying));)
		hconn_reap(LIST_ENTRY(n, struct hconn, todo));
}

static void
on_reap(struct later *l)
{
	transport_reap(CONTAINER_OF(l, struct transport, reap));
}

/* --- context ---------------------------------------------------------------------------------- */

static struct lws_context *
new_context(struct transport *t)
{
	void *loops[] = {&t->w->loop};
	struct lws_context_creation_info info = {
	        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
	        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
	                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
	                   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
	        .foreign_loops = loops,
	        .pcontext = &t->cx,
	        .pt_serv_buf_size = READ_MOST,
	        .alpn = "http/1.1",
	        .protocols = protocols,
	        .timeout_secs = NEVER_SECS,
	        .connect_timeout_secs = NEVER_SECS,
	        .gid = (gid_t)-1,
	        .uid = (uid_t)-1,
	};
	return lws_create_context(&info);
}

int
transport_open(
        struct worker *w, const struct transport_conf *conf, struct transport **out, struct err *e)
{
	struct transport *t = xcalloc(1, sizeof *t);
	t->w = w;
	t->ca_file = conf && conf->ca_file ? xstrdup(conf->ca_file) : NULL;
	t->hook.turn = on_turn;
	list_init(&t->dirty);
	list_init(&t->dying);
	later_init(&t->wake, on_wake);
	later_init(&t->reap, on_reap);
	t->arena = xcalloc(1, LWS_PRE + TRANSPORT_OUT);
	lws_log = &w->log;
	lws_set_log_level(LLL_ERR | LLL_WARN, on_log);
	worker_hook(w, &t->hook);
	t->fd_end = getdtablesize();
	t->cx = new_context(t);
	if (!t->cx) {
		transport_close(t);
		return err_set(
		        e, -ENOMEM, "libwebsockets: no context (is its libuv plug-in installed?)");
	}
	int r = t->ca_file ? tlsc_ctx_open(&t->tlsc, t->ca_file, e) : 0;
	if (r < 0)
		transport_close(t);
	else
		*out = t;
	return r;
}

/* See the top: destroy, let handles close, destroy what is left. */
static void
close_context(struct transport *t)
{
	struct lws_context *cx = t->cx;
	for (int phase = 0; phase < 2 && t->cx; phase++) {
		lws_context_destroy(cx);
		for (int i = 0; i < CLOSE_TURNS; i++)
			uv_run(&t->w->loop, UV_RUN_NOWAIT);
	}
}

void
transport_close(struct transport *t)
{
	transport_reap(t);
	if (t->cx)
		close_context(t);
	worker_unhook(t->w, &t->hook);
	later_cancel(&t->wake);
	later_cancel(&t->reap);
	lws_set_log_level(0, NULL);
	lws_log = NULL;
	tlsc_ctx_close(&t->tlsc);
	free(t->arena);
	free(t->ca_file);
	free(t);
}

/* --- virtual hosts: one for each way to serve, one to dial ------------------------------------ */

static int
tls_fail(struct err *e, const char *what, const char *file)
{
	unsigned long code = ERR_get_error();
	const char *why = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return err_set(e, -EINVAL, "%s %s: %s", what, file, why ? why : "cannot be used");
}

/* Try the files on a context of our own first: libwebsockets would only log what is wrong. */
static int
check_tls(const struct tls_files *f, struct err *e)
{
	SSL_CTX *cx = SSL_CTX_new(TLS_server_method());
	int r = 0;
	if (!cx)
		return err_set(e, -ENOMEM, "TLS: out of memory");
	if (SSL_CTX_use_certificate_chain_file(cx, f->cert) != 1)
		r = tls_fail(e, "certificate", f->cert);
	else if (SSL_CTX_use_PrivateKey_file(cx, f->key, SSL_FILETYPE_PEM) != 1)
		r = tls_fail(e, "private key", f->key);
	else if (SSL_CTX_check_private_key(cx) != 1)
		r = tls_fail(e, "private key", f->key);
	SSL_CTX_free(cx);
	return r;
}

static struct lws_vhost *
new_vhost(struct transport *t, struct lws_context_creation_info *info)
{
	info->port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info->protocols = protocols;
	info->alpn = "http/1.1";
	info->timeout_secs = NEVER_SECS;
	info->connect_timeout_secs = NEVER_SECS;
	return lws_create_vhost(t->cx, info);
}

struct lws_vhost *
transport_vhost(struct transport *t, const struct tls_files *tls, struct err *e)
{
	struct lws_context_creation_info info = {
	        .vhost_name = "server",
	        .options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
	};
	if (tls) {
		if (check_tls(tls, e) < 0)
			return NULL;
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.ssl_cert_filepath = tls->cert;
		info.ssl_private_key_filepath = tls->key;
		info.ssl_options_set =
		        SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION;
		if (tls->min && !strcmp(tls->min, "1.3"))
			info.ssl_options_set |= SSL_OP_NO_TLSv1_2;
	}
	struct lws_vhost *vh = new_vhost(t, &info);
	if (!vh)
		err_set(e, -EINVAL, "libwebsockets: no virtual host");
	return vh;
}

void
transport_vhost_free(struct lws_vhost *vh)
{
	lws_vhost_destroy(vh);
}

struct lws_vhost *
transport_client_vhost(struct transport *t)
{
	struct lws_context_creation_info info = {
	        .vhost_name = "client",
	        .options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
	        .http_proxy_address = ":0", /* or libwebsockets would ask the environment for one */
	};
	if (!t->client)
		t->client = new_vhost(t, &info);
	return t->client;
}

const struct tlsc_ctx *
transport_tlsc(struct transport *t)
{
	struct err e;
	if (!t->tlsc.ssl && tlsc_ctx_open(&t->tlsc, t->ca_file, &e) < 0) {
		log_error(&t->w->log, "tls.trust", kv_str("why", e.text));
		return NULL;
	}
	return &t->tlsc;
}
