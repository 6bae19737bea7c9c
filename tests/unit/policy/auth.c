#include "policy/auth.h"

#include "base/crypto.h"
#include "base/enc.h"
#include "tests/unit/policy/make.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY "s3cret-key"
#define SESSION_SECRET "session-secret"
#define JWT_SECRET "jwt-secret"
#define NOW 1700000000000ull
#define ORIGIN "https://app.test"

/* --- credentials ------------------------------------------------------------------------------ */

static void
sign(char *text, size_t cap, const char *secret)
{
	uint8_t mac[32];
	char sig[64];
	hmac_sha256(span_str(secret), span_str(text), mac);
	b64url_encode(span(mac, 32), sig);
	size_t n = strlen(text);
	snprintf(text + n, cap - n, ".%s", sig);
}

static const char *
cookie(char text[512], const char *sid, long exp)
{
	char json[128];
	snprintf(json, sizeof json, "{\"v\":1,\"sid\":\"%s\",\"exp\":%ld}", sid, exp);
	b64url_encode(span_str(json), text);
	sign(text, 512, SESSION_SECRET);
	return text;
}

/* more: further members, ",\"aud\":\"x\"" */
static const char *
jwt(char text[512], const char *sid, long exp, const char *more)
{
	char json[256];
	snprintf(json, sizeof json, "{\"sid\":\"%s\",\"iat\":1,\"exp\":%ld%s}", sid, exp, more);
	snprintf(text, 512, "eyJhbGciOiJIUzI1NiJ9."); /* {"alg":"HS256"} */
	b64url_encode(span_str(json), text + strlen(text));
	sign(text, 512, JWT_SECRET);
	return text;
}

/* --- a request, one credential a carrier ------------------------------------------------- */

struct ask {
	const char *query, *cookie, *protocol, *bearer; /* whole header values */
	const char *origin;                             /* normalised */
};

struct world {
	struct auth auth;
	struct auth_room room;
	struct auth_result out;
};

static struct world *
world(enum auth_mode mode, const char *aud, const char *iss, bool open)
{
	struct world *w = calloc(1, sizeof *w);
	struct auth_conf c = {.mode = mode,
	        .api_key = KEY,
	        .session_secret = SESSION_SECRET,
	        .jwt_secret = JWT_SECRET,
	        .jwt_audience = aud,
	        .jwt_issuer = iss};
	struct err e = {0};
	assert_int_equal(auth_init(&w->auth, &c, open, &e), 0);
	return w;
}

static const struct auth_result *
ask(struct world *w, struct ask a)
{
	struct head_field field[3];
	struct head h = {.field = field, .query = span_str(a.query)};
	if (a.cookie)
		field[h.n++] = (struct head_field){SPAN_LIT("Cookie"), span_str(a.cookie)};
	if (a.protocol)
		field[h.n++] = (struct head_field){
		        SPAN_LIT("Sec-WebSocket-Protocol"), span_str(a.protocol)};
	if (a.bearer)
		field[h.n++] = (struct head_field){SPAN_LIT("Authorization"), span_str(a.bearer)};
	auth_check(&w->auth, &h, a.origin ? a.origin : ORIGIN, NOW, &w->room, &w->out);
	return &w->out;
}

static void
accepts(struct world *w, struct ask a, const char *sid)
{
	const struct auth_result *r = ask(w, a);
	assert_int_equal(r->refusal.why, REFUSAL_NONE);
	assert_true(sid ? span_is(r->sid, sid) : r->sid.p == NULL);
}

static void
refuses(struct world *w, struct ask a, enum auth_reject reject, const char *body)
{
	const struct auth_result *r = ask(w, a);
	assert_int_equal(r->refusal.why, REFUSAL_AUTH);
	assert_int_equal(r->refusal.status, 401);
	assert_string_equal(r->refusal.text, body);
	assert_string_equal(auth_reject_name(r->reject), auth_reject_name(reject));
	assert_string_equal(r->refusal.label, reject == AUTH_MISSING      ? "auth_missing"
	                                      : reject == AUTH_JWT_ORIGIN ? "jwt_origin_mismatch"
	                                                                  : "auth_invalid");
	assert_null(r->sid.p);
}

#define Q(s) ((struct ask){.query = (s)})
#define P(s) ((struct ask){.protocol = (s)})
#define C(s) ((struct ask){.cookie = (s)})
#define B(s) ((struct ask){.bearer = (s)})

