/* tlsc: TLS as a client, between bytes and bytes: no socket, no loop.
 *
 * Why      libwebsockets 4.1 begins the handshake of a raw client before its socket exists, so for
 *          dialling it carries the bytes and this does TLS. (Servers leave TLS to libwebsockets.)
 * Owner    tlsc_ctx in the transport, struct tlsc in a connection: tlsc_new / tlsc_free.
 * Order    tlsc_handshake gives 0 until it gives 1; then tlsc_read and tlsc_write. Before a
 *          tlsc_handshake or tlsc_read tlsc_feed says what has come; the bytes must stay until
 *          these have given 0. After any call there may be bytes to send: tlsc_pending.
 * Errors   -EPROTO: over; tlsc_why has the reason. -ENOMEM.
 * Thread   none. */
#pragma once

#include "base/err.h"
#include "base/span.h"

#include <openssl/ssl.h>
#include <sys/types.h>

struct tlsc_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *bio;
};

struct tlsc;

/* ca_file NULL: the system's authorities. */
int tlsc_ctx_open(struct tlsc_ctx *c, const char *ca_file, struct err *e);
void tlsc_ctx_close(struct tlsc_ctx *c); /* also of one that is all zero */

/* name: who the certificate must be for, a DNS name or an address. */
struct tlsc *tlsc_new(const struct tlsc_ctx *c, const char *name, bool insecure);
void tlsc_free(struct tlsc *t); /* NULL is fine */
void tlsc_feed(struct tlsc *t, struct span in);
int tlsc_handshake(struct tlsc *t);
ssize_t tlsc_read(struct tlsc *t, void *p, size_t n); /* 0 = all that was fed is read */
int tlsc_write(struct tlsc *t, struct span s);
void tlsc_bye(struct tlsc *t); /* close_notify */
struct span tlsc_pending(const struct tlsc *t);
void tlsc_sent(struct tlsc *t, size_t n);
const char *tlsc_why(const struct tlsc *t);
