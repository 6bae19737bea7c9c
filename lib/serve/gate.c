#include "serve/gate.h"

#include "serve/l2svc.h"
#include "wire/l2tun.h"

#include <stdio.h>
#include <time.h>

#define LOG_TEXT_MOST 256 /* a client's words must not push the rest out of the line */

static void
count(struct l2svc *s, enum metric m)
{
	metric_add(s->shard, m, 1);
}

static uint64_t
wall_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* server.max-headers bounds them far below what the scratch holds. */
static void
fill_head(struct l2svc *s, const struct req *r, struct head *h)
{
	struct head_field *field = (struct head_field *)(void *)s->w->scratch;
	unsigned n = 0, most = WORKER_SCRATCH / sizeof *field;
	while (n < most && req_header_at(r, n, &field[n].name, &field[n].value))
		n++;
	*h = (struct head){field, n, req_query(r), req_peer(r)->ip};
}

static void
reply_text(struct req *r, int status, struct span body)
{
	req_reply(r, status, "text/plain; charset=utf-8", "", body);
}

/* --- refusals by the rules --------------------------------------------------------------- */

static const enum metric by_why[] = {
        [REFUSAL_ORIGIN_MISSING] = M_L2_UPGRADE_REJECT_ORIGIN_MISSING,
        [REFUSAL_ORIGIN_INVALID] = M_L2_UPGRADE_REJECT_ORIGIN,
        [REFUSAL_ORIGIN_NOT_ALLOWED] = M_L2_UPGRADE_REJECT_ORIGIN,
        [REFUSAL_HOST_MISSING] = M_L2_UPGRADE_REJECT_HOST_MISSING,
        [REFUSAL_HOST_INVALID] = M_L2_UPGRADE_REJECT_HOST_INVALID,
        [REFUSAL_HOST_NOT_ALLOWED] = M_L2_UPGRADE_REJECT_HOST,
};

static const enum metric by_reject[AUTH_REJECTS] = {
        [AUTH_MISSING] = M_L2_AUTH_REJECT_MISSING,
        [AUTH_BAD_KEY] = M_L2_AUTH_REJECT_API_KEY,
        [AUTH_BAD_COOKIE] = M_L2_AUTH_REJECT_COOKIE,
        [AUTH_BAD_JWT] = M_L2_AUTH_REJECT_JWT,
        [AUTH_JWT_ORIGIN] = M_L2_AUTH_REJECT_JWT_ORIGIN,
};

static void
count_refusal(struct l2svc *s, const struct door_result *d)
{
	count(s, M_L2_UPGRADE_REJECTED);
	if (d->refusal.why != REFUSAL_AUTH) {
		count(s, by_why[d->refusal.why]);
		return;
	}
	count(s, M_L2_AUTH_FAILURES);
	count(s, by_reject[d->auth.reject]);
	count(s, d->auth.reject == AUTH_MISSING ? M_L2_UPGRADE_REJECT_AUTH_MISSING
	                                        : M_L2_UPGRADE_REJECT_AUTH_INVALID);
}

static void
log_refusal(struct l2svc *s, enum log_level level, const struct door_result *d, const char *reason,
        const struct head *h)
{
	struct span origin = span_first(head_first(h, "origin"), LOG_TEXT_MOST);
	struct span sid = span_first(d->auth.sid, GATE_SID_TEXT);
	bool by_auth = d->refusal.why == REFUSAL_AUTH;
	char event[96];
	snprintf(event, sizeof event, "rejected l2 websocket upgrade%s", d->auth.note);
	log_write(&s->w->log, level, event,
	        LOG_KV(kv_str("reason", reason),
	                kv_span("origin", origin.n ? origin : SPAN_LIT("<missing>")),
	                kv_span("host", span_first(d->host.raw, LOG_TEXT_MOST)),
	                kv_str("auth_mode", auth_mode_name(s->app->door.auth.mode)),
	                kv_str("auth_reject_reason",
	                        by_auth ? auth_reject_name(d->auth.reject) : "none"),
	                kv_span("auth_sid", sid.n ? sid : SPAN_LIT("none")),
	                kv_bool("token_present", d->auth.token_present),
	                kv_bool("cookie_present", d->auth.cookie_present),
	                kv_ip("client_ip", &d->client.ip),
	                kv_str("client_ip_source", clientip_source_name(d->client.source))));
}

static void
refuse(struct l2svc *s, struct req *r, const struct door_result *d, const struct head *h)
{
	struct buf body;
	buf_init(&body, 8192);
	buf_adds(&body, d->refusal.text);
	buf_add(&body, span_first(d->refusal.detail, 4096));
	count_refusal(s, d);
	log_refusal(s, LOG_WARN, d, d->refusal.label, h);
	reply_text(r, d->refusal.status, buf_span(&body));
	buf_fini(&body);
}

