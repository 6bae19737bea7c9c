/* A question is a key (lower-case name, type, class, DNSSEC). For each key there is at most one
 * lookup, on which all who asked wait; what comes back is cached and handed to each. Answers from
 * the cache wait for the next turn of the loop too, so a callback never runs inside the question.
 */
#include "net/resolve.h"

#include "net/dnscache.h"
#include "net/hosts.h"
#include "net/nameserver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define EDNS_SIZE 1232
#define EDNS_AGAIN_MS (10 * 60 * 1000)
#define HOSTS_LOOK_MS 5000
#define MESSAGE_MOST 65535
#define TRY_LEAST_MS 250
#define TRY_MOST_MS 5000

struct resolve {
	struct worker *w;
	struct resolve_conf conf;
	struct nameserver *servers;
	struct hosts *hosts;
	struct timespec hosts_mtime;
	uint64_t hosts_look_at; /* when to see whether the file has changed */
	uint64_t no_edns_until; /* a server did not understand it */
	struct dnscache cache;
	struct hash lookups; /* by key, of the cache's hash */
	struct list all;     /* lookups, oldest first */
	struct list ready;   /* requests whose answer is in the cache */
	struct list unsent;  /* lookups that go out in the next turn */
	uint32_t n_lookups;
	struct later later;
	uint8_t *scratch; /* a message being changed for one asker */
	uint8_t *here;    /* an answer found here; an asker may ask again inside its callback */
};

/* One exchange with the servers. */
struct lookup {
	struct hash_node node;
	struct list in_all;
	struct list waiting; /* requests */
	struct list unsent;
	struct resolve *r;
	struct dnskey key;
	struct timer timer;
	struct ns_query exchange;
	bool given_up; /* answered with a time-out; the exchange still goes on */
	bool edns;     /* the query had an OPT */
};

struct resolve_req {
	struct list node; /* in lookup->waiting or resolve->ready */
	struct resolve *r;
	resolve_answer_cb *cb;
	void *user;
	struct dnskey key;
	uint8_t *ready; /* the answer, once it was found here */
	size_t n_ready;
	bool from_file;
};

static void
count(const struct resolve *r, enum metric m)
{
	metric_add(r->conf.shard, m, 1);
}

/* --- answers ----------------------------------------------------------------------------- */

/* Copies, so that no asker sees another's changes; longest TTLs cut. SPAN_NONE for a message that
 * does not bear it. */
static struct span
copy_aged(const struct resolve *r, uint8_t *to, struct span msg, uint32_t age_s)
{
	memcpy(to, msg.p, msg.n);
	dns_set_id(to, 0);
	if (dns_age(to, msg.n, age_s, r->conf.max_ttl_s) < 0)
		return SPAN_NONE;
	return span(to, msg.n);
}

static struct span
prepare(const struct resolve *r, struct span msg, uint32_t age_s)
{
	return copy_aged(r, r->here, msg, age_s);
}

static void
answer(struct resolve_req *req, int status, struct span msg, bool cached)
{
	struct resolve_answer a = {status, msg, cached};
	list_del(&req->node);
	req->cb(req->user, &a);
	free(req->ready);
	free(req);
}

static void
answer_all(struct lookup *l, int status, struct span msg)
{
	while (!list_empty(&l->waiting)) {
		struct resolve_req *req = LIST_ENTRY(l->waiting.next, struct resolve_req, node);
		struct span ready = status ? SPAN_NONE : copy_aged(l->r, l->r->scratch, msg, 0);
		answer(req, status ? status : ready.p ? 0 : -EIO, ready, false);
	}
}

static void
lookup_end(struct lookup *l)
{
	struct resolve *r = l->r;
	wheel_del(&r->w->wheel, &l->timer);
	if (!l->given_up)
		hash_del(&r->lookups, &l->node);
	list_del(&l->in_all);
	list_del(&l->unsent);
	r->n_lookups--;
	free(l);
}

/* TTLs are kept in bounds before anybody sees them, so that all agree: at most what the options
 * say, and where a positive answer has none, their default. */
static void
bound_ttls(const struct resolve *r, uint8_t *msg, size_t n, const struct dnsmsg *m, bool found)
{
	const struct resolve_conf *c = &r->conf;
	uint32_t dflt = c->default_ttl_s < c->max_ttl_s ? c->default_ttl_s : c->max_ttl_s;
	struct dnswalk walk;
	struct dnsrr rr;
	dns_age(msg, n, 0, found ? c->max_ttl_s : c->negative_ttl_s);
	dns_walk(&walk, m);
	while (found && dns_next(&walk, &rr) > 0)
		if (!rr.ttl && rr.type != DNS_OPT)
			put32(msg + rr.ttl_at, dflt);
}

