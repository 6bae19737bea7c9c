/* dns: one question to the LAN's resolver, over UDP or TCP. */
#include "probes/rows.h"

#include "guest/gdns.h"
#include "wire/dnstext.h"

#include <errno.h>

enum { EDNS_SIZE = 1232, DATA_MOST = 1024 };

static void
show_record(struct probe *p, const struct dnsmsg *m, const struct dnsrr *rr)
{
	char name[DNSNAME_TEXT], type[DNSTEXT_TYPE], data[DATA_MOST];
	dnsname_text(&rr->name, name);
	const char *type_name = dnstext_type(rr->type, type);
	dnstext_rdata(m->whole, rr, data, sizeof data);
	step_line(p, "%s %u %s %s", name, rr->ttl, type_name, data);
	if (p->style != STYLE_JSON)
		return;
	jout_object(&p->j);
	jout_kv_str(&p->j, "name", name);
	jout_kv_str(&p->j, "type", type_name);
	jout_kv_u64(&p->j, "ttl", rr->ttl);
	jout_kv_str(&p->j, "data", data);
	jout_end(&p->j);
}

static void
show(struct probe *p, const struct dnsmsg *m, bool tcp)
{
	struct dnswalk w;
	struct dnsrr rr;
	char rcode[DNSTEXT_TYPE];
	step_str(p, "rcode", dnstext_rcode(m->rcode, rcode));
	step_str(p, "over", tcp ? "tcp" : "udp");
	if (p->style == STYLE_JSON) {
		jout_key(&p->j, "answers");
		jout_array(&p->j);
	}
	dns_walk(&w, m);
	while (dns_next(&w, &rr) > 0)
		if (rr.section == DNS_ANSWER)
			show_record(p, m, &rr);
	if (p->style == STYLE_JSON)
		jout_end(&p->j);
}

static int
judge(struct probe *p, const struct dnsmsg *m, bool tcp, const char *what)
{
	char rcode[DNSTEXT_TYPE];
	uint32_t ttl;
	const char *over = tcp ? " (over TCP)" : "";
	switch (dns_outcome(m, &ttl)) {
	case DNS_FOUND:
		return step_end(p, ANSWER_YES, EXIT_OK, "%s: %u record%s%s", what,
		        m->count[DNS_ANSWER], m->count[DNS_ANSWER] == 1 ? "" : "s", over);
	case DNS_NO_NAME:
		step_hint(p, "a policy that denies the name says this too: see aero policy-check");
		return step_end(
		        p, ANSWER_NO, EXIT_FAILED, "%s: no such name (NXDOMAIN)%s", what, over);
	case DNS_NO_DATA:
		return step_end(
		        p, ANSWER_NO, EXIT_FAILED, "%s: the name has no such record%s", what, over);
	default: break;
	}
	step_hint(p, "the LAN's resolver answers, but cannot ask further: see [dns] servers");
	return step_end(p, ANSWER_UNKNOWN, EXIT_FAILED, "%s: the resolver says %s%s", what,
	        dnstext_rcode(m->rcode, rcode), over);
}

int
probe_ask(struct probe *p, const char *name, uint16_t type, bool tcp, bool any)
{
	struct lan *l = p->lan;
	struct gdns_question q = {.type = type, .tcp = tcp, .edns = EDNS_SIZE};
	struct dnsmsg m;
	char what[512], type_text[DNSTEXT_TYPE];
	enum lan_wait w = LAN_NEWS;
	bool answered = false;
	snprintf(what, sizeof what, "%s %s", name, dnstext_type(type, type_text));
	if (dnsname_parse(span_str(name), &q.name) < 0)
		return step_end(p, ANSWER_NO, EXIT_USAGE, "'%s' is no name", name);
	if (p->conf->gateway)
		ip_parse(span_str(p->conf->gateway), &q.server);
	uint64_t until = lan_patience(l);
	struct gdns *d = gdns_ask(l->g, &q, lan_now(l));
	if (!d)
		return step_end(p, ANSWER_UNKNOWN, EXIT_LOCAL, "out of memory");
	step_restart(p);
	while (!(answered = gdns_answer(d, &m, lan_now(l))) && !gdns_error(d) &&
	        (w = lan_wait(l, until)) == LAN_NEWS)
		;
	int r;
	tcp = gdns_over_tcp(d);
	if (answered)
		show(p, &m, tcp);
	if (answered && any && m.rcode != DNS_SERVFAIL)
		r = step_end(
		        p, ANSWER_YES, EXIT_OK, "%s: answered%s", what, tcp ? " (over TCP)" : "");
	else if (answered)
		r = judge(p, &m, tcp, what);
	else if (gdns_error(d))
		r = step_end(p, ANSWER_NO, EXIT_FAILED, "%s: %s%s", what, strerror(gdns_error(d)),
		        tcp ? " (over TCP)" : "");
	else
		r = lan_give_up(l, w, "no answer from the resolver");
	gdns_free(d, lan_now(l));
	return r;
}

int
probe_dns(struct probe *p)
{
	const char *type_text = p->conf->more ? p->conf->more : p->conf->type;
	uint16_t type = DNS_A;
	struct ip ip;
	step_begin(p, "dns");
	if (type_text && !dnstext_parse_type(span_str(type_text), &type))
		return step_end(p, ANSWER_NO, EXIT_USAGE, "'%s' is no record type", type_text);
	if (!ip_parse(span_str(p->conf->target), &ip))
		return probe_ask(p, p->conf->target, type, p->conf->tcp, false);
	struct dnsname name; /* an address: what is it called? */
	char text[DNSNAME_TEXT];
	dnsname_of_ip(&ip, &name);
	return probe_ask(p, dnsname_text(&name, text), DNS_PTR, p->conf->tcp, false);
}
