#ifndef WATCH_SCAN_H
#define WATCH_SCAN_H

/* Between watch.c and watch_scan.c: where the kernel has to look for the changes of a watch. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct path_roots;

enum place_kind {
	PLACE_STEP,   /* a directory on the way: `name` in it leads on */
	PLACE_PARENT, /* the directory that holds the file `name` */
	PLACE_FILE,   /* the file itself, or the directory that is watched */
	PLACE_TREE,   /* one of the workspace's directories */
};

struct scanned {
	enum place_kind kind;
	int fd; /* O_PATH */
	dev_t dev;
	ino_t ino;
	bool is_dir;
	char *name;
};

struct scan {
	struct scanned *list;
	size_t count;
};

/* Opens what there is on the way to an absolute path, from the root on. Any thread. */
void scan_file(const struct path_roots *roots, const char *path, struct scan *out);

/* The workspace itself, which is open already: never blocks. */
void scan_root(const struct path_roots *roots, struct scan *out);

/* Opens the workspace's directories, upper ones first, hidden ones left out. Any thread. */
void scan_tree(const struct path_roots *roots, size_t max, struct scan *out);

void scan_release(struct scan *scan);

#endif
