/* tcp: a connection; with --send, what comes back. */
#include "probes/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ECHO_BYTES = 65536, SHOWN_MOST = 60, READ_MOST = 16384 };

/* Why there is no connection, told by what the far side or a router said. */
static int
no_connection(struct probe *p, const struct gtcp_info *i, const char *to)
{
	char who[ADDR_TEXT];
	ip_text(&i->icmp_from, who);
	bool icmp = i->icmp != ICMP_KIND_OTHER;
	if (icmp) {
		step_str(p, "icmp", lan_icmp_text(i->icmp));
		step_str(p, "icmp_from", who);
	}
	step_str(p, "error", strerror(i->err));
	switch (i->err) {
	case EACCES:
		step_hint(p, "the egress policy denies it: see aero policy-check");
		return step_end(p, ANSWER_NO, EXIT_DENIED, "%s: prohibited, says %s", to, who);
	case ECONNREFUSED:
		step_hint(p, "nobody listens there, or the address or port is not allowed: see "
		             "aero policy-check");
		return step_end(p, ANSWER_NO, EXIT_FAILED, "%s refuses the connection%s", to,
		        icmp ? ", says a router" : "");
	case ETIMEDOUT: return step_end(p, ANSWER_UNKNOWN, EXIT_TIMEOUT, "%s does not answer", to);
	default:
		return step_end(p, ANSWER_NO, EXIT_FAILED, "%s: %s%s%s", to, strerror(i->err),
		        icmp ? ", says " : "", icmp ? who : "");
	}
}

int
probe_connect(struct probe *p, const struct endpoint *to, struct gtcp **out)
{
	struct lan *l = p->lan;
	struct gtcp_info i;
	char text[ADDR_TEXT];
	enum lan_wait w = LAN_NEWS;
	uint64_t until = lan_patience(l);
	endpoint_text(to, text);
	step_str(p, "address", text);
	step_restart(p);
	struct gtcp *t = gtcp_open(l->g, to, NULL, lan_now(l));
	*out = t;
	if (!t)
		return step_end(p, ANSWER_UNKNOWN, EXIT_LOCAL, "out of memory");
	for (;;) {
		gtcp_info(t, &i);
		if (i.up || i.over || (w = lan_wait(l, until)) != LAN_NEWS)
			break;
	}
	if (i.up) {
		step_u64(p, "mss", i.mss);
		step_u64(p, "wscale", i.wscale);
		step_bool(p, "sack", i.sack);
		return 0;
	}
	*out = NULL;
	gtcp_abort(t, lan_now(l));
	if (i.over)
		return no_connection(p, &i, text);
	step_hint(p, "silence: the address may not exist, or something drops the packets");
	return lan_give_up(l, w, "no answer to the SYN");
}

static size_t
printable(const uint8_t *p, size_t n, char *out)
{
	size_t len = 0;
	for (size_t i = 0; i < n && len < SHOWN_MOST && p[i] != '\n'; i++)
		out[len++] = p[i] < ' ' || p[i] > '~' ? '.' : (char)p[i];
	out[len] = 0;
	return len;
}

/* What the far side says, to a text or by itself, until it pauses. */
static int
say(struct probe *p, struct gtcp *t, const char *to)
{
	struct lan *l = p->lan;
	struct gtcp_info i;
	uint8_t buf[READ_MOST];
	char shown[SHOWN_MOST + 1];
	enum lan_wait w = LAN_NEWS;
	uint64_t until = lan_patience(l);
	size_t n = 0, sent = gtcp_write(t, span_str(p->conf->send));
	for (;;) {
		n += gtcp_read(t, buf + n, sizeof buf - n);
		gtcp_info(t, &i);
		if (n >= sent || i.eof || i.over || (w = lan_wait(l, until)) != LAN_NEWS)
			break;
	}
	printable(buf, n, shown);
	step_u64(p, "sent", sent);
	step_u64(p, "received", n);
	if (i.err)
		return step_end(p, ANSWER_NO, EXIT_FAILED, "%s: %s", to, strerror(i.err));
	if (!n && w != LAN_NEWS)
		return lan_give_up(l, w, "connected, but no answer");
	bool same = sent && span_eq(span(buf, n), span(p->conf->send, sent));
	step_bool(p, "echo", same);
	return step_end(p, ANSWER_YES, EXIT_OK, "%s answers %zu bytes: %s%s", to, n, shown,
	        same ? " (the same)" : "");
}

int
probe_tcp(struct probe *p)
{
	struct endpoint to;
	struct gtcp *t;
	char text[ADDR_TEXT];
	int r = lan_target(p->lan, p->conf->target, &to);
	if (r)
		return r;
	step_begin(p, "tcp");
	r = probe_connect(p, &to, &t);
	if (r)
		return r;
	endpoint_text(&to, text);
	if (p->conf->send)
		r = say(p, t, text);
	else
		r = step_end(p, ANSWER_YES, EXIT_OK, "%s accepts connections", text);
	gtcp_close(t, lan_now(p->lan));
	return r;
}

/* --- echo ------------------------------------------------------------------------------------- */

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8));
}

static bool
all_back(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != pattern(i))
			return false;
	return true;
}

/* ECHO_BYTES there and back, and the ends of both directions. */
static int
echo(struct probe *p, struct gtcp *t, uint8_t *out, uint8_t *back, const char *to)
{
	struct lan *l = p->lan;
	struct gtcp_info i;
	enum lan_wait w = LAN_NEWS;
	uint64_t until = lan_patience(l);
	size_t sent = 0, got = 0;
	for (size_t k = 0; k < ECHO_BYTES; k++)
		out[k] = pattern(k);
	for (;;) {
		sent += gtcp_write(t, span(out + sent, ECHO_BYTES - sent));
		if (sent == ECHO_BYTES)
			gtcp_shutdown(t);
		got += gtcp_read(t, back + got, ECHO_BYTES - got);
		gtcp_info(t, &i);
		if (i.eof || i.over || (w = lan_wait(l, until)) != LAN_NEWS)
			break;
	}
	if (i.err)
		return step_end(p, ANSWER_NO, EXIT_FAILED, "%s: %s after %zu bytes", to,
		        strerror(i.err), got);
	if (w != LAN_NEWS)
		return lan_give_up(l, w, "the echo stopped");
	if (got != ECHO_BYTES || !all_back(back, got))
		return step_end(p, ANSWER_NO, EXIT_FAILED,
		        "%s gave back %zu bytes that are not those that were sent", to, got);
	return step_end(p, ANSWER_YES, EXIT_OK, "%s gave back %d bytes and closed in order", to,
	        ECHO_BYTES);
}

int
probe_echo(struct probe *p, const struct endpoint *to)
{
	struct gtcp *t;
	char text[ADDR_TEXT];
	int r = probe_connect(p, to, &t);
	if (r)
		return r;
	uint8_t *buf = malloc(2 * ECHO_BYTES);
	endpoint_text(to, text);
	if (buf)
		r = echo(p, t, buf, buf + ECHO_BYTES, text);
	else
		r = step_end(p, ANSWER_UNKNOWN, EXIT_LOCAL, "out of memory");
	free(buf);
	gtcp_close(t, lan_now(p->lan));
	return r;
}
