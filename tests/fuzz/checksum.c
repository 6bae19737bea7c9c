#include "wire/checksum.h"

#include "fuzz.h"

static uint16_t
slow(struct span s)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < s.n; i++)
		sum += i % 2 ? s.p[i] : (uint64_t)s.p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t a = data[0], b = data[1];
	struct span s = span(data + 2, size - 2);
	uint16_t want = slow(s);
	assert(checksum_sum(s.p, s.n) == want);
	struct span first = span_first(s, a), rest = span_skip(s, first.n),
	            second = span_first(rest, b), third = span_skip(rest, second.n);
	struct iovec v[3] = {{(void *)(uintptr_t)first.p, first.n},
	        {(void *)(uintptr_t)second.p, second.n}, {(void *)(uintptr_t)third.p, third.n}};
	assert(checksum_iov(v, 3) == want);
	if (s.n >= 4) {
		uint8_t *p = fuzz_copy(s);
		uint16_t was = get16(p + 2), field = checksum_finish(want);
		put16(p + 2, (uint16_t)(a << 8 | b));
		uint16_t now = checksum_finish(slow(span(p, s.n)));
		uint16_t got = checksum_update16(field, was, get16(p + 2));
		/* Only bytes that are all zero tell the two zeros apart. */
		assert(got == now || (got ^ now) == 0xffff);
		assert(got == now || got == 0 || now == 0);
		free(p);
	}
	return 0;
}