static void
remember(struct resolve *r, const struct dnskey *key, uint8_t *msg, const struct dnsmsg *m)
{
	uint32_t ttl;
	enum dns_outcome o = dns_outcome(m, &ttl);
	if (o == DNS_FAILED)
		return;
	bound_ttls(r, msg, m->whole.n, m, o == DNS_FOUND);
	dns_outcome(m, &ttl);
	dnscache_put(&r->cache, key, m->whole, ttl, worker_now(r->w));
	metric_set(r->conf.shard, M_DNS_CACHE_ENTRIES, r->cache.used);
}

/* RFC 6891 7: a server that does not know EDNS answers FORMERR, without an OPT of its own. */
static bool
chokes_on_edns(const struct lookup *l, const struct dnsmsg *m)
{
	return l->edns && m->rcode == DNS_FORMERR && !m->has_opt;
}

static void send_query(struct lookup *l);

static void
on_exchange(struct ns_query *q, enum ns_result result, uint8_t *msg, size_t n)
{
	struct lookup *l = CONTAINER_OF(q, struct lookup, exchange);
	struct resolve *r = l->r;
	struct dnsmsg m;
	if (result == NS_CLOSED)
		return;
	bool usable = result == NS_ANSWER && n <= MESSAGE_MOST &&
	              dns_parse(span(msg, n), &m) == 0 && (m.flags & DNS_QR) && !m.bad_records;
	if (usable && chokes_on_edns(l, &m)) {
		r->no_edns_until = worker_now(r->w) + EDNS_AGAIN_MS;
		send_query(l);
		return;
	}
	if (usable) {
		remember(r, &l->key, msg, &m);
		answer_all(l, 0, span(msg, n));
	} else {
		count(r, M_DNS_UPSTREAM_FAILED);
		answer_all(l, result == NS_TIMEOUT ? -ETIMEDOUT : -EIO, SPAN_NONE);
	}
	lookup_end(l);
}

/* The askers' patience is over. The exchange itself goes on and may still fill the cache, but a new
 * question starts a new one. */
static void
on_give_up(struct timer *t, uint64_t now)
{
	struct lookup *l = CONTAINER_OF(t, struct lookup, timer);
	(void)now;
	l->given_up = true;
	hash_del(&l->r->lookups, &l->node);
	count(l->r, M_DNS_TIMEOUTS);
	answer_all(l, -ETIMEDOUT, SPAN_NONE);
}

/* --- the hosts file ---------------------------------------------------------------------- */

static const char *
hosts_path(const struct resolve *r)
{
	return r->conf.hosts_path ? r->conf.hosts_path : HOSTS_FILE;
}

/* The file may change at any time, but not every question is worth a look at it. */
static void
look_at_hosts(struct resolve *r)
{
	struct stat st;
	if (r->hosts && worker_now(r->w) < r->hosts_look_at)
		return;
	r->hosts_look_at = worker_now(r->w) + HOSTS_LOOK_MS;
	if (!r->conf.hosts_file || stat(hosts_path(r), &st) < 0)
		st.st_mtim = (struct timespec){0};
	if (r->hosts && st.st_mtim.tv_sec == r->hosts_mtime.tv_sec &&
	        st.st_mtim.tv_nsec == r->hosts_mtime.tv_nsec)
		return;
	hosts_free(r->hosts);
	r->hosts = hosts_new();
	r->hosts_mtime = st.st_mtim;
	if (st.st_mtim.tv_sec)
		(void)hosts_read(r->hosts, hosts_path(r)); /* unreadable is empty */
}

static bool
put_known(const struct resolve *r, const struct dnskey *k, struct wr *w)
{
	uint8_t query[DNS_HEAD + DNSNAME_MOST + 4];
	struct wr qw = wr_init(query, sizeof query);
	struct dnsmsg q;
	dns_put_query(&qw, 0, DNS_RD, &k->name, k->type);
	if (dns_parse(span(query, wr_len(&qw)), &q) < 0)
		return false;
	*w = wr_init(r->here, MESSAGE_MOST);
	return dns_put_reply(w, &q, DNS_NOERROR);
}

