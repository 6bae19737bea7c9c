/* Every environment name of the L2 service, its grammar and its place in the fall-back order. */
#include "conf/conf.h"

#include "base/buf.h"
#include "conf/value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct got {
	const char *name;
	struct buf value, where, notices, problems;
	const struct conf *c;
};

static void
on_item(void *arg, const struct conf_item *it)
{
	struct got *g = arg;
	struct buf b;
	if (strcmp(it->name, g->name) != 0)
		return;
	buf_init(&b, 4096);
	if (it->opt->type == OPT_SECRET)
		buf_adds(&g->value, *(const char *const *)it->field);
	else
		value_write(it->opt, it->field, &g->value);
	if (it->opt->type == OPT_LIST && ((const struct opt_list *)it->field)->set && !g->value.n)
		buf_adds(&g->value, "(none)");
	buf_adds(&g->where, conf_where(g->c, it->field, 0, &b));
	buf_fini(&b);
}

static void
add_line(void *arg, const char *text)
{
	buf_addf(arg, "%s\n", text);
}

/* Something that lets the service start, and that no row is about. */
#define BASE "AERO_AUTH_MODE=none"

static void
load(struct got *g, const char *name, const char *const *env)
{
	char *all[24] = {(char *)BASE};
	int n = strcmp(name, "auth.mode") != 0;
	for (; *env; env++)
		all[n++] = (char *)*env;
	all[n] = NULL;
	*g = (struct got){.name = name};
	struct buf *bufs[] = {&g->value, &g->where, &g->notices, &g->problems};
	for (size_t i = 0; i < 4; i++)
		buf_init(bufs[i], 65536);
	struct conf *c = NULL;
	struct err e = {0};
	struct conf_input in = {.env = all, .problem = add_line, .arg = &g->problems};
	int r = conf_load(&c, &service_l2, &in, &e);
	g->c = c;
	assert_int_equal(r == 0, c != NULL);
	assert_int_equal(r, e.code);
	assert_int_equal(r == 0, g->problems.n == 0);
	if (!c)
		return;
	conf_each(c, on_item, g);
	conf_warnings(c, add_line, &g->notices);
	conf_free(c);
}

static void
unload(struct got *g)
{
	buf_fini(&g->value);
	buf_fini(&g->where);
	buf_fini(&g->notices);
	buf_fini(&g->problems);
}

struct row {
	const char *option;
	const char *env[4];
	const char *value; /* "!" and a part of the problem when nothing starts */
	const char *where;
	const char *notice; /* part of one, NULL for none asked about */
};

static void
try_row(const struct row *r)
{
	struct got g;
	const char *env[5] = {r->env[0], r->env[1], r->env[2], r->env[3], NULL};
	load(&g, r->option, env);
	const char *what = r->env[0] ? r->env[0] : "(nothing)";
	if (r->value[0] == '!') {
		if (!strstr(buf_str(&g.problems), r->value + 1))
			fail_msg("%s: no problem '%s' in '%s'", what, r->value + 1,
			        buf_str(&g.problems));
	} else {
		if (g.problems.n)
			fail_msg("%s: %s", what, buf_str(&g.problems));
		if (strcmp(buf_str(&g.value), r->value) != 0)
			fail_msg("%s: %s is '%s', not '%s'", what, r->option, buf_str(&g.value),
			        r->value);
		if (r->where && strcmp(buf_str(&g.where), r->where) != 0)
			fail_msg("%s: from '%s', not '%s'", what, buf_str(&g.where), r->where);
		if (r->notice && !strstr(buf_str(&g.notices), r->notice))
			fail_msg(
			        "%s: no notice '%s' in '%s'", what, r->notice, buf_str(&g.notices));
	}
	unload(&g);
}

#define TRY(rows)                                                      \
	for (size_t i_ = 0; i_ < sizeof(rows) / sizeof(rows)[0]; i_++) \
	try_row(&(rows)[i_])

