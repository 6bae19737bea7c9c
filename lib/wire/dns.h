/* dns: DNS messages: parse, walk, build, and change in place what a forwarder must change.
 *
 * For      the guest's resolver, the cache behind it, and clients that ask.
 * Memory   spans are borrowed from the message. Builders write through a `wr` that starts where
 *          the message starts (over TCP: behind the two length bytes).
 * Errors   -EBADMSG for what cannot be read. A dns_put_* that does not fit returns false and leaves
 *          the message as it was, so the caller can set TC.
 * Spec     RFC 1035, RFC 2181 5 and 8, RFC 2308, RFC 6891. */
#pragma once

#include "base/cursor.h"
#include "wire/dnsname.h"

#define DNS_HEAD 12
#define DNS_UDP_LEAST 512 /* what every client takes over UDP */

enum dns_flag {
	DNS_QR = 0x8000,
	DNS_OPCODE = 0x7800,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_AD = 0x0020,
	DNS_CD = 0x0010,
	DNS_RCODE = 0x000f,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,
};

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_ANY = 255,
	DNS_CAA = 257,
};

enum { DNS_IN = 1 };

enum dns_section { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

struct dnsmsg {
	struct span whole;
	uint16_t id, flags;
	uint16_t count[4];   /* by dns_section */
	struct dnsname name; /* the question */
	uint16_t type, class;
	struct span question; /* its bytes: name, type, class */
	bool bad_records;     /* something behind the question is broken: FORMERR */
	bool has_opt, opt_do;
	uint8_t opt_version;
	uint16_t opt_size; /* UDP payload the sender takes, at least DNS_UDP_LEAST */
	uint16_t rcode;    /* with the bits that OPT adds */
};

/* A header and exactly one question are needed; the records are walked once for OPT. */
int dns_parse(struct span msg, struct dnsmsg *out);

struct dnsrr {
	enum dns_section section;
	struct dnsname name;
	uint16_t type, class;
	uint32_t ttl;                /* values with the high bit set are 0 (RFC 2181 8) */
	size_t at, ttl_at, rdata_at; /* offsets in the message */
	struct span rdata;
};

struct dnswalk {
	struct span msg;
	size_t at;
	enum dns_section section;
	uint16_t left[4];
};

void dns_walk(struct dnswalk *w, const struct dnsmsg *m);
/* 1 and a record, 0 at the end. */
int dns_next(struct dnswalk *w, struct dnsrr *rr);
/* The address of an A or AAAA record in class IN. */
bool dns_rr_ip(const struct dnsrr *rr, struct ip *out);

/* r is the answer to q: same id and question. */
bool dns_matches(const struct dnsmsg *q, const struct dnsmsg *r);

enum dns_outcome {
	DNS_FOUND,
	DNS_NO_DATA, /* the name exists, or leads to one that does, but has no such record */
	DNS_NO_NAME,
	DNS_FAILED, /* anything else, truncation included */
};

/* What a response says, and for how many seconds it may be remembered: the least TTL it has, for
 * the negative ones together with what the SOA says (RFC 2308 5); 0 means not at all. */
enum dns_outcome dns_outcome(const struct dnsmsg *m, uint32_t *ttl);

/* --- in place; the message is one that dns_parse took, without bad_records --------------- */
static inline void
dns_set_id(uint8_t *msg, uint16_t id)
{
	put16(msg, id);
}

static inline void
dns_set_flags(uint8_t *msg, uint16_t flags)
{
	put16(msg + 2, flags);
}

/* Every TTL but OPT's: at most `most`, then less `age`, never below 0. -EBADMSG when the message
 * cannot bear that; it is spoilt then. */
int dns_age(uint8_t *msg, size_t n, uint32_t age, uint32_t most);
/* Cut to `most` bytes (at least DNS_UDP_LEAST) between records; OPT is kept, and TC set when an
 * answer or authority record went. Returns the new length. */
size_t dns_fit(uint8_t *msg, size_t n, size_t most);
/* Cut off OPT and whatever follows it; returns the new length. */
size_t dns_strip_opt(uint8_t *msg, size_t n);
/* Write q's question over the one of a message that asks the same: restores the asker's case. */
void dns_echo_question(uint8_t *msg, size_t n, const struct dnsmsg *q);

/* --- building ---------------------------------------------------------------------------- */
bool dns_put_query(
        struct wr *w, uint16_t id, uint16_t flags, const struct dnsname *name, uint16_t type);
/* Header and question of an answer to q: id, opcode, RD and CD as asked, QR and RA set. */
bool dns_put_reply(struct wr *w, const struct dnsmsg *q, enum dns_rcode rcode);
/* The smallest answer to bytes that dns_parse would not take but which have a header: FORMERR. */
bool dns_put_formerr(struct wr *w, struct span query);
/* name NULL: the question's, by a pointer. */
bool dns_put_rr(struct wr *w, enum dns_section section, const struct dnsname *name, uint16_t type,
        uint32_t ttl, struct span rdata);
/* An A or AAAA record with the question's name in the answer section. */
bool dns_put_ip(struct wr *w, uint32_t ttl, const struct ip *a);
/* rcode: the whole one, whose high bits go here. Put it last. */
bool dns_put_opt(struct wr *w, uint16_t size, uint16_t rcode, bool opt_do);
void dns_put_tc(struct wr *w);
