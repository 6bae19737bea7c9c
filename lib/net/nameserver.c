/* c-ares keeps its own list of open queries with their deadlines, to be looked at while there are
 * any: asking it for the next deadline walks the list, so a coarse tick is cheaper and does. Its
 * TCP reader takes one piece at a time and therefore needs level-triggered events. */
#include "net/nameserver.h"

#include "base/crypto.h"
#include "base/cursor.h"
#include "net/worker.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 50

struct nameserver {
	struct worker *w;
	ares_channel channel;
	struct list socks;
	struct timer tick;
	uint32_t open;
};

struct sock {
	uv_poll_t poll;
	struct list node;
	struct nameserver *ns;
	ares_socket_t fd;
};

/* --- sockets ---------------------------------------------------------------------------------- */

static void
on_io(uv_poll_t *h, int status, int events)
{
	struct sock *s = CONTAINER_OF(h, struct sock, poll);
	ares_socket_t fd = s->fd;
	/* A broken socket is shown to c-ares as readable: it finds the error itself. */
	bool in = status < 0 || events & UV_READABLE, out = events & UV_WRITABLE;
	ares_process_fd(s->ns->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
}

static void
on_sock_closed(uv_handle_t *h)
{
	free(CONTAINER_OF((uv_poll_t *)h, struct sock, poll));
}

static void
close_sock(struct sock *s)
{
	list_del(&s->node);
	uv_poll_stop(&s->poll);
	uv_close((uv_handle_t *)&s->poll, on_sock_closed);
}

static struct sock *
sock_of(struct nameserver *ns, ares_socket_t fd)
{
	LIST_FOR_EACH (n, &ns->socks) {
		struct sock *s = LIST_ENTRY(n, struct sock, node);
		if (s->fd == fd)
			return s;
	}
	return NULL;
}

static struct sock *
new_sock(struct nameserver *ns, ares_socket_t fd)
{
	struct sock *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	if (uv_poll_init(&ns->w->loop, &s->poll, fd) < 0) {
		free(s);
		return NULL;
	}
	s->ns = ns;
	s->fd = fd;
	list_add(&ns->socks, &s->node);
	return s;
}

/* Without a handle the socket stays deaf and its queries time out. */
static void
on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct nameserver *ns = arg;
	struct sock *s = sock_of(ns, fd);
	if (!readable && !writable) {
		if (s)
			close_sock(s);
		return;
	}
	if (!s)
		s = new_sock(ns, fd);
	if (s)
		uv_poll_start(&s->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
		        on_io);
}

static void
on_tick(struct timer *t, uint64_t now)
{
	struct nameserver *ns = CONTAINER_OF(t, struct nameserver, tick);
	wheel_add(&ns->w->wheel, t, now + TICK_MS);
	ares_process_fd(ns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* --- set-up ----------------------------------------------------------------------------------- */

static int
open_channel(struct nameserver *ns, const struct nameserver_conf *conf)
{
	struct ares_options o = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
	        .timeout = (int)conf->try_ms,
	        .tries = (int)conf->tries,
	        .ednspsz = conf->udp_max,
	        .sock_state_cb = on_sock_state,
	        .sock_state_cb_data = ns};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
	           ARES_OPT_SOCK_STATE_CB | ARES_OPT_DOMAINS;
	int r = ares_init_options(&ns->channel, &o, mask);
	if (r != ARES_SUCCESS || !conf->servers[0])
		return r;
	r = ares_set_servers_ports_csv(ns->channel, conf->servers);
	if (r != ARES_SUCCESS)
		ares_destroy(ns->channel);
	return r;
}

int
nameserver_new(struct worker *w, const struct nameserver_conf *conf, struct nameserver **out,
        struct err *e)
{
	struct nameserver *ns = xcalloc(1, sizeof *ns);
	ns->w = w;
	list_init(&ns->socks);
	timer_init(&ns->tick, on_tick);
	int r = ares_library_init(ARES_LIB_INIT_ALL);
	if (r == ARES_SUCCESS && (r = open_channel(ns, conf)) != ARES_SUCCESS)
		ares_library_cleanup();
	if (r != ARES_SUCCESS) {
		free(ns);
		return err_set(e, r == ARES_ENOMEM ? -ENOMEM : -EINVAL,
		        "cannot set up name servers \"%s\": %s", conf->servers, ares_strerror(r));
	}
	*out = ns;
	return 0;
}

void
nameserver_free(struct nameserver *ns)
{
	if (!ns)
		return;
	ares_destroy(ns->channel);
	ares_library_cleanup();
	wheel_del(&ns->w->wheel, &ns->tick);
	while (!list_empty(&ns->socks))
		close_sock(LIST_ENTRY(ns->socks.next, struct sock, node));
	free(ns);
}

const char *
nameserver_text(struct nameserver *ns, char *buf, size_t cap)
{
	struct ares_addr_port_node *list = NULL;
	size_t at = 0;
	buf[0] = '\0';
	if (ares_get_servers_ports(ns->channel, &list) != ARES_SUCCESS)
		return buf;
	for (const struct ares_addr_port_node *s = list; s; s = s->next) {
		char one[ADDR_TEXT];
		struct endpoint ep = {.port = (uint16_t)(s->udp_port ? s->udp_port : 53)};
		if (s->family == AF_INET)
			ep.ip = ip4(get32((const uint8_t *)&s->addr.addr4));
		else
			memcpy(ep.ip.b, &s->addr.addr6, sizeof ep.ip.b);
		int n = snprintf(
		        buf + at, cap - at, "%s%s", at ? "," : "", endpoint_text(&ep, one));
		if (n < 0 || (size_t)n >= cap - at)
			break;
		at += (size_t)n;
	}
	ares_free_data(list);
	return buf;
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum ns_result
result_of(int status)
{
	switch (status) {
	case ARES_SUCCESS: return NS_ANSWER;
	case ARES_ETIMEOUT: return NS_TIMEOUT;
	case ARES_ECONNREFUSED: return NS_UNREACHABLE;
	case ARES_EDESTRUCTION: return NS_CLOSED;
	default: return NS_FAILED;
	}
}

static void
on_answer(void *arg, int status, int timeouts, unsigned char *msg, int n)
{
	struct ns_query *q = arg;
	struct nameserver *ns = q->ns;
	(void)timeouts;
	if (--ns->open == 0)
		wheel_del(&ns->w->wheel, &ns->tick);
	q->done(q, result_of(status), msg, msg && n > 0 ? (size_t)n : 0);
}

void
nameserver_ask(struct nameserver *ns, struct ns_query *q, uint8_t *msg, size_t n)
{
	uint16_t id;
	random_bytes(&id, sizeof id);
	put16(msg, id);
	q->ns = ns;
	if (ns->open++ == 0)
		wheel_add(&ns->w->wheel, &ns->tick, worker_now(ns->w) + TICK_MS);
	ares_send(ns->channel, msg, (int)n, on_answer, q);
}