static void
listening(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"server.listen", {NULL}, "0.0.0.0:8090", "default", NULL},
	        {"server.listen", {"AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:0"}, "127.0.0.1:0",
	                "AERO_L2_PROXY_LISTEN_ADDR", NULL},
	        {"server.listen", {"AERO_L2_PROXY_BIND_ADDR=[::1]:1"}, "[::1]:1",
	                "AERO_L2_PROXY_BIND_ADDR", NULL},
	        {"server.listen",
	                {"AERO_L2_PROXY_BIND_ADDR=[::1]:1",
	                        "AERO_L2_PROXY_LISTEN_ADDR=127.0.0.1:0"},
	                "127.0.0.1:0", "AERO_L2_PROXY_LISTEN_ADDR", NULL},
	        /* Empty is the default, not the alias. */
	        {"server.listen", {"AERO_L2_PROXY_BIND_ADDR=[::1]:1", "AERO_L2_PROXY_LISTEN_ADDR="},
	                "0.0.0.0:8090", "default", NULL},
	        {"server.listen", {"AERO_L2_PROXY_LISTEN_ADDR=localhost:80"},
	                "!AERO_L2_PROXY_LISTEN_ADDR=localhost:80: must be a numeric address", NULL,
	                NULL},
	        {"server.workers", {NULL}, "auto", "default", NULL},
	        {"server.workers", {"AERO_TOKIO_WORKER_THREADS=3"}, "3",
	                "AERO_TOKIO_WORKER_THREADS", NULL},
	        {"server.workers", {"AERO_TOKIO_WORKER_THREADS=0"}, "auto", "default", NULL},
	        {"server.workers", {"AERO_TOKIO_WORKER_THREADS=many"}, "auto", "default",
	                "AERO_TOKIO_WORKER_THREADS=many is ignored"},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS=1500"}, "1500ms",
	                "AERO_L2_SHUTDOWN_GRACE_MS", NULL},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS=0"}, "0", NULL, NULL},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS=2s"}, "2s", NULL, NULL},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS=+5"}, "5ms", NULL, NULL},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS="}, "3s", "default", NULL},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS=soon"},
	                "!AERO_L2_SHUTDOWN_GRACE_MS=soon: must be a duration 0..1h "
	                "(server.shutdown-grace)",
	                NULL, NULL},
	        {"server.shutdown-grace", {"AERO_L2_SHUTDOWN_GRACE_MS=-1"}, "!must be a duration",
	                NULL, NULL},
	        {"server.listen",
	                {"AERO_SERVER_LISTEN=127.0.0.1:9", "AERO_L2_PROXY_LISTEN_ADDR=[::]:1"},
	                "127.0.0.1:9", "AERO_SERVER_LISTEN", NULL},
	};
	TRY(rows);
}

static void
payload_limits(void **state)
{
	(void)state;
#define F "AERO_L2_MAX_FRAME_PAYLOAD"
#define S "AERO_L2_MAX_FRAME_SIZE"
	static const struct row rows[] = {
	        {"tunnel.max-frame-payload", {NULL}, "2KiB", "default", NULL},
	        {"tunnel.max-frame-payload", {F "=286"}, "286", F, NULL},
	        {"tunnel.max-frame-payload", {S "=300"}, "300", S, NULL},
	        {"tunnel.max-frame-payload", {F "=286", S "=300"}, "286", F, NULL},
	        {"tunnel.max-frame-payload", {F "=0", S "=300"}, "300", S, NULL},
	        {"tunnel.max-frame-payload", {F "=  ", S "=300"}, "300", S, NULL},
	        {"tunnel.max-frame-payload", {F "=junk", S "= 300 "}, "300", S,
	                F "=junk is ignored"},
	        {"tunnel.max-frame-payload", {F "=-1", S "=0"}, "2KiB", "default", NULL},
	        {"tunnel.max-frame-payload", {F "=0", S "=junk"}, "2KiB", "default", NULL},
	        {"tunnel.max-frame-payload", {F "=1"}, "1", F, NULL},
	        {"tunnel.max-frame-payload", {F "=99999999999"}, "!must be a size 1..16MiB", NULL,
	                NULL},
	        {"tunnel.max-control-payload", {NULL}, "256", "default", NULL},
	        {"tunnel.max-control-payload", {"AERO_L2_MAX_CONTROL_PAYLOAD=8"}, "8", NULL, NULL},
	        {"tunnel.max-control-payload", {"AERO_L2_MAX_CONTROL_PAYLOAD=0"}, "256", "default",
	                NULL},
	        {"tunnel.max-control-payload", {"AERO_L2_MAX_CONTROL_PAYLOAD=x"}, "256", "default",
	                "is ignored"},
	};
#undef F
#undef S
	TRY(rows);
}

