#include "wire/checksum.h"

#include "t.h"

/* The definition, word by word. */
static uint16_t
slow(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint64_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void
test_rfc1071(void **state)
{
	(void)state;
	/* RFC 1071 3: the example's words sum to ddf2. */
	struct bytes b = t_hex("00 01 f2 03 f4 f5 f6 f7");
	assert_int_equal(checksum_sum(b.b, b.n), 0xddf2);
	assert_int_equal(checksum_finish(0xddf2), 0x220d);
	assert_int_equal(checksum_sum(NULL, 0), 0);
	assert_int_equal(checksum_sum("\x12", 1), 0x1200);
}

static void
test_lengths_and_alignments(void **state)
{
	(void)state;
	uint64_t seed = 1;
	static uint8_t p[4200];
	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)t_rand(&seed);
	for (size_t n = 0; n < 700; n++)
		for (size_t at = 0; at < 3; at++)
			assert_int_equal(checksum_sum(p + at, n), slow(p + at, n));
	assert_int_equal(checksum_sum(p, sizeof p), slow(p, sizeof p));
}

/* All ones is the case in which lanes grow fastest, here beyond one run of the wide loop. */
static void
test_no_overflow(void **state)
{
	(void)state;
	size_t n = 3 << 20;
	uint8_t *p = malloc(n);
	memset(p, 0xff, n);
	assert_int_equal(checksum_sum(p, n), 0xffff);
	memset(p, 0, n);
	assert_int_equal(checksum_sum(p, n), 0);
	p[n - 2] = 0x80;
	assert_int_equal(checksum_sum(p, n), 0x8000);
	for (size_t i = 0; i < n; i++)
		p[i] = i % 2 ? 0 : 0x80;
	assert_int_equal(checksum_sum(p, n), slow(p, n));
	free(p);
}

static void
test_join_and_iov(void **state)
{
	(void)state;
	uint64_t seed = 2;
	uint8_t p[300];
	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)t_rand(&seed);
	for (size_t cut = 0; cut <= sizeof p; cut++) {
		uint16_t a = checksum_sum(p, cut), b = checksum_sum(p + cut, sizeof p - cut);
		assert_int_equal(checksum_join(a, cut, b), slow(p, sizeof p));
	}
	for (int round = 0; round < 200; round++) {
		struct iovec v[5];
		size_t at = 0;
		for (int i = 0; i < 5; i++) {
			size_t n = i == 4 ? sizeof p - at : t_rand(&seed) % (sizeof p - at + 1);
			v[i] = (struct iovec){p + at, n};
			at += n;
		}
		assert_int_equal(checksum_iov(v, 5), slow(p, sizeof p));
	}
}

/* RFC 1624 4: a field of dd2f, a word that goes from 5555 to 3285, gives 0000. */
static void
test_update(void **state)
{
	(void)state;
	assert_int_equal(checksum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
	uint64_t seed = 3;
	uint8_t p[20];
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < sizeof p; i++)
			p[i] = (uint8_t)t_rand(&seed);
		uint16_t field = checksum_finish(checksum_sum(p, sizeof p));
		uint32_t was = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | p[6] << 8 | p[7];
		uint32_t now = round % 3 ? t_rand(&seed) : round % 2 ? 0 : UINT32_MAX;
		for (int i = 0; i < 4; i++)
			p[4 + i] = (uint8_t)(now >> (24 - 8 * i));
		assert_int_equal(checksum_update32(field, was, now),
		        checksum_finish(checksum_sum(p, sizeof p)));
	}
}

static void
test_pseudo_is_family_blind(void **state)
{
	(void)state;
	struct ip a = ip4(0xc0a80001), b = ip4(0xc0a800c7);
	/* c0a8 + 0001 + c0a8 + 00c7 + 0011 + 000a */
	assert_int_equal(checksum_pseudo(&a, &b, 17, 10), 0x8234);
	struct ip six;
	assert_true(ip_parse(SPAN_LIT("2001:db8::1"), &six));
	/* twice (2001 + 0db8 + 1) + 003a + 0x10000 (length) */
	assert_int_equal(checksum_pseudo(&six, &six, 58, 0x10000), 0x5baf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_rfc1071),
	        cmocka_unit_test(test_lengths_and_alignments),
	        cmocka_unit_test(test_no_overflow),
	        cmocka_unit_test(test_join_and_iov),
	        cmocka_unit_test(test_update),
	        cmocka_unit_test(test_pseudo_is_family_blind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
