#include "wire/l2tun.h"

#include "base/cursor.h"
#include "base/mem.h"
#include "wire/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum {
	ERROR_HEAD = 4,
};

__attribute__((format(printf, 2, 3))) static int
refuse(char *why, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, L2TUN_WHY, fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

int
l2tun_decode(struct span m, const struct l2tun_limits *lim, struct l2tun *out, char why[L2TUN_WHY])
{
	if (m.n < L2TUN_HEAD)
		return refuse(why, "message too short: %zu < %d", m.n, L2TUN_HEAD);
	if (m.p[0] != L2TUN_MAGIC)
		return refuse(why, "invalid magic: 0x%02x", m.p[0]);
	if (m.p[1] != L2TUN_VERSION)
		return refuse(why, "unsupported version: 0x%02x", m.p[1]);
	size_t max = m.p[2] == L2TUN_FRAME ? lim->frame : lim->control;
	size_t n = m.n - L2TUN_HEAD;
	if (n > max)
		return refuse(why, "payload too large: %zu > %zu", n, max);
	out->type = m.p[2];
	out->flags = m.p[3];
	out->payload = span_skip(m, L2TUN_HEAD);
	return 0;
}

size_t
l2tun_put_error(uint8_t *p, size_t most, uint16_t code, struct span text)
{
	if (most < ERROR_HEAD)
		return 0;
	size_t room = most - ERROR_HEAD < UINT16_MAX ? most - ERROR_HEAD : UINT16_MAX;
	text = utf8_cut(text, room);
	put16(p, code);
	put16(p + 2, (uint16_t)text.n);
	if (text.n)
		memcpy(p + ERROR_HEAD, text.p, text.n);
	return ERROR_HEAD + text.n;
}

bool
l2tun_get_error(struct span payload, uint16_t *code, struct span *text)
{
	struct rd r = rd_init(payload);
	uint16_t c = rd_u16(&r);
	uint16_t n = rd_u16(&r);
	struct span t = rd_rest(&r);
	if (r.bad || t.n != n || !utf8_valid(t))
		return false;
	*code = c;
	*text = t;
	return true;
}

const char *
l2tun_code_name(uint16_t code)
{
	static const char *const names[] = {
	        [L2TUN_PROTOCOL_ERROR] = "protocol_error",
	        [L2TUN_AUTH_REQUIRED] = "auth_required",
	        [L2TUN_AUTH_INVALID] = "auth_invalid",
	        [L2TUN_ORIGIN_MISSING] = "origin_missing",
	        [L2TUN_ORIGIN_DENIED] = "origin_denied",
	        [L2TUN_QUOTA_BYTES] = "quota_bytes",
	        [L2TUN_QUOTA_FPS] = "quota_fps",
	        [L2TUN_QUOTA_CONNECTIONS] = "quota_connections",
	        [L2TUN_BACKPRESSURE] = "backpressure",
	};
	return code < ARRAY_LEN(names) && names[code] ? names[code] : "unknown";
}