/* The name's addresses; localhost has some even where no file says so (RFC 6761 6.3). */
static bool
known_addresses(const struct resolve *r, const struct dnsname *name, struct hosts_found *f)
{
	struct dnsname localhost;
	if (hosts_find(r->hosts, name, f))
		return true;
	dnsname_parse(SPAN_LIT("localhost"), &localhost);
	if (!dnsname_under(name, &localhost))
		return false;
	f->n = 2;
	f->ip[0] = ip4(0x7f000001);
	f->ip[1] = (struct ip){.b = {[15] = 1}};
	return true;
}

static struct span
ask_hosts(struct resolve *r, const struct dnskey *k)
{
	struct hosts_found f;
	struct dnsname target;
	struct ip ip;
	struct wr w;
	bool forward = k->type == DNS_A || k->type == DNS_AAAA;
	look_at_hosts(r);
	if (k->class != DNS_IN || (forward && !known_addresses(r, &k->name, &f)))
		return SPAN_NONE;
	if (!forward && (k->type != DNS_PTR || !dnsname_to_ip(&k->name, &ip) ||
	                        !hosts_name_of(r->hosts, &ip, &target)))
		return SPAN_NONE;
	if (!put_known(r, k, &w))
		return SPAN_NONE;
	for (size_t i = 0; forward && i < f.n; i++)
		if (ip_is4(&f.ip[i]) == (k->type == DNS_A))
			dns_put_ip(&w, r->conf.hosts_ttl_s, &f.ip[i]);
	if (!forward)
		dns_put_rr(
		        &w, DNS_ANSWER, NULL, DNS_PTR, r->conf.hosts_ttl_s, dnsname_span(&target));
	return span(w.start, wr_len(&w));
}

/* --- questions --------------------------------------------------------------------------- */

static struct lookup *
find_lookup(struct resolve *r, const struct dnskey *k, uint64_t h)
{
	HASH_FOR_EACH (n, &r->lookups, h) {
		struct lookup *l = CONTAINER_OF(n, struct lookup, node);
		if (dnskey_eq(&l->key, k))
			return l;
	}
	return NULL;
}

static void
send_query(struct lookup *l)
{
	uint8_t query[DNS_HEAD + DNSNAME_MOST + 4 + 11];
	struct wr w = wr_init(query, sizeof query);
	struct resolve *r = l->r;
	dns_put_query(&w, 0, DNS_RD | (l->key.dnssec ? DNS_CD : 0), &l->key.name, l->key.type);
	put16(query + wr_len(&w) - 2, l->key.class);
	l->edns = worker_now(r->w) >= r->no_edns_until;
	if (l->edns)
		dns_put_opt(&w, EDNS_SIZE, 0, l->key.dnssec);
	count(r, M_DNS_UPSTREAM);
	l->exchange.done = on_exchange;
	nameserver_ask(r->servers, &l->exchange, query, wr_len(&w));
}

static void
on_later(struct later *later)
{
	struct resolve *r = CONTAINER_OF(later, struct resolve, later);
	while (!list_empty(&r->ready)) {
		struct resolve_req *req = LIST_ENTRY(r->ready.next, struct resolve_req, node);
		answer(req, 0, span(req->ready, req->n_ready), !req->from_file);
	}
	for (struct list *n; (n = list_pop(&r->unsent));)
		send_query(LIST_ENTRY(n, struct lookup, unsent));
}

static struct lookup *
new_lookup(struct resolve *r, const struct dnskey *k, uint64_t h)
{
	struct lookup *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->r = r;
	l->key = *k;
	list_init(&l->waiting);
	list_init(&l->unsent);
	timer_init(&l->timer, on_give_up);
	if (!hash_add(&r->lookups, &l->node, h)) {
		free(l);
		return NULL;
	}
	list_add(&r->all, &l->in_all);
	r->n_lookups++;
	if (r->conf.timeout_ms)
		wheel_add(&r->w->wheel, &l->timer, worker_now(r->w) + r->conf.timeout_ms);
	return l;
}

/* Cache and hosts file; the answer is in r->here. */
static struct span
ask_here(struct resolve *r, struct resolve_req *req)
{
	uint32_t age;
	struct span msg = dnscache_get(&r->cache, &req->key, worker_now(r->w), &age);
	if (msg.p)
		return prepare(r, msg, age);
	req->from_file = true;
	return ask_hosts(r, &req->key);
}

static int
answer_soon(struct resolve *r, struct resolve_req *req, struct span msg)
{
	req->ready = malloc(msg.n);
	if (!req->ready)
		return -ENOMEM;
	memcpy(req->ready, msg.p, msg.n);
	req->n_ready = msg.n;
	count(r, M_DNS_CACHE_HITS);
	list_add(&r->ready, &req->node);
	worker_later(r->w, &r->later);
	return 0;
}

