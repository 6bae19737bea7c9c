/* A feed is a run over heads and payloads in turn. What the current frame is lives in the parser,
 * so a read may end anywhere; the header bytes of a frame are copied only when a read cuts them.
 *
 * A data frame that is whole, final and in the buffer goes straight up. Everything else is
 * appended to the stash until the last piece is there. The stash that was handed up stays until
 * batch_end; since a message needs the stash only when it is cut, that is nearly always the first
 * message of a read, and the next use of the stash the last thing in it. */
#include "wire/wsparse.h"

#include "base/cursor.h"

#include <stdlib.h>

enum {
	FIN = 0x80,
	RSV = 0x70,
	OPCODE = 0x0f,
	CONTROL = 0x08,
	MASKED = 0x80,
	LEN = 0x7f,
	LEN16 = 126,
	LEN64 = 127,
	STASH_FIRST = 4096,
};

void
wsparse_init(struct wsparse *p, const struct wsparse_ops *ops, bool client, size_t max)
{
	*p = (struct wsparse){.ops = ops, .client = client, .max = max};
}

void
wsparse_fini(struct wsparse *p)
{
	free(p->stash);
	p->stash = NULL;
	p->room = p->stashed = 0;
	p->stopped = true;
}

void
wsparse_stop(struct wsparse *p)
{
	p->stopped = true;
}

size_t
wsparse_held(const struct wsparse *p)
{
	return p->room;
}

static bool
over(const struct wsparse *p)
{
	return p->stopped || p->dead;
}

static void
end_batch(struct wsparse *p)
{
	if (p->owed && !p->stopped)
		p->ops->batch_end(p);
	p->owed = false;
	if (!p->stash_lent)
		return;
	free(p->stash);
	p->stash = NULL;
	p->room = 0;
	p->stash_lent = false;
}

/* --- heads ------------------------------------------------------------------------------------ */

static bool
opcode_ok(const struct wsparse *p, uint8_t first)
{
	uint8_t op = first & OPCODE;
	if (first & RSV)
		return false;
	if (op & CONTROL)
		return op <= WS_PONG && first & FIN;
	if (op == WS_CONT)
		return p->message != WS_CONT;
	return op <= WS_BINARY && p->message == WS_CONT;
}

/* What the first n bytes of a head already tell: nobody waits for the rest of a bad one. */
static bool
head_ok(const struct wsparse *p, const uint8_t *h, size_t n)
{
	if (n >= 1 && !opcode_ok(p, h[0]))
		return false;
	if (n >= 2 && !(h[1] & MASKED) != p->client)
		return false;
	return n < 2 || !(h[0] & CONTROL) || (h[1] & LEN) <= WSFRAME_CONTROL_MOST;
}

/* Length of the head that starts with these n bytes, as far as they tell. */
static size_t
head_need(const uint8_t *h, size_t n)
{
	if (n < 2)
		return 2;
	uint8_t len = h[1] & LEN;
	return 2u + (len == LEN16 ? 2 : len == LEN64 ? 8 : 0) + (h[1] & MASKED ? 4 : 0);
}

/* Extended lengths must be the shortest that will do (RFC 6455 5.2). */
static bool
get_len(const uint8_t *h, uint64_t *len)
{
	*len = h[1] & LEN;
	if (*len == LEN16) {
		*len = get16(h + 2);
		return *len >= LEN16;
	}
	if (*len == LEN64) {
		*len = (uint64_t)get32(h + 2) << 32 | get32(h + 6);
		return *len >= 65536 && !(*len >> 63);
	}
	return true;
}

/* h is a complete head that passed head_ok. */
static int
start_frame(struct wsparse *p, const uint8_t *h, size_t n)
{
	p->op = (enum ws_op)(h[0] & OPCODE);
	p->fin = h[0] & FIN;
	if (!get_len(h, &p->len))
		return WS_CODE_PROTOCOL;
	if (!(p->op & CONTROL) && (p->len > p->max || p->stashed > p->max - p->len))
		return WS_CODE_TOO_BIG;
	if (!p->client)
		memcpy(p->mask, h + n - 4, 4);
	if (p->op == WS_TEXT || p->op == WS_BINARY) {
		p->message = p->op;
		p->utf8 = UTF8_START;
	}
	p->at = 0;
	p->nhead = p->ncontrol = 0;
	p->in_payload = true;
	return 0;
}

/* The slow way, for heads that a read cuts: false when more bytes must come. */
static bool
gather_head(struct wsparse *p, uint8_t **at, const uint8_t *end)
{
	size_t need;
	while (p->nhead < (need = head_need(p->head, p->nhead))) {
		if (*at == end)
			return false;
		p->head[p->nhead++] = *(*at)++;
	}
	return true;
}

