#include "wire/dhcp.h"

#include "base/mem.h"

#include <errno.h>

enum {
	AT_CHADDR = 28,
	AT_SNAME = 44,
	AT_FILE = 108,
	AT_COOKIE = 236,
	SNAME_LEN = AT_FILE - AT_SNAME,
	FILE_LEN = AT_COOKIE - AT_FILE,
	HARDWARE_ETHERNET = 1,
	COOKIE = 0x63825363,
	OPT_PAD = 0,
	IN_FILE = 1, /* bits of option 52 */
	IN_SNAME = 2,
	PIECE_MOST = 255,
	OPTIONS_MOST = 1024, /* of one option's body that we build */
};

/* --- reading ---------------------------------------------------------------------------------- */

/* The next option of an area: 1, 0 at the end, -EBADMSG for one that is cut off. */
static int
next_option(struct rd *r, uint8_t *code, struct span *body)
{
	do {
		if (!rd_left(r))
			return 0;
		*code = rd_u8(r);
	} while (*code == OPT_PAD);
	if (*code == DHCP_OPT_END)
		return 0;
	*body = rd_bytes(r, rd_u8(r));
	return r->bad ? -EBADMSG : 1;
}

static int
check_area(struct span area)
{
	struct rd r = rd_init(area);
	uint8_t code;
	struct span body;
	int got;
	while ((got = next_option(&r, &code, &body)) > 0)
		;
	return got;
}

struct span
dhcp_get(const struct dhcp *d, uint8_t code, uint8_t *scratch, size_t cap)
{
	struct span whole = SPAN_NONE, body;
	uint8_t c;
	for (size_t i = 0; i < ARRAY_LEN(d->area); i++) {
		struct rd r = rd_init(d->area[i]);
		while (next_option(&r, &c, &body) > 0) {
			if (c != code)
				continue;
			if (!whole.p) {
				whole = body;
				continue;
			}
			if (whole.p != scratch) {
				whole = span_first(whole, cap);
				memcpy(scratch, whole.p, whole.n);
				whole.p = scratch;
			}
			body = span_first(body, cap - whole.n);
			memcpy(scratch + whole.n, body.p, body.n);
			whole.n += body.n;
		}
	}
	return whole;
}

/* The first piece alone: what has a fixed size is never split. */
static struct span
get_first(const struct dhcp *d, uint8_t code, size_t least)
{
	struct span body;
	uint8_t c;
	for (size_t i = 0; i < ARRAY_LEN(d->area); i++) {
		struct rd r = rd_init(d->area[i]);
		while (next_option(&r, &c, &body) > 0)
			if (c == code)
				return body.n >= least ? body : SPAN_NONE;
	}
	return SPAN_NONE;
}

bool
dhcp_get_ip(const struct dhcp *d, uint8_t code, struct ip *out)
{
	struct span s = get_first(d, code, 4);
	if (s.p && s.n % 4 == 0)
		*out = ip4(get32(s.p));
	return s.p && s.n % 4 == 0;
}

bool
dhcp_get_u32(const struct dhcp *d, uint8_t code, uint32_t *out)
{
	struct span s = get_first(d, code, 4);
	if (s.n == 4)
		*out = get32(s.p);
	return s.n == 4;
}

bool
dhcp_get_u16(const struct dhcp *d, uint8_t code, uint16_t *out)
{
	struct span s = get_first(d, code, 2);
	if (s.n == 2)
		*out = get16(s.p);
	return s.n == 2;
}

bool
dhcp_wants(const struct dhcp *d, uint8_t code)
{
	return d->params.n && memchr(d->params.p, code, d->params.n);
}

/* A long option of the struct's own, joined in what is left of the struct's scratch. */
static struct span
get_text(struct dhcp *d, uint8_t code)
{
	struct span s = dhcp_get(d, code, d->joined + d->njoined, sizeof d->joined - d->njoined);
	if (s.p == d->joined + d->njoined)
		d->njoined = (uint16_t)(d->njoined + s.n);
	return s;
}

static int
find_areas(struct span msg, struct dhcp *d)
{
	d->area[0] = span_skip(msg, DHCP_HEAD);
	d->area[1] = d->area[2] = SPAN_NONE;
	int r = check_area(d->area[0]);
	if (r < 0)
		return r;
	struct span overload = get_first(d, DHCP_OPT_OVERLOAD, 1);
	uint8_t where = overload.n == 1 ? overload.p[0] : 0;
	if (where & IN_FILE)
		d->area[1] = span(msg.p + AT_FILE, FILE_LEN);
	if (where & IN_SNAME)
		d->area[2] = span(msg.p + AT_SNAME, SNAME_LEN);
	r = check_area(d->area[1]);
	return r < 0 ? r : check_area(d->area[2]);
}

