/* make: short ways to write what the rules read: option lists and request heads. */
#pragma once

#include "base/mem.h"
#include "conf/opt.h"
#include "policy/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* LIST("a", "b"): a list that was given; LIST() was given but is empty; (struct opt_list){0} was
 * not given. */
#define LIST(...)                                                                     \
	((struct opt_list){                                                           \
	        .v = (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL},          \
	        .n = sizeof((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}) / \
	                     sizeof(char *) -                                         \
	             1,                                                               \
	        .set = true,                                                          \
	})

#define FIELD(n, v)                                         \
	{                                                   \
		{(const uint8_t *)(n), sizeof(n) - 1},      \
		{                                           \
			(const uint8_t *)(v), sizeof(v) - 1 \
		}                                           \
	}
#define HEAD(...)                                                                 \
	((struct head){                                                           \
	        .field = (const struct head_field[]){__VA_ARGS__ __VA_OPT__(, ){  \
	                SPAN_NONE, SPAN_NONE}},                                   \
	        .n = sizeof((const struct head_field[]){                          \
	                     __VA_ARGS__ __VA_OPT__(, ){SPAN_NONE, SPAN_NONE}}) / \
	                     sizeof(struct head_field) -                          \
	             1,                                                           \
	})

static inline struct ip
make_ip(const char *text)
{
	struct ip ip;
	assert_true(ip_parse(span_str(text), &ip));
	return ip;
}

static inline bool
body_is(const char *text, struct span detail, const char *want)
{
	size_t n = strlen(text);
	return strlen(want) == n + detail.n && memcmp(want, text, n) == 0 &&
	       (!detail.n || memcmp(want + n, detail.p, detail.n) == 0);
}
