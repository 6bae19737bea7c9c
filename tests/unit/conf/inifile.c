#include "conf/inifile.h"

#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void
on_value(void *arg, const struct inifile_value *v)
{
	buf_addf(arg, "%u%s [%.*s] %.*s=", v->line, v->more ? "+" : "", (int)v->section.n,
	        v->section.p, (int)v->key.n, v->key.p);
	if (v->text.n > 100)
		buf_addf(arg, "<%zu>", v->text.n);
	else
		buf_add(arg, v->text);
	buf_addc(arg, '|');
}

static void
on_wrong(void *arg, uint32_t line, const char *text)
{
	buf_addf(arg, "%u!%.20s|", line, text);
}

static void
reads(struct span text, const char *want)
{
	static const struct inifile_ops ops = {on_value, on_wrong};
	char path[] = "/tmp/inifile-XXXXXX";
	int fd = mkstemp(path);
	struct buf b;
	struct err e = {0};
	assert_true(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
	buf_init(&b, 1 << 20);
	int r = inifile_read(path, &ops, &b, &e);
	unlink(path);
	assert_int_equal(r, 0);
	assert_string_equal(buf_str(&b), want);
	buf_fini(&b);
}

static void
plain(void **state)
{
	(void)state;
	reads(SPAN_LIT(""), "");
	reads(SPAN_LIT("\n\n"), "");
	reads(SPAN_LIT("a = 1"), "1 [] a=1|");
	reads(SPAN_LIT("\xef\xbb\xbf[s]\na = 1\n"), "2 [s] a=1|");
	reads(SPAN_LIT("; c\n# c\n[s] ; c\nk= v ; c\nl = v;c\nm = #v\n"),
	        "4 [s] k=v|5 [s] l=v;c|6 [s] m=#v|");
	reads(SPAN_LIT("[s]\r\nk = v\r\n l\r\n"), "2 [s] k=v|3+ [s] k=l|");
	reads(SPAN_LIT("[s]\nurl: http://x=1\nk =\n"), "2 [s] url=http://x=1|3 [s] k=|");
	reads(SPAN_LIT("[a]\nx=1\n[b]\nx=2"), "2 [a] x=1|4 [b] x=2|");
}

static void
continued(void **state)
{
	(void)state;
	reads(SPAN_LIT("[s]\nlist =\n  one\n\ttwo, three ; c\n  # c\n\n  four\nk = v\n"),
	        "2 [s] list=|3+ [s] list=one|4+ [s] list=two, three|7+ [s] list=four|8 [s] k=v|");
	reads(SPAN_LIT("[s]\na = 1\n  b = 2\n"), "2 [s] a=1|3+ [s] a=b = 2|");
}

static void
broken(void **state)
{
	(void)state;
	reads(SPAN_LIT("[s\nk = v\n"), "1!has a '[' without ']|2 [] k=v|");
	reads(SPAN_LIT("[s] x = 1\nk = v\n"), "1!has text behind the |2 [] k=v|");
	reads(SPAN_LIT("[s]\nword\nk = v\nword2\n"),
	        "2!is not \"key = value\"|3 [s] k=v|4!is not \"key = value\"|");
	reads(SPAN_LIT("[s]\nk = a\0b\nl = 1\n"), "2!contains a NUL byte|3 [s] l=1|");
}

static void
long_lines(void **state)
{
	(void)state;
	/* inih would cut at 200 bytes and go on with the rest as if it were a line. */
	struct buf b;
	buf_init(&b, 1 << 20);
	buf_adds(&b, "[s]\nk = ");
	for (int i = 0; i < 1000; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "\nl = 1\n");
	reads(buf_span(&b), "2 [s] k=<1000>|3 [s] l=1|");

	/* The longest line that fits, then one byte more, then many. */
	for (int n = 4094; n <= 4096 + 8192; n += n < 4096 ? 1 : 4096) {
		buf_clear(&b);
		buf_adds(&b, "[s]\nk=");
		for (int i = 2; i < n; i++)
			buf_addc(&b, i % 100 ? 'x' : '=');
		buf_adds(&b, "\nl=1\n");
		reads(buf_span(&b), n == 4094 ? "2 [s] k=<4092>|3 [s] l=1|"
		                              : "2!is too long (4094 by|3 [s] l=1|");
	}
	buf_fini(&b);
}

static void
missing(void **state)
{
	(void)state;
	static const struct inifile_ops ops = {on_value, on_wrong};
	struct err e = {0};
	assert_int_equal(inifile_read("/nonexistent/x.ini", &ops, NULL, &e), -ENOENT);
	assert_string_equal(e.text, "/nonexistent/x.ini: No such file or directory");
	assert_int_equal(inifile_read("/tmp", &ops, NULL, &e), -EISDIR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(plain),
	        cmocka_unit_test(continued),
	        cmocka_unit_test(broken),
	        cmocka_unit_test(long_lines),
	        cmocka_unit_test(missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
