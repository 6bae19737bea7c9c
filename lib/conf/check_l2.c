#include "conf/check.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#define SECRET_SHORT 32 /* bytes; less than the hash is wide is worth a warning */
#define KEY_SHORT 16

struct rules {
	const struct conf *c;
	conf_say *say;
	void *arg;
	int broken;
};

static void say(struct rules *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
say(struct rules *r, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	r->broken++;
	r->say(r->arg, text);
}

/* "tunnel.x (l2.ini:3)" for messages about a value that is there. */
static void
say_at(struct rules *r, const void *field, const char *name, const char *text)
{
	struct buf b;
	buf_init(&b, 512);
	say(r, "%s: %s %s", conf_where(r->c, field, 0, &b), name, text);
	buf_fini(&b);
}

/* --- authentication --- */

static const struct {
	bool session, token, jwt; /* what the mode cannot do without */
	const char *name;
} needs[] = {
        [AUTH_NONE] = {false, false, false, "none"},
        [AUTH_SESSION] = {true, false, false, "session"},
        [AUTH_TOKEN] = {false, true, false, "token"},
        [AUTH_JWT] = {false, false, true, "jwt"},
        [AUTH_COOKIE_OR_JWT] = {true, false, true, "cookie_or_jwt"},
        [AUTH_SESSION_OR_TOKEN] = {true, false, false, "session_or_token"},
        [AUTH_SESSION_AND_TOKEN] = {true, true, false, "session_and_token"},
};

static void
choose_mode(struct rules *r, struct l2_conf *v)
{
	struct auth_conf *a = &v->auth;
	if (a->mode != AUTH_AUTO)
		return;
	if (*a->session_secret)
		a->mode = AUTH_SESSION_OR_TOKEN;
	else if (*a->api_key)
		a->mode = AUTH_TOKEN;
	else if (v->origin.open && a->insecure_allow_no_auth)
		a->mode = AUTH_NONE;
	else
		say(r, "auth: nothing says who may connect. Set a session secret "
		       "(AERO_GATEWAY_SESSION_SECRET or auth.session-secret) or an API key "
		       "(AERO_L2_API_KEY or auth.api-key); to run without authentication say "
		       "auth.mode = none (AERO_L2_AUTH_MODE=none)");
}

static void
check_auth(struct rules *r, struct l2_conf *v)
{
	struct auth_conf *a = &v->auth;
	choose_mode(r, v);
	if (a->mode == AUTH_AUTO)
		return;
	char name[64];
	snprintf(name, sizeof name, "auth.mode = %s", needs[a->mode].name);
	if (needs[a->mode].session && !*a->session_secret)
		say_at(r, &a->mode, name,
		        "needs a session secret (AERO_GATEWAY_SESSION_SECRET or "
		        "auth.session-secret)");
	if (needs[a->mode].token && !*a->api_key)
		say_at(r, &a->mode, name, "needs an API key (AERO_L2_API_KEY or auth.api-key)");
	if (needs[a->mode].jwt && !*a->jwt_secret)
		say_at(r, &a->mode, name,
		        "needs a JWT secret (AERO_L2_JWT_SECRET or auth.jwt-secret)");
}

/* --- the rest --- */

static void
check_tls(struct rules *r, const struct tls_conf *t)
{
	if (*t->cert && !*t->key)
		say_at(r, &t->cert, "tls.cert", "needs tls.key");
	if (*t->key && !*t->cert)
		say_at(r, &t->key, "tls.key", "needs tls.cert");
}

static void
check_lan(struct rules *r, const struct lan_conf *l)
{
	if (!ip_is4(&l->gateway) || !ip_is4(&l->guest)) {
		say_at(r, ip_is4(&l->gateway) ? &l->guest : &l->gateway, "lan", "must be IPv4");
		return;
	}
	uint32_t mask = ~(uint32_t)0 << (32 - l->prefix);
	uint32_t gw = ip_u32(&l->gateway), guest = ip_u32(&l->guest);
	if ((gw & mask) != (guest & mask))
		say_at(r, &l->guest, "lan.guest",
		        "is not in the network of lan.gateway and lan.prefix");
	else if (gw == guest)
		say_at(r, &l->guest, "lan.guest", "is the same as lan.gateway");
	if (!(guest & ~mask) || (guest | mask) == ~(uint32_t)0)
		say_at(r, &l->guest, "lan.guest", "is the network's own or broadcast address");
	if (!(gw & ~mask) || (gw | mask) == ~(uint32_t)0)
		say_at(r, &l->gateway, "lan.gateway", "is the network's own or broadcast address");
}

static void
check_sizes(struct rules *r, const struct l2_conf *v)
{
	if (v->tcp.max_window > v->tcp.max_window_tunnel)
		say_at(r, &v->tcp.max_window, "tcp.max-window",
		        "is larger than tcp.max-window-tunnel");
	if (v->server.max_url > v->server.max_head)
		say_at(r, &v->server.max_url, "server.max-url", "is larger than server.max-head");
}

int
check_l2(const struct conf *c, void *values, conf_say *to, void *arg)
{
	struct rules r = {c, to, arg, 0};
	struct l2_conf *v = values;
	check_auth(&r, v);
	check_tls(&r, &v->tls);
	check_lan(&r, &v->lan);
	check_sizes(&r, v);
	return r.broken;
}

/* --- warnings --- */

static void
warn_short(struct rules *r, const char *secret, size_t least, const char *name)
{
	size_t n = strlen(secret);
	if (n && n < least)
		say(r, "%s is only %zu bytes long; use %zu random bytes or more", name, n, least);
}

static void
warn_auth(struct rules *r, const struct l2_conf *v)
{
	if (v->auth.mode == AUTH_NONE)
		say(r, "auth.mode is none: anybody who reaches the port gets a tunnel");
	warn_short(r, v->auth.session_secret, SECRET_SHORT, "auth.session-secret");
	warn_short(r, v->auth.jwt_secret, SECRET_SHORT, "auth.jwt-secret");
	warn_short(r, v->auth.api_key, KEY_SHORT, "auth.api-key");
	if (v->auth.insecure_allow_no_auth)
		say(r, "auth.insecure-allow-no-auth is on: a lost secret turns authentication off");
}

static bool
lists(const struct opt_list *l, const char *item)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], item) == 0)
			return true;
	return false;
}

