#include "net/resolve.h"

#include "tests/unit/net/dnsstub.h"

#include <sys/stat.h>

struct ask {
	struct resolve_req *req;
	struct resolve_addrs *areq;
	int done, status;
	bool cached;
	size_t n, n_addr;
	struct dnsmsg m;
	uint8_t msg[65536];
	struct ip addr[32];
	struct rig *again; /* ask once more inside the callback */
};

struct rig {
	struct worker w;
	struct dnsstub stub;
	struct shard shard;
	struct resolve *r;
	struct ask a, b;
};

static const struct resolve_conf usual = {.servers = "",
        .timeout_ms = 2000,
        .tries = 2,
        .max_ttl_s = 300,
        .negative_ttl_s = 30,
        .default_ttl_s = 60,
        .hosts_ttl_s = 61,
        .max_entries = 100,
        .max_bytes = 1 << 20,
        .max_lookups = 50,
        .hosts_file = true,
        .hosts_path = "/nonexistent/hosts"};

static void
start_with(struct rig *r, struct resolve_conf conf, int family)
{
	struct err e = {0};
	memset(r, 0, sizeof *r);
	loop_open(&r->w);
	dnsstub_open(&r->stub, &r->w, family);
	assert_int_equal(shard_new(&r->shard, &(struct shard_conf){.workers = 1}), 0);
	conf.shard = &r->shard;
	if (!conf.servers[0])
		conf.servers = r->stub.text;
	assert_int_equal(resolve_new(&r->w, &conf, &r->r, &e), 0);
}

static void
start(struct rig *r)
{
	start_with(r, usual, AF_INET);
}

static void
end(struct rig *r)
{
	if (r->r)
		resolve_free(r->r);
	dnsstub_close(&r->stub);
	shard_free(&r->shard);
	loop_close(&r->w);
}

static uint64_t
counted(const struct rig *r, enum metric m)
{
	return r->shard.mine->metric[m];
}

static int query(struct rig *r, struct ask *a, const char *name, uint16_t type);

static void
on_answer(void *user, const struct resolve_answer *x)
{
	struct ask *a = user;
	a->req = NULL;
	a->done++;
	a->status = x->status;
	a->cached = x->cached;
	a->n = x->msg.n;
	struct rig *again = a->again;
	a->again = NULL;
	if (again)
		assert_int_equal(query(again, &again->b, "three.test", DNS_A), 0);
	if (x->msg.n) {
		memcpy(a->msg, x->msg.p, x->msg.n);
		assert_int_equal(dns_parse(span(a->msg, a->n), &a->m), 0);
		assert_int_equal(a->m.id, 0);
	}
}

static int
query(struct rig *r, struct ask *a, const char *name, uint16_t type)
{
	struct dnsname n;
	assert_int_equal(dnsname_parse(span_str(name), &n), 0);
	a->done = 0;
	return resolve_query(r->r, &n, type, DNS_IN, false, 0, on_answer, a, &a->req);
}

static void
ask(struct rig *r, struct ask *a, const char *name, uint16_t type)
{
	assert_int_equal(query(r, a, name, type), 0);
	assert_int_equal(a->done, 0); /* never from inside the call */
	LOOP_UNTIL(&r->w, a->done);
	assert_int_equal(a->done, 1);
}

/* The i-th answer's TTL, and its address if it has one. */
static uint32_t
ttl_of(const struct ask *a, int i, struct ip *ip)
{
	struct dnswalk w;
	struct dnsrr rr;
	struct ip unused;
	dns_walk(&w, &a->m);
	for (int k = 0; k <= i; k++)
		assert_int_equal(dns_next(&w, &rr), 1);
	dns_rr_ip(&rr, ip ? ip : &unused);
	return rr.ttl;
}

