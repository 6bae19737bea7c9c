/* err: one sentence about why a set-up step failed.
 *
 * Order    the first err_set wins the text; callers that know more put it in front with err_wrap.
 * Errors   both return the (negative) number they were given, so `return err_set(e, -EINVAL, ...)`.
 * Memory   embedded by value; texts longer than the field are cut. `e` may be NULL.
 * Used for set-up only: options, files, sockets to listen on. The data path returns errno alone. */
#pragma once

struct err {
	int code; /* negative errno, 0 = none */
	char text[512];
};

int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_wrap(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
