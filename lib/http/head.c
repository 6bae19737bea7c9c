/* The scanner walks byte by byte and only ever says yes or no: its states are the grammar of RFC
 * 9112 without the obsolete parts. What it lets through has exactly one reading, so the parser
 * behind it cannot see another message than the next server in line would. */
#include "http/head.h"

#include <http_parser.h>
#include <stdlib.h>

enum state {
	START, /* before the first byte; empty lines are skipped (RFC 9112 2.2) */
	START_LF,
	METHOD,
	TARGET,
	VERSION,
	STATUS_LINE,
	LINE_LF,
	FIELD, /* first byte of a line behind the first */
	NAME,
	VALUE,
	VALUE_LF,
	END_LF,
	DONE
};

#define METHOD_MOST 32

static bool
is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool
is_value(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

void
head_init(struct head *h, bool response, const struct head_limits *limits)
{
	*h = (struct head){.response = response};
	buf_init(&h->text, limits->bytes);
}

void
head_fini(struct head *h)
{
	buf_fini(&h->text);
	free(h->field);
	h->field = NULL;
	h->n_fields = 0;
}

/* --- the scanner ------------------------------------------------------------------------------ */

static int
scan_start(struct head *h, uint8_t c)
{
	if (c == '\r') {
		h->state = START_LF;
		return 0;
	}
	h->state = h->response ? STATUS_LINE : METHOD;
	h->target_n = 1; /* while in METHOD: its length */
	return is_token(c) ? 0 : 400;
}

static int
scan_method(struct head *h, uint8_t c)
{
	if (c == ' ') {
		h->state = TARGET;
		h->target_n = 0;
		return 0;
	}
	return is_token(c) && h->target_n++ < METHOD_MOST ? 0 : 400;
}

static int
scan_target(struct head *h, uint8_t c, const struct head_limits *lim)
{
	if (c == ' ') {
		h->state = VERSION;
		return h->target_n ? 0 : 400;
	}
	if (c <= ' ' || c >= 0x7f)
		return 400;
	return h->target_n++ < lim->target ? 0 : 414;
}

/* Its text is checked once the line is complete. */
static int
scan_line(struct head *h, uint8_t c)
{
	if (c == '\r')
		h->state = LINE_LF;
	else if (h->state == VERSION && (c <= ' ' || c >= 0x7f))
		return 400;
	return c == '\r' || is_value(c) ? 0 : 400;
}

static int
scan_field(struct head *h, uint8_t c, const struct head_limits *lim)
{
	if (c == '\r') {
		h->state = END_LF;
		return 0;
	}
	h->state = NAME;
	if (!is_token(c))
		return 400;
	return h->lines++ < lim->fields ? 0 : 431;
}

static int
scan_lf(struct head *h, uint8_t c, enum state next)
{
	h->state = (uint8_t)next;
	return c == '\n' ? 0 : 400;
}

static int
scan(struct head *h, uint8_t c, const struct head_limits *lim)
{
	switch ((enum state)h->state) {
	case START: return scan_start(h, c);
	case START_LF: return scan_lf(h, c, START);
	case METHOD: return scan_method(h, c);
	case TARGET: return scan_target(h, c, lim);
	case VERSION:
	case STATUS_LINE: return scan_line(h, c);
	case LINE_LF: return scan_lf(h, c, FIELD);
	case FIELD: return scan_field(h, c, lim);
	case NAME:
		if (c == ':')
			h->state = VALUE;
		return c == ':' || is_token(c) ? 0 : 400;
	case VALUE:
		if (c == '\r')
			h->state = VALUE_LF;
		return c == '\r' || is_value(c) ? 0 : 400;
	case VALUE_LF: return scan_lf(h, c, FIELD);
	case END_LF: return scan_lf(h, c, DONE);
	case DONE: break;
	}
	return 400;
}

/* --- the parser ------------------------------------------------------------------------------- */

static int
on_name(http_parser *p, const char *at, size_t n)
{
	struct head *h = p->data;
	if (h->n_fields == h->lines)
		return -1;
	h->field[h->n_fields++] = (struct head_field){span(at, n), SPAN_NONE};
	return 0;
}

static int
on_value(http_parser *p, const char *at, size_t n)
{
	struct head *h = p->data;
	h->field[h->n_fields - 1].value = span_trim(span(at, n));
	return 0;
}

/* The body is not the parser's business: head_request_body has the strict rules. */
static int
on_complete(http_parser *p)
{
	http_parser_pause(p, 1);
	return 0;
}

static int
run_parser(struct head *h, const char *first, struct span rest)
{
	http_parser_settings on;
	http_parser p;
	http_parser_set_max_header_size(UINT32_MAX); /* ours was checked */
	http_parser_settings_init(&on);
	on.on_header_field = on_name;
	on.on_header_value = on_value;
	on.on_headers_complete = on_complete;
	http_parser_init(&p, h->response ? HTTP_RESPONSE : HTTP_REQUEST);
	p.data = h;
	http_parser_execute(&p, &on, first, strlen(first));
	http_parser_execute(&p, &on, (const char *)rest.p, rest.n);
	return HTTP_PARSER_ERRNO(&p) == HPE_PAUSED && h->n_fields == h->lines ? 0 : 400;
}

/* "HTTP/1.1" */
static int
take_version(struct head *h, struct span s)
{
	if (s.n != 8 || memcmp(s.p, "HTTP/", 5) || s.p[6] != '.' || s.p[5] < '0' || s.p[5] > '9' ||
	        s.p[7] < '0' || s.p[7] > '9')
		return 400;
	h->minor = (uint8_t)(s.p[7] - '0');
	return s.p[5] == '1' ? 0 : 505;
}

static struct span
url_part(struct span url, const struct http_parser_url *u, enum http_parser_url_fields f)
{
	if (!(u->field_set & 1 << f))
		return SPAN_NONE;
	return span(url.p + u->field_data[f].off, u->field_data[f].len);
}

/* RFC 9112 3.2.2: the authority of an absolute target stands for the Host field. */
static int
take_absolute(struct head *h)
{
	struct http_parser_url u;
	http_parser_url_init(&u);
	if (!span_istarts(h->target, "http://") && !span_istarts(h->target, "https://"))
		return 400;
	if (h->target.n > UINT16_MAX ||
	        http_parser_parse_url((const char *)h->target.p, h->target.n, 0, &u))
		return 400;
	if (u.field_set & (1 << UF_USERINFO | 1 << UF_FRAGMENT))
		return 400;
	struct span host = url_part(h->target, &u, UF_HOST);
	const uint8_t *end = host.p + host.n;
	if (host.p > h->target.p && host.p[-1] == '[') { /* the parser leaves brackets out */
		host.p--;
		end++;
	}
	if (u.field_set & 1 << UF_PORT)
		end = h->target.p + u.field_data[UF_PORT].off + u.field_data[UF_PORT].len;
	h->host = span(host.p, (size_t)(end - host.p));
	h->path = url_part(h->target, &u, UF_PATH);
	h->query = url_part(h->target, &u, UF_QUERY);
	if (!h->path.p)
		h->path = SPAN_LIT("/");
	return 0;
}

static int
take_target(struct head *h)
{
	struct span s = h->target;
	if (memchr(s.p, '#', s.n))
		return 400;
	if (span_is(s, "*")) {
		h->path = s;
		return span_is(h->method, "OPTIONS") ? 0 : 400;
	}
	if (s.p[0] != '/')
		return take_absolute(h);
	const uint8_t *q = memchr(s.p, '?', s.n);
	h->path = span(s.p, q ? (size_t)(q - s.p) : s.n);
	if (q)
		h->query = span_skip(s, h->path.n + 1);
	return 0;
}

/* RFC 9112 3.2: one Host at most; none is the caller's to judge. */
static int
take_host(struct head *h)
{
	if (head_get(h, "host", 1).p)
		return 400;
	if (!h->host.p)
		h->host = head_get(h, "host", 0);
	return 0;
}

static int
parse_request(struct head *h, struct span line, struct span rest)
{
	span_split(&line, ' ', &h->method);
	span_split(&line, ' ', &h->target);
	int r = take_version(h, line);
	if (!r)
		r = take_target(h);
	/* The parser knows a fixed list of methods, the router judges ours. */
	if (!r)
		r = run_parser(h, "GET / HTTP/1.1\r\n", rest);
	return r ? r : take_host(h);
}

static int
parse_response(struct head *h, struct span line, struct span rest)
{
	uint64_t status;
	struct span version = span_first(line, 8), code = span_first(span_skip(line, 9), 3);
	if (line.n < 12 || line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' ') ||
	        !span_u64(code, 999, &status) || status < 100)
		return 400;
	h->status = (int)status;
	int r = take_version(h, version);
	return r ? r : run_parser(h, "HTTP/1.1 200 OK\r\n", rest);
}

