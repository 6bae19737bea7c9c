#include "wire/wsframe.h"

#include "base/cursor.h"
#include "base/crypto.h"
#include "base/enc.h"
#include "wire/utf8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
	FIN = 0x80,
	MASKED = 0x80,
	LEN16 = 126,
	LEN64 = 127,
	KEY_MOST = 256,
	AVX2_LEAST = 64,
};

size_t
wsframe_put_head_fin(uint8_t *p, enum ws_op op, bool fin, uint64_t payload_len, const uint8_t *mask)
{
	uint8_t m = mask ? MASKED : 0;
	size_t n = wsframe_head_len(payload_len, false);
	p[0] = (uint8_t)((fin ? FIN : 0) | op);
	if (n == 2) {
		p[1] = (uint8_t)(m | payload_len);
	} else if (n == 4) {
		p[1] = m | LEN16;
		put16(p + 2, (uint16_t)payload_len);
	} else {
		p[1] = m | LEN64;
		put32(p + 2, (uint32_t)(payload_len >> 32));
		put32(p + 6, (uint32_t)payload_len);
	}
	if (mask)
		memcpy(p + n, mask, 4);
	return mask ? n + 4 : n;
}

size_t
wsframe_put_head(uint8_t *p, enum ws_op op, uint64_t payload_len, const uint8_t *mask)
{
	return wsframe_put_head_fin(p, op, true, payload_len, mask);
}

static void
mask_words(uint8_t *p, size_t n, uint32_t mask)
{
	uint64_t m = (uint64_t)mask << 32 | mask, w;
	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		w ^= m;
		memcpy(p, &w, 8);
	}
	uint8_t left[8];
	memcpy(left, &m, 8);
	for (size_t i = 0; i < n; i++)
		p[i] ^= left[i];
}

#if defined(__x86_64__)
/* n is a multiple of 32. */
__attribute__((target("avx2"))) static void
mask_avx2(uint8_t *p, size_t n, uint32_t mask)
{
	const __m256i m = _mm256_set1_epi32((int)mask);
	for (size_t i = 0; i < n; i += 32) {
		__m256i *at = (__m256i *)(void *)(p + i);
		_mm256_storeu_si256(at, _mm256_xor_si256(_mm256_loadu_si256(at), m));
	}
}
#endif

void
wsframe_mask(uint8_t *p, size_t n, const uint8_t mask[4], uint64_t at)
{
	uint8_t turned[4];
	uint32_t m;
	for (size_t i = 0; i < 4; i++)
		turned[i] = mask[(at + i) % 4];
	memcpy(&m, turned, 4);
#if defined(__x86_64__)
	if (n >= AVX2_LEAST && __builtin_cpu_supports("avx2")) {
		size_t wide = n / 32 * 32;
		mask_avx2(p, wide, m);
		p += wide;
		n -= wide;
	}
#endif
	mask_words(p, n, m);
}

size_t
wsframe_put_close(uint8_t *p, uint16_t code, struct span reason)
{
	if (code == WS_CODE_NONE)
		return 0;
	reason = utf8_cut(reason, WSFRAME_REASON_MOST);
	put16(p, code);
	if (reason.n)
		memcpy(p + 2, reason.p, reason.n);
	return 2 + reason.n;
}

bool
wsframe_code_ok(uint16_t code)
{
	if (code >= 3000)
		return code <= 4999;
	return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

bool
wsframe_key_ok(struct span key)
{
	uint8_t nonce[18];
	return key.n == WSFRAME_KEY - 1 && b64_decode(key, nonce, sizeof nonce) == 16;
}

void
wsframe_make_key(const uint8_t nonce[16], char out[WSFRAME_KEY])
{
	b64_encode(span(nonce, 16), out);
}

void
wsframe_accept(struct span key, char out[WSFRAME_ACCEPT])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t text[KEY_MOST + sizeof guid], digest[20];
	struct wr w = wr_init(text, sizeof text);
	wr_span(&w, span_first(key, KEY_MOST));
	wr_bytes(&w, guid, sizeof guid - 1);
	sha1(span(text, wr_len(&w)), digest);
	b64_encode(span(digest, sizeof digest), out);
}
