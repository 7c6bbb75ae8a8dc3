#ifndef WATCH_NODES_H
#define WATCH_NODES_H

/* Between watch.c and watch_nodes.c: the inotify watches, each shared by all who need it. */
#include <stdbool.h>
#include <stddef.h>

struct err;
struct place;

enum { NODE_BUCKETS = 1024 };

/* One file or directory that the kernel watches. */
struct node {
	int wd;               /* -1: the kernel dropped it */
	struct place *places; /* who needs it; watch.c's */
	struct node *next, **link; /* in its bucket */
};

struct nodes {
	int fd; /* of inotify */
	size_t count;
	struct node *buckets[NODE_BUCKETS];
};

/* The node of what is open (O_PATH); `out` stays as it is where that may not be read. ERR_LIMIT
 * where there is no room. */
int nodes_open(struct nodes *nodes, int fd, bool is_dir, struct node **out, struct err *err);

/* For one that nobody needs any more. */
void nodes_close(struct nodes *nodes, struct node *node);

struct node *nodes_find(const struct nodes *nodes, int wd);

/* The kernel forgot the node (IN_IGNORED). */
void nodes_dropped(struct node *node);

#endif
