#include "base/log.h"

#include "base/buf.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_CAP 4096

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void
log_root(struct log *l, int fd, enum log_level level, enum log_format format)
{
	*l = (struct log){.fd = fd, .level = level, .format = format};
}

void
log_link(struct log *l, const struct log *up, const struct kv *kv, int n)
{
	*l = (struct log){.up = up, .fd = -1};
	for (int i = 0; i < n && i < LOG_LINK_KV; i++)
		l->kv[i] = kv[i];
}

static const struct log *
root_of(const struct log *l)
{
	while (l->up)
		l = l->up;
	return l;
}

bool
log_on(const struct log *l, enum log_level level)
{
	return level <= root_of(l)->level;
}

static bool
plain(struct span s)
{
	if (!s.n)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == '\\' ||
		        s.p[i] >= 127)
			return false;
	return true;
}

/* JSON string; bytes that are not printable ASCII become \u00XX, so any input is safe. */
static void
quoted(struct buf *b, struct span s)
{
	buf_addc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (c == '"' || c == '\\')
			buf_addf(b, "\\%c", c);
		else if (c < ' ' || c >= 127)
			buf_addf(b, "\\u%04x", c);
		else
			buf_addc(b, (char)c);
	}
	buf_addc(b, '"');
}

static void
text_value(struct buf *b, struct span s, enum log_format f)
{
	if (f == LOG_TEXT && plain(s))
		buf_add(b, s);
	else
		quoted(b, s);
}

static void
value(struct buf *b, const struct kv *kv, enum log_format f)
{
	char addr[ADDR_TEXT];
	switch (kv->type) {
	case KV_STR: text_value(b, span_str(kv->str ? kv->str : ""), f); break;
	case KV_SPAN: text_value(b, kv->span, f); break;
	case KV_MS:
	case KV_U64: buf_addf(b, "%" PRIu64, kv->u64); break;
	case KV_I64: buf_addf(b, "%" PRId64, kv->i64); break;
	case KV_BOOL: buf_adds(b, kv->b ? "true" : "false"); break;
	case KV_IP: text_value(b, span_str(ip_text(kv->ip, addr)), f); break;
	case KV_ENDPOINT: text_value(b, span_str(endpoint_text(kv->ep, addr)), f); break;
	case KV_END: break;
	}
}

/* A field that does not fit is left out whole, so a long line is still a well-formed one. */
static void
field(struct buf *b, const struct kv *kv, enum log_format f)
{
	size_t before = b->n;
	if (f == LOG_JSON)
		buf_addf(b, ",\"%s\":", kv->key);
	else
		buf_addf(b, " %s=", kv->key);
	value(b, kv, f);
	if (b->bad) {
		b->n = before;
		b->bad = false;
	}
}

static void
chain(struct buf *b, const struct log *l, enum log_format f)
{
	if (!l)
		return;
	chain(b, l->up, f);
	for (int i = 0; i < LOG_LINK_KV && l->kv[i].type != KV_END; i++)
		field(b, &l->kv[i], f);
}

static void
head(struct buf *b, enum log_level level, const char *event, enum log_format f)
{
	struct timespec ts;
	struct tm tm;
	char when[32];
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	long ms = ts.tv_nsec / 1000000;
	if (f == LOG_JSON)
		buf_addf(b, "{\"ts\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"", when, ms,
		        level_names[level], event);
	else
		buf_addf(b, "%s.%03ldZ %-5s %s", when, ms, level_names[level], event);
}

void
log_write(const struct log *l, enum log_level level, const char *event, const struct kv *kv)
{
	const struct log *root = root_of(l);
	if (level > root->level)
		return;
	struct buf b;
	buf_init(&b, LINE_CAP);
	head(&b, level, event, root->format);
	chain(&b, l, root->format);
	for (; kv->type != KV_END; kv++)
		field(&b, kv, root->format);
	b.cap += 2;
	buf_adds(&b, root->format == LOG_JSON ? "}\n" : "\n");
	/* A reader that stalls costs lines, never the loop and all that lives on it. */
	struct pollfd p = {root->fd, POLLOUT, 0};
	if (poll(&p, 1, 0) > 0 && write(root->fd, b.p, b.n) < 0) {
		/* nobody left to tell */
	}
	buf_fini(&b);
}
