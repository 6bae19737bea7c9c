/* udp: one datagram, and whatever comes back. */
#include "probes/rows.h"

#include "guest/gudp.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIZE_MOST = 65507 };

static int
refused(struct probe *p, const struct gudp_trouble *t, const char *to)
{
	char who[ADDR_TEXT];
	ip_text(&t->from, who);
	step_str(p, "icmp", lan_icmp_text(t->kind));
	step_str(p, "icmp_from", who);
	if (t->kind == ICMP_KIND_PROHIBITED) {
		step_hint(p, "the egress policy denies it: see aero policy-check");
		return step_end(p, ANSWER_NO, EXIT_DENIED, "%s: prohibited, says %s", to, who);
	}
	return step_end(
	        p, ANSWER_NO, EXIT_FAILED, "%s: %s, says %s", to, lan_icmp_text(t->kind), who);
}

static struct span
payload(const struct probe_conf *c, uint8_t *p)
{
	static const char usual[] = "aero probe udp";
	struct span text = span_str(c->send ? c->send : usual);
	size_t n = c->size ? c->size : text.n;
	n = n > SIZE_MOST ? SIZE_MOST : n;
	for (size_t i = 0; i < n; i++)
		p[i] = text.n ? text.p[i % text.n] : 0;
	return span(p, n);
}

static int
exchange(struct probe *p, struct gudp *u, const struct endpoint *to, uint8_t *buf)
{
	struct lan *l = p->lan;
	struct endpoint from;
	struct gudp_trouble t;
	char text[ADDR_TEXT];
	uint8_t *back = buf + SIZE_MOST;
	struct span out = payload(p->conf, buf);
	enum lan_wait w = LAN_NEWS;
	ssize_t n = -1;
	bool trouble = false;
	endpoint_text(to, text);
	uint64_t until = lan_patience(l);
	step_restart(p);
	int r = gudp_send(u, to, out, (uint8_t)p->conf->ttl, lan_now(l));
	if (r < 0)
		return step_end(p, ANSWER_NO, EXIT_LOCAL, "cannot send: %s", strerror(-r));
	while (!trouble && (n = gudp_recv(u, &from, back, SIZE_MOST)) < 0 &&
	        !(trouble = gudp_trouble(u, &t)) && (w = lan_wait(l, until)) == LAN_NEWS)
		;
	if (trouble)
		return refused(p, &t, text);
	if (n < 0) {
		step_hint(p, "UDP has no sign for this: lost, filtered, or nobody wants to answer");
		return lan_give_up(l, w, "no answer");
	}
	bool same = span_eq(span(back, (size_t)n), out);
	step_u64(p, "sent", out.n);
	step_u64(p, "received", (uint64_t)n);
	step_bool(p, "echo", same);
	return step_end(p, ANSWER_YES, EXIT_OK, "%s answers %zd bytes to %zu%s", text, n, out.n,
	        same ? ", the same" : "");
}

int
probe_udp(struct probe *p)
{
	struct endpoint to;
	int r = lan_target(p->lan, p->conf->target, &to);
	if (r)
		return r;
	step_begin(p, "udp");
	struct gudp *u = gudp_open(p->lan->g, 0);
	uint8_t *buf = malloc(2 * (size_t)SIZE_MOST);
	if (u && buf)
		r = exchange(p, u, &to, buf);
	else
		r = step_end(p, ANSWER_UNKNOWN, EXIT_LOCAL, "out of memory");
	free(buf);
	gudp_free(u);
	return r;
}
