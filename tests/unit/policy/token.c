#include "policy/token.h"

#include "base/crypto.h"
#include "base/enc.h"
#include "tests/unit/policy/make.h"

#include <stdio.h>
#include <stdlib.h>

#define SECRET SPAN_LIT("correct horse battery staple")
#define NOW_S 1700000000ull
#define NOW_MS (NOW_S * 1000)

static char *
b64(const char *text, size_t n)
{
	char *out = malloc(B64URL_LEN(n) + 1);
	b64url_encode(span(text, n), out);
	return out;
}

/* Signs any text before the last dot, canonical or not. */
static char *
sign(const char *body, struct span secret)
{
	uint8_t mac[32];
	char sig[TOKEN_SIG_LEN + 1], *out = NULL;
	hmac_sha256(secret, span_str(body), mac);
	b64url_encode(span(mac, 32), sig);
	assert_true(asprintf(&out, "%s.%s", body, sig) > 0);
	return out;
}

static char *
session(const char *json)
{
	char *body = b64(json, strlen(json)), *out = sign(body, SECRET);
	free(body);
	return out;
}

static char *
jwt(const char *header, const char *payload)
{
	char *h = b64(header, strlen(header)), *p = b64(payload, strlen(payload)), *body, *out;
	assert_true(asprintf(&body, "%s.%s", h, p) > 0);
	out = sign(body, SECRET);
	free(h);
	free(p);
	free(body);
	return out;
}

static enum token_status
ask_session(const char *token, struct token_session *out)
{
	static struct token_room room;
	return token_session(span_str(token), SECRET, NOW_MS, &room, out);
}

static enum token_status
ask_jwt(const char *token, struct token_jwt *out)
{
	static struct token_room room;
	return token_jwt(span_str(token), SECRET, NOW_MS, &room, out);
}

static const struct {
	const char *json;
	enum token_status want;
} sessions[] = {
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_OK},
        {"{\"v\":1.0,\"sid\":\"abc\",\"exp\":1700000001.5}", TOKEN_OK},
        {"{\"v\":1e0,\"sid\":\"abc\",\"exp\":1.7e10}", TOKEN_OK},
        {" { \"sid\" : \"a\\u00e9\\ud83d\\ude00\\n\" , \"v\" : 1 , \"exp\" : 9e15 } \r\n",
                TOKEN_OK},
        {"{\"v\":1,\"sid\":\"\",\"sid\":\"abc\",\"exp\":1,\"exp\":1700000001}", TOKEN_OK},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001,\"x\":{\"sid\":\"\",\"y\":[1,null]}}",
                TOKEN_OK},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000000.001}", TOKEN_OK},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000000}", TOKEN_EXPIRED},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":0}", TOKEN_EXPIRED},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":-5}", TOKEN_EXPIRED},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1699999999.9999}", TOKEN_EXPIRED},
        {"{\"v\":2,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":\"1\",\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":true,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"V\":1,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":7,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":null,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\"}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":\"1700000001\"}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1e999}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":NaN}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":Infinity}", TOKEN_BAD_CLAIMS},
        {"{\"v\":01,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":+1,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1.,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001}x", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001}{}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001,}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001", TOKEN_BAD_CLAIMS},
        {"[{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001}]", TOKEN_BAD_CLAIMS},
        {"\"abc\"", TOKEN_BAD_CLAIMS},
        {"{'v':1,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"a\nb\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"a\\xb\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"\\ud800\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"\\udc00\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"\\ud800\\u0041\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"\xff\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"\xed\xa0\x80\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001,\"x\":tru}", TOKEN_BAD_CLAIMS},
        {"{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001,\"x\":[1,]}", TOKEN_BAD_CLAIMS},
        {"\xef\xbb\xbf{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {"/**/{\"v\":1,\"sid\":\"abc\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
};

static void
test_sessions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sessions); i++) {
		struct token_session s;
		char *token = session(sessions[i].json);
		enum token_status got = ask_session(token, &s);
		if (got != sessions[i].want)
			fail_msg("%s: %d", sessions[i].json, got);
		free(token);
	}
}

