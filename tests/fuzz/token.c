/* Tokens as they come, and with a right signature, so that what lies behind it is reached too. */
#include "base/crypto.h"
#include "base/enc.h"
#include "policy/token.h"

#include "fuzz.h"

#define KEY SPAN_LIT("key")
#define NOW 1700000000000ull

static size_t
sign(char *text, size_t n)
{
	uint8_t mac[32];
	hmac_sha256(KEY, span(text, n), mac);
	text[n] = '.';
	return n + 1 + b64url_encode(span(mac, 32), text + n + 1);
}

static void
check(struct span token, struct token_room *room)
{
	struct token_session s;
	struct token_jwt j;
	if (token_session(token, KEY, NOW, room, &s) == TOKEN_OK)
		assert(s.sid.n > 0 && s.exp > NOW / 1000 - 1);
	if (token_jwt(token, KEY, NOW, room, &j) == TOKEN_OK)
		assert(j.sid.n > 0 && j.exp > (int64_t)(NOW / 1000));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct token_room *room = malloc(sizeof *room);
	char *text = malloc(2 * n + 128);
	check(span(p, n), room);
	/* The input as a signed payload, as a signed body, and split in two at its first NUL. */
	size_t len = b64url_encode(span(p, n), text);
	check(span(text, sign(text, len)), room);
	if (n)
		memcpy(text, p, n);
	check(span(text, sign(text, n)), room);
	const uint8_t *cut = n ? memchr(p, 0, n) : NULL;
	if (cut) {
		size_t head = (size_t)(cut - p);
		len = b64url_encode(span(p, head), text);
		text[len++] = '.';
		len += b64url_encode(span(cut + 1, n - head - 1), text + len);
		check(span(text, sign(text, len)), room);
	}
	free(text);
	free(room);
	return 0;
}