static void
tunnel(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"tunnel.ping-interval", {NULL}, "off", "default", NULL},
	        {"tunnel.ping-interval", {"AERO_L2_PING_INTERVAL_MS=10"}, "10ms", NULL, NULL},
	        {"tunnel.ping-interval", {"AERO_L2_PING_INTERVAL_MS=0"}, "off",
	                "AERO_L2_PING_INTERVAL_MS", NULL},
	        {"tunnel.idle-timeout", {NULL}, "off", "default", NULL},
	        {"tunnel.idle-timeout", {"AERO_L2_IDLE_TIMEOUT_MS=500"}, "500ms", NULL, NULL},
	        {"tunnel.idle-timeout", {"AERO_L2_IDLE_TIMEOUT_MS=off"}, "off",
	                "AERO_L2_IDLE_TIMEOUT_MS", NULL},
	        {"tunnel.send-buffer", {NULL}, "64", "default", NULL},
	        {"tunnel.send-buffer", {"AERO_L2_WS_SEND_BUFFER=1"}, "1", NULL, NULL},
	        {"tunnel.send-buffer", {"AERO_L2_WS_SEND_BUFFER=0"}, "64", "default", NULL},
	        {"tunnel.send-buffer", {"AERO_L2_WS_SEND_BUFFER=x"},
	                "!must be a whole number 1..1048576", NULL, NULL},
	        {"limits.max-connections", {NULL}, "64", "default", NULL},
	        {"limits.max-connections", {"AERO_L2_MAX_CONNECTIONS=0"}, "off",
	                "AERO_L2_MAX_CONNECTIONS", NULL},
	        {"limits.max-connections", {"AERO_L2_MAX_CONNECTIONS=2"}, "2", NULL, NULL},
	        {"limits.max-connections-per-session", {NULL}, "off", "default", NULL},
	        {"limits.max-connections-per-session", {"AERO_L2_MAX_CONNECTIONS_PER_SESSION=1"},
	                "1", NULL, NULL},
	        {"limits.max-connections-per-session", {"AERO_L2_MAX_TUNNELS_PER_SESSION=2"}, "2",
	                "AERO_L2_MAX_TUNNELS_PER_SESSION", NULL},
	        {"limits.max-connections-per-session",
	                {"AERO_L2_MAX_TUNNELS_PER_SESSION=2",
	                        "AERO_L2_MAX_CONNECTIONS_PER_SESSION=0"},
	                "off", "AERO_L2_MAX_CONNECTIONS_PER_SESSION", NULL},
	        {"limits.max-connections-per-session",
	                {"AERO_L2_MAX_TUNNELS_PER_SESSION=2",
	                        "AERO_L2_MAX_CONNECTIONS_PER_SESSION="},
	                "2", NULL, NULL},
	        {"limits.max-connections-per-ip", {"AERO_L2_MAX_CONNECTIONS_PER_IP=1"}, "1", NULL,
	                NULL},
	        {"limits.max-connections-per-ip", {"AERO_L2_MAX_CONNECTIONS_PER_IP=4294967296"},
	                "!must be off (0) or a whole number from 1", NULL, NULL},
	        {"limits.max-bytes-per-connection", {"AERO_L2_MAX_BYTES_PER_CONNECTION=150"}, "150",
	                NULL, NULL},
	        {"limits.max-bytes-per-connection", {"AERO_L2_MAX_BYTES_PER_CONNECTION=150 MB"},
	                "!AERO_L2_MAX_BYTES_PER_CONNECTION=150 MB: must be off (0) or a size", NULL,
	                NULL},
	        {"limits.max-frames-per-second", {"AERO_L2_MAX_FRAMES_PER_SECOND=2"}, "2", NULL,
	                NULL},
	};
	TRY(rows);
}