static void
expect_a(const struct ask *a, int i, uint32_t addr)
{
	struct ip ip = {0};
	ttl_of(a, i, &ip);
	assert_true(ip_is4(&ip));
	assert_int_equal(ip_u32(&ip), addr);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void
test_found(void **state)
{
	(void)state;
	static const int family[] = {AF_INET, AF_INET6};
	for (int i = 0; i < 2; i++) {
		struct rig r;
		start_with(&r, usual, family[i]);
		ask(&r, &r.a, "three.test", DNS_A);
		assert_int_equal(r.a.status, 0);
		assert_false(r.a.cached);
		assert_int_equal(r.a.m.count[DNS_ANSWER], 3);
		for (int k = 0; k < 3; k++)
			expect_a(&r.a, k, 0xc0000201 + (uint32_t)k);
		assert_int_equal(ttl_of(&r.a, 0, NULL), 60);
		ask(&r, &r.a, "some.test", DNS_TXT);
		assert_int_equal(r.a.m.count[DNS_ANSWER], 1);
		ask(&r, &r.a, "chain.test", DNS_A);
		assert_int_equal(r.a.m.count[DNS_ANSWER], 2);
		expect_a(&r.a, 1, 0xc0000207);
		end(&r);
	}
}

static void
test_kinds_of_no(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	ask(&r, &r.a, "nx.test", DNS_A);
	assert_int_equal(r.a.status, 0);
	assert_int_equal(r.a.m.rcode, DNS_NXDOMAIN);
	assert_int_equal(r.a.m.count[DNS_AUTHORITY], 1);
	ask(&r, &r.a, "nodata.test", DNS_A);
	assert_int_equal(r.a.status, 0);
	assert_int_equal(r.a.m.rcode, DNS_NOERROR);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 0);
	ask(&r, &r.a, "fail.test", DNS_A);
	assert_int_equal(r.a.status, -EIO);
	assert_int_equal(r.a.n, 0);
	ask(&r, &r.a, "refuse.test", DNS_A);
	assert_int_equal(r.a.status, -EIO);
	ask(&r, &r.a, "junk.test", DNS_A);
	assert_int_equal(r.a.status, -EIO);
	assert_int_equal(counted(&r, M_DNS_UPSTREAM_FAILED), 3);
	end(&r);
}

static void
test_odd_names_pass(void **state)
{
	(void)state;
	struct rig r;
	struct dnsname odd = {.n = 8, .b = "\003a\0.\002\xff\\"};
	char text[DNSNAME_TEXT];
	start(&r);
	assert_int_equal(
	        resolve_query(r.r, &odd, DNS_TXT, DNS_IN, false, 0, on_answer, &r.a, &r.a.req), 0);
	LOOP_UNTIL(&r.w, r.a.done);
	assert_int_equal(r.a.status, 0);
	assert_true(dnsname_eq(&r.a.m.name, &odd));
	assert_string_equal(dnsname_text(&r.a.m.name, text), "a\\000\\..\\255\\\\");
	struct dnsname root = {.n = 1};
	assert_int_equal(
	        resolve_query(r.r, &root, DNS_NS, DNS_IN, false, 0, on_answer, &r.a, &r.a.req), 0);
	r.a.done = 0;
	LOOP_UNTIL(&r.w, r.a.done);
	assert_int_equal(r.a.status, 0);
	end(&r);
}

static void
test_truncated_is_asked_again_over_tcp(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	ask(&r, &r.a, "big.test", DNS_TXT);
	assert_int_equal(r.a.status, 0);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 100);
	assert_int_equal(r.stub.asked_tcp, 1);
	ask(&r, &r.a, "edns1200.test", DNS_TXT);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 5);
	assert_int_equal(r.stub.asked_tcp, 1); /* fits what our OPT says */
	end(&r);
}

static void
test_servers_without_edns(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	r.stub.without_edns = true;
	for (int i = 0; i < 4; i++) {
		static const char *const name[] = {"a.test", "b.test", "nx.test", "c.test"};
		ask(&r, &r.a, name[i], DNS_A);
		assert_int_equal(r.a.status, 0);
		assert_int_equal(r.a.m.rcode, i == 2 ? DNS_NXDOMAIN : DNS_NOERROR);
	}
	assert_true(r.stub.asked <= 6); /* it is remembered */
	end(&r);
}