static void
warn_origin(struct rules *r, const struct origin_conf *o)
{
	if (o->open)
		say(r, "origin.open is on: any web page may use a visitor's session");
	else if (lists(&o->allowed, "*") || lists(&o->allowed_extra, "*"))
		say(r, "origin.allowed contains *: any web page may use a visitor's session");
	if (lists(&o->allowed, "null") || lists(&o->allowed_extra, "null"))
		say(r, "origin.allowed contains null: sandboxed frames and local files may "
		       "connect");
}

void
warn_l2(const struct conf *c, const void *values, conf_say *to, void *arg)
{
	struct rules r = {c, to, arg, 0};
	const struct l2_conf *v = values;
	warn_auth(&r, v);
	warn_origin(&r, &v->origin);
	if (v->egress.allow_private)
		say(&r, "egress.allow-private is on: guests reach this machine's own network, "
		        "metadata services included");
	if (!v->limits.max_connections)
		say(&r, "limits.max-connections is off: tunnels are limited by memory alone");
	if (v->client.trust_proxy && !v->client.trusted_proxies.n && !v->client.trusted_hops &&
	        v->limits.max_connections_per_ip)
		say(&r, "client.trust-proxy without client.trusted-proxies: a client can pick its "
		        "own "
		        "address and so get around limits.max-connections-per-ip");
	if (v->dns.static_a.n || v->egress.tcp_forward.n || v->egress.udp_forward.n)
		say(&r, "dns.static-a, egress.tcp-forward and egress.udp-forward are for tests: "
		        "they "
		        "change what guests see");
	if (*v->capture.dir)
		say(&r, "capture.dir is set: everything guests send is written to %s",
		        v->capture.dir);
}