static void
test_session_result(void **state)
{
	(void)state;
	struct token_session s;
	char *token = session(sessions[3].json);
	assert_int_equal(ask_session(token, &s), TOKEN_OK);
	assert_true(span_is(s.sid, "a\xc3\xa9\xf0\x9f\x98\x80\n"));
	free(token);
	token = session("{\"v\":1,\"sid\":\"a\\u0000b\",\"exp\":1700000001.5}");
	assert_int_equal(ask_session(token, &s), TOKEN_OK);
	assert_true(span_eq(s.sid, SPAN_LIT("a\0b")));
	assert_true(s.exp == 1700000001.5);
	free(token);
}

/* A right signature over a payload that only a lax decoder would read. */
static void
test_signed_but_not_canonical(void **state)
{
	(void)state;
	static const char good[] = "{\"v\":1,\"sid\":\"ab\",\"exp\":1700000001}";
	struct token_session s;
	char *plain = b64(good, strlen(good)), body[128];
	size_t n = strlen(plain);
	assert_int_equal(n % 4, 3);

	snprintf(body, sizeof body, "%s", plain);
	body[n - 1]++; /* a trailing bit that decodes to nothing */
	char *token = sign(body, SECRET);
	assert_int_equal(ask_session(token, &s), TOKEN_BAD_CLAIMS);
	free(token);
	static const char *const tail[] = {"=", "==", " ", "\n", "A", "A=", "+", "/", "%3D"};
	for (size_t i = 0; i < ARRAY_LEN(tail); i++) {
		snprintf(body, sizeof body, "%s%s", plain, tail[i]);
		token = sign(body, SECRET);
		if (ask_session(token, &s) != TOKEN_BAD_CLAIMS)
			fail_msg("payload ending in \"%s\"", tail[i]);
		free(token);
	}
	free(plain);
}

static void
test_session_shape(void **state)
{
	(void)state;
	struct token_session s;
	char *good = session(sessions[0].json), *bad = strdup(good);
	size_t n = strlen(good), dot = n - TOKEN_SIG_LEN - 1;
	assert_int_equal(ask_session(good, &s), TOKEN_OK);
	assert_int_equal(ask_session("", &s), TOKEN_MALFORMED);
	assert_int_equal(ask_session(".", &s), TOKEN_MALFORMED);
	assert_int_equal(ask_session(good + dot, &s), TOKEN_MALFORMED); /* no payload */
	assert_int_equal(ask_session(good + dot + 1, &s), TOKEN_MALFORMED);
	bad[n - 1] = 0; /* signature too short */
	assert_int_equal(ask_session(bad, &s), TOKEN_MALFORMED);
	bad[dot + 1] = 0;
	assert_int_equal(ask_session(bad, &s), TOKEN_MALFORMED);
	strcpy(bad, good);
	bad[5] = '.'; /* one dot too many */
	assert_int_equal(ask_session(bad, &s), TOKEN_MALFORMED);
	strcpy(bad, good);
	bad[n - 1]++; /* two spare bits of the signature's last digit */
	assert_int_equal(ask_session(bad, &s), TOKEN_MALFORMED);
	strcpy(bad, good);
	bad[dot + 3] = bad[dot + 3] == 'A' ? 'B' : 'A';
	assert_int_equal(ask_session(bad, &s), TOKEN_FORGED);
	strcpy(bad, good);
	bad[2] = bad[2] == 'A' ? 'B' : 'A';
	assert_int_equal(ask_session(bad, &s), TOKEN_FORGED);
	strcpy(bad, good);
	bad[dot + 3] = '+';
	assert_int_equal(ask_session(bad, &s), TOKEN_MALFORMED);
	free(good);
	good = sign("bm90IGpzb24", SPAN_LIT("another secret"));
	assert_int_equal(ask_session(good, &s), TOKEN_FORGED);
	free(good);
	free(bad);
}

