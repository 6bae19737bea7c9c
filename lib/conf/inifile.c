/* inih reads lines through our reader, so that we count them and see each one whole before it
 * does. It keeps its settings in variables of the library: they are set to the same constants
 * before every read. It goes on after an error and reports only the first, which is why broken
 * lines are found here and inih is handed an empty line in their place. */
#include "conf/inifile.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <sys/stat.h>

struct reader {
	FILE *f;
	const struct inifile_ops *ops;
	void *arg;
	uint32_t line;
	bool more; /* this line begins with a blank */
};

static void
wrong(struct reader *r, const char *text)
{
	r->ops->wrong(r->arg, r->line, text);
}

/* A whole line into s without its end; false at the end of the file. *n may exceed cap: then the
 * rest was dropped. */
static bool
take_line(FILE *f, char *s, size_t cap, size_t *n)
{
	int c = 0;
	*n = 0;
	while ((c = getc(f)) != EOF && c != '\n') {
		if (*n < cap)
			s[*n] = (char)c;
		++*n;
	}
	return *n || c == '\n';
}

static struct span
skip_blanks(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_skip(s, 1);
	return s;
}

static bool
is_comment(struct span s)
{
	return !s.n || s.p[0] == ';' || s.p[0] == '#';
}

/* NULL when inih will understand the line. */
static const char *
fault(struct span s, bool more)
{
	if (s.n && memchr(s.p, 0, s.n))
		return "contains a NUL byte";
	s = span_trim(s);
	if (is_comment(s) || more)
		return NULL;
	if (s.p[0] != '[')
		return memchr(s.p, '=', s.n) || memchr(s.p, ':', s.n)
		               ? NULL
		               : "is not \"key = value\", \"[section]\" or a comment";
	const uint8_t *end = memchr(s.p, ']', s.n);
	if (!end)
		return "has a '[' without ']'";
	return is_comment(skip_blanks(span_skip(s, (size_t)(end - s.p) + 1)))
	               ? NULL
	               : "has text behind the ']'";
}

static struct span
without_bom(struct span s, uint32_t line)
{
	return line == 1 && span_starts(s, "\xef\xbb\xbf") ? span_skip(s, 3) : s;
}

static char *
next_line(char *s, int num, void *stream)
{
	struct reader *r = stream;
	size_t cap = (size_t)num - 1, n;
	if (!take_line(r->f, s, cap, &n))
		return NULL;
	r->line++;
	if (n && s[(n < cap ? n : cap) - 1] == '\r')
		n--;
	const char *bad = NULL;
	if (n >= cap)
		bad = "is too long (4094 bytes at most); long lists may go one value a line";
	else
		bad = fault(without_bom(span(s, n), r->line), n && (s[0] == ' ' || s[0] == '\t'));
	if (bad) {
		wrong(r, bad);
		n = 0;
	}
	r->more = n && (s[0] == ' ' || s[0] == '\t');
	s[n] = 0;
	return s;
}

/* In the lines that continue a value inih leaves comments alone. */
static struct span
without_comment(struct span s)
{
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == ';' && (s.p[i - 1] == ' ' || s.p[i - 1] == '\t'))
			return span_trim(span_first(s, i));
	return s;
}

static int
on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	struct inifile_value v = {
	        span_str(section), span_str(name), span_str(value), r->line, r->more};
	if (v.more)
		v.text = without_comment(v.text);
	r->ops->value(r->arg, &v);
	return 1;
}

int
inifile_read(const char *path, const struct inifile_ops *ops, void *arg, struct err *e)
{
	struct reader r = {.f = fopen(path, "re"), .ops = ops, .arg = arg};
	struct stat st;
	if (!r.f)
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fileno(r.f), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(r.f);
		return err_set(e, -EISDIR, "%s: %s", path, strerror(EISDIR));
	}
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_initial_alloc = ini_max_line = INIFILE_LINE;
	int rc = ini_parse_stream(next_line, &r, on_value, &r);
	int failed = ferror(r.f) ? EIO : rc < 0 ? ENOMEM : 0;
	fclose(r.f);
	if (rc > 0 && !failed)
		ops->wrong(arg, (uint32_t)rc, "is not understood");
	return failed ? err_set(e, -failed, "%s: %s", path, strerror(failed)) : 0;
}
