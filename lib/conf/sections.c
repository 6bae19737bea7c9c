/* The rows of every section, and the services made of them. Adding an option touches its .def
 * alone; adding a section touches sections.h, this file and the service's list. */
#include "conf/sections.h"

#include "base/mem.h"
#include "conf/check.h"
#include "conf/item.h"

static const struct opt_word words_log_level[] = {{"error", LOG_ERROR}, {"warn", LOG_WARN},
        {"warning", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {"trace", LOG_DEBUG},
        {NULL, 0}};
static const struct opt_word words_log_format[] = {
        {"text", LOG_TEXT}, {"json", LOG_JSON}, {NULL, 0}};
static const struct opt_word words_colour[] = {
        {"auto", COLOUR_AUTO}, {"always", COLOUR_ALWAYS}, {"never", COLOUR_NEVER}, {NULL, 0}};
static const struct opt_word words_tls_version[] = {{"1.2", TLS_1_2}, {"1.3", TLS_1_3}, {NULL, 0}};
static const struct opt_word words_auth_mode[] = {{"auto", AUTH_AUTO}, {"none", AUTH_NONE},
        {"session", AUTH_SESSION}, {"cookie", AUTH_SESSION}, {"token", AUTH_TOKEN},
        {"api_key", AUTH_TOKEN}, {"jwt", AUTH_JWT}, {"cookie_or_jwt", AUTH_COOKIE_OR_JWT},
        {"session_or_token", AUTH_SESSION_OR_TOKEN}, {"cookie_or_api_key", AUTH_SESSION_OR_TOKEN},
        {"session_and_token", AUTH_SESSION_AND_TOKEN},
        {"cookie_and_api_key", AUTH_SESSION_AND_TOKEN}, {NULL, 0}};

/* OPT rows of the section whose struct ROW names. */
#define OPT(ty, f, df, ...) \
	{.type = OPT_##ty, .field = #f, .dflt = df, .off = offsetof(struct ROW, f), __VA_ARGS__},

#define ROW server_conf
static const struct opt server_opts[] = {
#include "conf/server.def"
};
#undef ROW
#define ROW log_conf
static const struct opt log_opts[] = {
#include "conf/log.def"
};
#undef ROW
#define ROW tls_conf
static const struct opt tls_opts[] = {
#include "conf/tls.def"
};
#undef ROW
#define ROW origin_conf
static const struct opt origin_opts[] = {
#include "conf/origin.def"
};
#undef ROW
#define ROW host_conf
static const struct opt host_opts[] = {
#include "conf/host.def"
};
#undef ROW
#define ROW client_conf
static const struct opt client_opts[] = {
#include "conf/client.def"
};
#undef ROW
#define ROW auth_conf
static const struct opt auth_opts[] = {
#include "conf/auth.def"
};
#undef ROW
#define ROW limits_conf
static const struct opt limits_opts[] = {
#include "conf/limits.def"
};
#undef ROW
#define ROW tunnel_conf
static const struct opt tunnel_opts[] = {
#include "conf/tunnel.def"
};
#undef ROW
#define ROW lan_conf
static const struct opt lan_opts[] = {
#include "conf/lan.def"
};
#undef ROW
#define ROW tcp_conf
static const struct opt tcp_opts[] = {
#include "conf/tcp.def"
};
#undef ROW
#define ROW udp_conf
static const struct opt udp_opts[] = {
#include "conf/udp.def"
};
#undef ROW
#define ROW icmp_conf
static const struct opt icmp_opts[] = {
#include "conf/icmp.def"
};
#undef ROW
#define ROW dns_conf
static const struct opt dns_opts[] = {
#include "conf/dns.def"
};
#undef ROW
#define ROW egress_conf
static const struct opt egress_opts[] = {
#include "conf/egress.def"
};
#undef ROW
#define ROW capture_conf
static const struct opt capture_opts[] = {
#include "conf/capture.def"
};
#undef ROW
#define ROW version_conf
static const struct opt version_opts[] = {
#include "conf/version.def"
};
#undef ROW
#undef OPT

#define SECTION_ROWS(s, text) \
	static const struct opt_section s##_section = {#s, text, s##_opts, ARRAY_LEN(s##_opts)}

SECTION_ROWS(server, "the listening side");
SECTION_ROWS(log, "events on stderr");
SECTION_ROWS(tls, "serve https and wss instead of http and ws");
SECTION_ROWS(origin, "which web pages may connect");
SECTION_ROWS(host, "which names of this service a client may use");
SECTION_ROWS(client, "who a connection comes from");
SECTION_ROWS(auth, "who may open a tunnel");
SECTION_ROWS(limits, "how many tunnels, and how much each may move; all workers together");
SECTION_ROWS(tunnel, "one WebSocket that carries Ethernet frames");
SECTION_ROWS(lan, "the network a guest finds itself in");
SECTION_ROWS(tcp, "guests' TCP connections");
SECTION_ROWS(udp, "guests' datagrams");
SECTION_ROWS(icmp, "ping and error messages");
SECTION_ROWS(dns, "names looked up for guests");
SECTION_ROWS(egress, "where guests may go");
SECTION_ROWS(capture, "a pcapng file per tunnel");
SECTION_ROWS(version, "what GET /version says");

static const struct opt_place l2_places[] = {
#define SECTION(s) {&s##_section, offsetof(struct l2_conf, s)},
#include "conf/l2.def"
#undef SECTION
};

static const struct opt_env l2_env[] = {
#define ENV(f, nm, ...) {.name = nm, .off = offsetof(struct l2_conf, f), __VA_ARGS__},
#include "conf/l2_env.def"
#undef ENV
};

static const struct opt_dflt l2_dflt[] = {
        {offsetof(struct l2_conf, server.listen), "0.0.0.0:8090"},
};

const struct opt_service service_l2 = {
        .name = "l2",
        .legacy = "aero-l2-proxy",
        .title = "Ethernet tunnel and the guest's network behind it",
        .size = sizeof(struct l2_conf),
        .places = l2_places,
        .n_places = ARRAY_LEN(l2_places),
        .env = l2_env,
        .n_env = ARRAY_LEN(l2_env),
        .dflt = l2_dflt,
        .n_dflt = ARRAY_LEN(l2_dflt),
        .check = check_l2,
        .warn = warn_l2,
};

const struct opt_service *const services[] = {&service_l2, NULL};

const struct opt_service *
service_find(const char *name)
{
	for (const struct opt_service *const *s = services; *s; s++)
		if (strcmp((*s)->name, name) == 0)
			return *s;
	return NULL;
}

const char *
auth_mode_name(int mode)
{
	for (const struct opt_word *w = words_auth_mode; w->name; w++)
		if (w->value == mode)
			return w->name;
	return "";
}