static void
test_none(void **state)
{
	(void)state;
	struct world *w = world(AUTH_NONE, "", "", true);
	accepts(w, (struct ask){0}, NULL);
	accepts(w, Q("token=wrong"), NULL);
	assert_true(w->out.token_present);
	accepts(w, Q("apiKey=wrong"), NULL);
	assert_false(w->out.token_present);
	accepts(w, P("aero-l2-token.x"), NULL);
	assert_true(w->out.token_present);
	accepts(w, B("Bearer x"), NULL);
	assert_false(w->out.token_present);
	free(w);
}

static void
test_key_carriers(void **state)
{
	(void)state;
	struct world *w = world(AUTH_TOKEN, "", "", false);
	accepts(w, Q("token=" KEY), NULL);
	accepts(w, Q("apiKey=" KEY), NULL);
	accepts(w, Q("a=b&apiKey=" KEY "&x"), NULL);
	accepts(w, Q("token=s3cret%2Dkey"), NULL);
	accepts(w, P("aero-l2-tunnel-v1, aero-l2-token." KEY), NULL);
	accepts(w, P("aero-l2-token., aero-l2-token." KEY), NULL);
	accepts(w, Q("token=&apiKey=" KEY), NULL); /* empty counts as absent */
	accepts(w, (struct ask){.query = "token=", .protocol = "aero-l2-token." KEY}, NULL);
	refuses(w, (struct ask){0}, AUTH_MISSING, "invalid token");
	refuses(w, Q(""), AUTH_MISSING, "invalid token");
	refuses(w, Q("token"), AUTH_MISSING, "invalid token");
	refuses(w, Q("Token=" KEY), AUTH_MISSING, "invalid token");
	refuses(w, Q("t%6fken=" KEY), AUTH_MISSING, "invalid token");
	refuses(w, Q("apikey=" KEY), AUTH_MISSING, "invalid token");
	refuses(w, Q("token=" KEY "x"), AUTH_BAD_KEY, "invalid token");
	refuses(w, Q("token=s3cret-ke"), AUTH_BAD_KEY, "invalid token");
	refuses(w, Q("token=s3cret+key"), AUTH_BAD_KEY, "invalid token");
	refuses(w, Q("token=%73" KEY), AUTH_BAD_KEY, "invalid token");
	refuses(w, Q("token=wrong&token=" KEY), AUTH_BAD_KEY, "invalid token");
	refuses(w, Q("token=&token=" KEY), AUTH_MISSING, "invalid token");
	refuses(w, Q("token=wrong&apiKey=" KEY), AUTH_BAD_KEY, "invalid token");
	refuses(w, (struct ask){.query = "token=wrong", .protocol = "aero-l2-token." KEY},
	        AUTH_BAD_KEY, "invalid token");
	refuses(w, (struct ask){.query = "apiKey=wrong", .protocol = "aero-l2-token." KEY},
	        AUTH_BAD_KEY, "invalid token");
	refuses(w, P("aero-l2-token.wrong, aero-l2-token." KEY), AUTH_BAD_KEY, "invalid token");
	refuses(w, P("Aero-l2-token." KEY), AUTH_MISSING, "invalid token");
	refuses(w, P("aero-l2-token.s3cret%2Dkey"), AUTH_BAD_KEY, "invalid token");
	refuses(w, B("Bearer " KEY), AUTH_MISSING, "invalid token");
	refuses(w, C("token=" KEY), AUTH_MISSING, "invalid token");
	free(w);
}

static void
test_session(void **state)
{
	(void)state;
	struct world *w = world(AUTH_SESSION, "", "", false);
	char good[512], old[512], line[2048];
	cookie(good, "one", 1700000001);
	cookie(old, "old", 1700000000);
	snprintf(line, sizeof line, "junk; a=b ;  aero_session = %s ;c", good);
	accepts(w, C(line), "one");
	snprintf(line, sizeof line, "aero_session=%s; aero_session=junk", good);
	accepts(w, C(line), "one");
	snprintf(line, sizeof line, "Aero_session=x; aero_session_=x; aero_session=%s", good);
	accepts(w, C(line), "one");
	snprintf(line, sizeof line, "aero_session=%%%02x%s", good[0], good + 1);
	accepts(w, C(line), "one");
	snprintf(line, sizeof line, "aero_session=%s", old);
	refuses(w, C(line), AUTH_BAD_COOKIE, "missing or expired session");
	snprintf(line, sizeof line, "aero_session=%s; aero_session=%s", old, good);
	refuses(w, C(line), AUTH_BAD_COOKIE, "missing or expired session");
	snprintf(line, sizeof line, "aero_session=; aero_session=%s", good);
	refuses(w, C(line), AUTH_MISSING, "missing or expired session");
	good[3] ^= 1;
	snprintf(line, sizeof line, "aero_session=%s", good);
	refuses(w, C(line), AUTH_BAD_COOKIE, "missing or expired session");
	refuses(w, C("aero_session"), AUTH_MISSING, "missing or expired session");
	refuses(w, (struct ask){0}, AUTH_MISSING, "missing or expired session");
	refuses(w, Q("token=" KEY), AUTH_MISSING, "missing or expired session");
	assert_true(w->out.token_present);
	assert_false(w->out.cookie_present);
	free(w);
}

