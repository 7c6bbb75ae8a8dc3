#ifndef WATCH_H
#define WATCH_H

/*
 * Changes of files, by inotify(7): a file by its path, which need not exist yet, may be replaced
 * by rename and may have directories on its way come and go; or the upper directories of the
 * workspace. Bursts are one change. Directories are opened on a worker, like all that clients
 * name; everything else happens on the loop thread, callbacks included.
 */
#include <stddef.h>

struct err;
struct watch;
struct watcher;
struct workspace;

enum {
	WATCH_NODES_MAX = 8192, /* files and directories watched at once */
	WATCH_DEPTH_MAX = 64,   /* components of a path */
	WATCH_TREE_MAX = 256,   /* directories of the workspace */
};

/* `workspace` is borrowed. Nothing is opened before the first watch. */
struct watcher *watcher_new(const struct workspace *workspace);

/* After the last watch and after the workers. NULL is allowed. */
void watcher_free(struct watcher *watcher);

struct watch_events {
	/* Once, later: from here on no change is missed; or, with `err`, the watch is useless. */
	void (*ready)(void *data, const struct err *err);
	/* Something changed since the last call. May free the watch. */
	void (*changed)(void *data);
};

/* Content and attributes of what an absolute `path` leads to, and whether it is there; of a
 * directory its names. ERR_LIMIT where the path is too deep or inotify has no room. */
int watch_file(struct watcher *watcher, const char *path, size_t len,
	const struct watch_events *events, void *data, struct watch **out, struct err *err);

/* Names in the workspace: of its upper directories, hidden ones left out; once a second at most.
 * Its own names are watched when this returns, so a change before ready() is told after it. */
int watch_tree(struct watcher *watcher, const struct watch_events *events, void *data,
	struct watch **out, struct err *err);

void watch_free(struct watch *watch); /* NULL is allowed */

#endif
