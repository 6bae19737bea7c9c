#include "wire/jsondoc.h"

#include "fuzz.h"

static void
visit(const struct jsondoc *j, unsigned depth)
{
	struct span s;
	double d;
	int64_t i;
	bool b;
	assert(depth <= JSONDOC_DEPTH);
	/* An integer is a number, and nothing is two things. */
	assert(!jsondoc_int(j, &i) || jsondoc_number(j, &d));
	int kinds = jsondoc_string(j, &s) + jsondoc_bool(j, &b) + jsondoc_is_null(j) +
	            jsondoc_is_object(j) + jsondoc_is_array(j);
	assert(kinds <= 1 && !(kinds && jsondoc_number(j, &d)));
	for (const struct jsondoc *it = jsondoc_first(j); it; it = jsondoc_next(it)) {
		if (jsondoc_is_object(j))
			assert(jsondoc_get(j, jsondoc_name(it)));
		visit(it, depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jsondoc *j = jsondoc_parse(span(data, size));
	if (j) {
		assert(jsondoc_is_object(j));
		visit(j, 1);
	}
	jsondoc_free(j);
	return 0;
}
