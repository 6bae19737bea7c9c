#include "wire/dnstext.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	uint16_t type;
	const char *name;
} types[] = {
        {DNS_A, "A"},
        {DNS_NS, "NS"},
        {DNS_CNAME, "CNAME"},
        {DNS_SOA, "SOA"},
        {DNS_PTR, "PTR"},
        {DNS_MX, "MX"},
        {DNS_TXT, "TXT"},
        {DNS_AAAA, "AAAA"},
        {DNS_SRV, "SRV"},
        {DNS_DNAME, "DNAME"},
        {DNS_OPT, "OPT"},
        {DNS_SVCB, "SVCB"},
        {DNS_HTTPS, "HTTPS"},
        {DNS_ANY, "ANY"},
        {DNS_CAA, "CAA"},
};

const char *
dnstext_type(uint16_t type, char *buf)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].name;
	snprintf(buf, DNSTEXT_TYPE, "TYPE%u", type);
	return buf;
}

bool
dnstext_parse_type(struct span s, uint16_t *out)
{
	uint64_t v;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (span_ieq(s, span_str(types[i].name))) {
			*out = types[i].type;
			return true;
		}
	}
	if (!span_istarts(s, "TYPE") || !span_u64(span_skip(s, 4), UINT16_MAX, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

const char *
dnstext_rcode(uint16_t rcode, char *buf)
{
	static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
	        "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"};
	if (rcode < ARRAY_LEN(names))
		return names[rcode];
	if (rcode == DNS_BADVERS)
		return "BADVERS";
	snprintf(buf, DNSTEXT_TYPE, "RCODE%u", rcode);
	return buf;
}

/* Text that grows in a buffer of fixed size, counting what it would have needed. */
struct text {
	char *p;
	size_t cap, n;
};

__attribute__((format(printf, 2, 3))) static void
say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t at = t->n < t->cap ? t->n : t->cap;
	int n = vsnprintf(t->cap - at ? t->p + at : NULL, t->cap - at, fmt, ap);
	va_end(ap);
	t->n += n > 0 ? (size_t)n : 0;
}

struct in {
	struct span msg;
	struct rd r;
};

static void
say_name(struct text *t, struct in *in)
{
	struct dnsname name;
	char buf[DNSNAME_TEXT];
	size_t end;
	if (in->r.bad || dnsname_at(in->msg, (size_t)(in->r.p - in->msg.p), &name, &end) < 0 ||
	        end > (size_t)(in->r.end - in->msg.p)) {
		in->r.bad = true;
		return;
	}
	in->r.p = in->msg.p + end;
	say(t, "%s", dnsname_text(&name, buf));
}

static void
say_quoted(struct text *t, struct span s)
{
	say(t, "\"");
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (c < 0x20 || c > 0x7e)
			say(t, "\\%03u", c);
		else
			say(t, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	say(t, "\"");
}

static void
say_ip(struct text *t, struct in *in)
{
	char buf[ADDR_TEXT];
	struct span s = rd_rest(&in->r);
	struct ip a;
	if (s.n == 4)
		a = ip4(get32(s.p));
	else if (s.n == 16)
		memcpy(a.b, s.p, 16);
	else
		in->r.bad = true;
	if (!in->r.bad)
		say(t, "%s", ip_text(&a, buf));
}

static void
say_mx(struct text *t, struct in *in)
{
	say(t, "%u ", rd_u16(&in->r));
	say_name(t, in);
}

static void
say_srv(struct text *t, struct in *in)
{
	for (int i = 0; i < 3; i++)
		say(t, "%u ", rd_u16(&in->r));
	say_name(t, in);
}

static void
say_soa(struct text *t, struct in *in)
{
	say_name(t, in);
	say(t, " ");
	say_name(t, in);
	for (int i = 0; i < 5; i++)
		say(t, " %u", rd_u32(&in->r));
}

static void
say_txt(struct text *t, struct in *in)
{
	const char *between = "";
	while (rd_left(&in->r) && !in->r.bad) {
		say(t, "%s", between);
		say_quoted(t, rd_bytes(&in->r, rd_u8(&in->r)));
		between = " ";
	}
}

static void
say_caa(struct text *t, struct in *in)
{
	say(t, "%u ", rd_u8(&in->r));
	struct span tag = rd_bytes(&in->r, rd_u8(&in->r));
	say(t, "%.*s ", (int)tag.n, (const char *)tag.p);
	say_quoted(t, rd_rest(&in->r));
}

/* RFC 9460 2.1; parameters by number, values as quoted bytes. */
static void
say_svcb(struct text *t, struct in *in)
{
	say(t, "%u ", rd_u16(&in->r));
	say_name(t, in);
	while (rd_left(&in->r) && !in->r.bad) {
		say(t, " key%u=", rd_u16(&in->r));
		say_quoted(t, rd_bytes(&in->r, rd_u16(&in->r)));
	}
}

static const struct {
	uint16_t type;
	void (*say)(struct text *t, struct in *in);
} sayers[] = {
        {DNS_A, say_ip},
        {DNS_AAAA, say_ip},
        {DNS_NS, say_name},
        {DNS_CNAME, say_name},
        {DNS_PTR, say_name},
        {DNS_DNAME, say_name},
        {DNS_MX, say_mx},
        {DNS_SRV, say_srv},
        {DNS_SOA, say_soa},
        {DNS_TXT, say_txt},
        {DNS_CAA, say_caa},
        {DNS_SVCB, say_svcb},
        {DNS_HTTPS, say_svcb},
};

static void
say_unknown(struct text *t, struct span rdata)
{
	say(t, "\\# %zu", rdata.n);
	for (size_t i = 0; i < rdata.n; i++)
		say(t, i ? "%02x" : " %02x", rdata.p[i]);
}

size_t
dnstext_rdata(struct span msg, const struct dnsrr *rr, char *buf, size_t cap)
{
	struct text t = {buf, cap, 0};
	if (cap)
		*buf = 0;
	for (size_t i = 0; i < ARRAY_LEN(sayers); i++) {
		struct in in = {msg, rd_init(rr->rdata)};
		if (sayers[i].type != rr->type)
			continue;
		sayers[i].say(&t, &in);
		if (!in.r.bad && rd_left(&in.r) == 0)
			return t.n;
		break;
	}
	t.n = 0;
	say_unknown(&t, rr->rdata);
	return t.n;
}