static int
parse(struct head *h)
{
	struct span all = buf_span(&h->text);
	while (all.p[0] == '\r')
		all = span_skip(all, 2);
	const uint8_t *cr = memchr(all.p, '\r', all.n);
	struct span line = span(all.p, (size_t)(cr - all.p));
	struct span rest = span_skip(all, line.n + 2);
	h->field = calloc(h->lines ? h->lines : 1, sizeof *h->field);
	if (!h->field)
		return 503;
	int r = h->response ? parse_response(h, line, rest) : parse_request(h, line, rest);
	return r ? r : HEAD_DONE;
}

int
head_feed(struct head *h, const struct head_limits *limits, struct span in, size_t *used)
{
	size_t n = 0;
	int r = 0;
	while (n < in.n && h->state != DONE && !r)
		r = scan(h, in.p[n++], limits);
	*used = n;
	if (r)
		return r;
	if (n > limits->bytes - h->text.n)
		return 431;
	if (!buf_add(&h->text, span(in.p, n)))
		return 503;
	return h->state == DONE ? parse(h) : HEAD_MORE;
}

/* --- questions -------------------------------------------------------------------------------- */

struct span
head_get(const struct head *h, const char *name, uint32_t i)
{
	struct span want = span_str(name);
	for (uint32_t k = 0; k < h->n_fields; k++)
		if (span_ieq(h->field[k].name, want) && i-- == 0)
			return h->field[k].value;
	return SPAN_NONE;
}

