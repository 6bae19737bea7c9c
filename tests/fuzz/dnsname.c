/* The first byte says where in a message a name is read; all of it is also a name as text. */
#include "wire/dnsname.h"

#include "fuzz.h"

static void
round_trip(const struct dnsname *d)
{
	struct dnsname again, under = *d;
	char text[DNSNAME_TEXT];
	struct span label;
	struct ip a;
	size_t end, labels = 0;
	assert(d->n >= 1 && d->b[d->n - 1] == 0);
	for (size_t at = 0; dnsname_label(d, &at, &label); labels++)
		fuzz_inside(label, dnsname_span(d));
	assert(labels <= 127);
	assert(strlen(dnsname_text(d, text)) < DNSNAME_TEXT);
	assert(dnsname_parse(span_str(text), &again) == 0);
	assert(span_eq(dnsname_span(&again), dnsname_span(d)));
	dnsname_lower(&under);
	assert(dnsname_eq(&under, d) && dnsname_under(&under, d));
	if (dnsname_to_ip(d, &a)) {
		dnsname_of_ip(&a, &again);
		/* Octets may be written with zeros in front; nibbles only one way. */
		assert(ip_is4(&a) || dnsname_eq(&again, d));
	}
	uint8_t msg[12 + DNSNAME_MOST] = {0};
	memcpy(msg + 12, d->b, d->n);
	assert(dnsname_at(span(msg, 12u + d->n), 12, &again, &end) == 0 && end == 12u + d->n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dnsname d;
	size_t end;
	if (!size)
		return 0;
	if (dnsname_at(span(data, size), data[0], &d, &end) == 0) {
		assert(end > data[0] && end <= size);
		round_trip(&d);
	}
	if (dnsname_parse(span(data + 1, size - 1), &d) == 0)
		round_trip(&d);
	return 0;
}
