/* A list of domains and a name: the table must agree with a plain search. Then the same bytes as
 * what a proxy says about a client. First line: entries, separated by commas; second: the name. */
#include "policy/clientip.h"
#include "policy/host.h"
#include "policy/hostname.h"
#include "policy/names.h"

#include "fuzz.h"

#define ENTRIES 16

static bool
covers(const char *entry, const char *name)
{
	bool below = strncmp(entry, "*.", 2) == 0;
	struct span e = span_trim(span_str(below ? entry + 2 : entry));
	char text[HOST_NAME_MAX_LEN + 1];
	while (e.n && e.p[0] == '.')
		e = span_skip(e, 1);
	if (!host_lower(e, text) || !text[0])
		return false;
	size_t n = strlen(name), m = strlen(text);
	if (n == m)
		return !below && strcmp(name, text) == 0;
	return n > m && name[n - m - 1] == '.' && strcmp(name + n - m, text) == 0;
}

static void
check_names(const struct opt_list *l, struct span name)
{
	struct names t;
	char text[HOST_NAME_MAX_LEN + 1];
	if (names_load(&t, NAMES_DOMAINS, l, "x", NULL) == 0 && host_lower(name, text) &&
	        strlen(text) == name.n) {
		bool want = false;
		for (uint32_t i = 0; i < l->n; i++)
			want = want || covers(l->v[i], text);
		uint32_t got = names_match(&t, span_str(text));
		assert((got != NAMES_NO_MATCH) == want);
		assert(!want || covers(l->v[got], text));
	}
	names_fini(&t);
}

static void
check_proxy(struct span value)
{
	struct head_field field[] = {{SPAN_LIT("forwarded"), value},
	        {SPAN_LIT("x-forwarded-for"), value}, {SPAN_LIT("host"), value}};
	struct head h = {.field = field, .n = 3, .query = value};
	struct cidr all = {.bits = 0};
	struct clientip_rules r = {.trust = true};
	clientip_of(&r, &h);
	r.proxies = &all;
	r.n_proxies = 1;
	for (r.header = CLIENTIP_FORWARDED; r.header <= CLIENTIP_XFF; r.header++)
		clientip_of(&r, &h);
	char *entry[] = {(char *)"a.test"};
	struct hostname_rules names = {.trust_proxy = true, .n = 1, .list = entry};
	struct hostname_result out;
	hostname_check(&names, &h, "", &out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span name = span(p, n), line, item;
	char *v[ENTRIES];
	struct opt_list l = {.v = (const char *const *)v, .set = true};
	check_proxy(name);
	if (!span_split(&name, '\n', &line))
		return 0;
	/* Options are C strings; blank at the ends is cut where they are read. */
	while (l.n < ENTRIES && span_split(&line, ',', &item))
		v[l.n++] = span_dup(span_trim(item));
	check_names(&l, name);
	for (uint32_t i = 0; i < l.n; i++)
		free(v[i]);
	return 0;
}
