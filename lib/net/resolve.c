/* A question is a key (lower-case name, type, class, DNSSEC). For each key there is at most one
 * lookup, on which all who asked wait; what comes back is cached and handed to each. Answers from
 * the cache wait for the next turn of the loop too, so a callback never runs inside the question.
 */
#include "net/resolve.h"

#include "base/crypto.h"
#include "net/dnscache.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <uv.h>

#define EDNS_SIZE 1232
#define MESSAGE_MOST 65535
#define TRY_LEAST_MS 250
#define TRY_MOST_MS 5000

struct resolve {
	struct worker *w;
	struct resolve_conf conf;
	struct resolve_stats stats;
	ares_channel channel;
	struct dnscache cache;
	struct hash lookups; /* by key, of the cache's hash */
	struct list all;     /* lookups, oldest first */
	struct list ready;   /* requests whose answer is in the cache */
	struct list unsent;  /* lookups that go out in the next turn */
	struct list socks;
	uint32_t n_lookups;
	struct timer timer; /* of c-ares */
	struct later later;
	uint8_t *scratch; /* a message being changed for one asker */
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
	bool given_up; /* answered with a time-out; c-ares still works on it */
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

/* --- sockets of c-ares ---------------------------------------------------------------------------
 */

struct sock {
	struct list node;
	uv_poll_t poll;
	struct resolve *r;
	ares_socket_t fd;
};

static void arm(struct resolve *r);

static void
on_sock_closed(uv_handle_t *h)
{
	free(CONTAINER_OF((uv_poll_t *)h, struct sock, poll));
}

static void
on_sock(uv_poll_t *h, int status, int events)
{
	struct sock *s = CONTAINER_OF(h, struct sock, poll);
	struct resolve *r = s->r;
	bool in = status < 0 || (events & UV_READABLE), out = status < 0 || (events & UV_WRITABLE);
	ares_process_fd(r->channel, in ? s->fd : ARES_SOCKET_BAD, out ? s->fd : ARES_SOCKET_BAD);
	arm(r);
}

static struct sock *
find_sock(struct resolve *r, ares_socket_t fd)
{
	LIST_FOR_EACH (it, &r->socks)
		if (LIST_ENTRY(it, struct sock, node)->fd == fd)
			return LIST_ENTRY(it, struct sock, node);
	return NULL;
}

static struct sock *
new_sock(struct resolve *r, ares_socket_t fd)
{
	struct sock *s = calloc(1, sizeof *s);
	if (!s || uv_poll_init_socket(&r->w->loop, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->r = r;
	s->fd = fd;
	list_add(&r->socks, &s->node);
	return s;
}

/* A socket that cannot be polled is one whose queries time out: c-ares goes on to the next. */
static void
on_sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolve *r = data;
	struct sock *s = find_sock(r, fd);
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
	if (!s && events)
		s = new_sock(r, fd);
	if (!s)
		return;
	if (events) {
		uv_poll_start(&s->poll, events, on_sock);
		return;
	}
	list_del(&s->node);
	uv_poll_stop(&s->poll);
	uv_close((uv_handle_t *)&s->poll, on_sock_closed);
}

static void
arm(struct resolve *r)
{
	struct timeval tv, *when = ares_timeout(r->channel, NULL, &tv);
	if (!when) {
		wheel_del(&r->w->wheel, &r->timer);
		return;
	}
	uint64_t ms = (uint64_t)when->tv_sec * 1000 + (uint64_t)when->tv_usec / 1000;
	wheel_add(&r->w->wheel, &r->timer, worker_now(r->w) + ms + 1);
}

static void
on_timer(struct timer *t, uint64_t now)
{
	struct resolve *r = CONTAINER_OF(t, struct resolve, timer);
	(void)now;
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(r);
}

/* --- answers -------------------------------------------------------------------------------------
 */

/* Copies into the scratch, so that no asker sees another's changes; longest TTLs cut. SPAN_NONE for
 * a message that does not bear it. */
static struct span
prepare(struct resolve *r, struct span msg, uint32_t age_s)
{
	memcpy(r->scratch, msg.p, msg.n);
	dns_set_id(r->scratch, 0);
	if (dns_age(r->scratch, msg.n, age_s, r->conf.max_ttl_s) < 0)
		return SPAN_NONE;
	return span(r->scratch, msg.n);
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
		struct span ready = status ? SPAN_NONE : prepare(l->r, msg, 0);
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

static void
remember(struct resolve *r, const struct dnskey *key, struct span msg, const struct dnsmsg *m)
{
	uint32_t ttl = 0;
	enum dns_outcome o = dns_outcome(m, &ttl);
	uint32_t most = o == DNS_FOUND ? r->conf.max_ttl_s : r->conf.negative_ttl_s;
	if (o == DNS_FAILED)
		return;
	dnscache_put(&r->cache, key, msg, ttl < most ? ttl : most, worker_now(r->w));
	r->stats.entries = r->cache.used;
}

static void
on_upstream(void *arg, int status, int timeouts, unsigned char *abuf, int alen)
{
	struct lookup *l = arg;
	struct resolve *r = l->r;
	struct dnsmsg m;
	(void)timeouts;
	if (status == ARES_EDESTRUCTION)
		return;
	struct span msg = span(abuf, abuf && alen > 0 ? (size_t)alen : 0);
	if (msg.n && msg.n <= MESSAGE_MOST && dns_parse(msg, &m) == 0 && !m.bad_records) {
		remember(r, &l->key, msg, &m);
		answer_all(l, 0, msg);
	} else {
		r->stats.failed++;
		answer_all(l, status == ARES_ETIMEOUT ? -ETIMEDOUT : -EIO, SPAN_NONE);
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
	l->r->stats.timeouts++;
	answer_all(l, -ETIMEDOUT, SPAN_NONE);
}

/* --- /etc/hosts ----------------------------------------------------------------------------------
 */

static bool
put_hosts(struct resolve *r, const struct dnskey *k, const struct hostent *h, struct wr *w)
{
	uint8_t query[DNS_HEAD + DNSNAME_MOST + 4];
	struct wr qw = wr_init(query, sizeof query);
	struct dnsmsg q;
	dns_put_query(&qw, 0, DNS_RD, &k->name, k->type);
	if (dns_parse(span(query, wr_len(&qw)), &q) < 0 || !dns_put_reply(w, &q, DNS_NOERROR))
		return false;
	for (int i = 0; h->h_addr_list[i]; i++)
		dns_put_rr(w, DNS_ANSWER, NULL, k->type, r->conf.hosts_ttl_s,
		        span(h->h_addr_list[i], (size_t)h->h_length));
	return !w->bad;
}

static struct span
ask_hosts(struct resolve *r, const struct dnskey *k)
{
	char text[DNSNAME_TEXT];
	struct hostent *h;
	struct span msg = SPAN_NONE;
	int family = k->type == DNS_A ? AF_INET : AF_INET6;
	if (!r->conf.hosts_file || k->class != DNS_IN || (k->type != DNS_A && k->type != DNS_AAAA))
		return msg;
	if (ares_gethostbyname_file(r->channel, dnsname_text(&k->name, text), family, &h) !=
	        ARES_SUCCESS)
		return msg;
	struct wr w = wr_init(r->scratch, MESSAGE_MOST);
	if (h->h_addr_list[0] && put_hosts(r, k, h, &w))
		msg = span(r->scratch, wr_len(&w));
	ares_free_hostent(h);
	return msg;
}

/* --- questions -----------------------------------------------------------------------------------
 */

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
	uint16_t id;
	random_bytes(&id, sizeof id);
	dns_put_query(&w, id, DNS_RD | (l->key.dnssec ? DNS_CD : 0), &l->key.name, l->key.type);
	put16(query + wr_len(&w) - 2, l->key.class);
	dns_put_opt(&w, EDNS_SIZE, 0, l->key.dnssec);
	l->r->stats.upstream++;
	ares_send(l->r->channel, query, (int)wr_len(&w), on_upstream, l);
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
	arm(r);
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

/* Cache and hosts file; the answer is in the scratch. */
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
	r->stats.hits++;
	list_add(&r->ready, &req->node);
	worker_later(r->w, &r->later);
	return 0;
}

/* c-ares may fail a query inside ares_send: that is why it is sent in the next turn. */
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
	r->stats.misses++;
	struct lookup *l = find_lookup(r, k, h);
	if (l) {
		r->stats.coalesced++;
		list_add(&l->waiting, &req->node);
		return 0;
	}
	if (r->n_lookups >= r->conf.max_lookups) {
		r->stats.refused++;
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

/* --- life ----------------------------------------------------------------------------------------
 */

struct resolve_conf *
resolve_conf(struct resolve *r)
{
	return &r->conf;
}

struct worker *
resolve_worker(struct resolve *r)
{
	return r->w;
}

const struct resolve_stats *
resolve_stats(const struct resolve *r)
{
	return &r->stats;
}

static int
patience(const struct resolve_conf *c)
{
	uint32_t ms = c->timeout_ms / (c->tries + 1);
	if (!c->timeout_ms || ms > TRY_MOST_MS)
		return TRY_MOST_MS;
	return (int)(ms < TRY_LEAST_MS ? TRY_LEAST_MS : ms);
}

static int
open_channel(struct resolve *r, struct err *e)
{
	struct ares_options o = {
	        .flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
	        .timeout = patience(&r->conf),
	        .tries = (int)r->conf.tries,
	        .sock_state_cb = on_sock_state,
	        .sock_state_cb_data = r,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
	int rc = ares_init_options(&r->channel, &o, mask);
	if (rc == ARES_SUCCESS && r->conf.servers[0]) {
		rc = ares_set_servers_ports_csv(r->channel, r->conf.servers);
		if (rc != ARES_SUCCESS)
			ares_destroy(r->channel);
	}
	if (rc == ARES_SUCCESS)
		return 0;
	r->channel = NULL;
	return err_set(e, -EINVAL, "cannot set up name resolution: %s", ares_strerror(rc));
}

int
resolve_new(struct worker *w, const struct resolve_conf *conf, struct resolve **out, struct err *e)
{
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return err_set(e, -ENOMEM, "cannot set up name resolution");
	struct resolve *r = xcalloc(1, sizeof *r);
	r->w = w;
	r->conf = *conf;
	r->scratch = xcalloc(1, MESSAGE_MOST);
	dnscache_init(&r->cache, conf->max_entries, conf->max_bytes);
	hash_init(&r->lookups);
	list_init(&r->all);
	list_init(&r->ready);
	list_init(&r->unsent);
	list_init(&r->socks);
	timer_init(&r->timer, on_timer);
	later_init(&r->later, on_later);
	int rc = open_channel(r, e);
	if (rc < 0)
		resolve_free(r);
	else
		*out = r;
	return rc;
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
	if (r->channel)
		ares_destroy(r->channel); /* on_upstream hears EDESTRUCTION and lets be */
	while (!list_empty(&r->all)) {
		struct lookup *l = LIST_ENTRY(r->all.next, struct lookup, in_all);
		drop_requests(&l->waiting);
		lookup_end(l);
	}
	drop_requests(&r->ready);
	wheel_del(&r->w->wheel, &r->timer);
	later_cancel(&r->later);
	dnscache_fini(&r->cache);
	hash_fini(&r->lookups);
	free(r->scratch);
	free(r);
	ares_library_cleanup();
}
