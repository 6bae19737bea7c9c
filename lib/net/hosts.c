#include "net/hosts.h"

#include "base/crypto.h"
#include "base/hash.h"
#include "base/list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE 4096

struct pair {
	struct hash_node by_name, by_ip;
	struct list node;
	struct ip ip;
	uint32_t seq; /* in the order of adding */
	uint8_t n;
	uint8_t name[]; /* in lower case */
};

struct hosts {
	struct hash by_name, by_ip;
	struct list pairs;
	struct hash_key key;
	uint32_t n;
};

struct hosts *
hosts_new(void)
{
	struct hosts *h = xcalloc(1, sizeof *h);
	hash_init(&h->by_name);
	hash_init(&h->by_ip);
	list_init(&h->pairs);
	random_bytes(&h->key, sizeof h->key);
	return h;
}

void
hosts_free(struct hosts *h)
{
	if (!h)
		return;
	for (struct list *n; (n = list_pop(&h->pairs));)
		free(LIST_ENTRY(n, struct pair, node));
	hash_fini(&h->by_name);
	hash_fini(&h->by_ip);
	free(h);
}

static struct dnsname
lower(const struct dnsname *name)
{
	struct dnsname low = *name;
	dnsname_lower(&low);
	return low;
}

static uint64_t
name_hash(const struct hosts *h, const struct dnsname *low)
{
	return siphash13(&h->key, low->b, low->n);
}

static uint64_t
ip_hash(const struct hosts *h, const struct ip *a)
{
	return siphash13(&h->key, a->b, sizeof a->b);
}

int
hosts_add(struct hosts *h, const struct dnsname *name, const struct ip *a)
{
	if (h->n >= HOSTS_MOST)
		return -ENOSPC;
	struct dnsname low = lower(name);
	struct pair *p = malloc(sizeof *p + low.n);
	if (!p)
		return -ENOMEM;
	p->ip = *a;
	p->seq = h->n;
	p->n = low.n;
	memcpy(p->name, low.b, low.n);
	if (!hash_add(&h->by_name, &p->by_name, name_hash(h, &low))) {
		free(p);
		return -ENOMEM;
	}
	if (!hash_add(&h->by_ip, &p->by_ip, ip_hash(h, a))) {
		hash_del(&h->by_name, &p->by_name);
		free(p);
		return -ENOMEM;
	}
	list_add(&h->pairs, &p->node);
	h->n++;
	return 0;
}

static bool
next_word(struct span *line, struct span *word)
{
	while (line->n && (*line->p == ' ' || *line->p == '\t' || *line->p == '\r'))
		*line = span_skip(*line, 1);
	size_t n = 0;
	while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t' && line->p[n] != '\r')
		n++;
	*word = span_first(*line, n);
	*line = span_skip(*line, n);
	return n > 0;
}

static void
parse_line(struct hosts *h, struct span line)
{
	struct span word;
	struct ip a;
	const uint8_t *comment = line.n ? memchr(line.p, '#', line.n) : NULL;
	if (comment)
		line.n = (size_t)(comment - line.p);
	if (!next_word(&line, &word) || !ip_parse(word, &a))
		return;
	while (next_word(&line, &word)) {
		struct dnsname name;
		if (dnsname_parse(word, &name) == 0 && hosts_add(h, &name, &a) < 0)
			return;
	}
}

void
hosts_parse(struct hosts *h, struct span text)
{
	struct span line;
	while (span_split(&text, '\n', &line))
		if (line.n <= LINE)
			parse_line(h, line);
}

/* A line longer than the buffer arrives in parts, which are all left out. */
int
hosts_read(struct hosts *h, const char *path)
{
	char line[LINE + 2];
	bool part = false;
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f)) {
		size_t n = strlen(line);
		bool whole = (n && line[n - 1] == '\n') || feof(f);
		if (whole && !part)
			parse_line(h, span(line, n && line[n - 1] == '\n' ? n - 1 : n));
		part = !whole;
	}
	int r = ferror(f) ? -EIO : 0;
	fclose(f);
	return r;
}

/* Sorted by age into `out`, which holds `most`; the youngest fall out. */
static size_t
insert(const struct pair **out, size_t n, size_t most, const struct pair *p)
{
	size_t at = n;
	while (at && out[at - 1]->seq > p->seq)
		at--;
	if (at == most)
		return n;
	n += n < most;
	memmove(out + at + 1, out + at, (n - at - 1) * sizeof *out);
	out[at] = p;
	return n;
}

static void
add_ip(struct hosts_found *out, const struct ip *a)
{
	for (size_t i = 0; i < out->n; i++)
		if (ip_eq(&out->ip[i], a))
			return;
	out->ip[out->n++] = *a;
}

bool
hosts_find(const struct hosts *h, const struct dnsname *name, struct hosts_found *out)
{
	const struct pair *found[ARRAY_LEN(out->ip)];
	struct dnsname low = lower(name);
	uint64_t hv = name_hash(h, &low);
	size_t n = 0;
	out->n = 0;
	HASH_FOR_EACH (it, &h->by_name, hv) {
		const struct pair *p = CONTAINER_OF(it, struct pair, by_name);
		if (span_eq(span(p->name, p->n), dnsname_span(&low)))
			n = insert(found, n, ARRAY_LEN(found), p);
	}
	for (size_t i = 0; i < n; i++)
		add_ip(out, &found[i]->ip);
	return n > 0;
}

bool
hosts_name_of(const struct hosts *h, const struct ip *a, struct dnsname *out)
{
	const struct pair *first = NULL;
	uint64_t hv = ip_hash(h, a);
	HASH_FOR_EACH (it, &h->by_ip, hv) {
		const struct pair *p = CONTAINER_OF(it, struct pair, by_ip);
		if (ip_eq(&p->ip, a) && (!first || p->seq < first->seq))
			first = p;
	}
	if (!first)
		return false;
	out->n = first->n;
	memcpy(out->b, first->name, first->n);
	return true;
}
