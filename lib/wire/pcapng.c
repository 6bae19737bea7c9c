#include "wire/pcapng.h"

#include "base/mem.h"

#include <errno.h>

enum {
	SECTION_HEADER = 0x0a0d0d0a,
	INTERFACE = 1,
	SIMPLE_PACKET = 3,
	NAME_RESOLUTION = 4,
	INTERFACE_STATS = 5,
	ENHANCED_PACKET = 6,
	MAGIC = 0x1a2b3c4d,
	FRAME = 12, /* type and both lengths: what every block has */

	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_HARDWARE = 2,
	SHB_OS = 3,
	SHB_USERAPPL = 4,
	IF_NAME = 2,
	IF_DESCRIPTION = 3,
	IF_TSRESOL = 9,
	IF_TSOFFSET = 14,
	EPB_FLAGS = 2,
	EPB_DROPS = 4,
	ISB_RECEIVED = 4,
	ISB_DROPPED = 5,

	NANOSECONDS = 9,
	MICROSECONDS = 6, /* when an interface does not say */
	NAME_IP4 = 1,
	NAME_IP6 = 2,
};

static size_t
pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void
le16(struct wr *w, uint16_t v)
{
	wr_u16(w, __builtin_bswap16(v));
}

static void
le32(struct wr *w, uint32_t v)
{
	wr_u32(w, __builtin_bswap32(v));
}

static void
le64(struct wr *w, uint64_t v)
{
	le32(w, (uint32_t)v);
	le32(w, (uint32_t)(v >> 32));
}

static void
le_time(struct wr *w, uint64_t v)
{
	le32(w, (uint32_t)(v >> 32));
	le32(w, (uint32_t)v);
}

static void
put_padded(struct wr *w, struct span s)
{
	wr_span(w, s);
	wr_zero(w, pad4(s.n) - s.n);
}

static void
put_option(struct wr *w, uint16_t code, struct span body)
{
	if (!body.p)
		return;
	body = span_first(body, UINT16_MAX);
	le16(w, code);
	le16(w, (uint16_t)body.n);
	put_padded(w, body);
}

static void
put_option64(struct wr *w, uint16_t code, uint64_t v)
{
	le16(w, code);
	le16(w, 8);
	le64(w, v);
}

/* The length stands at both ends; it is known when the block is done. */
static size_t
begin_block(struct wr *w, uint32_t type)
{
	size_t at = wr_len(w);
	le32(w, type);
	le32(w, 0);
	return at;
}

static void
end_block(struct wr *w, size_t at)
{
	uint32_t len = (uint32_t)(wr_len(w) - at + 4);
	le32(w, len);
	if (!w->bad)
		put32(w->start + at + 4, __builtin_bswap32(len));
}

void
pcapng_put_section(struct wr *w, const struct pcapng_section *s)
{
	size_t at = begin_block(w, SECTION_HEADER);
	le32(w, MAGIC);
	le16(w, 1);
	le16(w, 0);
	le64(w, UINT64_MAX); /* length unknown: it grows */
	put_option(w, OPT_COMMENT, s->comment);
	put_option(w, SHB_HARDWARE, s->hardware);
	put_option(w, SHB_OS, s->os);
	put_option(w, SHB_USERAPPL, s->userappl);
	le32(w, OPT_END);
	end_block(w, at);
}

void
pcapng_put_iface(struct wr *w, const struct pcapng_iface *i)
{
	static const uint8_t tsresol = NANOSECONDS;
	size_t at = begin_block(w, INTERFACE);
	le16(w, i->linktype);
	le16(w, 0);
	le32(w, i->snaplen);
	put_option(w, OPT_COMMENT, i->comment);
	put_option(w, IF_NAME, i->name);
	put_option(w, IF_DESCRIPTION, i->description);
	put_option(w, IF_TSRESOL, span(&tsresol, 1));
	le32(w, OPT_END);
	end_block(w, at);
}

static size_t
packet_options_len(const struct pcapng_packet *k)
{
	size_t n = (k->comment.p ? 4 + pad4(k->comment.n) : 0) + (k->has_flags ? 8u : 0) +
	           (k->has_drops ? 12u : 0);
	return n ? n + 4 : 0;
}

