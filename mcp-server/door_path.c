#include "door_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "path.h"
#include "workspace.h"

char *door_path(const struct workspace *workspace, const char *path, size_t len, struct err *err)
{
	const char *home = getenv("HOME");

	if (!path || len == 0 || strlen(path) != len || len >= PATH_MAX_BYTES) {
		err_set(err, ERR_INVALID,
			"'path' has to be the name of a file, of less than %d bytes and without "
			"NUL",
			PATH_MAX_BYTES);
		return NULL;
	}
	if (path[0] == '/')
		return alloc_text(path);
	if (path[0] == '~' && (path[1] == '/' || !path[1]) && home && home[0] == '/')
		return alloc_printf("%s%s", home, path + 1);
	return alloc_printf("%s/%s", path_root_name(workspace->roots, 0), path);
}

int door_open_directory(const struct workspace *workspace, const char *path, struct err *err)
{
	AUTO_FREE char *name = door_path(workspace, path, strlen(path), err);
	int fd = name ? open(name, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (name && fd < 0)
		return err_sys(err, "use %s as the working directory", path);
	return fd;
}

static int make_parents(char *path, struct err *err)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int failed = mkdir(path, 0777) < 0 && errno != EEXIST && errno != EROFS;
		if (failed)
			err_sys(err, "make the directory %s", path);
		*slash = '/';
		if (failed)
			return -1;
	}
	return 0;
}

int door_open_parent(const char *path, int *dirfd, char *name, struct err *err)
{
	AUTO_FREE char *real = realpath(path, NULL);
	AUTO_FREE char *own = alloc_text(real ? real : path);
	char *slash = strrchr(own, '/');

	if (!slash[1] || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0 ||
		strlen(slash + 1) > NAME_MAX)
		return err_set(err, ERR_INVALID, "%s is not the name of a file", path);
	if (!real && make_parents(own, err) < 0)
		return -1;
	memcpy(name, slash + 1, strlen(slash + 1) + 1);
	*slash = '\0';
	int fd = open(own[0] ? own : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open the directory of %s", path);
	*dirfd = fd;
	return 0;
}