static void
network(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"tcp.connect-timeout", {NULL}, "5s", "default", NULL},
	        {"tcp.connect-timeout", {"AERO_L2_TCP_CONNECT_TIMEOUT_MS=0"}, "0", NULL, NULL},
	        {"tcp.connect-timeout", {"AERO_L2_TCP_CONNECT_TIMEOUT_MS=250"}, "250ms", NULL,
	                NULL},
	        {"tcp.send-buffer", {NULL}, "32", "default", NULL},
	        {"tcp.send-buffer", {"AERO_L2_TCP_SEND_BUFFER=0"}, "32", "default", NULL},
	        {"tcp.send-buffer", {"AERO_L2_TCP_SEND_BUFFER=7"}, "7", NULL, NULL},
	        {"tcp.max-connections", {NULL}, "1024", "default", NULL},
	        {"tcp.max-connections", {"AERO_L2_STACK_MAX_TCP_CONNECTIONS=0"}, "0",
	                "AERO_L2_STACK_MAX_TCP_CONNECTIONS", NULL},
	        {"tcp.max-connections", {"AERO_L2_STACK_MAX_TCP_CONNECTIONS=99999"}, "65535", NULL,
	                "AERO_L2_STACK_MAX_TCP_CONNECTIONS=99999 is out of range, 65535 is used"},
	        {"tcp.max-connections", {"AERO_L2_STACK_MAX_TCP_CONNECTIONS=lots"},
	                "!must be a whole number 0..65535", NULL, NULL},
	        {"tcp.max-buffered", {NULL}, "256KiB", "default", NULL},
	        {"tcp.max-buffered", {"AERO_L2_STACK_MAX_BUFFERED_TCP_BYTES_PER_CONN=0"}, "0", NULL,
	                NULL},
	        {"tcp.max-buffered", {"AERO_L2_STACK_MAX_BUFFERED_TCP_BYTES_PER_CONN=67108865"},
	                "64MiB", NULL, "64MiB is used"},
	        {"udp.max-flows", {NULL}, "256", "default", NULL},
	        {"udp.max-flows", {"AERO_L2_MAX_UDP_FLOWS_PER_TUNNEL=0"}, "unlimited", NULL, NULL},
	        {"udp.max-flows", {"AERO_L2_MAX_UDP_FLOWS_PER_TUNNEL=2"}, "2", NULL, NULL},
	        {"udp.max-flows", {"AERO_L2_MAX_UDP_FLOWS_PER_TUNNEL=65536"}, "65535", NULL,
	                "65535 is used"},
	        {"udp.idle-timeout", {NULL}, "1m", "default", NULL},
	        {"udp.idle-timeout", {"AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS=50"}, "50ms", NULL, NULL},
	        {"udp.idle-timeout", {"AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS=0"}, "never",
	                "AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS", NULL},
	        {"udp.idle-timeout", {"AERO_L2_UDP_FLOW_IDLE_TIMEOUT_MS=86400001"}, "24h", NULL,
	                "24h is used"},
	        {"dns.timeout", {NULL}, "2s", "default", NULL},
	        {"dns.timeout", {"AERO_L2_DNS_LOOKUP_TIMEOUT_MS=0"}, "unlimited",
	                "AERO_L2_DNS_LOOKUP_TIMEOUT_MS", NULL},
	        {"dns.timeout", {"AERO_L2_DNS_LOOKUP_TIMEOUT_MS=999999"}, "1m",
	                "AERO_L2_DNS_LOOKUP_TIMEOUT_MS", "1m is used"},
	        {"dns.default-ttl", {NULL}, "1m", "default", NULL},
	        {"dns.default-ttl", {"AERO_L2_DNS_DEFAULT_TTL_SECS=7"}, "7s", NULL, NULL},
	        {"dns.max-ttl", {NULL}, "5m", "default", NULL},
	        {"dns.max-ttl", {"AERO_L2_DNS_MAX_TTL_SECS=4294967295"}, "1193046h28m15s", NULL,
	                NULL},
	        {"dns.max-ttl", {"AERO_L2_DNS_MAX_TTL_SECS=4294967296"}, "!must be a duration",
	                NULL, NULL},
	        {"dns.max-pending", {NULL}, "1024", "default", NULL},
	        {"dns.max-pending", {"AERO_L2_STACK_MAX_PENDING_DNS=0"}, "0", NULL, NULL},
	        {"dns.max-pending", {"AERO_L2_STACK_MAX_PENDING_DNS=70000"}, "65535", NULL,
	                "is used"},
	        {"dns.max-cache-entries", {NULL}, "10000", "default", NULL},
	        {"dns.max-cache-entries", {"AERO_L2_STACK_MAX_DNS_CACHE_ENTRIES=0"}, "off", NULL,
	                NULL},
	        {"dns.max-cache-entries", {"AERO_L2_STACK_MAX_DNS_CACHE_ENTRIES=2000000"},
	                "1000000", NULL, "is used"},
	        {"dns.static-a", {"AERO_L2_DNS_A=a.test=192.0.2.1, b.test=192.0.2.2"},
	                "a.test=192.0.2.1,b.test=192.0.2.2", NULL, NULL},
	        {"dns.static-a", {"AERO_L2_DNS_A=a.test"},
	                "!AERO_L2_DNS_A=a.test: 'a.test': must be an answer like", NULL, NULL},
	        {"dns.static-a", {"AERO_L2_DNS_A="}, "", "default", NULL},
	};
	TRY(rows);
}

static void
origins(void **state)
{
	(void)state;
#define O "AERO_L2_ALLOWED_ORIGINS"
	static const struct row rows[] = {
	        {"origin.allowed", {NULL}, "", "default", NULL},
	        {"origin.allowed", {O "=https://a.test"}, "https://a.test", O, NULL},
	        {"origin.allowed", {"ALLOWED_ORIGINS=https://b.test"}, "https://b.test",
	                "ALLOWED_ORIGINS", NULL},
	        {"origin.allowed", {"ALLOWED_ORIGINS=https://b.test", O "=https://a.test,*"},
	                "https://a.test,*", O, NULL},
	        {"origin.allowed", {"ALLOWED_ORIGINS=https://b.test", O "="}, "https://b.test",
	                "ALLOWED_ORIGINS", NULL},
	        {"origin.allowed", {"ALLOWED_ORIGINS=https://b.test", O "=,,"}, "https://b.test",
	                "ALLOWED_ORIGINS", NULL},
	        {"origin.allowed", {O "=*,a.test"}, "!'a.test': must be an origin", NULL, NULL},
	        {"origin.allowed-extra", {"AERO_L2_ALLOWED_ORIGINS_EXTRA=,https://c.test"},
	                "https://c.test", NULL, NULL},
	        {"origin.allowed-extra", {"AERO_L2_ALLOWED_ORIGINS_EXTRA=ftp://c.test"},
	                "!must be an origin", NULL, NULL},
	        {"host.allowed", {"AERO_L2_ALLOWED_HOSTS=allowed.test, b.test:81"},
	                "allowed.test,b.test:81", NULL, NULL},
	};
#undef O
	TRY(rows);
}

