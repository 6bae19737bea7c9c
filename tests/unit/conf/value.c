#include "conf/value.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct opt_word words[] = {{"none", 7}, {"session", 8}, {"cookie", 8}, {NULL, 0}};

static int
even_length(struct span s, struct err *e)
{
	return s.n % 2 == 0 ? 0 : err_set(e, -EINVAL, "must be of even length");
}

static const struct opt rows[] = {
        [OPT_BOOL] = {.type = OPT_BOOL, .field = "b"},
        [OPT_U32] = {.type = OPT_U32, .field = "u", .min = 2, .max = 9},
        [OPT_U64] = {.type = OPT_U64, .field = "v", .zero = "off"},
        [OPT_MSEC] = {.type = OPT_MSEC, .field = "t", .min = 100, .max = 86400000, .zero = "never"},
        [OPT_SIZE] = {.type = OPT_SIZE, .field = "s", .min = 1, .max = 1 << 20},
        [OPT_STR] = {.type = OPT_STR, .field = "str", .item = even_length},
        [OPT_PATH] = {.type = OPT_PATH, .field = "p"},
        [OPT_SECRET] = {.type = OPT_SECRET, .field = "sec"},
        [OPT_LIST] = {.type = OPT_LIST, .field = "l", .item = even_length, .form = "pairs"},
        [OPT_ENUM] = {.type = OPT_ENUM, .field = "e", .words = words},
        [OPT_ENDPOINT] = {.type = OPT_ENDPOINT, .field = "ep"},
        [OPT_IP] = {.type = OPT_IP, .field = "ip"},
        [OPT_MAC] = {.type = OPT_MAC, .field = "mac"},
};
static const struct opt open_u32 = {.type = OPT_U32, .field = "open"};
static const struct opt seconds = {.type = OPT_MSEC, .field = "sec", .unit = UNIT_S};
static const struct opt any_time = {.type = OPT_MSEC, .field = "any"};
static const struct opt any_size = {.type = OPT_SIZE, .field = "any"};

union field {
	uint8_t room[64];
	bool b;
	uint32_t u32;
	uint64_t u64;
	const char *text;
	struct opt_list list;
	int word;
	struct endpoint ep;
	struct ip ip;
	struct opt_mac mac;
};

/* Reads text as an option; what it then is, written again. "!E..." when refused. */
static void
round_trip(const struct opt *o, const char *in, const char *want)
{
	struct keep k;
	struct err e = {0};
	struct buf b;
	union field f, before;
	keep_init(&k);
	buf_init(&b, 1024);
	memset(&f, 0xa5, sizeof f);
	if (o->type == OPT_LIST)
		memset(&f, 0, sizeof f);
	before = f;
	int r = value_read(o, &(struct value_in){.text = span_str(in)}, &f, &k, &e);
	if (r == 0) {
		value_write(o, &f, &b);
	} else {
		assert_memory_equal(&f, &before, sizeof f);
		assert_int_equal(e.code, r);
		buf_addf(&b, "!%s %s",
		        r == -ERANGE   ? "range"
		        : r == -EINVAL ? "form"
		                       : "?",
		        e.text);
	}
	if (strcmp(buf_str(&b), want) != 0)
		fail_msg("%s: '%s' gave '%s', not '%s'", o->field, in, buf_str(&b), want);
	buf_fini(&b);
	keep_fini(&k);
}

struct row {
	const char *in, *out;
};

static void
all(const struct opt *o, const struct row *r)
{
	for (; r->in; r++)
		round_trip(o, r->in, r->out);
}

static void
booleans(void **state)
{
	(void)state;
	all(&rows[OPT_BOOL],
	        (struct row[]){{"yes", "yes"}, {"TRUE", "yes"}, {"on", "yes"}, {"1", "yes"},
	                {"no", "no"}, {"False", "no"}, {"OFF", "no"}, {"0", "no"},
	                {"", "!form must be yes or no"}, {"2", "!form must be yes or no"},
	                {"yess", "!form must be yes or no"}, {NULL, NULL}});
}

static void
numbers(void **state)
{
	(void)state;
	all(&rows[OPT_U32],
	        (struct row[]){{"2", "2"}, {"9", "9"}, {"007", "7"},
	                {"1", "!range must be a whole number 2..9"},
	                {"0", "!range must be a whole number 2..9"},
	                {"10", "!range must be a whole number 2..9"},
	                {"99999999999999999999999", "!range must be a whole number 2..9"},
	                {"", "!form must be a whole number 2..9"},
	                {"-1", "!form must be a whole number 2..9"},
	                {"+3", "!form must be a whole number 2..9"},
	                {"3x", "!form must be a whole number 2..9"},
	                {"3 ", "!form must be a whole number 2..9"},
	                {"0x3", "!form must be a whole number 2..9"}, {NULL, NULL}});
	all(&open_u32, (struct row[]){{"0", "0"}, {"4294967295", "4294967295"},
	                       {"4294967296", "!range must be a whole number from 0"},
	                       {"x", "!form must be a whole number from 0"}, {NULL, NULL}});
	all(&rows[OPT_U64],
	        (struct row[]){{"0", "off"}, {"off", "off"}, {"OFF", "off"},
	                {"18446744073709551615", "18446744073709551615"},
	                {"18446744073709551616", "!range must be off (0) or a whole number from 1"},
	                {"unlimited", "!form must be off (0) or a whole number from 1"},
	                {NULL, NULL}});
}