static void
test_session_length(void **state)
{
	(void)state;
	struct token_session s;
	/* JSON of exactly 12288 bytes fills 16384 characters; three more are too many. */
	char json[TOKEN_PAYLOAD_MAX / 4 * 3 + 4], *token;
	for (size_t n = TOKEN_PAYLOAD_MAX / 4 * 3; n < sizeof json; n += 3) {
		memset(json, ' ', sizeof json);
		memcpy(json, sessions[0].json, strlen(sessions[0].json));
		json[n] = 0;
		token = session(json);
		assert_int_equal(ask_session(token, &s),
		        n == TOKEN_PAYLOAD_MAX / 4 * 3 ? TOKEN_OK : TOKEN_MALFORMED);
		free(token);
	}
}

static void
test_depth(void **state)
{
	(void)state;
	struct token_session s;
	for (unsigned depth = 20; depth < 60; depth += 30) {
		char json[256] = "{\"v\":1,\"sid\":\"a\",\"exp\":1800000000,\"x\":";
		size_t n = strlen(json);
		memset(json + n, '[', depth);
		memset(json + n + depth, ']', depth);
		memcpy(json + n + 2 * depth, "}", 2);
		char *token = session(json);
		assert_int_equal(ask_session(token, &s), depth < 32 ? TOKEN_OK : TOKEN_BAD_CLAIMS);
		free(token);
	}
}

#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define BASE "\"sid\":\"s\",\"iat\":1699999999,\"exp\":1700000001"

static const struct {
	const char *header, *payload;
	enum token_status want;
} jwts[] = {
        {HS256, "{" BASE "}", TOKEN_OK},
        {"{\"alg\":\"HS256\"}", "{" BASE "}", TOKEN_OK},
        {"{\"typ\":\"anything\",\"alg\":\"HS256\",\"kid\":4}", "{" BASE "}", TOKEN_OK},
        {HS256, "{" BASE ",\"nbf\":1700000000}", TOKEN_OK},
        {HS256, "{" BASE ",\"nbf\":-1,\"origin\":\"\",\"aud\":\"a\",\"iss\":\"i\"}", TOKEN_OK},
        {HS256, "{\"sid\":\"s\",\"iat\":9223372036854775807,\"exp\":9223372036854775807}",
                TOKEN_OK},
        {HS256, "{\"sid\":\"s\",\"iat\":-9223372036854775808,\"exp\":1700000001}", TOKEN_OK},
        {"{\"alg\":\"none\"}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":\"hs256\"}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":\"HS512\"}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":null}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"typ\":\"JWT\"}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":\"HS256\",\"typ\":null}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":\"HS256\",\"typ\":1}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":\"HS256\"}x", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", "{" BASE "}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {"[]", "{" BASE "}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":1,\"exp\":1700000000}", TOKEN_EXPIRED},
        {HS256, "{\"sid\":\"s\",\"iat\":1,\"exp\":0}", TOKEN_EXPIRED},
        {HS256, "{" BASE ",\"nbf\":1700000001}", TOKEN_NOT_YET},
        {HS256, "{\"sid\":\"s\",\"iat\":1,\"exp\":1700000001.0}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":1,\"exp\":17e8}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":1.5,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":1,\"exp\":\"1700000001\"}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":1,\"exp\":9223372036854775808}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":-9223372036854775809,\"exp\":1700000001}",
                TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"iat\":1}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"s\",\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"iat\":1,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":\"\",\"iat\":1,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {HS256, "{\"sid\":1,\"iat\":1,\"exp\":1700000001}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"nbf\":null}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"nbf\":1.0}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"nbf\":\"1\"}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"origin\":null}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"origin\":1}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"aud\":[\"a\"]}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE ",\"iss\":{}}", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE "} ", TOKEN_OK},
        {HS256, "{" BASE "},", TOKEN_BAD_CLAIMS},
        {HS256, "{" BASE, TOKEN_BAD_CLAIMS},
};

static void
test_jwts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(jwts); i++) {
		struct token_jwt t;
		char *token = jwt(jwts[i].header, jwts[i].payload);
		enum token_status got = ask_jwt(token, &t);
		if (got != jwts[i].want)
			fail_msg("%s %s: %d", jwts[i].header, jwts[i].payload, got);
		free(token);
	}
}

