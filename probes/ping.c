/* ping: ICMP echo, as often as asked, with what routers say about it. */
#include "probes/rows.h"

#include "guest/gping.h"

#include <errno.h>

enum { COUNT_USUAL = 3, ID = 0xae20, SIZE_USUAL = 56, SEEN_MOST = 1024 };

struct tally {
	uint32_t sent, got, strange;
	int err; /* of sending */
	uint64_t least_us, most_us, sum_us;
	enum icmp_kind said; /* what a router said, the last time */
	struct ip who;
	uint64_t sent_us[SEEN_MOST]; /* by sequence number; 0: answered or never sent */
};

static void
show(struct probe *p, const struct gping_event *e, uint64_t us)
{
	char from[ADDR_TEXT];
	ip_text(&e->from, from);
	if (e->kind == ICMP_KIND_ECHO_REPLY)
		step_line(p, "%u bytes from %s: seq=%u ttl=%u time=%.3f ms", e->len, from, e->seq,
		        e->ttl, (double)us / 1000.0);
	else
		step_line(p, "from %s: seq=%u %s", from, e->seq, lan_icmp_text(e->kind));
	if (p->style != STYLE_JSON)
		return;
	jout_object(&p->j);
	jout_kv_u64(&p->j, "seq", e->seq);
	jout_kv_str(&p->j, "from", from);
	jout_kv_u64(&p->j, "ttl", e->ttl);
	if (e->kind == ICMP_KIND_ECHO_REPLY)
		step_ms(p, "rtt_ms", us);
	else
		jout_kv_str(&p->j, "error", lan_icmp_text(e->kind));
	jout_end(&p->j);
}

static void
take(struct probe *p, struct tally *t)
{
	struct gping_event e;
	uint64_t now = probe_us();
	while (gping_next(p->lan->g, &e)) {
		uint64_t *sent = &t->sent_us[e.seq % SEEN_MOST];
		if (e.id != ID || !*sent)
			continue;
		uint64_t us = now - *sent;
		*sent = 0;
		show(p, &e, us);
		if (e.kind != ICMP_KIND_ECHO_REPLY) {
			t->said = e.kind;
			t->who = e.from;
			continue;
		}
		t->strange += !e.same;
		t->got++;
		t->sum_us += us;
		t->most_us = us > t->most_us ? us : t->most_us;
		t->least_us = t->got == 1 || us < t->least_us ? us : t->least_us;
	}
}

static bool
pending(const struct tally *t)
{
	for (size_t i = 0; i < SEEN_MOST; i++)
		if (t->sent_us[i])
			return true;
	return false;
}

static int
judge(struct probe *p, const struct tally *t, const char *to)
{
	char who[ADDR_TEXT];
	step_u64(p, "sent", t->sent);
	step_u64(p, "received", t->got);
	if (t->got) {
		uint64_t mean = t->sum_us / t->got;
		step_ms(p, "min_ms", t->least_us);
		step_ms(p, "avg_ms", mean);
		step_ms(p, "max_ms", t->most_us);
		if (t->strange)
			return step_end(p, ANSWER_NO, EXIT_PROTOCOL,
			        "%s answers with other data than was sent", to);
		return step_end(p, ANSWER_YES, EXIT_OK, "%s answers: %u of %u, %.3f/%.3f/%.3f ms",
		        to, t->got, t->sent, (double)t->least_us / 1000.0, (double)mean / 1000.0,
		        (double)t->most_us / 1000.0);
	}
	if (t->err)
		return step_end(p, ANSWER_NO, EXIT_LOCAL, "cannot send: %s", strerror(t->err));
	ip_text(&t->who, who);
	if (t->said == ICMP_KIND_PROHIBITED) {
		step_hint(p, "the egress policy denies it, or the host allows no ping sockets "
		             "(net.ipv4.ping_group_range)");
		return step_end(p, ANSWER_NO, EXIT_DENIED, "%s: prohibited, says %s", to, who);
	}
	if (t->said != ICMP_KIND_OTHER)
		return step_end(p, ANSWER_NO, EXIT_FAILED, "%s: %s, says %s", to,
		        lan_icmp_text(t->said), who);
	return step_end(p, ANSWER_UNKNOWN, EXIT_TIMEOUT,
	        "%s does not answer, which proves nothing: many hosts do not", to);
}

static int
ping(struct probe *p, const struct ip *to, uint32_t count, struct tally *t)
{
	struct lan *l = p->lan;
	const struct probe_conf *c = p->conf;
	enum lan_wait w = LAN_NEWS;
	uint64_t last = 0;
	for (uint32_t i = 0; c->watch || i < count; i++) {
		uint64_t next = lan_now(l) + c->interval_ms;
		t->sent_us[i % SEEN_MOST] = probe_us();
		t->sent++;
		int r = gping_send(l->g, to, ID, (uint16_t)i, c->size ? c->size : SIZE_USUAL,
		        (uint8_t)c->ttl, lan_now(l));
		if (r < 0)
			t->err = -r;
		last = lan_patience(l);
		while ((c->watch || i + 1 < count) && (w = lan_wait(l, next)) == LAN_NEWS)
			take(p, t);
		take(p, t);
		if (w == LAN_DOWN || w == LAN_INTERRUPTED)
			break;
	}
	while (w != LAN_DOWN && w != LAN_INTERRUPTED && pending(t) &&
	        (w = lan_wait(l, last)) == LAN_NEWS)
		take(p, t);
	if (p->style == STYLE_JSON)
		jout_end(&p->j);
	if (w == LAN_DOWN || (w == LAN_INTERRUPTED && !t->got))
		return lan_give_up(l, w, "");
	return -1;
}

int
probe_ping_ip(struct probe *p, const struct ip *to, uint32_t count)
{
	char text[ADDR_TEXT];
	struct tally t = {.said = ICMP_KIND_OTHER};
	step_str(p, "address", ip_text(to, text));
	if (p->style == STYLE_JSON) {
		jout_key(&p->j, "replies");
		jout_array(&p->j);
	}
	int r = ping(p, to, count, &t);
	return r < 0 ? judge(p, &t, text) : r;
}

int
probe_ping(struct probe *p)
{
	struct ip to;
	int r = lan_lookup(p->lan, span_str(p->conf->target), &to);
	if (r)
		return r;
	step_begin(p, "ping");
	return probe_ping_ip(p, &to, p->conf->count ? p->conf->count : COUNT_USUAL);
}
