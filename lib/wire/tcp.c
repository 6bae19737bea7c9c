#include "wire/tcp.h"

#include "base/cursor.h"
#include "wire/checksum.h"

#include <errno.h>

enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_OK = 4,
	OPT_SACK = 5,
	OPT_STAMPS = 8,
};

static void
get_sacks(struct rd *r, struct tcpopts *o)
{
	while (rd_left(r) >= 8 && o->nsack < TCP_SACKS) {
		struct tcpsack *s = &o->sack[o->nsack++];
		s->left = rd_u32(r);
		s->right = rd_u32(r);
	}
}

static void
get_option(uint8_t kind, struct span body, struct tcpopts *o)
{
	struct rd r = rd_init(body);
	if (kind == OPT_MSS && body.n == 2) {
		o->mss = rd_u16(&r);
	} else if (kind == OPT_WSCALE && body.n == 1) {
		o->has_wscale = true;
		o->wscale = rd_u8(&r);
		if (o->wscale > TCP_WSCALE_MOST) /* RFC 7323 2.3 */
			o->wscale = TCP_WSCALE_MOST;
	} else if (kind == OPT_SACK_OK && body.n == 0) {
		o->sack_ok = true;
	} else if (kind == OPT_SACK && body.n % 8 == 0) {
		get_sacks(&r, o);
	} else if (kind == OPT_STAMPS && body.n == 8) {
		o->has_stamps = true;
		o->stamp = rd_u32(&r);
		o->echo = rd_u32(&r);
	}
}

static void
get_options(struct span opts, struct tcpopts *o)
{
	struct rd r = rd_init(opts);
	while (rd_left(&r)) {
		uint8_t kind = rd_u8(&r);
		if (kind == OPT_END)
			return;
		if (kind == OPT_NOP)
			continue;
		uint8_t len = rd_u8(&r);
		if (len < 2)
			return;
		struct span body = rd_bytes(&r, len - 2u);
		if (r.bad)
			return;
		get_option(kind, body, o);
	}
}

int
tcp_parse(const struct ippkt *k, struct tcpseg *out)
{
	const uint8_t *p = k->payload.p;
	size_t n = k->payload.n;
	if (n < TCP_HEAD)
		return -EBADMSG;
	size_t head = (size_t)(p[12] >> 4) * 4;
	if (head < TCP_HEAD || head > n)
		return -EBADMSG;
	uint16_t sum = checksum_sum(p, n);
	sum = checksum_add(sum, checksum_pseudo(&k->src, &k->dst, IPPROTO_TCP, n));
	if (checksum_finish(sum) != 0)
		return -EILSEQ;
	*out = (struct tcpseg){
	        .sport = get16(p),
	        .dport = get16(p + 2),
	        .seq = get32(p + 4),
	        .ack = get32(p + 8),
	        .flags = p[13],
	        .window = get16(p + 14),
	        .urgent = get16(p + 18),
	        .payload = span_skip(k->payload, head),
	};
	get_options(span(p + TCP_HEAD, head - TCP_HEAD), &out->opt);
	return 0;
}

/* How many SACK blocks fit behind the other options (RFC 2018 3). */
static size_t
sacks_that_fit(const struct tcpopts *o, size_t used)
{
	size_t room = (TCP_HEAD_MOST - TCP_HEAD - used) / 4 * 4;
	size_t fit = room > 4 ? (room - 4) / 8 : 0;
	return o->nsack < fit ? o->nsack : fit;
}

static size_t
other_options_len(const struct tcpopts *o)
{
	return (o->mss ? 4u : 0) + (o->has_wscale ? 4u : 0) + (o->sack_ok ? 4u : 0) +
	       (o->has_stamps ? 12u : 0);
}

size_t
tcp_head_len(const struct tcpopts *o)
{
	size_t used = other_options_len(o), sacks = sacks_that_fit(o, used);
	return TCP_HEAD + used + (sacks ? 4 + sacks * 8 : 0);
}

/* Every option starts with the padding that aligns it, so they can stand in any order. */
static void
put_option(struct wr *w, unsigned pad, uint8_t kind, size_t body)
{
	for (unsigned i = 0; i < pad; i++)
		wr_u8(w, OPT_NOP);
	wr_u8(w, kind);
	wr_u8(w, (uint8_t)(2 + body));
}

static void
put_options(struct wr *w, const struct tcpopts *o)
{
	if (o->mss) {
		put_option(w, 0, OPT_MSS, 2);
		wr_u16(w, o->mss);
	}
	if (o->sack_ok)
		put_option(w, 2, OPT_SACK_OK, 0);
	if (o->has_stamps) {
		put_option(w, 2, OPT_STAMPS, 8);
		wr_u32(w, o->stamp);
		wr_u32(w, o->echo);
	}
	if (o->has_wscale) {
		put_option(w, 1, OPT_WSCALE, 1);
		wr_u8(w, o->wscale);
	}
	size_t sacks = sacks_that_fit(o, other_options_len(o));
	if (sacks)
		put_option(w, 2, OPT_SACK, sacks * 8);
	for (size_t i = 0; i < sacks; i++) {
		wr_u32(w, o->sack[i].left);
		wr_u32(w, o->sack[i].right);
	}
}

size_t
tcp_put(uint8_t *p, const struct tcpseg *s, const struct ip *src, const struct ip *dst, size_t len,
        uint16_t sum)
{
	struct wr w = wr_init(p, TCP_HEAD_MOST);
	size_t head = tcp_head_len(&s->opt);
	wr_u16(&w, s->sport);
	wr_u16(&w, s->dport);
	wr_u32(&w, s->seq);
	wr_u32(&w, s->ack);
	wr_u8(&w, (uint8_t)(head / 4 << 4));
	wr_u8(&w, s->flags);
	wr_u16(&w, s->window);
	wr_u16(&w, 0);
	wr_u16(&w, s->urgent);
	put_options(&w, &s->opt);
	sum = checksum_add(sum, checksum_sum(p, head));
	sum = checksum_add(sum, checksum_pseudo(src, dst, IPPROTO_TCP, head + len));
	put16(p + 16, checksum_finish(sum));
	return head;
}
