/* Records are addressed by offset, because everything a forwarder changes (ids, TTLs, the end) can
 * be changed without moving a byte, and so no compression pointer ever has to be rewritten. */
#include "wire/dns.h"

#include <errno.h>

enum {
	AT_FLAGS = 2,
	AT_COUNT = 4,
	OPT_DO = 0x8000,
	QUESTION_POINTER = 0xc000 | DNS_HEAD,
	SOA_NUMBERS = 20,
};

/* --- reading ---------------------------------------------------------------------------------- */

static void
take_opt(struct dnsmsg *m, const struct dnsrr *rr, uint32_t raw_ttl)
{
	m->has_opt = true;
	m->opt_size = rr->class < DNS_UDP_LEAST ? DNS_UDP_LEAST : rr->class;
	m->rcode = (uint16_t)(m->rcode | raw_ttl >> 24 << 4);
	m->opt_version = (uint8_t)(raw_ttl >> 16);
	m->opt_do = raw_ttl & OPT_DO;
}

/* More than one OPT, or one under a name, is an error (RFC 6891 6.1.1). */
static void
scan_records(struct dnsmsg *m)
{
	struct dnswalk w;
	struct dnsrr rr;
	int r;
	dns_walk(&w, m);
	while ((r = dns_next(&w, &rr)) > 0) {
		if (rr.type != DNS_OPT)
			continue;
		if (m->has_opt || rr.name.n != 1 || rr.section != DNS_ADDITIONAL)
			m->bad_records = true;
		else
			take_opt(m, &rr, get32(m->whole.p + rr.ttl_at));
	}
	if (r < 0)
		m->bad_records = true;
}

int
dns_parse(struct span msg, struct dnsmsg *out)
{
	size_t end;
	if (msg.n < DNS_HEAD)
		return -EBADMSG;
	out->whole = msg;
	out->id = get16(msg.p);
	out->flags = get16(msg.p + AT_FLAGS);
	for (size_t i = 0; i < 4; i++)
		out->count[i] = get16(msg.p + AT_COUNT + 2 * i);
	if (out->count[DNS_QUESTION] != 1 || dnsname_at(msg, DNS_HEAD, &out->name, &end) < 0)
		return -EBADMSG;
	if (msg.n - end < 4)
		return -EBADMSG;
	out->type = get16(msg.p + end);
	out->class = get16(msg.p + end + 2);
	out->question = span(msg.p + DNS_HEAD, end + 4 - DNS_HEAD);
	out->bad_records = out->has_opt = out->opt_do = false;
	out->opt_version = 0;
	out->opt_size = DNS_UDP_LEAST;
	out->rcode = out->flags & DNS_RCODE;
	scan_records(out);
	return 0;
}

void
dns_walk(struct dnswalk *w, const struct dnsmsg *m)
{
	w->msg = m->whole;
	w->at = DNS_HEAD + m->question.n;
	w->section = DNS_ANSWER;
	memcpy(w->left, m->count, sizeof w->left);
}

int
dns_next(struct dnswalk *w, struct dnsrr *rr)
{
	size_t end;
	while (!w->left[w->section]) {
		if (w->section == DNS_ADDITIONAL)
			return 0;
		w->section++;
	}
	w->left[w->section]--;
	if (dnsname_at(w->msg, w->at, &rr->name, &end) < 0)
		return -EBADMSG;
	struct rd r = rd_init(span_skip(w->msg, end));
	rr->section = w->section;
	rr->at = w->at;
	rr->type = rd_u16(&r);
	rr->class = rd_u16(&r);
	rr->ttl_at = end + 4;
	rr->ttl = rd_u32(&r);
	if (rr->ttl >> 31)
		rr->ttl = 0;
	rr->rdata_at = end + 10;
	rr->rdata = rd_bytes(&r, rd_u16(&r));
	w->at = rr->rdata_at + rr->rdata.n;
	return r.bad ? -EBADMSG : 1;
}

bool
dns_rr_ip(const struct dnsrr *rr, struct ip *out)
{
	if (rr->class != DNS_IN)
		return false;
	if (rr->type == DNS_A && rr->rdata.n == 4) {
		*out = ip4(get32(rr->rdata.p));
		return true;
	}
	if (rr->type != DNS_AAAA || rr->rdata.n != 16)
		return false;
	memcpy(out->b, rr->rdata.p, 16);
	return true;
}

bool
dns_matches(const struct dnsmsg *q, const struct dnsmsg *r)
{
	return q->id == r->id && r->flags & DNS_QR && q->type == r->type && q->class == r->class &&
	       dnsname_eq(&q->name, &r->name);
}