size_t
pcapng_packet_len(const struct pcapng_packet *k)
{
	return 32 + pad4(k->data.n) + packet_options_len(k);
}

void
pcapng_put_packet(struct wr *w, const struct pcapng_packet *k)
{
	size_t at = begin_block(w, ENHANCED_PACKET);
	le32(w, k->iface);
	le_time(w, k->ns);
	le32(w, (uint32_t)k->data.n);
	le32(w, k->len);
	put_padded(w, k->data);
	put_option(w, OPT_COMMENT, k->comment);
	if (k->has_flags) {
		le16(w, EPB_FLAGS);
		le16(w, 4);
		le32(w, k->flags);
	}
	if (k->has_drops)
		put_option64(w, EPB_DROPS, k->drops);
	if (packet_options_len(k))
		le32(w, OPT_END);
	end_block(w, at);
}

void
pcapng_put_stats(struct wr *w, const struct pcapng_stats *s)
{
	size_t at = begin_block(w, INTERFACE_STATS);
	le32(w, s->iface);
	le_time(w, s->ns);
	put_option(w, OPT_COMMENT, s->comment);
	if (s->has_received)
		put_option64(w, ISB_RECEIVED, s->received);
	if (s->has_dropped)
		put_option64(w, ISB_DROPPED, s->dropped);
	le32(w, OPT_END);
	end_block(w, at);
}

/* --- reading ---------------------------------------------------------------------------------- */

void
pcapng_init(struct pcapng *p)
{
	memset(p, 0, sizeof *p);
}

static uint16_t
u16(const struct pcapng *p, struct rd *r)
{
	uint16_t v = rd_u16(r);
	return p->big ? v : __builtin_bswap16(v);
}

static uint32_t
u32(const struct pcapng *p, struct rd *r)
{
	uint32_t v = rd_u32(r);
	return p->big ? v : __builtin_bswap32(v);
}

static uint64_t
u64(const struct pcapng *p, struct rd *r)
{
	uint64_t v = rd_u64(r);
	return p->big ? v : __builtin_bswap64(v);
}

static struct span
padded(struct rd *r, size_t n)
{
	return span_first(rd_bytes(r, pad4(n)), n);
}

/* 1 and an option, 0 at the end, with or without an end mark. */
static int
next_option(const struct pcapng *p, struct rd *r, uint16_t *code, struct span *body)
{
	if (r->bad || !rd_left(r))
		return 0;
	*code = u16(p, r);
	size_t n = u16(p, r);
	if (*code == OPT_END)
		return 0;
	*body = padded(r, n);
	return !r->bad;
}

/* A number in an option of exactly that size, else 0. */
static uint64_t
number(const struct pcapng *p, struct span s)
{
	struct rd r = rd_init(s);
	switch (s.n) {
	case 4: return u32(p, &r);
	case 8: return u64(p, &r);
	default: return 0;
	}
}

/* Units of 10^-n or 2^-n seconds, as if_tsresol says, to nanoseconds; what is too large for them
 * sticks at the end. */