static void
test_several_cookie_lines(void **state)
{
	(void)state;
	struct world *w = world(AUTH_SESSION, "", "", false);
	char good[512];
	cookie(good, "one", 1700000001);
	struct head_field field[] = {{SPAN_LIT("cookie"), SPAN_LIT("x=y")},
	        {SPAN_LIT("COOKIE"), SPAN_NONE}, {SPAN_LIT("Cookie"), span_str("aero_session=")}};
	struct head h = {.field = field, .n = 3};
	char line[600];
	snprintf(line, sizeof line, "aero_session=%s", good);
	field[1].value = span_str(line);
	auth_check(&w->auth, &h, ORIGIN, NOW, &w->room, &w->out);
	assert_int_equal(w->out.refusal.why, REFUSAL_NONE);
	field[1].value = field[2].value;
	field[2].value = span_str(line);
	auth_check(&w->auth, &h, ORIGIN, NOW, &w->room, &w->out);
	assert_int_equal(w->out.refusal.why, REFUSAL_AUTH);
	free(w);
}

static void
test_jwt_carriers(void **state)
{
	(void)state;
	struct world *w = world(AUTH_JWT, "", "", false);
	char good[512], old[512], line[2][1024];
	jwt(good, "j", 1700000001, "");
	jwt(old, "o", 1700000000, "");
	snprintf(line[0], 1024, "bEARER \t %s  ", good);
	accepts(w, B(line[0]), "j");
	snprintf(line[0], 1024, "token=%s", good);
	accepts(w, Q(line[0]), "j");
	snprintf(line[0], 1024, "apiKey=%s", good);
	accepts(w, Q(line[0]), "j");
	snprintf(line[0], 1024, "aero-l2-token.%s", good);
	accepts(w, P(line[0]), "j");
	/* Carriers are tried until one verifies. */
	snprintf(line[1], 1024, "Bearer %s", old);
	accepts(w, (struct ask){.bearer = line[1], .query = "token=x", .protocol = line[0]}, "j");
	refuses(w, B(line[1]), AUTH_BAD_JWT, "invalid jwt");
	snprintf(line[0], 1024, "Bearer %s x", good);
	refuses(w, B(line[0]), AUTH_MISSING, "invalid jwt");
	snprintf(line[0], 1024, "Basic %s", good);
	refuses(w, B(line[0]), AUTH_MISSING, "invalid jwt");
	snprintf(line[0], 1024, "Bearer%s", good);
	refuses(w, B(line[0]), AUTH_MISSING, "invalid jwt");
	refuses(w, B("Bearer"), AUTH_MISSING, "invalid jwt");
	refuses(w, B("Bearer "), AUTH_MISSING, "invalid jwt");
	refuses(w, Q("token=" KEY), AUTH_BAD_JWT, "invalid jwt"); /* a key is no JWT */
	refuses(w, (struct ask){0}, AUTH_MISSING, "invalid jwt");
	char c[512];
	snprintf(line[0], 1024, "aero_session=%s", cookie(c, "one", 1700000001));
	refuses(w, C(line[0]), AUTH_MISSING, "invalid jwt");
	free(w);
}

static void
test_jwt_rules(void **state)
{
	(void)state;
	struct world *w = world(AUTH_JWT, "me", "you", false);
	char t[512], line[1024];
	static const struct {
		const char *more, *note;
	} bad[] = {
	        {"", " (jwt audience mismatch)"},
	        {",\"aud\":\"other\",\"iss\":\"you\"", " (jwt audience mismatch)"},
	        {",\"aud\":\"me\"", " (jwt issuer mismatch)"},
	        {",\"aud\":\"me\",\"iss\":\"You\"", " (jwt issuer mismatch)"},
	        {",\"aud\":\"me\",\"iss\":\"you\",\"origin\":\"app.test\"",
	                " (jwt origin claim invalid)"},
	        {",\"aud\":\"me\",\"iss\":\"you\",\"origin\":\"\"", " (jwt origin claim invalid)"},
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(line, sizeof line, "token=%s", jwt(t, "j", 1700000001, bad[i].more));
		refuses(w, Q(line), AUTH_BAD_JWT, "invalid jwt");
		assert_string_equal(w->out.note, bad[i].note);
	}
	snprintf(line, sizeof line, "token=%s",
	        jwt(t, "j", 1700000001, ",\"aud\":\"me\",\"iss\":\"you\""));
	accepts(w, Q(line), "j");
	free(w);
}

