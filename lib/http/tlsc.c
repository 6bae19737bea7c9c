/* OpenSSL reads from and writes to a BIO of ours: reading takes from the span that was fed, with no
 * copy between, writing appends to a buffer that is freed whenever it has gone out. */
#include "http/tlsc.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct tlsc {
	SSL *ssl;
	struct span in;
	uint8_t *out; /* at..n of room */
	size_t at, n, room;
	const char *why;
};

/* --- the BIO ---------------------------------------------------------------------------------- */

static int
bio_read(BIO *b, char *to, int n)
{
	struct tlsc *t = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	if (!t->in.n) {
		BIO_set_retry_read(b);
		return -1;
	}
	struct span part = span_first(t->in, (size_t)n);
	memcpy(to, part.p, part.n);
	t->in = span_skip(t->in, part.n);
	return (int)part.n;
}

static int
bio_write(BIO *b, const char *from, int n)
{
	struct tlsc *t = BIO_get_data(b);
	size_t want = t->n + (size_t)n, room = t->room ? t->room : 4096;
	while (room < want)
		room *= 2;
	if (room > t->room) {
		uint8_t *p = realloc(t->out, room);
		if (!p)
			return -1;
		t->out = p;
		t->room = room;
	}
	memcpy(t->out + t->n, from, (size_t)n);
	t->n = want;
	return n;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *p)
{
	(void)b;
	(void)num;
	(void)p;
	return cmd == BIO_CTRL_FLUSH;
}

/* --- the context ------------------------------------------------------------------------------ */

static int
load_trust(SSL_CTX *cx, const char *ca_file, struct err *e)
{
	if (!ca_file)
		return SSL_CTX_set_default_verify_paths(cx) == 1
		               ? 0
		               : err_set(e, -EINVAL,
		                         "the system's certificate authorities: unreadable");
	if (SSL_CTX_load_verify_locations(cx, ca_file, NULL) == 1)
		return 0;
	const char *why = ERR_reason_error_string(ERR_get_error());
	ERR_clear_error();
	return err_set(
	        e, -EINVAL, "certificate authorities %s: %s", ca_file, why ? why : "unusable");
}

int
tlsc_ctx_open(struct tlsc_ctx *c, const char *ca_file, struct err *e)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	*c = (struct tlsc_ctx){
	        SSL_CTX_new(TLS_client_method()), BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tlsc")};
	if (!c->ssl || !c->bio) {
		tlsc_ctx_close(c);
		return err_set(e, -ENOMEM, "TLS: out of memory");
	}
	BIO_meth_set_read(c->bio, bio_read);
	BIO_meth_set_write(c->bio, bio_write);
	BIO_meth_set_ctrl(c->bio, bio_ctrl);
	SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
	SSL_CTX_set_alpn_protos(c->ssl, alpn, sizeof alpn - 1);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	int r = load_trust(c->ssl, ca_file, e);
	if (r < 0)
		tlsc_ctx_close(c);
	return r;
}

void
tlsc_ctx_close(struct tlsc_ctx *c)
{
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->bio);
	*c = (struct tlsc_ctx){0};
}

/* --- one connection --------------------------------------------------------------------------- */

/* An address is looked for among the certificate's addresses, and is no SNI (RFC 6066 3). */
static bool
set_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
		return true;
	ERR_clear_error();
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tlsc *
tlsc_new(const struct tlsc_ctx *c, const char *name, bool insecure)
{
	struct tlsc *t = calloc(1, sizeof *t);
	BIO *bio = BIO_new(c->bio);
	SSL *ssl = SSL_new(c->ssl);
	if (!t || !bio || !ssl || !set_name(ssl, name)) {
		SSL_free(ssl);
		BIO_free(bio);
		free(t);
		return NULL;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	if (insecure)
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	t->ssl = ssl;
	return t;
}

void
tlsc_free(struct tlsc *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t->out);
	free(t);
}

void
tlsc_feed(struct tlsc *t, struct span in)
{
	t->in = in;
}

static const char *
reason(const struct tlsc *t)
{
	long verdict = SSL_get_verify_result(t->ssl);
	if (verdict != X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE)
		return X509_verify_cert_error_string(verdict);
	const char *text = ERR_reason_error_string(ERR_peek_error());
	return text ? text : "TLS failed";
}

/* 0 = it wants more input; writing never blocks. */
static int
verdict(struct tlsc *t, int r)
{
	int e = SSL_get_error(t->ssl, r);
	if (e == SSL_ERROR_WANT_READ)
		return 0;
	t->why = e == SSL_ERROR_ZERO_RETURN ? "closed by the server" : reason(t);
	ERR_clear_error();
	return -EPROTO;
}

int
tlsc_handshake(struct tlsc *t)
{
	int r = SSL_do_handshake(t->ssl);
	return r == 1 ? 1 : verdict(t, r);
}

ssize_t
tlsc_read(struct tlsc *t, void *p, size_t n)
{
	size_t got = 0;
	while (got < n) {
		int r = SSL_read(t->ssl, (uint8_t *)p + got, (int)(n - got));
		if (r <= 0) {
			int end = verdict(t, r);
			return got ? (ssize_t)got : end;
		}
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int
tlsc_write(struct tlsc *t, struct span s)
{
	if (!s.n)
		return 0;
	int r = SSL_write(t->ssl, s.p, (int)s.n);
	return r == (int)s.n ? 0 : verdict(t, r) ? -EPROTO : -EAGAIN;
}

void
tlsc_bye(struct tlsc *t)
{
	if (SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	ERR_clear_error();
}

struct span
tlsc_pending(const struct tlsc *t)
{
	return span(t->out + t->at, t->n - t->at);
}

void
tlsc_sent(struct tlsc *t, size_t n)
{
	t->at += n;
	if (t->at < t->n)
		return;
	free(t->out);
	t->out = NULL;
	t->at = t->n = t->room = 0;
}

const char *
tlsc_why(const struct tlsc *t)
{
	return t->why ? t->why : "TLS failed";
}