static void
test_dnssec_bits(void **state)
{
	(void)state;
	struct rig r;
	struct dnsname n;
	start(&r);
	dnsname_parse(SPAN_LIT("a.test"), &n);
	ask(&r, &r.a, "a.test", DNS_A);
	assert_false(r.stub.saw_do || r.stub.saw_cd);
	r.a.done = 0;
	assert_int_equal(
	        resolve_query(r.r, &n, DNS_A, DNS_IN, true, 0, on_answer, &r.a, &r.a.req), 0);
	LOOP_UNTIL(&r.w, r.a.done);
	assert_false(r.a.cached); /* another question */
	assert_true(r.stub.saw_do && r.stub.saw_cd);
	end(&r);
}

/* --- cache ------------------------------------------------------------------------------------ */

static void
test_cached(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	ask(&r, &r.a, "three.test", DNS_A);
	ask(&r, &r.a, "THREE.Test", DNS_A);
	assert_true(r.a.cached);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 3);
	assert_int_equal(r.stub.asked, 1);
	ask(&r, &r.a, "nx.test", DNS_A);
	ask(&r, &r.a, "nx.test", DNS_A);
	assert_true(r.a.cached);
	assert_int_equal(r.a.m.rcode, DNS_NXDOMAIN);
	assert_int_equal(r.stub.asked, 2);
	ask(&r, &r.a, "three.test", DNS_TXT);
	assert_false(r.a.cached);
	ask(&r, &r.a, "fail.test", DNS_A);
	ask(&r, &r.a, "fail.test", DNS_A);
	assert_false(r.a.cached);
	ask(&r, &r.a, "bare.test", DNS_A); /* without SOA: RFC 2308 5 */
	ask(&r, &r.a, "bare.test", DNS_A);
	assert_false(r.a.cached);
	assert_int_equal(counted(&r, M_DNS_CACHE_HITS), 2);
	assert_int_equal(counted(&r, M_DNS_CACHE_ENTRIES), 3);
	end(&r);
}

static void
test_ttls(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	start(&r);
	ask(&r, &r.a, "long.test", DNS_A);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 300);
	ask(&r, &r.a, "zero.test", DNS_A);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 60);
	ask(&r, &r.a, "zero.test", DNS_A);
	assert_true(r.a.cached);
	ask(&r, &r.a, "nx.test", DNS_A);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 30);
	ask(&r, &r.a, "brief.test", DNS_A);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 1);
	loop_for(&r.w, 20);
	ask(&r, &r.a, "brief.test", DNS_A);
	assert_true(r.a.cached);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 0); /* rounded down */
	loop_for(&r.w, 1000);
	ask(&r, &r.a, "brief.test", DNS_A);
	assert_false(r.a.cached);
	ask(&r, &r.a, "long.test", DNS_A);
	assert_true(r.a.cached);
	assert_in_range(ttl_of(&r.a, 0, NULL), 297, 299);
	end(&r);
	conf.default_ttl_s = 0;
	start_with(&r, conf, AF_INET);
	ask(&r, &r.a, "zero.test", DNS_A);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 0);
	ask(&r, &r.a, "zero.test", DNS_A);
	assert_false(r.a.cached);
	end(&r);
}

static void
test_cache_is_bounded(void **state)
{
	(void)state;
	static const char *const name[] = {"a.test", "b.test", "a.test"};
	static const struct {
		uint32_t entries;
		int asked;
	} want[] = {{0, 3}, {1, 3}, {2, 2}};
	for (int i = 0; i < 3; i++) {
		struct rig r;
		struct resolve_conf conf = usual;
		conf.max_entries = want[i].entries;
		start_with(&r, conf, AF_INET);
		for (int k = 0; k < 3; k++)
			ask(&r, &r.a, name[k], DNS_A);
		assert_int_equal(r.stub.asked, want[i].asked);
		assert_true(counted(&r, M_DNS_CACHE_ENTRIES) <= want[i].entries);
		end(&r);
	}
	/* An answer that would fill a good part of it is not kept. */
	struct rig r;
	struct resolve_conf conf = usual;
	conf.max_bytes = 65536;
	start_with(&r, conf, AF_INET);
	ask(&r, &r.a, "big.test", DNS_TXT);
	ask(&r, &r.a, "big.test", DNS_TXT);
	assert_false(r.a.cached);
	end(&r);
}

