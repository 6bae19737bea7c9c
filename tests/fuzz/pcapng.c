#include "wire/pcapng.h"

#include "fuzz.h"

static struct span
same(const struct pcapng_packet *k, uint8_t *b, size_t cap)
{
	struct wr w = wr_init(b, cap);
	pcapng_put_section(&w, &(struct pcapng_section){0});
	pcapng_put_iface(&w, &(struct pcapng_iface){.linktype = 1});
	size_t at = wr_len(&w);
	pcapng_put_packet(&w, k);
	assert(!w.bad && wr_len(&w) - at == pcapng_packet_len(k));
	return span(b, wr_len(&w));
}

/* A packet that was read is written, and read again. */
static void
rewrite(struct pcapng_packet k)
{
	static uint8_t b[1 << 17];
	struct pcapng p;
	struct pcapng_block got;
	if (k.data.n + k.comment.n > 100000)
		return;
	k.iface = 0;
	struct span in = same(&k, b, sizeof b);
	pcapng_init(&p);
	for (int i = 0; i < 3; i++) {
		ssize_t n = pcapng_read(&p, in, &got);
		assert(n > 0);
		in = span_skip(in, (size_t)n);
	}
	assert(in.n == 0 && got.kind == PCAPNG_PACKET && got.packet.ns == k.ns);
	assert(span_eq(got.packet.data, k.data) && got.packet.len == k.len);
	assert(span_eq(got.packet.comment, k.comment) && got.packet.has_flags == k.has_flags);
	assert(got.packet.flags == k.flags && got.packet.drops == k.drops);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span(data, size), name;
	static struct pcapng p, before;
	struct pcapng_block b, early;
	struct ip a;
	pcapng_init(&p);
	for (;;) {
		before = p;
		ssize_t n = pcapng_read(&p, in, &b);
		if (n <= 0) {
			assert(n == 0 || (b.kind == PCAPNG_FAULT && b.why));
			break;
		}
		assert((size_t)n <= in.n && n >= 12 && n % 4 == 0);
		/* One byte less, and it must wait. */
		assert(pcapng_read(&before, span_first(in, (size_t)n - 1), &early) == 0);
		assert(before.need == (size_t)n);
		struct span block = span_first(in, (size_t)n);
		if (b.kind == PCAPNG_PACKET) {
			fuzz_inside(b.packet.data, block);
			fuzz_inside(b.packet.comment, block);
			pcapng_linktype(&p, b.packet.iface);
			if (b.packet.timed)
				rewrite(b.packet);
		}
		while (b.kind == PCAPNG_NAMES && pcapng_name(&p, &b.names, &a, &name))
			fuzz_inside(name, block);
		in = span_skip(in, (size_t)n);
	}
	return 0;
}