static void
durations(void **state)
{
	(void)state;
	const char *range = "!range must be never (0) or a duration 100ms..24h";
	const char *form = "!form must be never (0) or a duration 100ms..24h";
	all(&rows[OPT_MSEC],
	        (struct row[]){{"100", "100ms"}, {"100ms", "100ms"}, {"1500", "1500ms"},
	                {"1s", "1s"}, {"90s", "1m30s"}, {"1m30s", "1m30s"}, {"1M30S", "1m30s"},
	                {"24h", "24h"}, {"1h0m0s1ms", "1h1ms"}, {"0", "never"}, {"never", "never"},
	                {"0s", "never"}, {"99", range}, {"24h1ms", range}, {"99999999999h", range},
	                {"99999999999999999999h", range}, {"", form}, {"s", form}, {"1 s", form},
	                {"1d", form}, {"30s1m", form}, {"1s1s", form}, {"1m30", form},
	                {"1.5s", form}, {"-1s", form}, {"ms", form}, {NULL, NULL}});
	all(&seconds, (struct row[]){{"60", "1m"}, {"60ms", "60ms"}, {"2s", "2s"}, {NULL, NULL}});
	all(&any_time,
	        (struct row[]){{"18446744073709551615", "5124095576030h25m51s615ms"},
	                {"18446744073709551615ms1ms", "!form must be a duration from 0"},
	                {"5124095576030h9999999999999999999ms", "!range must be a duration from 0"},
	                {"5124095576031h", "!range must be a duration from 0"}, {NULL, NULL}});
}

static void
sizes(void **state)
{
	(void)state;
	all(&rows[OPT_SIZE], (struct row[]){{"1", "1"}, {"1B", "1"}, {"1024", "1KiB"},
	                             {"1KiB", "1KiB"}, {"1kib", "1KiB"}, {"1536", "1536"},
	                             {"1MiB", "1MiB"}, {"0", "!range must be a size 1..1MiB"},
	                             {"1MiB1B", "!range must be a size 1..1MiB"},
	                             {"1GiB", "!range must be a size 1..1MiB"},
	                             {"1K", "!form must be a size 1..1MiB"},
	                             {"1KB", "!form must be a size 1..1MiB"},
	                             {"1 KiB", "!form must be a size 1..1MiB"},
	                             {"", "!form must be a size 1..1MiB"}, {NULL, NULL}});
	all(&any_size, (struct row[]){{"17179869183GiB", "17179869183GiB"},
	                       {"17179869184GiB", "!range must be a size from 0"}, {NULL, NULL}});
}

static void
texts(void **state)
{
	(void)state;
	const char *ctl = "!form must not contain control characters";
	all(&rows[OPT_STR], (struct row[]){{"", ""}, {"ab", "ab"}, {"\xc3\xa9", "\xc3\xa9"},
	                            {"abc", "!form must be of even length"}, {"a\n", ctl},
	                            {"\x7f\x7f", ctl}, {NULL, NULL}});
	all(&rows[OPT_PATH],
	        (struct row[]){{"/a b/c", "/a b/c"}, {"", ""}, {"a\tb", ctl}, {NULL, NULL}});
	all(&rows[OPT_SECRET], (struct row[]){{"", ""}, {"hunter2", "(hidden)"}, {NULL, NULL}});
	all(&rows[OPT_ENUM],
	        (struct row[]){{"none", "none"}, {"Cookie", "session"}, {"session", "session"},
	                {"", "!form must be one of none, session"},
	                {"jwt", "!form must be one of none, session"}, {NULL, NULL}});
}

static void
addresses(void **state)
{
	(void)state;
	const char *ep = "!form must be a numeric address and port, IP:PORT or [v6]:PORT";
	const char *mac = "!form must be an Ethernet address of one station like 02:00:00:00:00:01";
	all(&rows[OPT_ENDPOINT],
	        (struct row[]){{"0.0.0.0:8090", "0.0.0.0:8090"}, {"[::1]:0", "[::1]:0"},
	                {"::1:80", ep}, {"localhost:80", ep}, {"1.2.3.4", ep},
	                {"1.2.3.4:65536", ep}, {"", ep}, {NULL, NULL}});
	all(&rows[OPT_IP], (struct row[]){{"10.0.2.2", "10.0.2.2"}, {"fe80::1", "fe80::1"},
	                           {"10.0.2", "!form must be an IP address"}, {NULL, NULL}});
	all(&rows[OPT_MAC],
	        (struct row[]){{"02:00:00:00:00:01", "02:00:00:00:00:01"},
	                {"02-AB-cd-00-00-01", "02:ab:cd:00:00:01"}, {"03:00:00:00:00:01", mac},
	                {"02:00:00:00:00", mac}, {"02:00:00:00:00:0g", mac}, {"020000000001", mac},
	                {"02:00:00:00:00:01:", mac}, {NULL, NULL}});
}

