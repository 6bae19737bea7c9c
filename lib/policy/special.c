#include "policy/special.h"

#include "base/mem.h"

#define BOTH (SPECIAL_STACK | SPECIAL_PROXY)
#define V4(a, b, c, d, bits)                                                          \
	{                                                                             \
		{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}, 96 + (bits) \
	}
#define V6(bits, ...)                 \
	{                             \
		{{__VA_ARGS__}}, bits \
	}

/* Narrower ranges before the wider ones that hold them. */
static const struct special table[] = {
        {V4(0, 0, 0, 0, 8), BOTH, "this network", "RFC 791"},
        {V4(10, 0, 0, 0, 8), BOTH, "private use", "RFC 1918"},
        {V4(100, 64, 0, 0, 10), BOTH, "shared address space", "RFC 6598"},
        {V4(127, 0, 0, 0, 8), BOTH, "loopback", "RFC 1122"},
        /* Looks public, and is the hypervisor's own service on every machine of that cloud. */
        {V4(168, 63, 129, 16, 32), SPECIAL_PROXY, "cloud host service", "Azure"},
        {V4(169, 254, 0, 0, 16), BOTH, "link local", "RFC 3927"},
        {V4(172, 16, 0, 0, 12), BOTH, "private use", "RFC 1918"},
        {V4(192, 0, 0, 0, 24), BOTH, "protocol assignments", "RFC 6890"},
        {V4(192, 0, 2, 0, 24), SPECIAL_PROXY, "documentation", "RFC 5737"},
        {V4(192, 88, 99, 0, 24), SPECIAL_PROXY, "6to4 relay anycast", "RFC 7526"},
        {V4(192, 168, 0, 0, 16), BOTH, "private use", "RFC 1918"},
        {V4(198, 18, 0, 0, 15), BOTH, "benchmarking", "RFC 2544"},
        {V4(198, 51, 100, 0, 24), SPECIAL_PROXY, "documentation", "RFC 5737"},
        {V4(203, 0, 113, 0, 24), SPECIAL_PROXY, "documentation", "RFC 5737"},
        {V4(224, 0, 0, 0, 4), BOTH, "multicast", "RFC 5771"},
        {V4(255, 255, 255, 255, 32), BOTH, "limited broadcast", "RFC 8190"},
        {V4(240, 0, 0, 0, 4), BOTH, "reserved", "RFC 1112"},
        {V6(128, 0), BOTH, "unspecified", "RFC 4291"},
        {V6(128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), BOTH, "loopback", "RFC 4291"},
        {V6(64, 0x01, 0), BOTH, "discard only", "RFC 6666"},
        {V6(32, 0x20, 0x01, 0, 0), BOTH, "Teredo", "RFC 4380"},
        {V6(48, 0x20, 0x01, 0, 2, 0, 0), BOTH, "benchmarking", "RFC 5180"},
        {V6(28, 0x20, 0x01, 0, 0x20), BOTH, "ORCHIDv2", "RFC 7343"},
        {V6(23, 0x20, 0x01, 0), BOTH, "protocol assignments", "RFC 2928"},
        {V6(32, 0x20, 0x01, 0x0d, 0xb8), SPECIAL_PROXY, "documentation", "RFC 3849"},
        {V6(20, 0x3f, 0xff, 0), SPECIAL_PROXY, "documentation", "RFC 9637"},
        {V6(16, 0x5f, 0x00), BOTH, "segment routing", "RFC 9602"},
        {V6(7, 0xfc), BOTH, "unique local", "RFC 4193"},
        {V6(10, 0xfe, 0x80), BOTH, "link local", "RFC 4291"},
        {V6(10, 0xfe, 0xc0), BOTH, "site local", "RFC 3879"},
        {V6(8, 0xff), BOTH, "multicast", "RFC 4291"},
};

static const struct special not_global = {V6(0, 0), BOTH, "not global unicast", "RFC 4291"};

const struct special *
special_at(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i] : NULL;
}

