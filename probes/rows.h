/* rows: the probes, and the parts of them that others use too. */
#pragma once

#include "guest/gtcp.h"
#include "probes/lan.h"

int probe_arp(struct probe *p);
int probe_dhcp(struct probe *p);
int probe_dns(struct probe *p);
int probe_ping(struct probe *p);
int probe_tcp(struct probe *p);
int probe_udp(struct probe *p);
int probe_http(struct probe *p);
int probe_l2(struct probe *p);
int probe_health(struct probe *p);

/* Within a step that has begun; they end it. */
int probe_ping_ip(struct probe *p, const struct ip *to, uint32_t count);
/* any: every answer but SERVFAIL is a yes. */
int probe_ask(struct probe *p, const char *name, uint16_t type, bool tcp, bool any);
int probe_echo(struct probe *p, const struct endpoint *to);
/* This one ends it only when there is no connection; 0 and a connection else. */
int probe_connect(struct probe *p, const struct endpoint *to, struct gtcp **out);

int lan_step(struct probe *p); /* lan_address as a step of its own */