static void
booleans(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"origin.open", {"AERO_L2_OPEN=1"}, "yes", "AERO_L2_OPEN", "origin.open is on"},
	        {"origin.open", {"AERO_L2_OPEN= 1 "}, "yes", NULL, NULL},
	        {"origin.open", {"AERO_L2_OPEN=0"}, "no", NULL, NULL},
	        {"origin.open", {"AERO_L2_OPEN="}, "no", "default", NULL},
	        {"origin.open", {"AERO_L2_OPEN=false"}, "no", NULL, NULL},
	        {"origin.open", {"AERO_L2_OPEN=true"},
	                "!AERO_L2_OPEN=true: only 1 turns this on, 0 leaves it off (origin.open)",
	                NULL, NULL},
	        {"auth.insecure-allow-no-auth", {"AERO_L2_INSECURE_ALLOW_NO_AUTH=1"}, "yes", NULL,
	                NULL},
	        {"auth.insecure-allow-no-auth", {"AERO_L2_INSECURE_ALLOW_NO_AUTH=yes"}, "!only 1",
	                NULL, NULL},
	        {"client.trust-proxy", {"AERO_L2_TRUST_PROXY=YES"}, "yes", NULL, NULL},
	        {"client.trust-proxy", {"AERO_L2_TRUST_PROXY=off"}, "no", NULL, NULL},
	        {"client.trust-proxy", {"AERO_L2_TRUST_PROXY=True"}, "!must be 1, true, yes, on",
	                NULL, NULL},
	        {"host.trust-proxy-host", {"AERO_L2_TRUST_PROXY_HOST=on"}, "yes", NULL, NULL},
	        {"egress.allow-private", {"AERO_L2_ALLOW_PRIVATE_IPS=true"}, "yes", NULL,
	                "egress.allow-private is on"},
	        {"egress.allow-private", {"AERO_L2_ALLOW_PRIVATE_IPS=TRUE"}, "!in lower case", NULL,
	                NULL},
	        {"egress.allow-private", {"AERO_L2_ALLOW_PRIVATE_IPS=No"}, "no", NULL, NULL},
	        {"egress.allow-private", {"AERO_EGRESS_ALLOW_PRIVATE=Yes"}, "yes",
	                "AERO_EGRESS_ALLOW_PRIVATE", NULL},
	};
	TRY(rows);
	static const char *const seven[] = {"1", "true", "TRUE", "yes", "YES", "on", "ON"};
	for (size_t i = 0; i < 7; i++) {
		char text[64];
		snprintf(text, sizeof text, "AERO_L2_TRUST_PROXY=%s", seven[i]);
		struct row r = {"client.trust-proxy", {text}, "yes", NULL, NULL};
		try_row(&r);
	}
}