/* MNAME and RNAME, then five numbers, the last of which is the one (RFC 2308 3 and 5). */
static bool
soa_ttl(const struct dnswalk *w, const struct dnsrr *rr, uint32_t *ttl)
{
	struct dnsname skip;
	size_t at;
	if (dnsname_at(w->msg, rr->rdata_at, &skip, &at) < 0 ||
	        dnsname_at(w->msg, at, &skip, &at) < 0)
		return false;
	if (at + SOA_NUMBERS != rr->rdata_at + rr->rdata.n)
		return false;
	uint32_t minimum = get32(w->msg.p + at + 16);
	*ttl = rr->ttl < minimum ? rr->ttl : minimum;
	return true;
}

enum dns_outcome
dns_outcome(const struct dnsmsg *m, uint32_t *ttl)
{
	struct dnswalk w;
	struct dnsrr rr;
	uint32_t least = UINT32_MAX, negative = 0;
	bool found = false, soa = false;
	*ttl = 0;
	if (m->bad_records || m->flags & DNS_TC ||
	        (m->rcode != DNS_NOERROR && m->rcode != DNS_NXDOMAIN))
		return DNS_FAILED;
	dns_walk(&w, m);
	while (dns_next(&w, &rr) > 0) {
		if (rr.type == DNS_OPT)
			continue;
		if (rr.ttl < least)
			least = rr.ttl;
		if (rr.section == DNS_ANSWER && (rr.type == m->type || m->type == DNS_ANY))
			found = true;
		if (rr.section == DNS_AUTHORITY && rr.type == DNS_SOA)
			soa = soa_ttl(&w, &rr, &negative);
	}
	if (found && m->rcode == DNS_NOERROR) {
		*ttl = least;
		return DNS_FOUND;
	}
	if (soa)
		*ttl = negative < least ? negative : least;
	return m->rcode == DNS_NXDOMAIN ? DNS_NO_NAME : DNS_NO_DATA;
}

/* --- in place --------------------------------------------------------------------------------- */

int
dns_age(uint8_t *msg, size_t n, uint32_t age, uint32_t most)
{
	struct dnsmsg m;
	struct dnswalk w;
	struct dnsrr rr;
	if (dns_parse(span(msg, n), &m) < 0 || m.bad_records)
		return -EBADMSG;
	dns_walk(&w, &m);
	while (dns_next(&w, &rr) > 0) {
		if (rr.type == DNS_OPT)
			continue;
		uint32_t ttl = rr.ttl < most ? rr.ttl : most;
		put32(msg + rr.ttl_at, ttl > age ? ttl - age : 0);
	}
	/* A name may have been pointed into what was just changed. */
	return dns_parse(span(msg, n), &m) < 0 || m.bad_records ? -EBADMSG : 0;
}

static void
set_counts(uint8_t *msg, const uint16_t count[4])
{
	for (size_t i = 0; i < 4; i++)
		put16(msg + AT_COUNT + 2 * i, count[i]);
}

/* Where OPT lies, if it is there. */
static struct span
find_opt(const struct dnsmsg *m, struct dnsrr *rr)
{
	struct dnswalk w;
	dns_walk(&w, m);
	while (m->has_opt && dns_next(&w, rr) > 0)
		if (rr->type == DNS_OPT)
			return span(m->whole.p + rr->at, w.at - rr->at);
	return SPAN_NONE;
}

size_t
dns_fit(uint8_t *msg, size_t n, size_t most)
{
	struct dnsmsg m;
	struct dnswalk w;
	struct dnsrr rr;
	uint16_t kept[4] = {1, 0, 0, 0};
	if (n <= most || dns_parse(span(msg, n), &m) < 0 || m.bad_records)
		return n;
	struct span opt = find_opt(&m, &rr);
	size_t end = DNS_HEAD + m.question.n;
	dns_walk(&w, &m);
	while (dns_next(&w, &rr) > 0 && w.at + opt.n <= most) {
		/* An OPT in its old place is taken along; it would be there twice otherwise. */
		if (rr.type == DNS_OPT)
			break;
		kept[rr.section]++;
		end = w.at;
	}
	if (opt.n && end + opt.n <= most) {
		memmove(msg + end, opt.p, opt.n);
		end += opt.n;
		kept[DNS_ADDITIONAL]++;
	}
	set_counts(msg, kept);
	/* What is only extra may be missing without a word (RFC 2181 9). */
	if (kept[DNS_ANSWER] < m.count[DNS_ANSWER] || kept[DNS_AUTHORITY] < m.count[DNS_AUTHORITY])
		dns_set_flags(msg, m.flags | DNS_TC);
	return end;
}