static uint64_t
to_ns(uint64_t ts, uint8_t tsresol, int64_t tsoffset)
{
	unsigned n = tsresol & 0x7f;
	__int128 ns = ts;
	if (tsresol & 0x80) {
		ns = n < 94 ? ns * 1000000000 >> n : 0;
	} else {
		for (; n < NANOSECONDS; n++)
			ns *= 10;
		for (; n > NANOSECONDS && ns; n--)
			ns /= 10;
	}
	ns += (__int128)tsoffset * 1000000000;
	return ns < 0 ? 0 : ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static const char *
read_section(struct pcapng *p, struct rd *r, struct pcapng_block *b)
{
	uint16_t code;
	struct span body;
	rd_bytes(r, 4);
	uint16_t major = u16(p, r);
	u16(p, r);
	u64(p, r);
	b->kind = PCAPNG_SECTION;
	b->section = (struct pcapng_section){.big_endian = p->big};
	while (next_option(p, r, &code, &body)) {
		switch (code) {
		case OPT_COMMENT: b->section.comment = body; break;
		case SHB_HARDWARE: b->section.hardware = body; break;
		case SHB_OS: b->section.os = body; break;
		case SHB_USERAPPL: b->section.userappl = body; break;
		}
	}
	p->started = true;
	p->nifaces = 0;
	return major == 1 ? NULL : "section of an unknown version";
}

static const char *
read_iface(struct pcapng *p, struct rd *r, struct pcapng_block *b)
{
	uint16_t code;
	struct span body;
	uint8_t tsresol = MICROSECONDS;
	int64_t tsoffset = 0;
	b->kind = PCAPNG_IFACE;
	b->iface = (struct pcapng_iface){.linktype = u16(p, r)};
	u16(p, r);
	b->iface.snaplen = u32(p, r);
	while (next_option(p, r, &code, &body)) {
		switch (code) {
		case OPT_COMMENT: b->iface.comment = body; break;
		case IF_NAME: b->iface.name = body; break;
		case IF_DESCRIPTION: b->iface.description = body; break;
		case IF_TSRESOL: tsresol = body.n == 1 ? body.p[0] : tsresol; break;
		case IF_TSOFFSET: tsoffset = (int64_t)number(p, body); break;
		}
	}
	if (p->nifaces == PCAPNG_IFACES)
		return "more interfaces than can be kept";
	if (r->bad)
		return NULL;
	p->iface[p->nifaces].linktype = b->iface.linktype;
	p->iface[p->nifaces].snaplen = b->iface.snaplen;
	p->iface[p->nifaces].tsresol = tsresol;
	p->iface[p->nifaces++].tsoffset = tsoffset;
	return NULL;
}

static uint64_t
read_time(const struct pcapng *p, struct rd *r, uint32_t iface)
{
	uint64_t ts = (uint64_t)u32(p, r) << 32;
	ts |= u32(p, r);
	return to_ns(ts, p->iface[iface].tsresol, p->iface[iface].tsoffset);
}

static const char *
read_packet(struct pcapng *p, struct rd *r, struct pcapng_block *b)
{
	uint16_t code;
	struct span body;
	struct pcapng_packet *k = &b->packet;
	b->kind = PCAPNG_PACKET;
	*k = (struct pcapng_packet){.iface = u32(p, r), .timed = true};
	if (k->iface >= p->nifaces)
		return "packet of an interface that was not described";
	k->ns = read_time(p, r, k->iface);
	uint32_t captured = u32(p, r);
	k->len = u32(p, r);
	k->data = padded(r, captured);
	if (r->bad)
		return "packet data longer than its block";
	while (next_option(p, r, &code, &body)) {
		switch (code) {
		case OPT_COMMENT: k->comment = body; break;
		case EPB_FLAGS:
			k->has_flags = true;
			k->flags = (uint32_t)number(p, body);
			break;
		case EPB_DROPS:
			k->has_drops = true;
			k->drops = number(p, body);
			break;
		}
	}
	return k->len < captured ? "packet data longer than the packet" : NULL;
}

static const char *
read_simple(struct pcapng *p, struct rd *r, struct pcapng_block *b)
{
	struct pcapng_packet *k = &b->packet;
	b->kind = PCAPNG_PACKET;
	*k = (struct pcapng_packet){.len = u32(p, r)};
	if (!p->nifaces)
		return "packet of an interface that was not described";
	size_t most = p->iface[0].snaplen ? p->iface[0].snaplen : UINT32_MAX;
	k->data = padded(r, k->len < most ? k->len : most);
	return r->bad ? "packet data longer than its block" : NULL;
}

static const char *
read_stats(struct pcapng *p, struct rd *r, struct pcapng_block *b)
{
	uint16_t code;
	struct span body;
	struct pcapng_stats *s = &b->stats;
	b->kind = PCAPNG_STATS;
	*s = (struct pcapng_stats){.iface = u32(p, r)};
	if (s->iface >= p->nifaces)
		return "statistics of an interface that was not described";
	s->ns = read_time(p, r, s->iface);
	while (next_option(p, r, &code, &body)) {
		switch (code) {
		case OPT_COMMENT: s->comment = body; break;
		case ISB_RECEIVED:
			s->has_received = true;
			s->received = number(p, body);
			break;
		case ISB_DROPPED:
			s->has_dropped = true;
			s->dropped = number(p, body);
			break;
		}
	}
	return NULL;
}

static const char *
read_names(struct pcapng *p, struct rd *r, struct pcapng_block *b)
{
	uint16_t code;
	struct span body;
	b->kind = PCAPNG_NAMES;
	b->names = span(r->p, rd_left(r));
	while (next_option(p, r, &code, &body)) /* records have the form of options */
		;
	b->names.n -= rd_left(r);
	return NULL;
}

static const struct {
	uint32_t type;
	const char *(*read)(struct pcapng *p, struct rd *r, struct pcapng_block *b);
} readers[] = {
        {SECTION_HEADER, read_section},
        {INTERFACE, read_iface},
        {SIMPLE_PACKET, read_simple},
        {NAME_RESOLUTION, read_names},
        {INTERFACE_STATS, read_stats},
        {ENHANCED_PACKET, read_packet},
};

static void
read_body(struct pcapng *p, struct span body, struct pcapng_block *b)
{
	const char *why = NULL;
	b->kind = PCAPNG_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
		struct rd r = rd_init(body);
		if (readers[i].type != b->type)
			continue;
		why = readers[i].read(p, &r, b);
		if (!why && r.bad)
			why = "block too short for what it says it holds";
	}
	if (!why)
		return;
	b->kind = PCAPNG_FAULT;
	b->why = why;
}

