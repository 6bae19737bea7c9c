#include "wire/dhcp.h"

#include "fuzz.h"

/* Everything that was read is written, and read again. */
static void
rewrite(const struct dhcp *d)
{
	static uint8_t out[4096], scratch[4096];
	struct dhcp again;
	struct wr w = wr_init(out, sizeof out);
	dhcp_begin(&w, d);
	for (unsigned code = 1; code < DHCP_OPT_END; code++) {
		struct span body = dhcp_get(d, (uint8_t)code, scratch, sizeof scratch);
		if (body.p && code != DHCP_OPT_TYPE && code != DHCP_OPT_OVERLOAD)
			dhcp_opt(&w, (uint8_t)code, body);
	}
	dhcp_end(&w);
	assert(!w.bad && wr_len(&w) >= DHCP_LEAST);
	assert(dhcp_parse(span(out, wr_len(&w)), &again) == 0);
	assert(again.type == d->type && again.xid == d->xid && again.flags == d->flags);
	assert(ip_eq(&again.ciaddr, &d->ciaddr) && mac_eq(&again.chaddr, &d->chaddr));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dhcp d;
	struct span msg = span(data, size);
	if (dhcp_parse(msg, &d) < 0)
		return 0;
	assert(!d.max_size || d.max_size >= DHCP_MOST_UNASKED);
	assert(d.njoined <= sizeof d.joined);
	struct span mine = span(d.joined, sizeof d.joined);
	const struct span *texts[] = {&d.params, &d.client_id, &d.hostname, &d.vendor_class};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		bool joined = texts[i]->p >= mine.p && texts[i]->p <= mine.p + mine.n;
		fuzz_inside(*texts[i], joined ? mine : msg);
	}
	uint8_t scratch[8];
	for (unsigned code = 0; code < 256; code++)
		dhcp_get(&d, (uint8_t)code, scratch, sizeof scratch);
	rewrite(&d);
	return 0;
}
