/* One report in four styles. JSON is written as the probe goes and printed at the end; the others
 * are printed step by step, so that a person sees where it hangs. */
#include "probes/probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { DOC_MOST = 4 << 20 };

static const char *const words[] = {"yes", "no", "unknown"};
static const char *const colours[] = {"\033[32m", "\033[31m", "\033[33m"};

uint64_t
probe_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void
report_begin(struct probe *p, const char *what)
{
	p->steps = 0;
	p->answer = ANSWER_UNKNOWN;
	buf_init(&p->doc, DOC_MOST);
	if (p->style == STYLE_TAP)
		puts("TAP version 14");
	if (p->style != STYLE_JSON)
		return;
	jout_init(&p->j, &p->doc);
	jout_object(&p->j);
	jout_kv_str(&p->j, "schema", "aero.probe/1");
	jout_kv_str(&p->j, "probe", what);
	if (p->conf->target)
		jout_kv_str(&p->j, "target", p->conf->target);
	char url[URL_HOST + URL_TARGET];
	dial_shown(&p->conf->dial, url, sizeof url);
	jout_kv_str(&p->j, "url", url);
	jout_key(&p->j, "steps");
	jout_array(&p->j);
}

void
report_end(struct probe *p)
{
	if (p->style == STYLE_TAP)
		printf("1..%u\n", p->steps);
	if (p->style == STYLE_JSON) {
		jout_end(&p->j);
		jout_kv_bool(&p->j, "ok", p->code == EXIT_OK);
		jout_kv_str(&p->j, "answer", words[p->answer]);
		jout_kv_str(&p->j, "reason", p->reason);
		jout_kv_u64(&p->j, "exit", (uint64_t)p->code);
		jout_end(&p->j);
		puts(buf_str(&p->doc));
	}
	fflush(stdout);
	buf_fini(&p->doc);
}

void
step_begin(struct probe *p, const char *name)
{
	snprintf(p->step, sizeof p->step, "%s", name);
	p->hint[0] = 0;
	p->began_us = probe_us();
	if (p->style != STYLE_JSON)
		return;
	jout_object(&p->j);
	jout_kv_str(&p->j, "name", name);
	if (p->run)
		jout_kv_u64(&p->j, "run", p->run);
}

void
step_restart(struct probe *p)
{
	p->began_us = probe_us();
}

void
step_hint(struct probe *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(p->hint, sizeof p->hint, fmt, ap);
	va_end(ap);
}

void
step_line(struct probe *p, const char *fmt, ...)
{
	va_list ap;
	if (p->style != STYLE_TEXT && p->style != STYLE_TAP)
		return;
	fputs(p->style == STYLE_TAP ? "# " : "         ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void
step_str(struct probe *p, const char *key, const char *value)
{
	if (p->style == STYLE_JSON)
		jout_kv_str(&p->j, key, value);
}

void
step_u64(struct probe *p, const char *key, uint64_t value)
{
	if (p->style == STYLE_JSON)
		jout_kv_u64(&p->j, key, value);
}

void
step_bool(struct probe *p, const char *key, bool value)
{
	if (p->style == STYLE_JSON)
		jout_kv_bool(&p->j, key, value);
}

void
step_ms(struct probe *p, const char *key, uint64_t us)
{
	if (p->style != STYLE_JSON)
		return;
	jout_key(&p->j, key);
	jout_ms(&p->j, (double)us / 1000.0);
}

static void
end_text(const struct probe *p)
{
	const char *on = p->colour ? colours[p->answer] : "", *off = p->colour ? "\033[0m" : "";
	printf("%s%-7s%s  %-9s  %s (%.1f ms)\n", on, words[p->answer], off, p->step, p->reason,
	        (double)p->took_us / 1000.0);
	if (p->answer != ANSWER_YES && *p->hint)
		printf("         hint: %s\n", p->hint);
	fflush(stdout);
}

/* A comment must not hold a '#' that is no directive. */
static void
end_tap(const struct probe *p)
{
	printf("%s %u - %s: %s\n", p->answer == ANSWER_YES ? "ok" : "not ok", p->steps, p->step,
	        words[p->answer]);
	printf("  ---\n  reason: \"");
	for (const char *s = p->reason; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s < ' ' ? ' ' : *s);
	}
	printf("\"\n  duration_ms: %.3f\n", (double)p->took_us / 1000.0);
	if (p->answer != ANSWER_YES && *p->hint)
		printf("  hint: \"%s\"\n", p->hint);
	puts("  ...");
	fflush(stdout);
}

static void
end_json(struct probe *p)
{
	jout_kv_bool(&p->j, "ok", p->answer == ANSWER_YES);
	jout_kv_str(&p->j, "answer", words[p->answer]);
	jout_kv_str(&p->j, "reason", p->reason);
	step_ms(p, "ms", p->took_us);
	if (p->answer != ANSWER_YES && *p->hint)
		jout_kv_str(&p->j, "hint", p->hint);
	jout_end(&p->j);
}

int
step_end(struct probe *p, enum answer a, int code, const char *fmt, ...)
{
	va_list ap;
	p->took_us = probe_us() - p->began_us;
	va_start(ap, fmt);
	vsnprintf(p->reason, sizeof p->reason, fmt, ap);
	va_end(ap);
	p->answer = a;
	p->code = code;
	p->steps++;
	switch (p->style) {
	case STYLE_TEXT: end_text(p); break;
	case STYLE_TAP: end_tap(p); break;
	case STYLE_JSON: end_json(p); break;
	case STYLE_QUIET: break;
	}
	return code;
}