static void
test_cached_only(void **state)
{
	(void)state;
	struct rig r;
	struct dnsname n;
	start(&r);
	dnsname_parse(SPAN_LIT("a.test"), &n);
	assert_int_equal(resolve_query(r.r, &n, DNS_A, DNS_IN, false, RESOLVE_CACHED_ONLY,
	                         on_answer, &r.a, &r.a.req),
	        -ENOENT);
	ask(&r, &r.a, "a.test", DNS_A);
	r.a.done = 0;
	assert_int_equal(resolve_query(r.r, &n, DNS_A, DNS_IN, false, RESOLVE_CACHED_ONLY,
	                         on_answer, &r.a, &r.a.req),
	        0);
	LOOP_UNTIL(&r.w, r.a.done);
	assert_true(r.a.cached);
	end(&r);
}

/* --- under way -------------------------------------------------------------------------------- */

static void
test_same_questions_share(void **state)
{
	(void)state;
	enum { N = 20 };
	struct rig r;
	struct ask *a = calloc(N, sizeof *a);
	start(&r);
	for (int i = 0; i < N; i++)
		assert_int_equal(query(&r, &a[i], i % 2 ? "A.test" : "a.test", DNS_A), 0);
	resolve_cancel(r.r, a[7].req);
	LOOP_UNTIL(&r.w, a[N - 1].done);
	for (int i = 0; i < N; i++)
		assert_int_equal(a[i].done, i != 7);
	assert_int_equal(r.stub.asked, 1);
	assert_int_equal(counted(&r, M_DNS_COALESCED), N - 1);
	free(a);
	end(&r);
}

static void
test_too_many(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	conf.max_lookups = 1;
	start_with(&r, conf, AF_INET);
	assert_int_equal(query(&r, &r.a, "slow.test", DNS_A), 0);
	assert_int_equal(query(&r, &r.b, "b.test", DNS_A), -ENOBUFS);
	assert_int_equal(query(&r, &r.b, "slow.test", DNS_A), 0); /* the same one */
	end(&r);
}

static void
test_timeout(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	conf.timeout_ms = 100;
	start_with(&r, conf, AF_INET);
	uint64_t began = worker_now(&r.w);
	ask(&r, &r.a, "slow.test", DNS_A);
	assert_int_equal(r.a.status, -ETIMEDOUT);
	assert_in_range(worker_now(&r.w) - began, 100, 400);
	assert_int_equal(counted(&r, M_DNS_TIMEOUTS), 1);
	ask(&r, &r.a, "a.test", DNS_A);
	assert_int_equal(r.a.status, 0);
	end(&r);
}

/* Without a limit of ours the servers' is the end. */
static void
test_unlimited(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	conf.timeout_ms = 750;
	conf.tries = 2;
	start_with(&r, conf, AF_INET);
	resolve_conf(r.r)->timeout_ms = 0;
	ask(&r, &r.a, "slow.test", DNS_A);
	assert_int_equal(r.a.status, -ETIMEDOUT);
	assert_int_equal(r.stub.asked, 2);
	end(&r);
}

static void
test_next_server(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	char servers[3 * ADDR_TEXT], dead[ADDR_TEXT], deaf[ADDR_TEXT];
	struct endpoint nobody = loop_closed_port(AF_INET, SOCK_DGRAM), silent;
	int fd = loop_socket(AF_INET, SOCK_DGRAM, &silent);
	start(&r);
	resolve_free(r.r);
	snprintf(servers, sizeof servers, "%s,%s,%s", endpoint_text(&nobody, dead),
	        endpoint_text(&silent, deaf), r.stub.text);
	conf.servers = servers;
	conf.shard = &r.shard;
	struct err e = {0};
	assert_int_equal(resolve_new(&r.w, &conf, &r.r, &e), 0);
	ask(&r, &r.a, "a.test", DNS_A);
	assert_int_equal(r.a.status, 0);
	expect_a(&r.a, 0, 0xc0000201);
	close(fd);
	end(&r);
}