static void
get_options(struct dhcp *d)
{
	d->requested = d->server = ip4(0);
	dhcp_get_ip(d, DHCP_OPT_REQUESTED, &d->requested);
	dhcp_get_ip(d, DHCP_OPT_SERVER, &d->server);
	dhcp_get_u32(d, DHCP_OPT_LEASE, &d->lease);
	/* The option counts IP and UDP headers too, and 576 is the least it may say. */
	if (dhcp_get_u16(d, DHCP_OPT_MAX_SIZE, &d->max_size))
		d->max_size = d->max_size < 576 ? DHCP_MOST_UNASKED : (uint16_t)(d->max_size - 28);
	d->params = get_text(d, DHCP_OPT_PARAMS);
	d->client_id = get_text(d, DHCP_OPT_CLIENT_ID);
	d->hostname = get_text(d, DHCP_OPT_HOSTNAME);
	d->vendor_class = get_text(d, DHCP_OPT_VENDOR_CLASS);
}

int
dhcp_parse(struct span msg, struct dhcp *out)
{
	const uint8_t *p = msg.p;
	if (msg.n < DHCP_HEAD || get32(p + AT_COOKIE) != COOKIE)
		return -EBADMSG;
	if ((p[0] != DHCP_FROM_CLIENT && p[0] != DHCP_FROM_SERVER) || p[1] != HARDWARE_ETHERNET ||
	        p[2] != 6)
		return -EBADMSG;
	*out = (struct dhcp){
	        .op = p[0],
	        .hops = p[3],
	        .xid = get32(p + 4),
	        .secs = get16(p + 8),
	        .flags = get16(p + 10),
	        .ciaddr = ip4(get32(p + 12)),
	        .yiaddr = ip4(get32(p + 16)),
	        .siaddr = ip4(get32(p + 20)),
	        .giaddr = ip4(get32(p + 24)),
	};
	memcpy(out->chaddr.b, p + AT_CHADDR, 6);
	int r = find_areas(msg, out);
	if (r < 0)
		return r;
	struct span type = get_first(out, DHCP_OPT_TYPE, 1);
	if (type.n != 1)
		return -EBADMSG;
	out->type = type.p[0];
	get_options(out);
	return 0;
}

/* --- building --------------------------------------------------------------------------------- */

void
dhcp_begin(struct wr *w, const struct dhcp *d)
{
	uint8_t *p = wr_room(w, DHCP_HEAD);
	if (!p)
		return;
	memset(p, 0, DHCP_HEAD);
	p[0] = d->op;
	p[1] = HARDWARE_ETHERNET;
	p[2] = 6;
	p[3] = d->hops;
	put32(p + 4, d->xid);
	put16(p + 8, d->secs);
	put16(p + 10, d->flags);
	put32(p + 12, ip_u32(&d->ciaddr));
	put32(p + 16, ip_u32(&d->yiaddr));
	put32(p + 20, ip_u32(&d->siaddr));
	put32(p + 24, ip_u32(&d->giaddr));
	memcpy(p + AT_CHADDR, d->chaddr.b, 6);
	put32(p + AT_COOKIE, COOKIE);
	dhcp_opt_u8(w, DHCP_OPT_TYPE, d->type);
}

bool
dhcp_opt(struct wr *w, uint8_t code, struct span body)
{
	size_t pieces = body.n ? (body.n + PIECE_MOST - 1) / PIECE_MOST : 1;
	if (w->bad || wr_left(w) < body.n + 2 * pieces + 1) /* and the end mark */
		return false;
	do {
		struct span piece = span_first(body, PIECE_MOST);
		wr_u8(w, code);
		wr_u8(w, (uint8_t)piece.n);
		wr_span(w, piece);
		body = span_skip(body, piece.n);
	} while (body.n);
	return true;
}

bool
dhcp_opt_u8(struct wr *w, uint8_t code, uint8_t v)
{
	return dhcp_opt(w, code, span(&v, 1));
}

bool
dhcp_opt_u16(struct wr *w, uint8_t code, uint16_t v)
{
	uint8_t b[2];
	put16(b, v);
	return dhcp_opt(w, code, span(b, sizeof b));
}

bool
dhcp_opt_u32(struct wr *w, uint8_t code, uint32_t v)
{
	uint8_t b[4];
	put32(b, v);
	return dhcp_opt(w, code, span(b, sizeof b));
}

bool
dhcp_opt_ips(struct wr *w, uint8_t code, const struct ip *a, size_t n)
{
	uint8_t b[OPTIONS_MOST];
	struct wr o = wr_init(b, sizeof b);
	for (size_t i = 0; i < n; i++)
		wr_u32(&o, ip_u32(&a[i]));
	return n && !o.bad && dhcp_opt(w, code, span(b, wr_len(&o)));
}

bool
dhcp_opt_ip(struct wr *w, uint8_t code, const struct ip *a)
{
	return dhcp_opt_ips(w, code, a, 1);
}

void
dhcp_end(struct wr *w)
{
	wr_u8(w, DHCP_OPT_END);
	if (!w->bad && wr_len(w) < DHCP_LEAST)
		wr_zero(w, DHCP_LEAST - wr_len(w));
}

const char *
dhcp_type_name(uint8_t type)
{
	static const char *const names[] = {
	        NULL, "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM"};
	return type < ARRAY_LEN(names) && names[type] ? names[type] : "unknown";
}
