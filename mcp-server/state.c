#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum { SERVERS_PER_WORKSPACE = 64 };

static int make_directories(char *path, struct err *err)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int failed = mkdir(path, 0755) < 0 && errno != EEXIST && errno != EROFS;
		if (failed)
			err_sys(err, "make the directory %s", path);
		*slash = '/';
		if (failed)
			return -1;
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make the state directory %s", path);
	return 0;
}

/* 0: ours; 1: another server has it; -1. Takes ownership of `path`. */
static int try_open(struct state *state, char *path, struct err *err)
{
	AUTO_FREE char *name = path;
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int lock = -1;

	if (make_directories(name, err) < 0)
		return -1;
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open the state directory %s", name);
	lock = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_sys(err, "write in the state directory %s", name);
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 1 : err_sys(err, "lock the state directory %s", name);
	state->path = realpath(name, NULL);
	if (!state->path)
		return err_sys(err, "find the state directory %s", name);
	state->fd = steal_fd(&fd);
	state->lock_fd = steal_fd(&lock);
	return 0;
}

/* FNV-1a: names a directory after a path; nobody gains by a collision. */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

static int open_default(struct state *state, const char *workspace, struct err *err)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	AUTO_FREE char *real = realpath(workspace, NULL);
	AUTO_FREE char *folder = NULL;

	if (!real)
		return err_sys(err, "open the workspace %s", workspace);
	if (base && base[0] == '/')
		folder = alloc_printf("%s/sandbox-mcp", base);
	else if (home && home[0] == '/')
		folder = alloc_printf("%s/.local/state/sandbox-mcp", home);
	else
		return err_set(err, ERR_INVALID, "HOME is not set: give --state-dir DIR");
	for (int i = 0; i < SERVERS_PER_WORKSPACE; i++) {
		char suffix[16] = "";
		if (i > 0)
			snprintf(suffix, sizeof suffix, ".%d", i);
		int got = try_open(state,
			alloc_printf("%s/%016" PRIx64 "%s", folder, hash(real), suffix), err);
		if (got <= 0)
			return got;
	}
	return err_set(err, ERR_LIMIT, "%d servers run on this workspace: stop some, or give "
		"--state-dir DIR", SERVERS_PER_WORKSPACE);
}

int state_open(struct state *state, const char *dir, const char *workspace, struct err *err)
{
	*state = (struct state){ .fd = -1, .lock_fd = -1 };
	if (!dir)
		return open_default(state, workspace, err);
	if (!*dir)
		return err_set(err, ERR_INVALID, "--state-dir needs the name of a directory");
	int got = try_open(state, alloc_text(dir), err);
	if (got > 0)
		return err_set(err, ERR_CONFLICT,
			"another server has the state directory %s: stop it or give another "
			"--state-dir",
			dir);
	return got;
}

void state_close(struct state *state)
{
	free(state->path);
	cleanup_close(&state->fd);
	cleanup_close(&state->lock_fd);
	*state = (struct state){ .fd = -1, .lock_fd = -1 };
}
