/* checksum: the Internet checksum, as partial sums that combine.
 *
 * A partial sum is the folded ones' complement sum of big-endian 16-bit words, not inverted, so
 * header fields are added by value. 0 and 0xffff both mean zero; a sum is 0 only when every byte
 * summed was 0. A last odd byte counts as the high half of a word.
 * Errors   none; any length, any alignment.
 * Thread   none. The AVX2 kernels are chosen at run time where the processor has them.
 * Spec     RFC 1071, RFC 1624. */
#pragma once

#include "base/addr.h"
#include "base/span.h"

#include <sys/uio.h>

uint16_t checksum_sum(const void *p, size_t n);
/* The whole vector as one run of bytes, whatever the parity of its pieces. */
uint16_t checksum_iov(const struct iovec *v, size_t n);
/* The pseudo header of TCP, UDP and ICMPv6 in either family (RFC 9293 3.1, RFC 8200 8.1). Both
 * come to the same formula here: the prefix of a v4-mapped address sums to zero. */
uint16_t checksum_pseudo(const struct ip *src, const struct ip *dst, uint8_t proto, size_t len);

static inline uint16_t
checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static inline uint16_t
checksum_add(uint16_t a, uint16_t b)
{
	return checksum_fold((uint32_t)a + b);
}

/* sum covers `len` bytes; more covers the bytes right behind them. */
static inline uint16_t
checksum_join(uint16_t sum, size_t len, uint16_t more)
{
	return checksum_add(sum, len % 2 ? (uint16_t)(more >> 8 | more << 8) : more);
}

/* The value for the checksum field. A sum that covers a correct field finishes as 0. */
static inline uint16_t
checksum_finish(uint16_t sum)
{
	return (uint16_t)~sum;
}

/* A checksum field after one 16-bit word of what it covers changed (RFC 1624, equation 3). */
static inline uint16_t
checksum_update16(uint16_t field, uint16_t was, uint16_t now)
{
	return (uint16_t)~checksum_fold((uint32_t)(uint16_t)~field + (uint16_t)~was + now);
}

static inline uint16_t
checksum_update32(uint16_t field, uint32_t was, uint32_t now)
{
	field = checksum_update16(field, (uint16_t)(was >> 16), (uint16_t)(now >> 16));
	return checksum_update16(field, (uint16_t)was, (uint16_t)now);
}
