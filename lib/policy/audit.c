#include "policy/audit.h"

#include "base/mem.h"

#include <assert.h>

static const struct audit_case cases[] = {
        /* metadata and host services of clouds */
        {"169.254.169.254", NULL, "metadata: AWS, Azure, Google, OpenStack"},
        {"169.254.170.2", NULL, "metadata: AWS containers"},
        {"169.254.170.23", NULL, "metadata: AWS pods"},
        {"100.100.100.200", NULL, "metadata: Alibaba"},
        {"192.0.0.192", NULL, "metadata: Oracle"},
        {"168.63.129.16", NULL, "host services: Azure"},
        {"[fd00:ec2::254]", NULL, "metadata: AWS"},
        {"[fd20:ce::254]", NULL, "metadata: Google"},
        {"[fd00:42::42]", NULL, "metadata: Scaleway"},
        {"metadata.google.internal", "169.254.169.254", "metadata: Google, by name"},
        {"metadata.google.internal.", "169.254.169.254", "metadata: Google, with a dot"},
        {"instance-data", "169.254.169.254", "metadata: AWS, by name"},
        {"metadata", "fd20:ce::254", "metadata: Google, by short name"},
        {"0xa9fea9fe", NULL, "metadata, hex"},
        {"2852039166", NULL, "metadata, 32 bits"},
        {"0251.0376.0251.0376", NULL, "metadata, octal"},
        {"169.254.43518", NULL, "metadata, three parts"},
        {"[::ffff:169.254.169.254]", NULL, "metadata, v4-mapped"},
        {"[64:ff9b::a9fe:a9fe]", NULL, "metadata, NAT64"},
        {"[2002:a9fe:a9fe::1]", NULL, "metadata, 6to4"},
        /* this machine */
        {"127.0.0.1", NULL, "loopback"},
        {"127.255.255.254", NULL, "loopback, the far end"},
        {"127.0.0.1.", NULL, "loopback, trailing dot"},
        {"127.0.0.1..", NULL, "loopback, trailing dots"},
        {"127.1", NULL, "loopback, two parts"},
        {"127.0.1", NULL, "loopback, three parts"},
        {"0177.0.0.1", NULL, "loopback, octal"},
        {"0x7f.0.0.1", NULL, "loopback, hex"},
        {"0x7f.1", NULL, "loopback, hex and short"},
        {"0x7f000001", NULL, "loopback, hex, 32 bits"},
        {"017700000001", NULL, "loopback, octal, 32 bits"},
        {"2130706433", NULL, "loopback, 32 bits"},
        {"00000177.0.0.01", NULL, "loopback, long octal"},
        {"0", NULL, "unspecified, short"},
        {"0.0.0.0", NULL, "unspecified"},
        {"0x", NULL, "unspecified, bare hex"},
        {"localhost", "127.0.0.1", "loopback by name"},
        {"localhost.", "127.0.0.1", "loopback by name, trailing dot"},
        {"LOCALHOST", "::1", "loopback by name, capitals"},
        {"localhost.localdomain", "127.0.0.1", "loopback by long name"},
        {"ip6-localhost", "::1", "loopback by name"},
        {"127.0.0.1.nip.io", "127.0.0.1", "loopback by a public name"},
        {"localtest.me", "127.0.0.1", "loopback by a public name"},
        {"[::1]", NULL, "loopback"},
        {"::1", NULL, "loopback, no brackets"},
        {"[0:0:0:0:0:0:0:1]", NULL, "loopback, spelled out"},
        {"[0000:0000:0000:0000:0000:0000:0000:0001]", NULL, "loopback, spelled out"},
        {"[::]", NULL, "unspecified"},
        {"[::ffff:127.0.0.1]", NULL, "loopback, v4-mapped"},
        {"[::ffff:7f00:1]", NULL, "loopback, v4-mapped, hex"},
        {"[::127.0.0.1]", NULL, "loopback, v4-compatible"},
        {"[::ffff:0:127.0.0.1]", NULL, "loopback, SIIT"},
        {"[64:ff9b::127.0.0.1]", NULL, "loopback, NAT64"},
        {"[64:ff9b:1::127.0.0.1]", NULL, "loopback, local NAT64"},
        {"[64:ff9b:1:7f00:0:100::]", NULL, "loopback, local NAT64 of /48"},
        {"[2002:7f00:1::]", NULL, "loopback, 6to4"},
        {"[2001:0:7f00:1::]", NULL, "loopback, Teredo server"},
        {"[2001:0:4136:e378:8000:63bf:80ff:fffe]", NULL, "loopback, Teredo client"},
        {"[2001:4860::5efe:127.0.0.1]", NULL, "loopback, ISATAP"},
        {"[::1%25lo]", NULL, "loopback with a zone"},
        {"[fe80::1%eth0]", NULL, "link local with a zone"},
        {"fe80::1%1", NULL, "link local with a zone, no brackets"},
        {"１２７.０.０.１", NULL, "loopback, full width"},
        {"127。0。0。1", NULL, "loopback, ideographic dots"},
        {"127｡0．0｡1", NULL, "loopback, half and full width dots"},
        {"①②⑦.⓪.⓪.①", NULL, "loopback, circled"},
        {"𝟏𝟐𝟕.𝟎.𝟎.𝟏", NULL, "loopback, bold"},
        {"¹²⁷.⁰.⁰.¹", NULL, "loopback, raised"},
        {"ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "127.0.0.1", "loopback by name, circled"},
        {"ｌｏｃａｌｈｏｓｔ", "127.0.0.1", "loopback by name, full width"},
        {"user@127.0.0.1", NULL, "loopback behind a user name"},
        {"127.0.0.1%00.example.com", NULL, "loopback behind an escaped NUL"},
        /* networks beside us */
        {"10.0.0.1", NULL, "private"},
        {"10.1", NULL, "private, two parts"},
        {"012.0.0.1", NULL, "private, octal"},
        {"0xa.0.0.1", NULL, "private, hex"},
        {"167772161", NULL, "private, 32 bits"},
        {"172.16.0.1", NULL, "private"},
        {"172.31.255.255", NULL, "private, the far end"},
        {"192.168.0.1", NULL, "private"},
        {"3232235521", NULL, "private, 32 bits"},
        {"[::ffff:c0a8:1]", NULL, "private, v4-mapped, hex"},
        {"[64:ff9b::10.0.0.1]", NULL, "private, NAT64"},
        {"[2002:a00:1::1]", NULL, "private, 6to4"},
        {"100.64.0.1", NULL, "carrier-grade NAT"},
        {"198.18.0.1", NULL, "benchmarking"},
        {"169.254.0.1", NULL, "link local"},
        {"[fe80::1]", NULL, "link local"},
        {"[fc00::1]", NULL, "unique local"},
        {"[fd12:3456:789a::1]", NULL, "unique local"},
        {"[fec0::1]", NULL, "site local"},
        {"host.docker.internal", "172.17.0.1", "container host by name"},
        {"kubernetes.default.svc", "10.96.0.1", "cluster API by name"},
        /* everybody, and nobody */
        {"255.255.255.255", NULL, "broadcast"},
        {"224.0.0.251", NULL, "multicast"},
        {"[ff02::1]", NULL, "multicast"},
        {"240.0.0.1", NULL, "reserved"},
        {"[100::1]", NULL, "discard"},
        {"[4000::1]", NULL, "not allocated"},
};

const struct audit_case *
audit_at(size_t i)
{
	return i < ARRAY_LEN(cases) ? &cases[i] : NULL;
}

struct audit_result
audit_try(const struct egress *g, const struct audit_case *c)
{
	struct audit_result r = {.host = host_classify(span_str(c->text))};
	struct egress_query q = {.kind = EGRESS_DIAL};
	r.unusable = r.host.kind == HOST_BAD;
	if (r.unusable)
		return r;
	if (r.host.kind == HOST_NAME) {
		r.verdict = egress_name(g, span_str(r.host.name), NULL);
		if (!r.verdict.allow)
			return r;
		q.kind = EGRESS_ANSWER;
		bool known = c->address && ip_parse(span_str(c->address), &q.dst.ip);
		assert(known);
	} else {
		q.dst.ip = r.host.ip;
	}
	r.verdict = egress_addr(g, &q, NULL);
	return r;
}
