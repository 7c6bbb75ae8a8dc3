/*
 * The local provider without the manager, for measuring: makes N sandboxes, BURST at a time, says
 * how long each took, and removes them unless told to keep them.
 *
 *	local_driver DATA_DIR N BURST [keep]
 *	local_driver DATA_DIR clear
 */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local_kit.h"

static void print_times(const char *what, const struct kit_calls *calls)
{
	printf("%s: %zu, median %.1f ms, slowest %.1f ms, all after %.1f ms\n", what, calls->len,
		kit_median_ms(calls), kit_slowest_ms(calls), kit_span_ms(calls));
}

struct clearing {
	struct kit *kit;
	struct kit_calls *removed;
};

static void remove_one(const char *id, const struct provider_answer *answer, void *data)
{
	struct clearing *clearing = data;

	(void)answer;
	if (clearing->removed->len < KIT_CALLS_MAX)
		kit_call(clearing->kit, clearing->removed, id);
}

static void ignore_end(const struct err *err, void *data)
{
	(void)err, (void)data;
}

/* What is there may be busy at first: a provider that opens looks after its leftovers. */
static int clear(struct kit *kit)
{
	static struct kit_calls removed;
	struct clearing clearing = { kit, &removed };

	kit_await_idle(kit);
	kit->provider->list(kit->provider, remove_one, ignore_end, &clearing);
	for (size_t i = 0; i < removed.len; i++)
		kit->provider->destroy(
			kit->provider, removed.calls[i].id, kit_done, &removed.calls[i]);
	kit_await(kit, &removed);
	print_times("removed", &removed);
	return removed.failed > 0;
}

int main(int argc, char **argv)
{
	struct kit kit;
	static struct kit_calls made, removed;

	if (argc == 3 && strcmp(argv[2], "clear") == 0) {
		if (kit_open(&kit, argv[1], 0) < 0)
			return 1;
		int failed = clear(&kit);
		kit_close(&kit);
		return failed;
	}
	if (argc < 4) {
		fprintf(stderr, "usage: local_driver DATA_DIR N BURST [keep] | clear\n");
		return 2;
	}
	size_t n = (size_t)strtoul(argv[2], NULL, 10), burst = (size_t)strtoul(argv[3], NULL, 10);
	if (n > KIT_CALLS_MAX || kit_open(&kit, argv[1], 0) < 0)
		return 1;
	for (size_t i = 0; i < n; i++) {
		kit_make(&kit, &made, "host");
		if (made.len % burst == 0)
			kit_await(&kit, &made);
	}
	kit_await(&kit, &made);
	print_times("made", &made);
	if (argc == 4) {
		for (size_t i = 0; i < n; i++)
			kit_remove(&kit, &removed, made.calls[i].id);
		kit_await(&kit, &removed);
		print_times("removed", &removed);
	}
	kit_close(&kit);
	return made.failed + removed.failed > 0;
}