static int
take_head(struct wsparse *p, uint8_t **at, const uint8_t *end)
{
	const uint8_t *h = *at;
	size_t n = WSFRAME_HEAD_MOST;
	if (p->nhead == 0 && end - h >= WSFRAME_HEAD_MOST) {
		n = head_need(h, n);
		*at += n;
	} else {
		bool complete = gather_head(p, at, end);
		h = p->head;
		n = p->nhead;
		if (!complete)
			return head_ok(p, h, n) ? 0 : WS_CODE_PROTOCOL;
	}
	return head_ok(p, h, n) ? start_frame(p, h, n) : WS_CODE_PROTOCOL;
}

/* --- payloads --------------------------------------------------------------------------------- */

static int
take_close(struct wsparse *p, struct span s)
{
	uint16_t code = WS_CODE_NONE;
	p->dead = true;
	if (s.n == 1)
		return WS_CODE_PROTOCOL;
	if (s.n >= 2) {
		code = get16(s.p);
		if (!wsframe_code_ok(code))
			return WS_CODE_PROTOCOL;
		s = span_skip(s, 2);
		if (!utf8_valid(s))
			return WS_CODE_BAD_DATA;
	}
	p->ops->close(p, code, s);
	return 0;
}

static int
take_control(struct wsparse *p, uint8_t *d, size_t n)
{
	if (n < p->len) {
		memcpy(p->control + p->ncontrol, d, n);
		p->ncontrol = (uint8_t)(p->ncontrol + n);
		d = p->control;
	}
	if (p->at < p->len)
		return 0;
	struct span s = span(d, p->len);
	if (p->op == WS_CLOSE)
		return take_close(p, s);
	(p->op == WS_PING ? p->ops->ping : p->ops->pong)(p, s);
	return 0;
}

/* How much room the stash should have for `want` bytes: doubling, but no more than the message can
 * come to. A length that was only announced is not taken on trust. */
static size_t
stash_room(const struct wsparse *p, size_t want)
{
	size_t room = p->room ? p->room * 2 : STASH_FIRST;
	size_t most = p->fin ? want + (size_t)(p->len - p->at) : p->max;
	if (room > most)
		room = most;
	return room > want ? room : want;
}

static int
stash_add(struct wsparse *p, const uint8_t *d, size_t n)
{
	if (p->stash_lent)
		end_batch(p);
	if (over(p) || !n)
		return 0;
	size_t want = p->stashed + n;
	if (want > p->room) {
		size_t room = stash_room(p, want);
		uint8_t *more = realloc(p->stash, room);
		if (!more)
			return WS_CODE_INTERNAL;
		p->stash = more;
		p->room = room;
	}
	memcpy(p->stash + p->stashed, d, n);
	p->stashed = want;
	return 0;
}

static int
deliver(struct wsparse *p, struct span s)
{
	enum ws_op op = p->message;
	p->message = WS_CONT;
	if (op == WS_TEXT && !utf8_complete(&p->utf8))
		return WS_CODE_BAD_DATA;
	p->owed = true;
	p->ops->message(p, op, s);
	return 0;
}

static int
deliver_stash(struct wsparse *p)
{
	struct span s = span(p->stash, p->stashed);
	p->stash_lent = p->stash != NULL;
	p->stashed = 0;
	return deliver(p, s);
}

static int
take_data(struct wsparse *p, uint8_t *d, size_t n)
{
	bool last = p->fin && p->at == p->len;
	if (p->message == WS_TEXT && !utf8_feed(&p->utf8, span(d, n)))
		return WS_CODE_BAD_DATA;
	if (last && n == p->len && !p->stashed)
		return deliver(p, span(d, n));
	int r = stash_add(p, d, n);
	return r || !last || over(p) ? r : deliver_stash(p);
}

static int
take_payload(struct wsparse *p, uint8_t **at, const uint8_t *end)
{
	uint8_t *d = *at;
	size_t n = (size_t)(end - d);
	if (n > p->len - p->at)
		n = (size_t)(p->len - p->at);
	if (!p->client)
		wsframe_mask(d, n, p->mask, p->at);
	*at += n;
	p->at += n;
	if (p->at == p->len)
		p->in_payload = false;
	return p->op & CONTROL ? take_control(p, d, n) : take_data(p, d, n);
}

int
wsparse_feed(struct wsparse *p, uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;
	int r = 0;
	while (!over(p) && r == 0 && (data < end || (p->in_payload && p->len == 0))) {
		if (p->in_payload)
			r = take_payload(p, &data, end);
		else
			r = take_head(p, &data, end);
	}
	if (r)
		p->dead = true;
	end_batch(p);
	return r;
}
