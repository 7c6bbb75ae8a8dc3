/* Any path, by any call of path.h: what opens lies in the root, whatever links there are. */
#include "path.h"

#include <limits.h>
#include <stdint.h>

#include "cleanup.h"

#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct scratch scratch;

static void leave(void)
{
	scratch_leave(&scratch);
}

static struct path_roots *set_up(void)
{
	struct path_roots *roots = path_roots_new();

	scratch = scratch_enter();
	atexit(leave);
	MUST(mkdir("ws", 0755));
	MUST(mkdir("ws/d", 0755));
	scratch_text("ws/d/f", "inside");
	scratch_text("f", "outside");
	MUST(symlink("../f", "ws/o"));
	MUST(symlink("..", "ws/u"));
	MUST(symlink("d/../d", "ws/l"));
	MUST(symlink("/etc", "ws/a"));
	MUST(symlink("n", "ws/n"));
	MUST(path_roots_add(roots, "ws", 0, NULL));
	return roots;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct path_roots *roots;
	char last[NAME_MAX + 1], link[64], name[PATH_MAX];
	const char *path = (const char *)data + 1;

	roots = roots ? roots : set_up();
	for (int i = 0; i < 3 && size > 0; i++) {
		AUTO_CLOSE int fd = -1;
		bool make = data[0] == 'm';
		int rc = i == 0   ? path_open(roots, path, size - 1, O_PATH, 0, &fd, NULL)
			 : i == 1 ? path_open_parent(roots, path, size - 1, make, &fd, last, NULL)
				  : path_open_target(roots, path, size - 1, make, &fd, last, NULL);
		if (rc < 0)
			continue;
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, name, sizeof name - 1);
		MUST(n);
		name[n] = '\0';
		if (strncmp(name, path_root_name(roots, 0), strlen(path_root_name(roots, 0))) != 0)
			abort();
	}
	return 0;
}