static void
auth(void **state)
{
	(void)state;
#define K(n) "0123456789abcdef0123456789abcdef" n
	static const struct row rows[] = {
	        {"auth.mode", {NULL}, "!nothing says who may connect", NULL, NULL},
	        {"auth.mode", {"AERO_L2_API_KEY=" K("1")}, "token", "default", NULL},
	        {"auth.mode", {"AERO_L2_TOKEN=" K("1")}, "token", NULL, NULL},
	        {"auth.mode", {"SESSION_SECRET=" K("1")}, "session_or_token", NULL, NULL},
	        {"auth.mode", {"SESSION_SECRET=" K("1"), "AERO_L2_API_KEY=" K("2")},
	                "session_or_token", NULL, NULL},
	        {"auth.mode", {"SESSION_SECRET=" K("1"), "AERO_L2_AUTH_MODE=none"}, "none",
	                "AERO_L2_AUTH_MODE", "auth.mode is none"},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=none"}, "none", NULL, NULL},
	        {"auth.mode", {"AERO_L2_OPEN=1"}, "!nothing says who", NULL, NULL},
	        {"auth.mode", {"AERO_L2_INSECURE_ALLOW_NO_AUTH=1"}, "!nothing says who", NULL,
	                NULL},
	        {"auth.mode", {"AERO_L2_OPEN=1", "AERO_L2_INSECURE_ALLOW_NO_AUTH=1"}, "none", NULL,
	                NULL},
	        {"auth.mode",
	                {"AERO_L2_OPEN=1", "AERO_L2_INSECURE_ALLOW_NO_AUTH=1",
	                        "SESSION_SECRET=" K("1")},
	                "session_or_token", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE= ", "AERO_L2_API_KEY=" K("1")}, "token", NULL,
	                NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=basic"},
	                "!AERO_L2_AUTH_MODE=basic: must be one of auto, none, session, token, jwt, "
	                "cookie_or_jwt, session_or_token, session_and_token (auth.mode)",
	                NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=Cookie", "SESSION_SECRET=" K("1")}, "session",
	                NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=api_key", "AERO_L2_API_KEY=" K("1")}, "token",
	                NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=COOKIE_OR_API_KEY", "SESSION_SECRET=" K("1")},
	                "session_or_token", NULL, NULL},
	        {"auth.mode",
	                {"AERO_L2_AUTH_MODE=cookie_and_api_key", "SESSION_SECRET=" K("1"),
	                        "AERO_L2_API_KEY=" K("1")},
	                "session_and_token", NULL, NULL},
	        /* What a mode cannot do without. */
	        {"auth.mode", {"AERO_L2_AUTH_MODE=token"},
	                "!AERO_L2_AUTH_MODE: auth.mode = token needs an API key", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=session_and_token", "SESSION_SECRET=" K("1")},
	                "!needs an API key", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=session_and_token", "AERO_L2_API_KEY=" K("1")},
	                "!needs a session secret", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=jwt"}, "!needs a JWT secret", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=jwt", "AERO_L2_JWT_SECRET=" K("1")}, "jwt", NULL,
	                NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=cookie_or_jwt", "AERO_L2_JWT_SECRET=" K("1")},
	                "!needs a session secret", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=cookie_or_jwt", "SESSION_SECRET=" K("1")},
	                "!needs a JWT secret", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=session"}, "!needs a session secret", NULL, NULL},
	        {"auth.mode", {"AERO_L2_AUTH_MODE=session_or_token", "AERO_L2_API_KEY=" K("1")},
	                "!needs a session secret", NULL, NULL},
	        /* Secrets and their order. */
	        {"auth.session-secret",
	                {"AERO_L2_SESSION_SECRET=" K("3"), "SESSION_SECRET=" K("2"),
	                        "AERO_GATEWAY_SESSION_SECRET= " K("1") "\n"},
	                K("1"), "AERO_GATEWAY_SESSION_SECRET", NULL},
	        {"auth.session-secret",
	                {"AERO_L2_SESSION_SECRET=" K("3"), "SESSION_SECRET=" K("2"),
	                        "AERO_GATEWAY_SESSION_SECRET=  "},
	                K("2"), "SESSION_SECRET", NULL},
	        {"auth.session-secret", {"AERO_L2_SESSION_SECRET=" K("3"), "SESSION_SECRET="},
	                K("3"), "AERO_L2_SESSION_SECRET", NULL},
	        {"auth.api-key", {"AERO_L2_API_KEY=" K("1"), "AERO_L2_TOKEN=" K("2")}, K("1"), NULL,
	                NULL},
	        {"auth.api-key", {"AERO_L2_API_KEY= ", "AERO_L2_TOKEN=" K("2")}, K("2"), NULL,
	                NULL},
	        {"auth.api-key", {"AERO_L2_API_KEY=short"}, "short", NULL,
	                "auth.api-key is only 5 bytes long"},
	        {"auth.jwt-secret", {"AERO_L2_JWT_SECRET= x "}, "x", NULL,
	                "auth.jwt-secret is only 1"},
	        {"auth.jwt-audience", {"AERO_L2_JWT_AUDIENCE=me"}, "me", NULL, NULL},
	        {"auth.jwt-issuer", {"AERO_L2_JWT_ISSUER= you "}, "you", NULL, NULL},
	        {"auth.jwt-issuer", {"AERO_L2_JWT_ISSUER= "}, "", "default", NULL},
	};
#undef K
	TRY(rows);
}

static void
egress(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"egress.tcp-ports", {NULL}, "", "default", NULL},
	        {"egress.tcp-ports", {"AERO_L2_ALLOWED_TCP_PORTS=80, 443,"}, "80,443", NULL, NULL},
	        {"egress.tcp-ports", {"AERO_L2_ALLOWED_TCP_PORTS="}, "(none)",
	                "AERO_L2_ALLOWED_TCP_PORTS", NULL},
	        {"egress.tcp-ports", {"AERO_L2_ALLOWED_TCP_PORTS= , "}, "(none)", NULL, NULL},
	        {"egress.tcp-ports", {"AERO_L2_ALLOWED_TCP_PORTS=80,http"},
	                "!AERO_L2_ALLOWED_TCP_PORTS=80,http: 'http': must be a port 0..65535", NULL,
	                NULL},
	        {"egress.tcp-ports", {"AERO_L2_ALLOWED_TCP_PORTS=65536"}, "!must be a port", NULL,
	                NULL},
	        {"egress.udp-ports", {"AERO_L2_ALLOWED_UDP_PORTS=0"}, "0", NULL, NULL},
	        {"egress.udp-ports", {"AERO_L2_ALLOWED_UDP_PORTS="}, "(none)", NULL, NULL},
	        {"egress.udp-ports", {"AERO_L2_ALLOWED_UDP_PORTS=53\xff"}, "!must be a port", NULL,
	                NULL},
	        {"egress.allowed-domains", {"AERO_L2_ALLOWED_DOMAINS=Example.COM., ."},
	                "Example.COM.,.", NULL, NULL},
	        {"egress.blocked-domains", {"AERO_L2_BLOCKED_DOMAINS=a.test"}, "a.test", NULL,
	                NULL},
	        {"egress.tcp-forward", {"AERO_L2_TCP_FORWARD=203.0.113.1:80=localhost:8080"},
	                "203.0.113.1:80=localhost:8080", NULL, "are for tests"},
	        {"egress.tcp-forward", {"AERO_L2_TCP_FORWARD=203.0.113.1=localhost:8080"},
	                "!AERO_L2_TCP_FORWARD", NULL, NULL},
	        {"egress.udp-forward", {"AERO_L2_UDP_FORWARD=203.0.113.1:80=[::1]:8080"},
	                "203.0.113.1:80=[::1]:8080", NULL, NULL},
	};
	TRY(rows);
}