/* Where in an IPv6 address four bytes of IPv4 lie, and what is XORed onto them. */
struct layout {
	uint8_t at[4], mask;
};

static const struct layout low32 = {{12, 13, 14, 15}, 0};

struct carrier {
	const char *how;
	struct cidr range;
	bool stands_for;
	uint8_t n;
	struct layout layout[4];
};

static const struct carrier carriers[] = {
        {"NAT64", V6(96, 0, 0x64, 0xff, 0x9b), true, 1, {{{12, 13, 14, 15}, 0}}},
        /* RFC 8215 leaves open which of the lengths of RFC 6052 2.2 is in use. */
        {"local NAT64", V6(48, 0, 0x64, 0xff, 0x9b, 0, 1), true, 4,
                {{{12, 13, 14, 15}, 0}, {{6, 7, 9, 10}, 0}, {{7, 9, 10, 11}, 0},
                        {{9, 10, 11, 12}, 0}}},
        {"6to4", V6(16, 0x20, 0x02), true, 1, {{{2, 3, 4, 5}, 0}}},
        /* The server, and the client's address behind its NAT, inverted (RFC 4380 4). */
        {"Teredo", V6(32, 0x20, 0x01, 0, 0), false, 2,
                {{{4, 5, 6, 7}, 0}, {{12, 13, 14, 15}, 0xff}}},
        {"SIIT", V6(96, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0), true, 1,
                {{{12, 13, 14, 15}, 0}}},
        {"v4-compatible", V6(96, 0), true, 1, {{{12, 13, 14, 15}, 0}}},
};

static struct ip
pick(const struct ip *six, const struct layout *l)
{
	uint32_t v = 0;
	for (size_t i = 0; i < 4; i++)
		v = v << 8 | (uint8_t)(six->b[l->at[i]] ^ l->mask);
	return ip4(v);
}

/* RFC 5214 6.1: interface identifier [00|02]00:5efe:a.b.c.d on any prefix. */
static bool
is_isatap(const struct ip *ip)
{
	return (ip->b[8] & ~2) == 0 && ip->b[9] == 0 && ip->b[10] == 0x5e && ip->b[11] == 0xfe;
}

static void
carry(struct special_embedded *e, const struct carrier *c, const struct ip *ip)
{
	e->how = c->how;
	e->stands_for = c->stands_for;
	for (size_t i = 0; i < c->n; i++) {
		struct ip v4 = pick(ip, &c->layout[i]);
		/* Of several possible places those that hold 0.x.y.z are not in use. */
		if (c->n <= 2 || ip_u32(&v4) >> 24 != 0)
			e->ip[e->n++] = v4;
	}
	if (!e->n)
		e->ip[e->n++] = pick(ip, &low32);
}

struct special_embedded
special_embedded(const struct ip *ip)
{
	struct special_embedded e = {0};
	if (ip_is4(ip))
		return e;
	for (size_t i = 0; i < ARRAY_LEN(carriers) && !e.how; i++)
		if (cidr_has(&carriers[i].range, ip))
			carry(&e, &carriers[i], ip);
	if (is_isatap(ip)) {
		e.how = e.how ? e.how : "ISATAP";
		e.ip[e.n++] = pick(ip, &low32);
	}
	return e;
}

static const struct special *
find_plain(const struct ip *ip, unsigned view)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if ((table[i].view & view) && cidr_has(&table[i].range, ip))
			return &table[i];
	return NULL;
}

const struct special *
special_find(const struct ip *ip, unsigned view, struct ip *judged)
{
	const struct special *s = find_plain(ip, view);
	*judged = *ip;
	if (s || ip_is4(ip))
		return s;
	struct special_embedded e = special_embedded(ip);
	for (size_t i = 0; i < e.n; i++)
		if ((s = find_plain(&e.ip[i], view))) {
			*judged = e.ip[i];
			return s;
		}
	return e.stands_for || (ip->b[0] & 0xe0) == 0x20 ? NULL : &not_global;
}
