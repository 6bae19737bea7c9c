/* signals: a process's signals as news from the loop.
 *
 * For      command line tools; services have their supervisor.
 * Owner    embed struct signals; signals_close before its memory goes.
 * Order    signals_open blocks the signals for the process, `came` runs from the loop for each.
 *          signals_close gives them back their default meaning.
 * Errors   negative errno. */
#pragma once

#include "net/poller.h"

#include <signal.h>

struct signals {
	struct poll_fd poll;
	struct worker *w;
	sigset_t set;
	void (*came)(struct signals *s, int number);
};

/* numbers: ends with 0. */
int signals_open(struct signals *s, struct worker *w, const int *numbers,
        void (*came)(struct signals *s, int number));
void signals_close(struct signals *s);
