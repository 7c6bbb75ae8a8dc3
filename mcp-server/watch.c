#include "watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "log.h"
#include "loop.h"
#include "watch_nodes.h"
#include "watch_scan.h"
#include "worker.h"
#include "workspace.h"

enum {
	READS_PER_TURN = 8,
	BURST_MS = 50,       /* what comes within is one change */
	FILE_EVERY_MS = 200, /* between two changes of a file … */
	TREE_EVERY_MS = 1000,
	SCANS_MAX = 8, /* in a row, while directories on the way keep changing */
};

#define SELF_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

/* One part of what a watch is about. */
struct place {
	struct watch *watch;
	struct node *node; /* NULL: it may not be read, so its changes are not seen */
	enum place_kind kind;
	dev_t dev;
	ino_t ino;
	char *name;
	struct place *next, **link; /* of its node */
};

struct watch {
	struct watcher *watcher;
	const struct watch_events *events;
	void *data;
	char *path; /* NULL: the workspace's tree */
	struct place *places;
	size_t count;

	struct scan scan; /* filled on a worker */
	unsigned scans;   /* in a row */
	bool scanning, dead;
	bool stale;   /* look again where it is */
	bool changed; /* to be announced */
	bool armed;   /* ready() was called */
	struct loop_timer *timer;
	int64_t announced_ms;
	struct watch *next, **link;
};

struct watcher {
	const struct workspace *workspace;
	struct nodes nodes;
	struct loop_io *io;
	struct watch *watches;
};

/* ---- places ---- */

static void drop_place(struct watcher *watcher, struct place *place)
{
	struct node *node = place->node;

	free(place->name);
	if (!node)
		return;
	*place->link = place->next;
	if (place->next)
		place->next->link = place->link;
	if (!node->places)
		nodes_close(&watcher->nodes, node);
}

static void drop_places(struct watcher *watcher, struct place *places, size_t count)
{
	for (size_t i = 0; i < count; i++)
		drop_place(watcher, &places[i]);
	free(places);
}

static bool same_places(const struct watch *watch)
{
	const struct scan *scan = &watch->scan;

	if (watch->count != scan->count)
		return false;
	for (size_t i = 0; i < scan->count; i++) {
		const struct place *place = &watch->places[i];
		if (place->ino != scan->list[i].ino || place->dev != scan->list[i].dev ||
			place->kind != scan->list[i].kind || (place->node && place->node->wd < 0))
			return false;
	}
	return true;
}

/* The inode that a path leads to; 0 where nothing is there. */
static ino_t target(const struct watch *watch)
{
	const struct place *last = watch->count ? &watch->places[watch->count - 1] : NULL;

	return last && last->kind == PLACE_FILE ? last->ino : 0;
}

/* Puts the scanned places in the place of the old ones, whose nodes live on where they agree. */
static int take_scan(struct watch *watch, struct err *err)
{
	struct watcher *watcher = watch->watcher;
	struct scan *scan = &watch->scan;
	struct place *places = alloc_array(scan->count, sizeof *places);

	for (size_t i = 0; i < scan->count; i++) {
		struct place *place = &places[i];
		struct node *node = NULL;
		if (nodes_open(&watcher->nodes, scan->list[i].fd, scan->list[i].is_dir, &node,
			    err) < 0) {
			drop_places(watcher, places, i);
			return -1;
		}
		*place = (struct place){
			.watch = watch,
			.node = node,
			.kind = scan->list[i].kind,
			.dev = scan->list[i].dev,
			.ino = scan->list[i].ino,
			.name = steal_ptr(&scan->list[i].name),
		};
		if (!node)
			continue;
		place->next = node->places;
		place->link = &node->places;
		if (place->next)
			place->next->link = &place->next;
		node->places = place;
	}
	drop_places(watcher, watch->places, watch->count);
	watch->places = places;
	watch->count = scan->count;
	return 0;
}

/* ---- scanning ---- */

static void scan_on_worker(void *data)
{
	struct watch *watch = data;
	const struct path_roots *roots = watch->watcher->workspace->roots;

	if (watch->path)
		scan_file(roots, watch->path, &watch->scan);
	else
		scan_tree(roots, WATCH_TREE_MAX, &watch->scan);
}

