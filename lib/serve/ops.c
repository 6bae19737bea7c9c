#include "serve/ops.h"

#include "base/buf.h"
#include "obs/metrics.h"
#include "serve/l2svc.h"

void
ops_healthz(struct req *r, void *user)
{
	(void)user;
	req_reply(r, 200, NULL, "", SPAN_NONE);
}

void
ops_readyz(struct req *r, void *user)
{
	const struct ops *o = user;
	req_reply(r, o->draining ? 503 : 200, NULL, "", SPAN_NONE);
}

/* The escapes are part of the promise: the short ones for quote, backslash, newline, return and
 * tab, \u for other control characters, everything else as it is. */
static void
add_json_text(struct buf *b, const char *s)
{
	static const char special[] = "\\\"\n\r\t", letter[] = "\\\"nrt";
	buf_addc(b, '"');
	for (; *s; s++) {
		const char *at = strchr(special, *s);
		if (at)
			buf_addf(b, "\\%c", letter[at - special]);
		else if ((unsigned char)*s < ' ')
			buf_addf(b, "\\u%04x", *s);
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '"');
}

void
ops_version(struct req *r, void *user)
{
	const struct version_conf *v = &((const struct ops *)user)->app->l2->version;
	struct buf b;
	buf_init(&b, 16384);
	buf_adds(&b, "{\"version\":");
	add_json_text(&b, v->version);
	buf_adds(&b, ",\"gitSha\":");
	add_json_text(&b, v->git_sha);
	buf_adds(&b, ",\"builtAt\":");
	add_json_text(&b, v->built_at);
	buf_adds(&b, "}");
	req_reply(r, 200, "application/json", "", buf_span(&b));
	buf_fini(&b);
}

void
ops_metrics(struct req *r, void *user)
{
	const struct ops *o = user;
	struct buf b;
	buf_init(&b, METRICS_TEXT_MAX);
	metrics_text(o->shard, &b);
	req_reply(r, b.bad ? 500 : 200, METRICS_CONTENT_TYPE, "", b.bad ? SPAN_NONE : buf_span(&b));
	buf_fini(&b);
}

void
ops_upgrade(struct req *r, void *user)
{
	l2svc_upgrade(r, ((const struct ops *)user)->l2);
}