static void
test_no_server(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	char dead[ADDR_TEXT];
	struct endpoint nobody = loop_closed_port(AF_INET, SOCK_DGRAM);
	conf.servers = endpoint_text(&nobody, dead);
	start_with(&r, conf, AF_INET);
	uint64_t began = worker_now(&r.w);
	ask(&r, &r.a, "a.test", DNS_A);
	assert_int_equal(r.a.status, -EIO);
	assert_true(worker_now(&r.w) - began < 500);
	end(&r);
}

static void
test_bad_servers(void **state)
{
	(void)state;
	struct rig r;
	struct err e = {0};
	struct resolve_conf conf = usual;
	start(&r);
	conf.servers = "nonsense:";
	struct resolve *other;
	assert_int_equal(resolve_new(&r.w, &conf, &other, &e), -EINVAL);
	assert_non_null(strstr(e.text, "nonsense:"));
	end(&r);
}

static void
test_asking_inside_an_answer(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	ask(&r, &r.b, "three.test", DNS_A);
	r.b.done = 0;
	r.a.again = &r;
	ask(&r, &r.a, "a.test", DNS_A); /* its bytes are copied after b was asked for */
	expect_a(&r.a, 0, 0xc0000201);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 1);
	LOOP_UNTIL(&r.w, r.b.done);
	assert_true(r.b.cached);
	assert_int_equal(r.b.m.count[DNS_ANSWER], 3);
	end(&r);
}

static void
test_cancel_and_free(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	ask(&r, &r.a, "a.test", DNS_A);
	assert_int_equal(query(&r, &r.a, "a.test", DNS_A), 0); /* waits with its answer */
	resolve_cancel(r.r, r.a.req);
	assert_int_equal(query(&r, &r.a, "b.test", DNS_A), 0); /* not sent yet */
	resolve_cancel(r.r, r.a.req);
	loop_for(&r.w, 20);
	assert_int_equal(r.a.done, 0);
	assert_int_equal(r.stub.asked, 2); /* the answer is good for others */
	assert_int_equal(query(&r, &r.a, "slow.test", DNS_A), 0);
	loop_turn(&r.w);
	assert_int_equal(query(&r, &r.b, "a.test", DNS_A), 0);
	assert_int_equal(query(&r, &r.b, "c.test", DNS_A), 0);
	end(&r);
	assert_int_equal(r.a.done + r.b.done, 0);
}

/* --- names known here ------------------------------------------------------------------------- */

static void
write_hosts(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
}

static void
test_hosts_file(void **state)
{
	(void)state;
	struct rig r;
	struct resolve_conf conf = usual;
	char path[] = "/tmp/hosts-XXXXXX";
	int fd = mkstemp(path);
	close(fd);
	write_hosts(path, "192.0.2.10 box.test box\n2001:db8::10 box.test\n192.0.2.11 box.test\n");
	conf.hosts_path = path;
	start_with(&r, conf, AF_INET);
	ask(&r, &r.a, "BOX.test", DNS_A);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 2);
	expect_a(&r.a, 0, 0xc000020a);
	expect_a(&r.a, 1, 0xc000020b);
	assert_int_equal(ttl_of(&r.a, 0, NULL), 61);
	assert_false(r.a.cached);
	ask(&r, &r.a, "box.test", DNS_AAAA);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 1);
	ask(&r, &r.a, "box", DNS_AAAA); /* exists, without such an address */
	assert_int_equal(r.a.m.rcode, DNS_NOERROR);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 0);
	ask(&r, &r.a, "10.2.0.192.in-addr.arpa", DNS_PTR);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 1);
	struct dnswalk w;
	struct dnsrr rr;
	struct dnsname n;
	size_t at;
	char text[DNSNAME_TEXT];
	dns_walk(&w, &r.a.m);
	assert_int_equal(dns_next(&w, &rr), 1);
	assert_int_equal(dnsname_at(r.a.m.whole, rr.rdata_at, &n, &at), 0);
	assert_string_equal(dnsname_text(&n, text), "box.test");
	assert_int_equal(r.stub.asked, 0);
	ask(&r, &r.a, "box.test", DNS_TXT); /* other types are the servers' business */
	assert_int_equal(r.stub.asked, 1);
	unlink(path);
	end(&r);
}

