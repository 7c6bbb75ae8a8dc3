#include "watch_nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "alloc.h"
#include "err.h"
#include "watch.h"

#define FILE_MASK (IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define DIR_MASK \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

static struct node **bucket_of(struct nodes *nodes, int wd)
{
	return &nodes->buckets[(unsigned)wd % NODE_BUCKETS];
}

struct node *nodes_find(const struct nodes *nodes, int wd)
{
	struct node *node = nodes->buckets[(unsigned)wd % NODE_BUCKETS];

	while (node && node->wd != wd)
		node = node->next;
	return node;
}

static struct node *add(struct nodes *nodes, int wd)
{
	struct node **bucket = bucket_of(nodes, wd);
	struct node *node = alloc_zero(sizeof *node);

	*node = (struct node){ .wd = wd, .next = *bucket, .link = bucket };
	if (node->next)
		node->next->link = &node->next;
	*bucket = node;
	nodes->count++;
	return node;
}

static int no_room(const char *whose, struct err *err)
{
	return err_set(err, ERR_LIMIT,
		"too many files are watched already (%s): unsubscribe from some", whose);
}

/* inotify takes paths only: the one in /proc leads to what is open, whatever its name is now. */
int nodes_open(struct nodes *nodes, int fd, bool is_dir, struct node **out, struct err *err)
{
	char path[32];

	if (nodes->count >= WATCH_NODES_MAX)
		return no_room("by this server", err);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int wd = inotify_add_watch(nodes->fd, path, is_dir ? DIR_MASK : FILE_MASK);
	if (wd < 0 && errno == ENOSPC)
		return no_room("fs.inotify.max_user_watches of the system", err);
	if (wd < 0)
		return 0;
	struct node *node = nodes_find(nodes, wd);
	*out = node ? node : add(nodes, wd);
	return 0;
}

void nodes_dropped(struct node *node)
{
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;
	node->wd = -1;
}

void nodes_close(struct nodes *nodes, struct node *node)
{
	if (node->wd >= 0) {
		inotify_rm_watch(nodes->fd, node->wd);
		nodes_dropped(node);
	}
	nodes->count--;
	free(node);
}
