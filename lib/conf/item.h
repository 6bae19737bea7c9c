/* item: the small grammars inside list and text options.
 *
 * The item_* checks are what option rows name: 0, or -EINVAL with the form that was expected.
 * The item_read_* functions take the same texts apart for the modules that use them; they return
 * false on text the check would refuse and then leave the outputs alone. */
#pragma once

#include "base/addr.h"
#include "base/err.h"

int item_origin(struct span s, struct err *e);
int item_ip(struct span s, struct err *e);
int item_cidr(struct span s, struct err *e);
int item_ports(struct span s, struct err *e);
int item_route(struct span s, struct err *e);
int item_forward(struct span s, struct err *e);
int item_static_a(struct span s, struct err *e);
int item_dns_server(struct span s, struct err *e);
int item_hostname(struct span s, struct err *e);

/* "443" or "8000-8100". */
bool item_read_ports(struct span s, uint16_t *first, uint16_t *last);
/* "10.1.0.0/16=10.0.2.2". */
bool item_read_route(struct span s, struct cidr *to, struct ip *via);
/* "ip:port=host:port"; host is a name or an address, without brackets. */
bool item_read_forward(struct span s, struct endpoint *from, struct span *host, uint16_t *port);
/* "name=ip". */
bool item_read_static_a(struct span s, struct span *name, struct ip *ip);
/* "ip", "ip:port", "[v6]:port"; port 53 if none is given. */
bool item_read_dns_server(struct span s, struct endpoint *out);
