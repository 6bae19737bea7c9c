#include "wire/dns.h"
#include "wire/dnstext.h"

#include "fuzz.h"

static void
walk(const struct dnsmsg *m)
{
	struct dnswalk w;
	struct dnsrr rr;
	char text[64], name[DNSNAME_TEXT];
	struct ip a;
	unsigned n = 0;
	dns_walk(&w, m);
	while (dns_next(&w, &rr) > 0) {
		fuzz_inside(rr.rdata, m->whole);
		dnsname_text(&rr.name, name);
		dnstext_rdata(m->whole, &rr, text, sizeof text);
		dns_rr_ip(&rr, &a);
		n++;
	}
	assert(m->bad_records || n == 0u + m->count[1] + m->count[2] + m->count[3]);
}

/* What was changed in place must still be a message, and ask the same. */
static void
must_be_sound(struct span s, const struct dnsmsg *was)
{
	struct dnsmsg m;
	assert(dns_parse(s, &m) == 0 && !m.bad_records);
	assert(dnsname_eq(&m.name, &was->name) && m.type == was->type);
}

static void
change(const struct dnsmsg *m)
{
	uint8_t *p = fuzz_copy(m->whole);
	size_t n = m->whole.n;
	struct dnsmsg lower = *m;
	if (dns_age(p, n, 10, 300) < 0)
		memcpy(p, m->whole.p, n);
	must_be_sound(span(p, n), m);
	size_t cut = dns_fit(p, n, DNS_UDP_LEAST);
	assert(cut <= n && cut <= DNS_UDP_LEAST);
	must_be_sound(span(p, cut), m);
	cut = dns_strip_opt(p, cut);
	must_be_sound(span(p, cut), m);
	assert(dns_parse(span(p, cut), &lower) == 0 && !lower.has_opt);
	dns_echo_question(p, cut, m);
	must_be_sound(span(p, cut), m);
	free(p);
}

static void
answer(const struct dnsmsg *q)
{
	uint8_t b[DNS_UDP_LEAST];
	struct wr w = wr_init(b, sizeof b);
	struct ip a = ip4(0x01020304);
	struct dnsmsg m;
	assert(dns_put_reply(&w, q, DNS_NOERROR));
	while (dns_put_ip(&w, 60, &a))
		;
	dns_put_opt(&w, 1232, 0, false);
	assert(dns_parse(span(b, wr_len(&w)), &m) == 0 && !m.bad_records);
	assert(m.id == q->id && span_eq(m.question, q->question));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dnsmsg m;
	uint32_t ttl;
	uint8_t b[DNS_HEAD];
	struct wr w = wr_init(b, sizeof b);
	dns_put_formerr(&w, span(data, size));
	if (dns_parse(span(data, size), &m) < 0)
		return 0;
	fuzz_inside(m.question, m.whole);
	assert(m.opt_size >= DNS_UDP_LEAST);
	walk(&m);
	dns_outcome(&m, &ttl);
	answer(&m);
	if (!m.bad_records)
		change(&m);
	return 0;
}
