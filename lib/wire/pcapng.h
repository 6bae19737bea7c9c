/* pcapng: capture files as blocks of bytes, writing and reading. No files here.
 *
 * For      the service that records tunnels (its two header blocks are byte for byte those of the
 *          reference), and the tools that read anybody's files.
 * Memory   what is read borrows the bytes given to pcapng_read. Writers write through a `wr`.
 * Order    reading: pcapng_read with all bytes at hand from where the last call ended, again and
 *          again. A block that is cut off needs more bytes; at the end of a file it is a fault.
 * Errors   see PCAPNG_FAULT. Faults inside a block are skipped by its length.
 * Spec     draft-ietf-opsawg-pcapng: SHB, IDB, EPB, SPB, NRB, ISB, both byte orders, if_tsresol and
 *          if_tsoffset. We write little-endian and nanoseconds. */
#pragma once

#include "base/addr.h"
#include "base/cursor.h"

#include <sys/types.h>

#define PCAPNG_ETHERNET 1
#define PCAPNG_IFACES 64             /* of a section that a reader keeps apart */
#define PCAPNG_BLOCK_MOST (16 << 20) /* longer ones are a fault */
#define PCAPNG_PACKET_HEAD 44        /* a packet block with flags, without data */

enum pcapng_flags {
	PCAPNG_IN = 1,  /* guest to service */
	PCAPNG_OUT = 2, /* service to guest */
	PCAPNG_DIRECTION = 3,
};

struct pcapng_section {
	struct span hardware, os, userappl, comment; /* absent: p is NULL */
	bool big_endian;                             /* as read; ignored when written */
};

struct pcapng_iface {
	uint16_t linktype;
	uint32_t snaplen; /* 0: no limit */
	struct span name, description, comment;
};

struct pcapng_packet {
	uint32_t iface;
	bool timed;  /* a simple packet block has no time */
	uint64_t ns; /* since 1970 */
	struct span data;
	uint32_t len; /* on the wire, data.n or more */
	bool has_flags, has_drops;
	uint32_t flags;
	uint64_t drops; /* packets lost between the one before and this */
	struct span comment;
};

struct pcapng_stats {
	uint32_t iface;
	uint64_t ns;
	bool has_received, has_dropped;
	uint64_t received, dropped;
	struct span comment;
};

/* --- writing --------------------------------------------------------------------------------- */
void pcapng_put_section(struct wr *w, const struct pcapng_section *s);
void pcapng_put_iface(struct wr *w, const struct pcapng_iface *i);
void pcapng_put_packet(struct wr *w, const struct pcapng_packet *k);
void pcapng_put_stats(struct wr *w, const struct pcapng_stats *s);
size_t pcapng_packet_len(const struct pcapng_packet *k); /* of its block */

/* --- reading --------------------------------------------------------------------------------- */
enum pcapng_kind {
	PCAPNG_SECTION,
	PCAPNG_IFACE,
	PCAPNG_PACKET,
	PCAPNG_STATS,
	PCAPNG_NAMES,
	PCAPNG_OTHER, /* a block of a type that we do not know */
	PCAPNG_FAULT,
};

struct pcapng_block {
	enum pcapng_kind kind;
	uint32_t type;
	uint64_t offset; /* in the file */
	size_t len;
	union {
		struct pcapng_section section;
		struct pcapng_iface iface;
		struct pcapng_packet packet;
		struct pcapng_stats stats;
		struct span names; /* for pcapng_name */
		const char *why;   /* of a fault */
	};
};

struct pcapng {
	uint64_t offset; /* in the file, of the next byte to be read */
	size_t need;     /* bytes the block there has, as far as known, when pcapng_read gave 0 */
	/* private */
	bool started, big;
	uint32_t nifaces;
	struct {
		uint16_t linktype;
		uint8_t tsresol;
		uint32_t snaplen;
		int64_t tsoffset;
	} iface[PCAPNG_IFACES];
};

void pcapng_init(struct pcapng *p);
/* Bytes used, with a block; 0: more bytes are needed; -EBADMSG: a fault that nothing can be read
 * behind, *out tells which. */
ssize_t pcapng_read(struct pcapng *p, struct span in, struct pcapng_block *out);
/* Link type of a packet's interface. */
uint16_t pcapng_linktype(const struct pcapng *p, uint32_t iface);
/* Walk the records of a names block: an address and its first name. */
bool pcapng_name(const struct pcapng *p, struct span *names, struct ip *a, struct span *name);
