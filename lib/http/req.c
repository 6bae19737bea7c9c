/* req: what handlers see of a request, and their answers. */
#include "http/http1.h"

#include <stdio.h>
#include <time.h>

#define KEY_MOST 256

/* --- answers ---------------------------------------------------------------------------------- */

static const char *
phrase(int status)
{
	static const struct {
		int status;
		const char *text;
	} all[] = {
	        {100, "Continue"},
	        {101, "Switching Protocols"},
	        {200, "OK"},
	        {201, "Created"},
	        {204, "No Content"},
	        {301, "Moved Permanently"},
	        {302, "Found"},
	        {304, "Not Modified"},
	        {400, "Bad Request"},
	        {401, "Unauthorized"},
	        {403, "Forbidden"},
	        {404, "Not Found"},
	        {405, "Method Not Allowed"},
	        {408, "Request Timeout"},
	        {409, "Conflict"},
	        {413, "Content Too Large"},
	        {414, "URI Too Long"},
	        {415, "Unsupported Media Type"},
	        {417, "Expectation Failed"},
	        {426, "Upgrade Required"},
	        {429, "Too Many Requests"},
	        {431, "Request Header Fields Too Large"},
	        {500, "Internal Server Error"},
	        {501, "Not Implemented"},
	        {502, "Bad Gateway"},
	        {503, "Service Unavailable"},
	        {504, "Gateway Timeout"},
	        {505, "HTTP Version Not Supported"},
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].status == status)
			return all[i].text;
	return "";
}

/* RFC 9110 5.6.7, whatever the locale. */
static void
date_text(char *out, size_t n)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {
	        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm t = {0};
	gmtime_r(&now, &t);
	snprintf(out, n, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
	        months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void
answered(struct req *r)
{
	r->state = REQ_ANSWERED;
	if (!r->running)
		worker_later(r->s->t->w, &r->later);
}

static void
put_head(struct req *r, int status, const char *type, const char *extra, size_t length)
{
	struct hconn *c = r->c;
	char line[160], date[40];
	date_text(date, sizeof date);
	int n = snprintf(
	        line, sizeof line, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, phrase(status), date);
	hconn_send(c, span(line, (size_t)n));
	if (type) {
		hconn_send(c, SPAN_LIT("Content-Type: "));
		hconn_send(c, span_str(type));
		hconn_send(c, SPAN_LIT("\r\n"));
	}
	if (status >= 200 && status != 204 && status != 304) {
		n = snprintf(line, sizeof line, "Content-Length: %zu\r\n", length);
		hconn_send(c, span(line, (size_t)n));
	}
	if (!r->keep)
		hconn_send(c, SPAN_LIT("Connection: close\r\n"));
	else if (r->head.minor == 0)
		hconn_send(c, SPAN_LIT("Connection: keep-alive\r\n"));
	hconn_send(c, span_str(extra));
	hconn_send(c, SPAN_LIT("\r\n"));
}

void
req_reply(struct req *r, int status, const char *type, const char *extra, struct span body)
{
	r->keep = r->keep && !r->deaf && !r->s->draining;
	put_head(r, status, type, extra, body.n);
	if (r->method != METHOD_HEAD)
		hconn_send(r->c, body);
	answered(r);
}

/* --- upgrade ---------------------------------------------------------------------------------- */

static bool
contains_upgrade(const struct req *r)
{
	struct span v;
	for (unsigned i = 0; (v = req_header(r, "connection", i)).p; i++)
		for (; v.n >= 7; v = span_skip(v, 1))
			if (span_istarts(v, "upgrade"))
				return true;
	return false;
}

int
req_ws_check(const struct req *r, const char **body)
{
	struct span key = req_header(r, "sec-websocket-key", 0);
	*body = NULL;
	if (r->method != METHOD_GET) {
		*body = "Request method must be `GET`";
		return 405;
	}
	if (!contains_upgrade(r))
		*body = "Connection header did not include 'upgrade'";
	else if (!span_ieq(req_header(r, "upgrade", 0), SPAN_LIT("websocket")))
		*body = "`Upgrade` header did not include 'websocket'";
	else if (!span_is(req_header(r, "sec-websocket-version", 0), "13"))
		*body = "`Sec-WebSocket-Version` header did not include '13'";
	else if (!key.n || key.n > KEY_MOST)
		*body = "`Sec-WebSocket-Key` header missing";
	if (*body)
		return 400;
	if (r->head.minor > 0)
		return 0;
	*body = "WebSocket request couldn't be upgraded since no upgrade state was present";
	return 426;
}

void
req_upgrade(struct req *r, struct ws *ws, const struct ws_ops *ops, const char *subprotocol,
        size_t max_message, uint32_t unsent_max)
{
	struct hconn *c = r->c;
	char accept[WSFRAME_ACCEPT];
	wsframe_accept(req_header(r, "sec-websocket-key", 0), accept);
	hconn_send(c, SPAN_LIT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	                       "Connection: Upgrade\r\nSec-WebSocket-Accept: "));
	hconn_send(c, span_str(accept));
	if (subprotocol) {
		hconn_send(c, SPAN_LIT("\r\nSec-WebSocket-Protocol: "));
		hconn_send(c, span_str(subprotocol));
	}
	hconn_send(c, SPAN_LIT("\r\n\r\n"));
	ws_attach(ws, c, ops, max_message, unsent_max);
	list_add(&r->s->upgraded, &r->upgraded);
	if (r->deaf)
		hconn_drop(c); /* early data is missing */
	answered(r);
}

/* --- questions -------------------------------------------------------------------------------- */

unsigned
req_method(const struct req *r)
{
	return r->method;
}

struct span
req_path(const struct req *r)
{
	return r->head.path;
}

struct span
req_query(const struct req *r)
{
	return r->head.query;
}

struct span
req_body(const struct req *r)
{
	return buf_span(&r->body);
}

const struct endpoint *
req_peer(const struct req *r)
{
	return &r->c->peer;
}

bool
req_is_tls(const struct req *r)
{
	return r->c->tls;
}

struct span
req_header(const struct req *r, const char *name, unsigned i)
{
	return head_get(&r->head, name, i);
}

bool
req_header_at(const struct req *r, unsigned i, struct span *name, struct span *value)
{
	if (i >= r->head.n_fields)
		return false;
	*name = r->head.field[i].name;
	*value = r->head.field[i].value;
	return true;
}

void *
req_user(const struct req *r)
{
	return r->s->user;
}

void
req_on_gone(struct req *r, void (*gone)(struct req *r))
{
	r->gone = gone;
}
