/* What names of allow-lists stand for changes: looked up again, now and then. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "local.h"
#include "loop.h"
#include "network.h"
#include "worker.h"

enum { REFRESH_MS = 60 * 1000 };

struct refresh {
	const struct site *site;
	struct record record; /* a copy */
	int init;             /* a descriptor of ours */
};

static void run(void *data)
{
	struct refresh *refresh = data;

	/* What fails now is tried again in a minute; until then the old answers hold. */
	network_refresh(refresh->site, &refresh->record, refresh->init, NULL);
}

static void finish(void *data)
{
	struct refresh *refresh = data;

	cleanup_close(&refresh->init);
	record_release(&refresh->record);
	free(refresh);
}

static void start(const struct sandbox *sandbox)
{
	struct refresh *refresh = alloc_zero(sizeof *refresh);

	refresh->site = &sandbox->local->site;
	record_copy(&sandbox->record, &refresh->record);
	refresh->init = fcntl(sandbox->live.init, F_DUPFD_CLOEXEC, 0);
	if (worker_submit(sandbox->local->setup.workers, run, finish, refresh, NULL) < 0)
		finish(refresh);
}

static void on_timer(void *data)
{
	struct local *local = data;

	for (const struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at))
		if (at->record.network == NETWORK_ALLOW && at->live.init >= 0 && !at->job)
			start(at);
	loop_timer_set(local->lookups, REFRESH_MS);
}

void refresh_open(struct local *local)
{
	local->lookups = loop_timer_new(local->setup.loop, on_timer, local);
	loop_timer_set(local->lookups, REFRESH_MS);
}