static void
lists(void **state)
{
	(void)state;
	all(&rows[OPT_LIST],
	        (struct row[]){{"", ""}, {" ,,\n, ", ""}, {"ab", "ab"}, {" ab , cd,", "ab,cd"},
	                {"ab\ncd,ef", "ab,cd,ef"}, {"ab,c", "!form 'c': must be of even length"},
	                {"a\x01", "!form must not contain control characters"}, {NULL, NULL}});
}

static void
lists_grow(void **state)
{
	(void)state;
	const struct opt *o = &rows[OPT_LIST];
	struct keep k;
	struct opt_list l = {0}, copy;
	struct err e;
	keep_init(&k);
	for (uint32_t i = 0; i < 1000; i++) {
		char text[8];
		snprintf(text, sizeof text, "%04u", i);
		struct value_in in = {.text = span_str(text), .line = i + 1};
		assert_int_equal(value_read(o, &in, &l, &k, &e), 0);
	}
	assert_int_equal(l.n, 1000);
	for (uint32_t i = 0; i < 1000; i++) {
		char text[8];
		snprintf(text, sizeof text, "%04u", i);
		assert_string_equal(l.v[i], text);
		assert_int_equal(l.line[i], i + 1);
	}
	/* A bad item in the middle adds none of its neighbours. */
	struct value_in bad = {.text = SPAN_LIT("aa,b,cc")};
	assert_int_equal(value_read(o, &bad, &l, &k, &e), -EINVAL);
	assert_int_equal(l.n, 1000);

	value_copy(o, &copy, &l, &k);
	assert_true(copy.v != l.v && copy.v[0] != l.v[0]);
	assert_true(value_equal(o, &l, &copy));
	copy.n--;
	assert_false(value_equal(o, &l, &copy));
	struct opt_list unset = {0}, empty = {.set = true};
	assert_false(value_equal(o, &unset, &empty));
	keep_fini(&k);
}

static void
equality(void **state)
{
	(void)state;
	struct keep k;
	struct err e;
	keep_init(&k);
	static const char *const texts[][3] = {
	        [OPT_BOOL] = {"yes", "on", "no"},
	        [OPT_U32] = {"3", "03", "4"},
	        [OPT_U64] = {"3", "03", "4"},
	        [OPT_MSEC] = {"60s", "1m", "61s"},
	        [OPT_SIZE] = {"1KiB", "1024", "1025"},
	        [OPT_STR] = {"ab", "ab", "cd"},
	        [OPT_PATH] = {"a", "a", "b"},
	        [OPT_SECRET] = {"a", "a", "b"},
	        [OPT_LIST] = {"ab,cd", "ab, cd", "cd,ab"},
	        [OPT_ENUM] = {"cookie", "session", "none"},
	        [OPT_ENDPOINT] = {"1.2.3.4:5", "1.2.3.4:5", "1.2.3.4:6"},
	        [OPT_IP] = {"::1", "0:0::1", "::2"},
	        [OPT_MAC] = {"02:00:00:00:00:0a", "02-00-00-00-00-0A", "02:00:00:00:00:0b"},
	};
	for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
		union field f[3];
		for (int i = 0; i < 3; i++) {
			memset(&f[i], t == OPT_LIST ? 0 : 0x11 * (i + 1), sizeof f[i]);
			struct value_in in = {.text = span_str(texts[t][i])};
			assert_int_equal(value_read(&rows[t], &in, &f[i], &k, &e), 0);
		}
		assert_true(value_equal(&rows[t], &f[0], &f[1]));
		assert_false(value_equal(&rows[t], &f[0], &f[2]));
		union field copy;
		value_copy(&rows[t], &copy, &f[0], &k);
		assert_true(value_equal(&rows[t], &copy, &f[0]));
		assert_true(opt_field_size(rows[t].type) <= sizeof copy);
	}
	keep_fini(&k);
}

static void
names(void **state)
{
	(void)state;
	char out[OPT_NAME];
	struct opt o = {.field = "max_frame_payload"};
	struct opt_section s = {.name = "tunnel"};
	assert_string_equal(opt_name(&s, &o, out), "tunnel.max-frame-payload");
	assert_string_equal(opt_env_name(&s, &o, out), "AERO_TUNNEL_MAX_FRAME_PAYLOAD");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(booleans),
	        cmocka_unit_test(numbers),
	        cmocka_unit_test(durations),
	        cmocka_unit_test(sizes),
	        cmocka_unit_test(texts),
	        cmocka_unit_test(addresses),
	        cmocka_unit_test(lists),
	        cmocka_unit_test(lists_grow),
	        cmocka_unit_test(equality),
	        cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