static void
test_localhost(void **state)
{
	(void)state;
	struct rig r;
	start(&r);
	ask(&r, &r.a, "localhost", DNS_A);
	expect_a(&r.a, 0, 0x7f000001);
	ask(&r, &r.a, "anything.LOCALHOST", DNS_AAAA);
	assert_int_equal(r.a.m.count[DNS_ANSWER], 1);
	assert_int_equal(r.stub.asked, 0);
	end(&r);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void
on_addrs(void *user, int status, const struct ip *addr, size_t n)
{
	struct ask *a = user;
	a->areq = NULL;
	a->done++;
	a->status = status;
	a->n_addr = n;
	memcpy(a->addr, addr, n * sizeof *addr);
}

static void
addrs(struct rig *r, const char *name, int status, size_t n)
{
	r->a.done = 0;
	assert_int_equal(resolve_addrs(r->r, name, on_addrs, &r->a, &r->a.areq), 0);
	assert_int_equal(r->a.done, 0);
	LOOP_UNTIL(&r->w, r->a.done);
	assert_int_equal(r->a.status, status);
	assert_int_equal(r->a.n_addr, n);
}

static void
test_addresses(void **state)
{
	(void)state;
	struct rig r;
	struct ip six;
	start(&r);
	addrs(&r, "three.test", 0, 3);
	assert_int_equal(ip_u32(&r.a.addr[2]), 0xc0000203);
	addrs(&r, "chain.test.", 0, 1);
	assert_int_equal(ip_u32(&r.a.addr[0]), 0xc0000207);
	addrs(&r, "six.test", 0, 1);
	ip_parse(SPAN_LIT("2001:db8::6"), &six);
	assert_true(ip_eq(&r.a.addr[0], &six));
	addrs(&r, "192.0.2.99", 0, 1);
	assert_int_equal(ip_u32(&r.a.addr[0]), 0xc0000263);
	addrs(&r, "localhost", 0, 1);
	addrs(&r, "nx.test", -ENOENT, 0);
	addrs(&r, "nodata.test", -ENOENT, 0);
	addrs(&r, "fail.test", -EIO, 0);
	assert_int_equal(resolve_addrs(r.r, "bad..name", on_addrs, &r.a, &r.a.areq), -EINVAL);
	assert_int_equal(resolve_addrs(r.r, "", on_addrs, &r.a, &r.a.areq), -EINVAL);
	r.a.done = 0;
	static const char *const cancel[] = {"192.0.2.1", "slow.test", "three.test"};
	for (int i = 0; i < 3; i++) {
		assert_int_equal(resolve_addrs(r.r, cancel[i], on_addrs, &r.a, &r.a.areq), 0);
		if (i == 1)
			loop_turn(&r.w);
		resolve_addrs_cancel(r.a.areq);
	}
	loop_for(&r.w, 10);
	assert_int_equal(r.a.done, 0);
	end(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_found),
	        cmocka_unit_test(test_kinds_of_no),
	        cmocka_unit_test(test_odd_names_pass),
	        cmocka_unit_test(test_truncated_is_asked_again_over_tcp),
	        cmocka_unit_test(test_servers_without_edns),
	        cmocka_unit_test(test_dnssec_bits),
	        cmocka_unit_test(test_cached),
	        cmocka_unit_test(test_ttls),
	        cmocka_unit_test(test_cache_is_bounded),
	        cmocka_unit_test(test_cached_only),
	        cmocka_unit_test(test_same_questions_share),
	        cmocka_unit_test(test_too_many),
	        cmocka_unit_test(test_timeout),
	        cmocka_unit_test(test_unlimited),
	        cmocka_unit_test(test_next_server),
	        cmocka_unit_test(test_no_server),
	        cmocka_unit_test(test_bad_servers),
	        cmocka_unit_test(test_asking_inside_an_answer),
	        cmocka_unit_test(test_cancel_and_free),
	        cmocka_unit_test(test_hosts_file),
	        cmocka_unit_test(test_localhost),
	        cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