static void
test_jwt_origin(void **state)
{
	(void)state;
	struct world *w = world(AUTH_JWT, "", "", false), *open = world(AUTH_JWT, "", "", true);
	char t[512], line[1024];
	snprintf(line, sizeof line, "token=%s",
	        jwt(t, "j", 1700000001, ",\"origin\":\"HTTPS://App.test:443/\""));
	accepts(w, Q(line), "j");
	refuses(w, (struct ask){.query = line, .origin = "https://other.test"}, AUTH_JWT_ORIGIN,
	        "invalid jwt");
	/* No usable Origin: the origin check will refuse, unless it is off. */
	accepts(w, (struct ask){.query = line, .origin = ""}, "j");
	accepts(open, Q(line), "j");
	refuses(open, (struct ask){.query = line, .origin = ""}, AUTH_JWT_ORIGIN, "invalid jwt");
	snprintf(line, sizeof line, "token=%s", jwt(t, "j", 1700000001, ""));
	accepts(open, (struct ask){.query = line, .origin = ""}, "j");
	free(w);
	free(open);
}

static void
test_cookie_or_jwt(void **state)
{
	(void)state;
	struct world *w = world(AUTH_COOKIE_OR_JWT, "", "", false);
	char c[512], j[512], good[600], token[600];
	snprintf(good, sizeof good, "aero_session=%s", cookie(c, "c", 1700000001));
	snprintf(token, sizeof token, "token=%s", jwt(j, "j", 1700000001, ""));
	accepts(w, C(good), "c");
	accepts(w, Q(token), "j");
	accepts(w, (struct ask){.cookie = good, .query = token}, "c");
	accepts(w, (struct ask){.cookie = good, .query = "token=junk"}, "c");
	accepts(w, (struct ask){.cookie = "aero_session=x", .query = token}, "j");
	refuses(w, (struct ask){0}, AUTH_MISSING, "missing or invalid auth");
	refuses(w, C("aero_session=x"), AUTH_BAD_COOKIE, "missing or invalid auth");
	refuses(w, C("aero_session="), AUTH_MISSING, "missing or invalid auth");
	refuses(w, Q("token=x"), AUTH_BAD_JWT, "invalid jwt");
	refuses(w, (struct ask){.cookie = "aero_session=x", .query = "apiKey=x"}, AUTH_BAD_JWT,
	        "invalid jwt");
	snprintf(token, sizeof token, "token=%s",
	        jwt(j, "j", 1700000001, ",\"origin\":\"https://other.test\""));
	refuses(w, Q(token), AUTH_JWT_ORIGIN, "invalid jwt");
	accepts(w, (struct ask){.cookie = good, .query = token}, "c");
	free(w);
}

static void
test_session_or_token(void **state)
{
	(void)state;
	struct world *w = world(AUTH_SESSION_OR_TOKEN, "", "", false);
	const char *body = "missing or invalid auth";
	char c[512], good[600];
	snprintf(good, sizeof good, "aero_session=%s", cookie(c, "c", 1700000001));
	accepts(w, C(good), "c");
	accepts(w, Q("token=" KEY), NULL);
	accepts(w, (struct ask){.cookie = good, .query = "token=" KEY}, "c");
	accepts(w, (struct ask){.cookie = good, .query = "token=x"}, "c");
	accepts(w, (struct ask){.cookie = "aero_session=x", .query = "token=" KEY}, NULL);
	refuses(w, (struct ask){0}, AUTH_MISSING, body);
	refuses(w, Q("token=x"), AUTH_BAD_KEY, body);
	refuses(w, C("aero_session=x"), AUTH_BAD_COOKIE, body);
	refuses(w, (struct ask){.cookie = "aero_session=x", .query = "token=x"}, AUTH_BAD_KEY,
	        body);
	w->auth.key = SPAN_LIT(""); /* no key configured: nothing matches, not even nothing */
	refuses(w, Q("token="), AUTH_MISSING, body);
	refuses(w, Q("token=x"), AUTH_BAD_KEY, body);
	free(w);
}