static void
capture_and_version(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"capture.dir", {NULL}, "", "default", NULL},
	        {"capture.dir", {"AERO_L2_CAPTURE_DIR=/tmp/x y "}, "/tmp/x y ", NULL,
	                "capture.dir is"},
	        {"capture.dir", {"AERO_L2_CAPTURE_DIR=  "}, "", "default", NULL},
	        {"capture.max-bytes", {NULL}, "64MiB", "default", NULL},
	        {"capture.max-bytes", {"AERO_L2_CAPTURE_MAX_BYTES=250"}, "250", NULL, NULL},
	        {"capture.max-bytes", {"AERO_L2_CAPTURE_MAX_BYTES=0"}, "unlimited", NULL, NULL},
	        {"capture.flush-interval", {NULL}, "1s", "default", NULL},
	        {"capture.flush-interval", {"AERO_L2_CAPTURE_FLUSH_INTERVAL_MS=0"}, "0", NULL,
	                NULL},
	        {"version.version", {NULL}, "0.1.0", "default", NULL},
	        {"version.version", {"VERSION=2"}, "2", NULL, NULL},
	        {"version.version", {"VERSION=2", "AERO_L2_PROXY_VERSION= 3"}, " 3", NULL, NULL},
	        {"version.version", {"VERSION=2", "AERO_L2_PROXY_VERSION="}, "",
	                "AERO_L2_PROXY_VERSION", NULL},
	        {"version.git-sha", {NULL}, "dev", "default", NULL},
	        {"version.git-sha", {"GIT_SHA=abc"}, "abc", NULL, NULL},
	        {"version.git-sha", {"AERO_L2_PROXY_GIT_SHA=def", "GIT_SHA=abc"}, "def", NULL,
	                NULL},
	        {"version.built-at", {NULL}, "", "default", NULL},
	        {"version.built-at", {"BUILD_TIMESTAMP=now"}, "now", NULL, NULL},
	        {"version.built-at", {"AERO_L2_PROXY_BUILD_TIMESTAMP=t", "BUILD_TIMESTAMP=now"},
	                "t", NULL, NULL},
	};
	TRY(rows);
}

static void
logging(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"log.level", {NULL}, "info", "default", NULL},
	        {"log.level", {"RUST_LOG=aero_l2_proxy=debug"}, "debug", "RUST_LOG", NULL},
	        {"log.level", {"RUST_LOG=warn"}, "warn", NULL, NULL},
	        {"log.level", {"RUST_LOG=TRACE"}, "debug", NULL, NULL},
	        {"log.level", {"RUST_LOG=off"}, "error", NULL, NULL},
	        {"log.level", {"RUST_LOG=warn,aero_l2_proxy=info"}, "info", NULL, NULL},
	        {"log.level", {"RUST_LOG=aero_l2_proxy=info,debug"}, "info", NULL, NULL},
	        {"log.level", {"RUST_LOG=aero_l2_proxy=info, aero_l2_proxy::session=debug"},
	                "debug", NULL, NULL},
	        {"log.level", {"RUST_LOG=aero_l2_proxy"}, "debug", NULL, NULL},
	        {"log.level", {"RUST_LOG=hyper=debug"}, "info", "default", NULL},
	        {"log.level", {"RUST_LOG=aero_l2_proxy2=debug"}, "info", "default", NULL},
	        {"log.level", {"RUST_LOG="}, "info", "default", NULL},
	        {"log.level", {"RUST_LOG=loud"}, "info", "default", "'loud' names no level"},
	        {"log.level", {"AERO_LOG_LEVEL=error", "RUST_LOG=debug"}, "error", NULL, NULL},
	        {"log.colour", {NULL}, "auto", "default", NULL},
	        {"log.colour", {"NO_COLOR=1"}, "never", "NO_COLOR", NULL},
	        {"log.colour", {"NO_COLOR="}, "auto", "default", NULL},
	};
	TRY(rows);
}

/* --- the table as a whole --- */

/* Every name of the table reaches its option: set to what the option is by default, it is named
 * as the source (unless the default is what that name cannot say). */
