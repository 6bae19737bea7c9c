/* Any bytes have a text, and it is a line. */
#include "wire/pkttext.h"

#include "fuzz.h"

static void
line(const char *s, size_t cap)
{
	assert(strnlen(s, cap) < cap);
	for (; *s; s++)
		assert(*s >= ' ' || (uint8_t)*s >= 0x80);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(span(data, size));
	struct pkttext t;
	pkttext_of(span(copy, size), &t);
	line(t.src, sizeof t.src);
	line(t.dst, sizeof t.dst);
	line(t.proto, sizeof t.proto);
	line(t.info, sizeof t.info);
	assert(t.proto[0] && t.info[0]);
	free(copy);
	return 0;
}
