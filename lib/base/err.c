#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;
	va_list ap;
	va_start(ap, fmt);
	e->code = code;
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return code;
}

int
err_wrap(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;
	char front[256], was[sizeof e->text];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(front, sizeof front, fmt, ap);
	va_end(ap);
	memcpy(was, e->text, sizeof was);
	e->code = code;
	snprintf(e->text, sizeof e->text, "%s: %.*s", front,
	        (int)(sizeof e->text - sizeof front - 3), was);
	return code;
}