static void destroy(struct watch *watch)
{
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	drop_places(watch->watcher, watch->places, watch->count);
	scan_release(&watch->scan);
	loop_timer_free(watch->timer);
	free(watch->path);
	free(watch);
}

static void scan(struct watch *watch);

static void arm_timer(struct watch *watch)
{
	int64_t now = loop_now_ms(watch->watcher->workspace->loop);
	int64_t wait = watch->announced_ms + (watch->path ? FILE_EVERY_MS : TREE_EVERY_MS) - now;

	if (!watch->scanning && !loop_timer_armed(watch->timer))
		loop_timer_set(watch->timer, wait > BURST_MS ? wait : BURST_MS);
}

/* Says what is to be said; the watch may be gone afterwards. What changed in the workspace before
 * all of it was watched is said soon after ready(): not everybody waited for that. */
static void announce(struct watch *watch, const struct err *err)
{
	watch->scans = 0;
	if (!watch->armed)
		watch->changed &= !watch->path && !err;
	if (watch->stale || (watch->changed && !watch->armed))
		arm_timer(watch);
	if (!watch->armed) {
		watch->armed = true;
		watch->events->ready(watch->data, err);
	} else if (watch->changed) {
		watch->changed = false;
		watch->announced_ms = loop_now_ms(watch->watcher->workspace->loop);
		watch->events->changed(watch->data);
	}
}

/* What was scanned may have changed before the kernel was told to look there, so a scan counts
 * only when the next one finds the same. */
static void scanned(void *data)
{
	struct watch *watch = data;
	ino_t before = target(watch);
	struct err err = { 0 };
	int failed = 0;

	watch->scanning = false;
	if (watch->dead) {
		destroy(watch);
		return;
	}
	bool same = same_places(watch);
	if (!same)
		failed = take_scan(watch, &err);
	scan_release(&watch->scan);
	watch->changed |= target(watch) != before;
	if (failed && watch->armed)
		log_event(LOG_WARNING, "watching stopped", "path",
			watch->path ? watch->path : "the workspace", "why", err.msg, NULL);
	if (!same && !failed && ++watch->scans < SCANS_MAX) {
		scan(watch);
		return;
	}
	watch->stale |= !same && !failed;
	announce(watch, failed ? &err : NULL);
}

/* Where the workers have too much to do, the timer tries again. */
static void scan(struct watch *watch)
{
	watch->stale = false;
	if (worker_submit(watch->watcher->workspace->pool, scan_on_worker, scanned, watch, NULL) <
		0) {
		watch->stale = true;
		arm_timer(watch);
		return;
	}
	watch->scanning = true;
}

/* Changes of the workspace's own names count from the first moment on. Where there is no room
 * the scan says so. */
static void watch_root(struct watch *watch)
{
	scan_root(watch->watcher->workspace->roots, &watch->scan);
	take_scan(watch, NULL);
	scan_release(&watch->scan);
}

static void on_timer(void *data)
{
	struct watch *watch = data;

	if (watch->stale)
		scan(watch);
	else
		announce(watch, NULL);
}

/* ---- events ---- */

static bool concerns(const struct place *place, const struct inotify_event *event)
{
	const char *name = event->len ? event->name : "";

	if (event->mask & SELF_MASK || place->kind == PLACE_FILE)
		return true;
	if (place->kind == PLACE_TREE)
		return name[0] != '.';
	return strcmp(name, place->name) == 0;
}

static void apply(struct place *place, const struct inotify_event *event)
{
	struct watch *watch = place->watch;
	bool self = event->mask & SELF_MASK;

	if (!concerns(place, event))
		return;
	if (place->kind == PLACE_FILE || place->kind == PLACE_TREE ||
		(place->kind == PLACE_PARENT && !self))
		watch->changed = true;
	if (self || place->kind == PLACE_STEP || place->kind == PLACE_PARENT ||
		(place->kind == PLACE_TREE && event->mask & IN_ISDIR))
		watch->stale = true;
	if (watch->changed || watch->stale)
		arm_timer(watch);
}

