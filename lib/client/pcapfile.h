/* pcapfile: a pcapng file, block by block.
 *
 * Owner    pcapfile_open / pcapfile_close.
 * Memory   what a block holds is valid until the next call.
 * Errors   pcapfile_open: negative errno and a sentence. A file that ends inside a block, or that
 *          nothing can be read of any further, gives a last block of kind FAULT. */
#pragma once

#include "base/err.h"
#include "wire/pcapng.h"

struct pcapfile;

/* "-" is standard input. */
int pcapfile_open(const char *path, struct pcapfile **out, struct err *e);
void pcapfile_close(struct pcapfile *f);
/* False at the end. */
bool pcapfile_next(struct pcapfile *f, struct pcapng_block *out);
uint16_t pcapfile_linktype(const struct pcapfile *f, uint32_t iface);
