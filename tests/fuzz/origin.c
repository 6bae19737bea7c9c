/* Whatever normalises is a fixed point of normalising, and a host typed by hand never crashes. */
#include "policy/host.h"
#include "policy/hostname.h"
#include "policy/origin.h"

#include "fuzz.h"

static void
check_origin(struct span in)
{
	char once[ORIGIN_TEXT], twice[ORIGIN_TEXT];
	if (!origin_normalise(in, once))
		return;
	assert(origin_normalise(span_str(once), twice));
	assert(strcmp(once, twice) == 0);
	if (strcmp(once, "null") == 0)
		return;
	bool https = strncmp(once, "https", 5) == 0;
	const char *host = strchr(once, ':') + 3;
	assert(origin_host(span_str(host), https, twice));
	assert(strcmp(host, twice) == 0);
}

static void
check_hostname(struct span in, bool https)
{
	char once[HOSTNAME_TEXT], twice[HOSTNAME_TEXT];
	if (!hostname_normalise(in, https, once))
		return;
	/* One pair of quotes is cut a time, so only what has none left is a fixed point. */
	if (strchr(once, '"'))
		return;
	assert(hostname_normalise(span_str(once), https, twice));
	assert(strcmp(once, twice) == 0);
}

static void
check_host(struct span in)
{
	struct host h = host_classify(in);
	if (h.kind != HOST_NAME)
		return;
	struct host again = host_classify(span_str(h.name));
	assert(again.kind == HOST_NAME && strcmp(h.name, again.name) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct span in = span(p, n);
	check_origin(in);
	check_hostname(in, false);
	check_hostname(in, true);
	check_host(in);
	return 0;
}