/* The kernel dropped events: anything may have happened. */
static void overflowed(struct watcher *watcher)
{
	for (struct watch *watch = watcher->watches; watch; watch = watch->next) {
		watch->changed = watch->stale = true;
		arm_timer(watch);
	}
}

static void take_event(struct watcher *watcher, const struct inotify_event *event)
{
	struct node *node = event->wd < 0 ? NULL : nodes_find(&watcher->nodes, event->wd);

	if (event->mask & IN_Q_OVERFLOW)
		overflowed(watcher);
	if (!node)
		return;
	if (event->mask & IN_IGNORED)
		nodes_dropped(node);
	for (struct place *place = node->places; place; place = place->next)
		apply(place, event);
}

static void on_readable(unsigned events, void *data)
{
	struct watcher *watcher = data;
	_Alignas(struct inotify_event) char bytes[16 * 1024];

	(void)events;
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = read(watcher->nodes.fd, bytes, sizeof bytes);
		if (n <= 0)
			return;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(bytes + at);
			take_event(watcher, event);
			at += (ssize_t)(sizeof *event + event->len);
		}
	}
}

/* ---- watches ---- */

struct watcher *watcher_new(const struct workspace *workspace)
{
	struct watcher *watcher = alloc_zero(sizeof *watcher);

	watcher->workspace = workspace;
	watcher->nodes.fd = -1;
	return watcher;
}

void watcher_free(struct watcher *watcher)
{
	if (!watcher)
		return;
	while (watcher->watches)
		destroy(watcher->watches);
	loop_io_free(watcher->io);
	cleanup_close(&watcher->nodes.fd);
	free(watcher);
}

/* inotify instances are few on a system: one is taken only where it is needed. */
static int start(struct watcher *watcher, struct err *err)
{
	if (watcher->io)
		return 0;
	AUTO_CLOSE int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 && errno == EMFILE)
		return err_set(err, ERR_LIMIT,
			"the system has no inotify instance left (fs.inotify.max_user_instances): "
			"changes cannot be watched");
	if (fd < 0)
		return err_sys(err, "start inotify");
	if (loop_io_new(watcher->workspace->loop, fd, EPOLLIN, on_readable, watcher, &watcher->io,
		    err) < 0)
		return -1;
	watcher->nodes.fd = steal_fd(&fd);
	return 0;
}

static int add_watch(struct watcher *watcher, char *path, const struct watch_events *events,
	void *data, struct watch **out, struct err *err)
{
	if (start(watcher, err) < 0) {
		free(path);
		return -1;
	}
	struct watch *watch = alloc_zero(sizeof *watch);
	*watch = (struct watch){
		.watcher = watcher,
		.events = events,
		.data = data,
		.path = path,
		.announced_ms = INT64_MIN / 2,
		.next = watcher->watches,
		.link = &watcher->watches,
	};
	watch->timer = loop_timer_new(watcher->workspace->loop, on_timer, watch);
	if (watch->next)
		watch->next->link = &watch->next;
	watcher->watches = watch;
	*out = watch;
	if (!path)
		watch_root(watch);
	scan(watch);
	return 0;
}

static size_t depth(const char *path)
{
	size_t components = 0;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		components++;
		path += strcspn(path, "/");
	}
	return components;
}

int watch_file(struct watcher *watcher, const char *path, size_t len,
	const struct watch_events *events, void *data, struct watch **out, struct err *err)
{
	AUTO_FREE char *copy = alloc_textn(path, len);

	if (depth(copy) > WATCH_DEPTH_MAX)
		return err_set(err, ERR_LIMIT,
			"a file below more than %d directories is not watched", WATCH_DEPTH_MAX);
	return add_watch(watcher, steal_ptr(&copy), events, data, out, err);
}

int watch_tree(struct watcher *watcher, const struct watch_events *events, void *data,
	struct watch **out, struct err *err)
{
	return add_watch(watcher, NULL, events, data, out, err);
}

void watch_free(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->scanning)
		watch->dead = true;
	else
		destroy(watch);
}
