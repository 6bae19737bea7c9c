/* sections: the structs that options are read into, one per section, one per service.
 *
 * Field meanings, ranges and defaults are the rows of conf/<section>.def.
 * Owner    values belong to the struct conf they were loaded into (conf/conf.h); borrowed by all
 *          others, and constant. */
#pragma once

#include "base/log.h"
#include "conf/opt.h"

/* auth.mode. AUTH_AUTO never leaves the loader: it is settled when the configuration is checked. */
enum auth_mode {
	AUTH_AUTO,
	AUTH_NONE,
	AUTH_SESSION,
	AUTH_TOKEN,
	AUTH_JWT,
	AUTH_COOKIE_OR_JWT,
	AUTH_SESSION_OR_TOKEN,
	AUTH_SESSION_AND_TOKEN,
};

const char *auth_mode_name(int mode); /* "session_or_token" */

enum conf_colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };
enum conf_tls_version { TLS_1_2, TLS_1_3 };
/* log.level is enum log_level, log.format enum log_format. */

#define OPT(ty, f, ...) OPT_CTYPE_##ty(f);
struct server_conf {
#include "conf/server.def"
};
struct log_conf {
#include "conf/log.def"
};
struct tls_conf {
#include "conf/tls.def"
};
struct origin_conf {
#include "conf/origin.def"
};
struct host_conf {
#include "conf/host.def"
};
struct client_conf {
#include "conf/client.def"
};
struct auth_conf {
#include "conf/auth.def"
};
struct limits_conf {
#include "conf/limits.def"
};
struct tunnel_conf {
#include "conf/tunnel.def"
};
struct lan_conf {
#include "conf/lan.def"
};
struct tcp_conf {
#include "conf/tcp.def"
};
struct udp_conf {
#include "conf/udp.def"
};
struct icmp_conf {
#include "conf/icmp.def"
};
struct dns_conf {
#include "conf/dns.def"
};
struct egress_conf {
#include "conf/egress.def"
};
struct capture_conf {
#include "conf/capture.def"
};
struct version_conf {
#include "conf/version.def"
};
#undef OPT

struct l2_conf {
#define SECTION(s) struct s##_conf s;
#include "conf/l2.def"
#undef SECTION
};

extern const struct opt_service service_l2;

extern const struct opt_service *const services[];        /* NULL ends it */
const struct opt_service *service_find(const char *name); /* NULL when there is none */