size_t
dns_strip_opt(uint8_t *msg, size_t n)
{
	struct dnsmsg m;
	struct dnswalk w;
	struct dnsrr rr;
	if (dns_parse(span(msg, n), &m) < 0 || m.bad_records || !m.has_opt)
		return n;
	uint16_t kept[4] = {1, m.count[DNS_ANSWER], m.count[DNS_AUTHORITY], 0};
	dns_walk(&w, &m);
	while (dns_next(&w, &rr) > 0 && rr.type != DNS_OPT)
		if (rr.section == DNS_ADDITIONAL)
			kept[DNS_ADDITIONAL]++;
	set_counts(msg, kept);
	return rr.at;
}

void
dns_echo_question(uint8_t *msg, size_t n, const struct dnsmsg *q)
{
	struct dnsmsg m;
	if (dns_parse(span(msg, n), &m) == 0 && m.question.n == q->question.n &&
	        dnsname_eq(&m.name, &q->name))
		memcpy(msg + DNS_HEAD, q->question.p, q->question.n);
}

/* --- building --------------------------------------------------------------------------------- */

static void
put_head(struct wr *w, uint16_t id, uint16_t flags)
{
	wr_u16(w, id);
	wr_u16(w, flags);
	wr_zero(w, 8);
}

/* Every put ends here: count the entry, or take everything back. */
static bool
settle(struct wr *w, const struct wr *was, enum dns_section section)
{
	if (w->bad) {
		*w = *was;
		return false;
	}
	uint8_t *count = w->start + AT_COUNT + 2 * section;
	put16(count, (uint16_t)(get16(count) + 1));
	return true;
}

bool
dns_put_query(struct wr *w, uint16_t id, uint16_t flags, const struct dnsname *name, uint16_t type)
{
	struct wr was = *w;
	put_head(w, id, flags);
	wr_bytes(w, name->b, name->n);
	wr_u16(w, type);
	wr_u16(w, DNS_IN);
	return settle(w, &was, DNS_QUESTION);
}

static uint16_t
reply_flags(uint16_t asked, enum dns_rcode rcode)
{
	return (uint16_t)(DNS_QR | DNS_RA | (asked & (DNS_OPCODE | DNS_RD | DNS_CD)) |
	                  (rcode & DNS_RCODE));
}

bool
dns_put_reply(struct wr *w, const struct dnsmsg *q, enum dns_rcode rcode)
{
	struct wr was = *w;
	put_head(w, q->id, reply_flags(q->flags, rcode));
	wr_span(w, q->question);
	return settle(w, &was, DNS_QUESTION);
}

bool
dns_put_formerr(struct wr *w, struct span query)
{
	struct wr was = *w;
	if (query.n < DNS_HEAD)
		return false;
	put_head(w, get16(query.p), reply_flags(get16(query.p + AT_FLAGS), DNS_FORMERR));
	if (!w->bad)
		return true;
	*w = was;
	return false;
}

bool
dns_put_rr(struct wr *w, enum dns_section section, const struct dnsname *name, uint16_t type,
        uint32_t ttl, struct span rdata)
{
	struct wr was = *w;
	if (name)
		wr_bytes(w, name->b, name->n);
	else
		wr_u16(w, QUESTION_POINTER);
	wr_u16(w, type);
	wr_u16(w, DNS_IN);
	wr_u32(w, ttl);
	wr_u16(w, (uint16_t)rdata.n);
	wr_span(w, rdata);
	w->bad |= rdata.n > UINT16_MAX;
	return settle(w, &was, section);
}

bool
dns_put_ip(struct wr *w, uint32_t ttl, const struct ip *a)
{
	bool four = ip_is4(a);
	struct span rdata = four ? span(a->b + 12, 4) : span(a->b, 16);
	return dns_put_rr(w, DNS_ANSWER, NULL, four ? DNS_A : DNS_AAAA, ttl, rdata);
}

bool
dns_put_opt(struct wr *w, uint16_t size, uint16_t rcode, bool opt_do)
{
	struct wr was = *w;
	wr_u8(w, 0);
	wr_u16(w, DNS_OPT);
	wr_u16(w, size);
	wr_u32(w, (uint32_t)(rcode >> 4 & 0xff) << 24 | (opt_do ? OPT_DO : 0));
	wr_u16(w, 0);
	return settle(w, &was, DNS_ADDITIONAL);
}

void
dns_put_tc(struct wr *w)
{
	if (wr_len(w) >= DNS_HEAD)
		dns_set_flags(w->start, get16(w->start + AT_FLAGS) | DNS_TC);
}