static void
every_name_works(void **state)
{
	(void)state;
	static const char *const sample[] = {
	        [OPT_BOOL] = "1",
	        [OPT_U32] = "5",
	        [OPT_U64] = "5",
	        [OPT_MSEC] = "2000",
	        [OPT_SIZE] = "65536",
	        [OPT_STR] = "text",
	        [OPT_PATH] = "/path",
	        [OPT_SECRET] = "0123456789abcdef0123456789abcdef",
	        [OPT_ENUM] = "none",
	        [OPT_ENDPOINT] = "127.0.0.1:7",
	        [OPT_IP] = "10.0.2.9",
	        [OPT_MAC] = "02:00:00:00:00:07",
	};
	for (size_t p = 0; p < service_l2.n_places; p++) {
		const struct opt_place *at = &service_l2.places[p];
		for (size_t i = 0; i < service_l2.n_env; i++) {
			const struct opt_env *e = &service_l2.env[i];
			const struct opt *o = NULL;
			for (size_t k = 0; k < at->section->n; k++)
				if (at->off + at->section->opts[k].off == e->off)
					o = &at->section->opts[k];
			if (!o || o->type == OPT_LIST)
				continue;
			char text[128], name[OPT_NAME];
			snprintf(text, sizeof text, "%s=%s", e->name,
			        e->flags & ENV_RUST_LOG ? "info" : sample[o->type]);
			struct got g;
			load(&g, opt_name(at->section, o, name), (const char *const[]){text, NULL});
			assert_string_equal(buf_str(&g.where), e->name);
			unload(&g);
		}
	}
	size_t rows = 0;
	for (size_t p = 0; p < service_l2.n_places; p++)
		for (size_t i = 0; i < service_l2.n_env; i++)
			for (size_t k = 0; k < service_l2.places[p].section->n; k++)
				rows += service_l2.places[p].off +
				                service_l2.places[p].section->opts[k].off ==
				        service_l2.env[i].off;
	assert_int_equal(rows, service_l2.n_env);
}

static void
names_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < service_l2.n_env; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(service_l2.env[i].name, service_l2.env[k].name);
}

static void
secret_files(void **state)
{
	(void)state;
	char path[] = "/tmp/secret-XXXXXX", text[64], other[64];
	int fd = mkstemp(path);
	assert_int_equal(write(fd, " s3cret\n\n", 9), 9);
	close(fd);
	snprintf(text, sizeof text, "SESSION_SECRET_FILE=%s", path);
	struct row plain = {"auth.session-secret", {text}, "s3cret", "SESSION_SECRET_FILE", NULL};
	try_row(&plain);
	snprintf(other, sizeof other, "AERO_AUTH_SESSION_SECRET_FILE=%s", path);
	struct row own = {
	        "auth.session-secret", {other}, "s3cret", "AERO_AUTH_SESSION_SECRET_FILE", NULL};
	try_row(&own);
	struct row both = {"auth.session-secret", {text, "SESSION_SECRET=x"},
	        "!SESSION_SECRET and SESSION_SECRET_FILE are both set", NULL, NULL};
	try_row(&both);
	struct row weaker = {"auth.session-secret", {text, "AERO_GATEWAY_SESSION_SECRET=first"},
	        "first", "AERO_GATEWAY_SESSION_SECRET", NULL};
	try_row(&weaker);
	truncate(path, 0);
	struct row empty = {"auth.session-secret", {text}, "!is empty", NULL, NULL};
	try_row(&empty);
	truncate(path, 65537);
	struct row huge = {
	        "auth.session-secret", {text}, "!is longer than 65536 bytes", NULL, NULL};
	try_row(&huge);
	unlink(path);
	struct row gone = {"auth.session-secret", {text}, "!No such file or directory", NULL, NULL};
	try_row(&gone);
}

static void
typos(void **state)
{
	(void)state;
	static const struct row rows[] = {
	        {"limits.max-connections", {"AERO_L2_MAX_CONECTIONS=5"}, "64", "default",
	                "AERO_L2_MAX_CONECTIONS is set but is no option's name; did you mean "
	                "AERO_L2_MAX_CONNECTIONS?"},
	};
	TRY(rows);
	struct got g;
	load(&g, "log.level",
	        (const char *const[]){"AERO_L2_PROXY_UPSTREAM=x", "AERO_L2_PROXY_IMAGE=y",
	                "AERO_L2_PROXY_PORT=tcp://10.0.0.1:8090", "AERO_L2_PROXY_TEST_CARGO_HOME=z",
	                "AERO_TCP_MAX_WINDOW=64KiB", "AERO_L2_API_KEY_FILE=", NULL});
	assert_null(strstr(buf_str(&g.notices), "did you mean"));
	unload(&g);
}

static void
secrets_stay_secret(void **state)
{
	(void)state;
	struct got g;
	load(&g, "auth.api-key", (const char *const[]){"AERO_L2_API_KEY=hun\x01ter2", NULL});
	assert_non_null(strstr(buf_str(&g.problems), "AERO_L2_API_KEY=(hidden)"));
	assert_null(strstr(buf_str(&g.problems), "ter2"));
	unload(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(listening),
	        cmocka_unit_test(payload_limits),
	        cmocka_unit_test(tunnel),
	        cmocka_unit_test(network),
	        cmocka_unit_test(origins),
	        cmocka_unit_test(booleans),
	        cmocka_unit_test(auth),
	        cmocka_unit_test(egress),
	        cmocka_unit_test(capture_and_version),
	        cmocka_unit_test(logging),
	        cmocka_unit_test(every_name_works),
	        cmocka_unit_test(names_once),
	        cmocka_unit_test(secret_files),
	        cmocka_unit_test(typos),
	        cmocka_unit_test(secrets_stay_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
