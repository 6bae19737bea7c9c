/* Small readers of text: UTF-8, hardware addresses, handshake keys. */
#include "wire/mac.h"
#include "wire/utf8.h"
#include "wire/wsframe.h"

#include "fuzz.h"

static void
text(struct span all)
{
	bool valid = utf8_valid(all);
	for (size_t at = 0; at <= all.n && at < 80; at++) {
		struct utf8 u = UTF8_START;
		bool ok = utf8_feed(&u, span_first(all, at)) && utf8_feed(&u, span_skip(all, at));
		assert((ok && utf8_complete(&u)) == valid);
		struct span cut = utf8_cut(all, at);
		assert(cut.n <= at && (!valid || utf8_valid(cut)));
		assert(!valid || at - cut.n < 4 || all.n <= at);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = span(data, size);
	struct mac m, again;
	char buf[MAC_TEXT], accept[WSFRAME_ACCEPT];
	text(all);
	if (mac_parse(all, &m))
		assert(mac_parse(span_str(mac_text(&m, buf)), &again) && mac_eq(&m, &again));
	if (wsframe_key_ok(all))
		wsframe_accept(all, accept);
	return 0;
}
