/* request: what the clients of this folder ask of the text they put into a request head. */
#pragma once

#include <stdbool.h>

/* host and target are single words, the target a path; headers whole lines with CRLF, or NULL. */
bool request_text_ok(const char *host, const char *target, const char *headers);
/* A Host header's value without port and brackets; free it. */
char *request_host_name(const char *host);