static void
test_session_and_token(void **state)
{
	(void)state;
	struct world *w = world(AUTH_SESSION_AND_TOKEN, "", "", false);
	const char *body = "missing or invalid auth";
	char c[512], good[600];
	snprintf(good, sizeof good, "aero_session=%s", cookie(c, "c", 1700000001));
	accepts(w, (struct ask){.cookie = good, .query = "token=" KEY}, "c");
	accepts(w, (struct ask){.cookie = good, .protocol = "aero-l2-token." KEY}, "c");
	refuses(w, (struct ask){0}, AUTH_MISSING, body);
	refuses(w, C(good), AUTH_MISSING, body);
	refuses(w, Q("token=" KEY), AUTH_MISSING, body);
	refuses(w, (struct ask){.cookie = good, .query = "token=x"}, AUTH_BAD_KEY, body);
	refuses(w, (struct ask){.cookie = "aero_session=x", .query = "token=" KEY}, AUTH_BAD_COOKIE,
	        body);
	refuses(w, (struct ask){.cookie = "aero_session=x", .query = "token=x"}, AUTH_BAD_KEY,
	        body);
	refuses(w, C("aero_session=x"), AUTH_BAD_COOKIE, body);
	free(w);
}

static void
test_long_values(void **state)
{
	(void)state;
	struct world *w = world(AUTH_SESSION_OR_TOKEN, "", "", false);
	char *big = malloc(70001);
	memset(big, 'a', 70000);
	big[70000] = 0;
	memcpy(big, "token=%41", 9);
	refuses(w, Q(big), AUTH_BAD_KEY, "missing or invalid auth");
	memcpy(big, "aero_session=%41", 16);
	refuses(w, C(big), AUTH_BAD_COOKIE, "missing or invalid auth");
	free(big);
	free(w);
}

static void
test_init(void **state)
{
	(void)state;
	static const struct {
		enum auth_mode mode;
		const char *key, *session, *jwt, *error; /* NULL: fine */
	} cases[] = {
	        {AUTH_AUTO, "k", "s", "j", "auth.mode"},
	        {AUTH_NONE, "", "", "", NULL},
	        {AUTH_TOKEN, "", "s", "j", "auth.api-key"},
	        {AUTH_TOKEN, "k", "", "", NULL},
	        {AUTH_SESSION, "k", "", "j", "auth.session-secret"},
	        {AUTH_SESSION, "", "s", "", NULL},
	        {AUTH_JWT, "k", "s", "", "auth.jwt-secret"},
	        {AUTH_JWT, "", "", "j", NULL},
	        {AUTH_COOKIE_OR_JWT, "", "s", "", "auth.jwt-secret"},
	        {AUTH_COOKIE_OR_JWT, "", "", "j", "auth.session-secret"},
	        {AUTH_COOKIE_OR_JWT, "", "s", "j", NULL},
	        {AUTH_SESSION_OR_TOKEN, "", "s", "", NULL},
	        {AUTH_SESSION_OR_TOKEN, "k", "", "", "auth.session-secret"},
	        {AUTH_SESSION_AND_TOKEN, "", "s", "", "auth.api-key"},
	        {AUTH_SESSION_AND_TOKEN, "k", "", "", "auth.session-secret"},
	        {AUTH_SESSION_AND_TOKEN, "k", "s", "", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct auth a;
		struct err e = {0};
		struct auth_conf c = {.mode = cases[i].mode,
		        .api_key = cases[i].key,
		        .session_secret = cases[i].session,
		        .jwt_secret = cases[i].jwt,
		        .jwt_audience = "",
		        .jwt_issuer = ""};
		int rc = auth_init(&a, &c, false, &e);
		if ((rc == 0) != (cases[i].error == NULL) ||
		        (rc && !strstr(e.text, cases[i].error)))
			fail_msg("case %zu: %d %s", i, rc, e.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_none),
	        cmocka_unit_test(test_key_carriers),
	        cmocka_unit_test(test_session),
	        cmocka_unit_test(test_several_cookie_lines),
	        cmocka_unit_test(test_jwt_carriers),
	        cmocka_unit_test(test_jwt_rules),
	        cmocka_unit_test(test_jwt_origin),
	        cmocka_unit_test(test_cookie_or_jwt),
	        cmocka_unit_test(test_session_or_token),
	        cmocka_unit_test(test_session_and_token),
	        cmocka_unit_test(test_long_values),
	        cmocka_unit_test(test_init),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