static ssize_t
hopeless(struct pcapng_block *b, const char *why)
{
	b->kind = PCAPNG_FAULT;
	b->why = why;
	return -EBADMSG;
}

/* The byte order of a section is told by the magic behind its first length. */
static bool
learn_order(struct pcapng *p, struct span in)
{
	uint32_t magic = get32(in.p + 8);
	if (magic != MAGIC && magic != __builtin_bswap32(MAGIC))
		return false;
	p->big = magic == MAGIC;
	return true;
}

ssize_t
pcapng_read(struct pcapng *p, struct span in, struct pcapng_block *b)
{
	struct rd r = rd_init(in);
	b->offset = p->offset;
	b->len = 0;
	p->need = FRAME;
	if (in.n < FRAME)
		return 0;
	b->type = get32(in.p);
	if (b->type == SECTION_HEADER) {
		if (!learn_order(p, in))
			return hopeless(b, "section header without its magic");
	} else if (!p->started) {
		return hopeless(b, "not a pcapng file");
	}
	b->type = u32(p, &r);
	b->len = u32(p, &r);
	if (b->len < FRAME || b->len % 4 || b->len > PCAPNG_BLOCK_MOST)
		return hopeless(b, "impossible block length");
	p->need = b->len;
	if (in.n < b->len)
		return 0;
	r = rd_init(span(in.p + b->len - 4, 4));
	bool same = u32(p, &r) == b->len;
	read_body(p, span(in.p + 8, b->len - FRAME), b);
	if (!same) {
		b->kind = PCAPNG_FAULT;
		b->why = "block length at the end differs";
	}
	p->offset += b->len;
	return (ssize_t)b->len;
}

uint16_t
pcapng_linktype(const struct pcapng *p, uint32_t iface)
{
	return iface < p->nifaces ? p->iface[iface].linktype : 0;
}

bool
pcapng_name(const struct pcapng *p, struct span *names, struct ip *a, struct span *name)
{
	struct rd r = rd_init(*names);
	uint16_t type;
	struct span body;
	while (next_option(p, &r, &type, &body)) {
		size_t n = type == NAME_IP4 ? 4 : type == NAME_IP6 ? 16 : 0;
		if (!n || body.n <= n)
			continue;
		if (n == 4)
			*a = ip4(get32(body.p));
		else
			memcpy(a->b, body.p, 16);
		*name = span_skip(body, n);
		const uint8_t *nul = memchr(name->p, 0, name->n);
		if (nul)
			name->n = (size_t)(nul - name->p);
		*names = span(r.p, rd_left(&r));
		return true;
	}
	return false;
}