static void
test_jwt_result(void **state)
{
	(void)state;
	struct token_jwt t;
	char *token = jwt(HS256, "{" BASE ",\"aud\":\"\",\"origin\":\"https://a\"}");
	assert_int_equal(ask_jwt(token, &t), TOKEN_OK);
	assert_true(span_is(t.sid, "s"));
	assert_true(t.aud.p && !t.aud.n && !t.iss.p);
	assert_true(span_is(t.origin, "https://a"));
	assert_int_equal(t.exp, 1700000001);
	assert_int_equal(t.iat, 1699999999);
	free(token);
}

static void
test_jwt_shape(void **state)
{
	(void)state;
	struct token_jwt t;
	struct token_session s;
	char *good = jwt(HS256, "{" BASE "}"), *one = session(sessions[0].json), *body, *token;
	assert_int_equal(ask_session(good, &s), TOKEN_MALFORMED);
	assert_int_equal(ask_jwt(one, &t), TOKEN_MALFORMED);
	assert_int_equal(ask_jwt("a.b.c", &t), TOKEN_MALFORMED);
	static const char *const bodies[] = {"", ".", "a", "a.", ".a", "a.b.c", "a..b"};
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		token = sign(bodies[i], SECRET);
		if (ask_jwt(token, &t) != TOKEN_MALFORMED)
			fail_msg("body \"%s\"", bodies[i]);
		free(token);
	}
	/* Signed, but the header is padded. */
	body = strdup(good);
	*strrchr(body, '.') = 0;
	char *dot = strchr(body, '.'), *padded;
	assert_true(asprintf(&padded, "%.*s=.%s", (int)(dot - body), body, dot + 1) > 0);
	token = sign(padded, SECRET);
	assert_int_equal(ask_jwt(token, &t), TOKEN_BAD_CLAIMS);
	free(token);
	token = sign(body, SPAN_LIT(""));
	assert_int_equal(ask_jwt(token, &t), TOKEN_FORGED);
	free(token);
	free(padded);
	free(body);
	free(one);
	free(good);
}

static void
test_jwt_length(void **state)
{
	(void)state;
	struct token_jwt t;
	char header[TOKEN_HEADER_MAX / 4 * 3 + 4];
	for (size_t n = TOKEN_HEADER_MAX / 4 * 3; n < sizeof header; n += 3) {
		memset(header, ' ', sizeof header);
		memcpy(header, HS256, strlen(HS256));
		header[n] = 0;
		char *token = jwt(header, "{" BASE "}");
		assert_int_equal(ask_jwt(token, &t),
		        n == TOKEN_HEADER_MAX / 4 * 3 ? TOKEN_OK : TOKEN_MALFORMED);
		free(token);
	}
}

/* RFC 7515 A.1: a signature that others computed. Its payload lacks what we ask for, which shows
 * that the signature passed. */
static void
test_jwt_published(void **state)
{
	(void)state;
	static struct token_room room;
	struct token_jwt t;
	uint8_t key[64];
	assert_int_equal(
	        b64url_decode(SPAN_LIT("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZ"
	                               "H75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
	                key, sizeof key),
	        64);
	struct span token =
	        SPAN_LIT("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
	                 "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	                 "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
	                 "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	assert_int_equal(token_jwt(token, span(key, 64), 0, &room, &t), TOKEN_BAD_CLAIMS);
	assert_int_equal(token_jwt(token, span(key, 63), 0, &room, &t), TOKEN_FORGED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sessions),
	        cmocka_unit_test(test_session_result),
	        cmocka_unit_test(test_signed_but_not_canonical),
	        cmocka_unit_test(test_session_shape),
	        cmocka_unit_test(test_session_length),
	        cmocka_unit_test(test_depth),
	        cmocka_unit_test(test_jwts),
	        cmocka_unit_test(test_jwt_result),
	        cmocka_unit_test(test_jwt_shape),
	        cmocka_unit_test(test_jwt_length),
	        cmocka_unit_test(test_jwt_published),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