/* A query may fail while it is being sent: that is why this happens in the next turn. */
static int
start(struct resolve *r, struct resolve_req *req, unsigned flags)
{
	const struct dnskey *k = &req->key;
	uint64_t h = dnskey_hash(&r->cache.key, k);
	struct span here = ask_here(r, req);
	if (here.p)
		return answer_soon(r, req, here);
	if (flags & RESOLVE_CACHED_ONLY)
		return -ENOENT;
	count(r, M_DNS_CACHE_MISSES);
	struct lookup *l = find_lookup(r, k, h);
	if (l) {
		count(r, M_DNS_COALESCED);
		list_add(&l->waiting, &req->node);
		return 0;
	}
	if (r->n_lookups >= r->conf.max_lookups) {
		count(r, M_DNS_REFUSED);
		return -ENOBUFS;
	}
	l = new_lookup(r, k, h);
	if (!l)
		return -ENOMEM;
	list_add(&l->waiting, &req->node);
	list_add(&r->unsent, &l->unsent);
	worker_later(r->w, &r->later);
	return 0;
}

int
resolve_query(struct resolve *r, const struct dnsname *name, uint16_t type, uint16_t class,
        bool dnssec, unsigned flags, resolve_answer_cb *cb, void *user, struct resolve_req **out)
{
	struct resolve_req *req = calloc(1, sizeof *req);
	if (!req)
		return -ENOMEM;
	req->r = r;
	req->cb = cb;
	req->user = user;
	req->key = (struct dnskey){.name = *name, .type = type, .class = class, .dnssec = dnssec};
	dnsname_lower(&req->key.name);
	list_init(&req->node);
	int rc = start(r, req, flags);
	if (rc < 0)
		free(req);
	else
		*out = req;
	return rc;
}

void
resolve_cancel(struct resolve *r, struct resolve_req *req)
{
	(void)r;
	list_del(&req->node);
	free(req->ready);
	free(req);
}

/* --- life -------------------------------------------------------------------------------- */

struct resolve_conf *
resolve_conf(struct resolve *r)
{
	return &r->conf;
}

uint32_t
resolve_load(const struct resolve *r)
{
	return r->conf.max_lookups ? (uint32_t)(r->n_lookups * 100ull / r->conf.max_lookups) : 100;
}

struct worker *
resolve_worker(struct resolve *r)
{
	return r->w;
}

static uint32_t
patience(const struct resolve_conf *c)
{
	uint32_t ms = c->timeout_ms / (c->tries + 1);
	if (!c->timeout_ms || ms > TRY_MOST_MS)
		return TRY_MOST_MS;
	return ms < TRY_LEAST_MS ? TRY_LEAST_MS : ms;
}

int
resolve_new(struct worker *w, const struct resolve_conf *conf, struct resolve **out, struct err *e)
{
	struct nameserver_conf nc = {.servers = conf->servers,
	        .try_ms = patience(conf),
	        .tries = conf->tries,
	        .udp_max = EDNS_SIZE};
	struct nameserver *servers;
	int rc = nameserver_new(w, &nc, &servers, e);
	if (rc < 0)
		return rc;
	struct resolve *r = xcalloc(1, sizeof *r);
	r->w = w;
	r->conf = *conf;
	r->servers = servers;
	r->scratch = xcalloc(1, MESSAGE_MOST);
	r->here = xcalloc(1, MESSAGE_MOST);
	dnscache_init(&r->cache, conf->max_entries, conf->max_bytes);
	hash_init(&r->lookups);
	list_init(&r->all);
	list_init(&r->ready);
	list_init(&r->unsent);
	later_init(&r->later, on_later);
	look_at_hosts(r);
	*out = r;
	return 0;
}

static void
drop_requests(struct list *l)
{
	while (!list_empty(l))
		resolve_cancel(NULL, LIST_ENTRY(l->next, struct resolve_req, node));
}

void
resolve_free(struct resolve *r)
{
	nameserver_free(r->servers); /* on_exchange hears NS_CLOSED and lets be */
	while (!list_empty(&r->all)) {
		struct lookup *l = LIST_ENTRY(r->all.next, struct lookup, in_all);
		drop_requests(&l->waiting);
		lookup_end(l);
	}
	drop_requests(&r->ready);
	later_cancel(&r->later);
	dnscache_fini(&r->cache);
	hosts_free(r->hosts);
	hash_fini(&r->lookups);
	free(r->scratch);
	free(r->here);
	free(r);
}
