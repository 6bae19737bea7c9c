/* Two bytes of limits, then a message. */
#include "wire/l2tun.h"

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct l2tun_limits lim = {data[0] * 16u, data[1]};
	struct span message = span(data + 2, size - 2), text;
	struct l2tun m;
	char why[L2TUN_WHY] = "";
	uint16_t code;
	if (l2tun_decode(message, &lim, &m, why) < 0) {
		assert(why[0] && memchr(why, 0, sizeof why));
		return 0;
	}
	assert(message.n <= l2tun_most(&lim));
	assert(m.payload.n == message.n - L2TUN_HEAD);
	fuzz_inside(m.payload, message);
	if (l2tun_get_error(m.payload, &code, &text)) {
		uint8_t *p = malloc(m.payload.n);
		assert(l2tun_put_error(p, m.payload.n, code, text) == m.payload.n);
		assert(memcmp(p, m.payload.p, m.payload.n) == 0);
		free(p);
	}
	/* Whatever the text, what is written is read back. */
	uint8_t *p = malloc(lim.control + 1);
	size_t n = l2tun_put_error(p, lim.control, 7, m.payload);
	assert(n <= lim.control);
	free(p);
	return 0;
}
