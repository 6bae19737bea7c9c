#include "http/chunked.h"

enum state {
	SIZE_FIRST,
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST,
	TRAILER,
	TRAILER_LF,
	END_LF,
	DONE
};

static int
hex(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum chunked_result
to(struct chunked *c, enum state next, bool ok)
{
	c->state = (uint8_t)next;
	return ok ? CHUNKED_MORE : CHUNKED_BAD;
}

static enum chunked_result
take_size(struct chunked *c, uint8_t b)
{
	int digit = hex(b);
	if (digit >= 0) {
		bool fits = c->left <= UINT64_MAX >> 5;
		c->left = c->left << 4 | (unsigned)digit;
		return to(c, SIZE, fits);
	}
	bool started = c->state == SIZE;
	if (b == '\r')
		return to(c, SIZE_LF, started);
	return to(c, EXTENSION, started && b == ';');
}

static bool
is_text(uint8_t b)
{
	return b == '\t' || (b >= ' ' && b != 0x7f);
}

static enum chunked_result
step(struct chunked *c, uint8_t b)
{
	switch ((enum state)c->state) {
	case SIZE_FIRST:
	case SIZE:
		if (c->line++ >= CHUNKED_LINE)
			return CHUNKED_BAD;
		return take_size(c, b);
	case EXTENSION:
		if (b == '\r')
			return to(c, SIZE_LF, true);
		return to(c, EXTENSION, is_text(b) && c->line++ < CHUNKED_LINE);
	case SIZE_LF: return to(c, c->left ? DATA : TRAILER_FIRST, b == '\n');
	case DATA_CR: return to(c, DATA_LF, b == '\r');
	case DATA_LF: c->line = 0; return to(c, SIZE_FIRST, b == '\n');
	case TRAILER_FIRST:
		if (b == '\r')
			return to(c, END_LF, true);
		return to(c, TRAILER,
		        is_text(b) && b != ' ' && b != '\t' && c->trailers++ < CHUNKED_TRAILERS);
	case TRAILER:
		if (b == '\r')
			return to(c, TRAILER_LF, true);
		return to(c, TRAILER, is_text(b) && c->trailers++ < CHUNKED_TRAILERS);
	case TRAILER_LF: return to(c, TRAILER_FIRST, b == '\n');
	case END_LF: return b == '\n' ? (c->state = DONE, CHUNKED_DONE) : CHUNKED_BAD;
	case DATA:
	case DONE: break;
	}
	return CHUNKED_BAD;
}

enum chunked_result
chunked_feed(struct chunked *c, struct span *in, struct span *data)
{
	enum chunked_result r = CHUNKED_MORE;
	while (in->n && r == CHUNKED_MORE) {
		if (c->state == DATA) {
			*data = span_first(*in, c->left < in->n ? (size_t)c->left : in->n);
			*in = span_skip(*in, data->n);
			c->left -= data->n;
			if (!c->left)
				c->state = DATA_CR;
			return CHUNKED_DATA;
		}
		r = step(c, in->p[0]);
		*in = span_skip(*in, 1);
	}
	return r;
}
