/*
 * The local provider without the manager, for measuring: makes N sandboxes, BURST at a time, says
 * how long each took, and removes them unless told to keep them.
 *
 *	local_driver DATA_DIR N BURST [keep]
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

int main(int argc, char **argv)
{
	struct kit kit;
	struct kit_calls made = { .len = 0 }, removed = { .len = 0 };

	if (argc < 4) {
		fprintf(stderr, "usage: local_driver DATA_DIR N BURST [keep]\n");
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
