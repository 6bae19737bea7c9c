/* rd, wr: bounded reading and writing with a sticky error.
 *
 * For      every wire format. Read or write a whole header, then ask `bad` once.
 * Order    after the first overrun `bad` stays true, reads give 0 and writes do nothing.
 * Memory   borrows the bytes it was given.
 * Integers are big-endian unless the name says `le`. */
#pragma once

#include "base/span.h"

struct rd {
	const uint8_t *p, *end;
	bool bad;
};

struct wr {
	uint8_t *p, *end, *start;
	bool bad;
};

static inline struct rd
rd_init(struct span s)
{
	return (struct rd){s.p, s.p + s.n, false};
}

static inline size_t
rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

/* n borrowed bytes, or an empty span with bad set. */
static inline struct span
rd_bytes(struct rd *r, size_t n)
{
	if (r->bad || rd_left(r) < n) {
		r->bad = true;
		return SPAN_NONE;
	}
	struct span s = {r->p, n};
	r->p += n;
	return s;
}

static inline struct span
rd_rest(struct rd *r)
{
	return rd_bytes(r, rd_left(r));
}

static inline uint8_t
rd_u8(struct rd *r)
{
	struct span s = rd_bytes(r, 1);
	return s.n ? s.p[0] : 0;
}

static inline uint16_t
rd_u16(struct rd *r)
{
	struct span s = rd_bytes(r, 2);
	return s.n ? (uint16_t)(s.p[0] << 8 | s.p[1]) : 0;
}

static inline uint32_t
rd_u32(struct rd *r)
{
	struct span s = rd_bytes(r, 4);
	return s.n ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 |
	                       s.p[3]
	           : 0;
}

static inline uint64_t
rd_u64(struct rd *r)
{
	uint64_t hi = rd_u32(r);
	return hi << 32 | rd_u32(r);
}

static inline struct wr
wr_init(void *p, size_t n)
{
	return (struct wr){p, (uint8_t *)p + n, p, false};
}

static inline size_t
wr_len(const struct wr *w)
{
	return (size_t)(w->p - w->start);
}

static inline size_t
wr_left(const struct wr *w)
{
	return (size_t)(w->end - w->p);
}

/* Room for n bytes to be filled in by the caller, or NULL with bad set. */
static inline uint8_t *
wr_room(struct wr *w, size_t n)
{
	if (w->bad || wr_left(w) < n) {
		w->bad = true;
		return NULL;
	}
	uint8_t *p = w->p;
	w->p += n;
	return p;
}

static inline void
wr_bytes(struct wr *w, const void *p, size_t n)
{
	uint8_t *to = wr_room(w, n);
	if (to && n)
		memcpy(to, p, n);
}

static inline void
wr_span(struct wr *w, struct span s)
{
	wr_bytes(w, s.p, s.n);
}

static inline void
wr_zero(struct wr *w, size_t n)
{
	uint8_t *to = wr_room(w, n);
	if (to)
		memset(to, 0, n);
}

static inline void
wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

static inline void
wr_u16(struct wr *w, uint16_t v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	wr_bytes(w, b, 2);
}

static inline void
wr_u32(struct wr *w, uint32_t v)
{
	wr_u16(w, (uint16_t)(v >> 16));
	wr_u16(w, (uint16_t)v);
}

static inline void
wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

/* Unchecked big-endian access, for headers whose length was checked before. */
static inline uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void
put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}
