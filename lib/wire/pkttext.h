/* pkttext: one Ethernet frame as a person reads it.
 *
 * For      captures; nothing on the data path needs it.
 * Memory   everything is copied into the struct; what does not fit is cut.
 * Errors   none: what cannot be read is said to be so. Frames come from strangers.
 * Spec     the codecs of this folder. */
#pragma once

#include "base/addr.h"

#define PKTTEXT_INFO 512

struct pkttext {
	char src[ADDR_TEXT], dst[ADDR_TEXT]; /* with ports where there are some */
	char proto[16];                      /* "ARP", "DHCP", "DNS", "TCP", "ICMP", ... */
	char info[PKTTEXT_INFO];
};

void pkttext_of(struct span frame, struct pkttext *out);