/* --- refusals by the limits -------------------------------------------------------------- */

struct full {
	const char *body, *label;
	enum metric counters[4];
	int n;
	enum log_level level;
};

static const struct full full_ip = {"max connections per ip exceeded",
        "max_connections_per_ip_exceeded", {M_L2_UPGRADE_IP_LIMIT}, 1, LOG_WARN};
static const struct full full_total = {"max connections exceeded", "max_connections_exceeded",
        {M_L2_UPGRADE_REJECT_MAX}, 1, LOG_INFO};
static const struct full full_sid = {"quota_connections: max connections per session exceeded",
        "max_connections_per_session_exceeded",
        {M_L2_UPGRADE_REJECT_PER_SESSION, M_L2_SESSION_CONNECTION_DENIED}, 2, LOG_WARN};

static void
log_full_ip(struct l2svc *s, const struct clientip *c)
{
	struct span ip = span(c->ip.b, sizeof c->ip.b);
	log_warn(&s->w->log, "rejecting l2 upgrade: per-IP connection limit exceeded",
	        kv_ip("client_ip", &c->ip),
	        kv_str("client_ip_source", clientip_source_name(c->source)),
	        kv_u64("max_connections_per_ip", s->app->l2->limits.max_connections_per_ip),
	        kv_u64("active_connections", limit_active(s->shard, LIMIT_IP, ip)));
}

static void
refuse_full(struct l2svc *s, struct req *r, const struct full *f, const struct door_result *d,
        const struct head *h)
{
	count(s, M_L2_UPGRADE_REJECTED);
	for (int i = 0; i < f->n; i++)
		count(s, f->counters[i]);
	if (f == &full_ip)
		log_full_ip(s, &d->client);
	else
		log_refusal(s, f->level, d, f->label, h);
	reply_text(r, 429, span_str(f->body));
}

/* NULL when a place was had everywhere; what was taken before the refusal is given back. */
static const struct full *
take_places(struct l2svc *s, struct gate_pass *pass, struct span sid)
{
	const struct limits_conf *l = &s->app->l2->limits;
	const struct full *full = NULL;
	struct span ip = span(pass->client.ip.b, sizeof pass->client.ip.b);
	if (limit_acquire(s->shard, LIMIT_IP, ip, l->max_connections_per_ip, &pass->by_ip, NULL))
		full = &full_ip;
	else if (limit_acquire(s->shard, LIMIT_TUNNELS, SPAN_NONE, l->max_connections, &pass->total,
	                 NULL))
		full = &full_total;
	else if (sid.p && limit_acquire(s->shard, LIMIT_SID, sid, l->max_connections_per_session,
	                          &pass->by_sid, NULL))
		full = &full_sid;
	if (full)
		gate_release(s, pass);
	return full;
}

void
gate_release(struct l2svc *s, struct gate_pass *pass)
{
	limit_release(s->shard, &pass->by_sid);
	limit_release(s->shard, &pass->total);
	limit_release(s->shard, &pass->by_ip);
}

/* --- the pipeline ------------------------------------------------------------------------ */

bool
gate_admit(struct l2svc *s, struct req *r, struct gate_pass *pass)
{
	static const char no_protocol[] =
	        "missing required websocket subprotocol \"" L2TUN_PROTOCOL "\"";
	struct head h;
	const char *body;
	int status = req_ws_check(r, &body);
	*pass = (struct gate_pass){0};
	fill_head(s, r, &h);
	if (!status && s->draining) {
		status = 503;
		body = "shutting down";
	}
	if (!status && !head_lists(&h, "sec-websocket-protocol", L2TUN_PROTOCOL)) {
		status = 400;
		body = no_protocol;
	}
	if (status) {
		reply_text(r, status, span_str(body));
		return false;
	}
	struct door_result *d = &s->door_result;
	door_check(&s->app->door, &h, wall_ms(), &s->auth_room, d);
	if (d->refusal.why != REFUSAL_NONE) {
		refuse(s, r, d, &h);
		return false;
	}
	pass->client = d->client;
	snprintf(pass->sid, sizeof pass->sid, "%.*s", (int)span_first(d->auth.sid, GATE_SID_TEXT).n,
	        d->auth.sid.p ? (const char *)d->auth.sid.p : "");
	const struct full *full = take_places(s, pass, d->auth.sid);
	if (full)
		refuse_full(s, r, full, d, &h);
	return !full;
}