bool
head_has_token(const struct head *h, const char *name, const char *token)
{
	struct span list, item;
	for (uint32_t i = 0; (list = head_get(h, name, i)).p; i++)
		while (span_split(&list, ',', &item))
			if (span_ieq(span_trim(item), span_str(token)))
				return true;
	return false;
}

/* The last coding decides where the message ends, so it must be chunked (RFC 9112 6.3). */
static int
take_coding(const struct head *h)
{
	struct span all, item = SPAN_NONE;
	uint32_t items = 0;
	for (uint32_t i = 0; (all = head_get(h, "transfer-encoding", i)).p; i++)
		for (; span_split(&all, ',', &item); items++)
			item = span_trim(item);
	if (!span_ieq(item, SPAN_LIT("chunked")) || h->minor == 0)
		return 400;
	return items == 1 ? 0 : 501;
}

int
head_request_body(const struct head *h, struct head_body *out)
{
	struct span length = head_get(h, "content-length", 0);
	*out = (struct head_body){0};
	if (head_get(h, "transfer-encoding", 0).p) {
		out->chunked = true;
		return length.p ? 400 : take_coding(h);
	}
	if (length.p &&
	        (head_get(h, "content-length", 1).p || !span_u64(length, INT64_MAX, &out->length)))
		return 400;
	return 0;
}
