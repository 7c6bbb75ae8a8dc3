#include "walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "ignore.h"

enum {
	LISTING = 128 << 10, /* bytes of one look into a directory */
	BATCH = 32,          /* files that go to another thread together */
	ENOUGH_WAITING = 16, /* tasks; then a thread keeps its files: bounds open directories */
	HOP = 4000,          /* bytes of a path that the kernel takes at once */
	TRIES = 16,          /* while others rename on the way, openat2 answers EAGAIN */
};

/* What one thread uses for one directory after the other. */
struct desk {
	char listing[LISTING];
	char path[WALK_PATH_MAX + NAME_MAX + 2]; /* absolute, as ignore.h wants it */
};

struct walk {
	struct walk_options options;
	int dirfd;
	struct ignore *ignore;
	size_t base_len; /* of the absolute paths; what follows is a slash and the path */
	struct desk *desks[CREW_MAX]; /* made when first used */
	atomic_size_t names;          /* bytes that wait */
	atomic_size_t skipped;
	pthread_mutex_t lock;
	bool failed;
	struct err err;
};

/* Names, each ended by a NUL, one behind the other. */
struct names {
	char *at;
	size_t len, cap, count;
};

/* The subdirectories of one directory that are still to be entered, in order. */
struct frame {
	struct crew_task task;
	struct walk *walk;
	struct ignore_dir *rules;
	char *path; /* of the directory, absolute */
	size_t len;
	struct names names;
	size_t next;
};

/* An open directory whose files are being visited by several threads. */
struct folder {
	atomic_uint refs;
	int fd;
	char *path; /* from the start, ends in a slash; "" is the start */
	size_t len;
};

struct batch {
	struct crew_task task;
	struct walk *walk;
	struct folder *folder;
	struct names names;
};

static void names_add(struct names *names, const char *name, size_t len)
{
	if (names->len + len + 1 > names->cap) {
		names->cap = 2 * names->cap + len + 64;
		names->at = alloc_grow(names->at, names->cap);
	}
	memcpy(names->at + names->len, name, len + 1);
	names->len += len + 1;
	names->count++;
}

static void fail(struct walk *walk, struct crew *crew, const struct err *err)
{
	pthread_mutex_lock(&walk->lock);
	if (!walk->failed)
		walk->err = *err;
	walk->failed = true;
	pthread_mutex_unlock(&walk->lock);
	crew_stop(crew);
}

static void skip(struct walk *walk)
{
	atomic_fetch_add_explicit(&walk->skipped, 1, memory_order_relaxed);
}

/* ---- Opening ---- */

static int open_hop(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_DIRECTORY | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd, tries = 0;

	do
		fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < TRIES);
	return fd;
}

/* Opens the directory `path` (from the start; "" is the start itself). */
static int open_directory(const struct walk *walk, const char *path, size_t len)
{
	char hop[HOP + 1];
	AUTO_CLOSE int from = -1;

	while (len > HOP) {
		const char *slash = memrchr(path, '/', HOP);
		size_t n = (size_t)(slash - path);

		memcpy(hop, path, n);
		hop[n] = '\0';
		int next = open_hop(from < 0 ? walk->dirfd : from, hop, O_PATH);
		if (next < 0)
			return -1;
		if (from >= 0)
			close(from);
		from = next;
		path += n + 1;
		len -= n + 1;
	}
	memcpy(hop, path, len);
	hop[len] = '\0';
	return open_hop(from < 0 ? walk->dirfd : from, len ? hop : ".", O_RDONLY);
}

/* ---- Files for other threads ---- */

static void folder_unref(struct folder *folder)
{
	if (atomic_fetch_sub_explicit(&folder->refs, 1, memory_order_acq_rel) > 1)
		return;
	close(folder->fd);
	free(folder->path);
	free(folder);
}

/* Visits the files `names` of a directory whose path, a slash at its end, is given. */
static void visit_names(struct walk *walk, struct crew *crew, unsigned worker, int dirfd,
	const char *dir, size_t len, const struct names *names)
{
	char *path = alloc_grow(NULL, len + NAME_MAX + 1);

	memcpy(path, dir, len);
	for (size_t at = 0; at < names->len && !crew_stopped(crew);) {
		const char *name = names->at + at;
		size_t n = strlen(name);

		memcpy(path + len, name, n + 1);
		walk->options.visit(crew, &(struct walk_file){ dirfd, path + len, path, len + n },
			worker, walk->options.data);
		at += n + 1;
	}
	free(path);
}

static void batch_run(struct crew *crew, struct crew_task *task, unsigned worker)
{
	struct batch *batch = (struct batch *)task;
	struct folder *folder = batch->folder;

	visit_names(
		batch->walk, crew, worker, folder->fd, folder->path, folder->len, &batch->names);
	atomic_fetch_sub(&batch->walk->names, batch->names.len);
	folder_unref(folder);
	free(batch->names.at);
	free(batch);
}

/* ---- One directory ---- */

/* A directory being listed. */
struct visit {
	struct walk *walk;
	struct crew *crew;
	unsigned worker;
	int fd;
	struct desk *desk;
	size_t len; /* of its path on the desk, the slash behind it counted */
	struct ignore_dir *rules;
	struct names dirs, files;
	struct folder *folder; /* for batches; NULL before the first */
};

/* Hands the files found so far to other threads, or visits them where those have enough. */
static void send_batch(struct visit *v)
{
	size_t base = v->walk->base_len + 1;

	if (!v->folder && crew_waiting(v->crew) < ENOUGH_WAITING) {
		int fd = fcntl(v->fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0) {
			v->folder = alloc_zero(sizeof *v->folder);
			*v->folder = (struct folder){ 1, fd,
				alloc_textn(v->desk->path + base, v->len - base), v->len - base };
		}
	}
	if (!v->folder || crew_waiting(v->crew) >= ENOUGH_WAITING) {
		visit_names(v->walk, v->crew, v->worker, v->fd, v->desk->path + base, v->len - base,
			&v->files);
		v->files.len = v->files.count = 0;
		return;
	}
	struct batch *batch = alloc_zero(sizeof *batch);
	*batch = (struct batch){ { batch_run, NULL }, v->walk, v->folder, v->files };
	v->files = (struct names){ 0 };
	atomic_fetch_add(&v->folder->refs, 1);
	atomic_fetch_add(&v->walk->names, batch->names.len);
	crew_push(v->crew, &batch->task);
}

static unsigned char type_of(int dirfd, const char *name, unsigned char type)
{
	struct stat st;

	if (type != DT_UNKNOWN)
		return type;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
}

static void take_entry(struct visit *v, const struct dirent64 *entry)
{
	struct walk *walk = v->walk;
	const char *name = entry->d_name;
	size_t n = strlen(name), len = v->len + n, base = walk->base_len + 1;
	unsigned char type = type_of(v->fd, name, entry->d_type);
	char *path = v->desk->path;
	struct rule_name rule_name;

	if (type != DT_REG && type != DT_DIR)
		return;
	memcpy(path + v->len, name, n + 1);
	rule_name_init(&rule_name, path, len, type == DT_DIR);
	if (ignore_skips(walk->ignore, v->rules, &rule_name))
		return;
	if (type == DT_DIR) {
		names_add(&v->dirs, name, n);
	} else if (walk->options.spread) {
		names_add(&v->files, name, n);
		if (v->files.count == BATCH)
			send_batch(v);
	} else {
		walk->options.visit(v->crew,
			&(struct walk_file){ v->fd, path + v->len, path + base, len - base },
			v->worker, walk->options.data);
	}
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

typedef void entry_fn(struct visit *v, const struct dirent64 *entry, void *data);

static void each_entry(struct visit *v, size_t have, entry_fn *fn, void *data)
{
	for (size_t at = 0; at < have;) {
		const struct dirent64 *entry = (const void *)(v->desk->listing + at);

		if (!is_dots(entry->d_name))
			fn(v, entry, data);
		at += entry->d_reclen;
	}
}

static void look_entry(struct visit *v, const struct dirent64 *entry, void *data)
{
	unsigned *found = data;

	(void)v;
	if (entry->d_name[0] == '.')
		*found |= ignore_found(entry->d_name);
}

static void visit_entry(struct visit *v, const struct dirent64 *entry, void *data)
{
	(void)data;
	take_entry(v, entry);
}

/* Fills the desk's listing; whether that was the end. -1 on an error. */
static int list(struct visit *v, size_t *have)
{
	*have = 0;
	while (LISTING - *have >= sizeof(struct dirent64)) {
		long n = syscall(SYS_getdents64, v->fd, v->desk->listing + *have, LISTING - *have);

		if (n < 0 && errno == EINVAL && *have > 0)
			return 0; /* no room for the next entry */
		if (n <= 0)
			return n < 0 ? -1 : 1;
		*have += (size_t)n;
	}
	return 0;
}

/* The rules of the directory count for all its entries, so its ignore files have to be known
 * first: from the listing where that is whole, else they are tried. */
static int list_all(struct visit *v, struct ignore_dir *above)
{
	struct walk *walk = v->walk;
	unsigned found = 0;
	struct err err;
	size_t have;
	int ended = list(v, &have);

	if (ended < 0) {
		skip(walk);
		return -1;
	}
	if (ended)
		each_entry(v, have, look_entry, &found);
	else
		found = IGNORE_FOUND_ANY;
	if (ignore_enter(walk->ignore, above, v->fd, v->desk->path, v->len - 1, found, &v->rules,
		    &err) < 0) {
		fail(walk, v->crew, &err);
		return -1;
	}
	for (;;) {
		each_entry(v, have, visit_entry, NULL);
		if (ended || crew_stopped(v->crew))
			return 0;
		ended = list(v, &have);
		if (ended < 0) {
			skip(walk);
			return 0;
		}
	}
}

/* ---- The tree ---- */

static void frame_run(struct crew *crew, struct crew_task *task, unsigned worker);

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In order, so that the first results come first. */
static void sort_names(struct names *names)
{
	const char **list = alloc_array(names->count, sizeof *list);
	char *sorted = alloc_grow(NULL, names->len), *to = sorted, *at = names->at;

	for (size_t i = 0; i < names->count; i++, at += strlen(at) + 1)
		list[i] = at;
	qsort(list, names->count, sizeof *list, compare_names);
	for (size_t i = 0; i < names->count; i++)
		to = stpcpy(to, list[i]) + 1;
	free(names->at);
	names->at = sorted;
	free(list);
}

/* Leaves the subdirectories found for whoever comes first. */
static void push_frame(struct visit *v)
{
	struct frame *frame = alloc_zero(sizeof *frame);

	sort_names(&v->dirs);
	*frame = (struct frame){ { frame_run, NULL }, v->walk, v->rules,
		alloc_textn(v->desk->path, v->len), v->len, v->dirs, 0 };
	v->rules = NULL;
	v->dirs = (struct names){ 0 };
	if (atomic_fetch_add(&v->walk->names, frame->names.len) > WALK_NAMES_MAX) {
		struct err err;
		err_set(&err, ERR_LIMIT,
			"the tree has too many directories to search at once: search a "
			"directory below");
		fail(v->walk, v->crew, &err);
	}
	crew_push(v->crew, &frame->task);
}

/* Lists the directory whose path is on the desk, `len` bytes. */
static void visit_directory(
	struct walk *walk, struct crew *crew, unsigned worker, size_t len, struct ignore_dir *above)
{
	struct desk *desk = walk->desks[worker];
	size_t base = walk->base_len;
	struct visit v = { .walk = walk, .crew = crew, .worker = worker, .desk = desk };

	desk->path[len] = '/';
	desk->path[len + 1] = '\0';
	v.len = len + 1;
	if (len > base && walk->options.wants &&
		!walk->options.wants(desk->path + base + 1, len - base, worker, walk->options.data))
		return;
	AUTO_CLOSE int fd =
		open_directory(walk, desk->path + base + (len > base), len - base - (len > base));
	if (fd < 0) {
		skip(walk);
		return;
	}
	v.fd = fd;
	list_all(&v, above);
	/* Others go on with the directories while the last files are visited here. */
	if (v.dirs.count > 0)
		push_frame(&v);
	if (v.files.count > 0)
		visit_names(
			walk, crew, worker, fd, desk->path + base + 1, v.len - base - 1, &v.files);
	if (v.folder)
		folder_unref(v.folder);
	free(v.dirs.at);
	free(v.files.at);
	ignore_dir_unref(v.rules);
}

static void frame_free(struct frame *frame)
{
	atomic_fetch_sub(&frame->walk->names, frame->names.len);
	ignore_dir_unref(frame->rules);
	free(frame->names.at);
	free(frame->path);
	free(frame);
}

/* Takes the next directory of a frame and leaves the rest to others. */
static void frame_run(struct crew *crew, struct crew_task *task, unsigned worker)
{
	struct frame *frame = (struct frame *)task;
	struct walk *walk = frame->walk;
	const char *name = frame->names.at + frame->next;
	size_t n = strlen(name), len = frame->len + n;

	if (crew_stopped(crew)) {
		frame_free(frame);
		return;
	}
	if (!walk->desks[worker])
		walk->desks[worker] = alloc_zero(sizeof *walk->desks[worker]);
	memcpy(walk->desks[worker]->path, frame->path, frame->len);
	memcpy(walk->desks[worker]->path + frame->len, name, n);
	frame->next += n + 1;

	struct ignore_dir *rules = ignore_dir_ref(frame->rules);
	if (frame->next < frame->names.len)
		crew_push(crew, &frame->task);
	else
		frame_free(frame);
	if (len > WALK_PATH_MAX)
		skip(walk);
	else
		visit_directory(walk, crew, worker, len, rules);
	ignore_dir_unref(rules);
}

static void start_run(struct crew *crew, struct crew_task *task, unsigned worker)
{
	struct frame *frame = (struct frame *)task;
	struct walk *walk = frame->walk;

	free(frame);
	if (crew_stopped(crew))
		return;
	if (!walk->desks[worker])
		walk->desks[worker] = alloc_zero(sizeof *walk->desks[worker]);
	memcpy(walk->desks[worker]->path, ignore_base(walk->ignore), walk->base_len);
	visit_directory(walk, crew, worker, walk->base_len, ignore_above(walk->ignore));
}

void walk_start(struct walk *walk, struct crew *crew)
{
	struct frame *frame = alloc_zero(sizeof *frame);

	frame->task.run = start_run;
	frame->walk = walk;
	crew_push(crew, &frame->task);
}

int walk_new(int dirfd, const struct walk_options *options, struct walk **out, struct err *err)
{
	struct ignore *ignore;

	if (ignore_new(dirfd, options->roots, options->only, &ignore, err) < 0)
		return -1;
	struct walk *walk = alloc_zero(sizeof *walk);
	walk->options = *options;
	walk->dirfd = dirfd;
	walk->ignore = ignore;
	walk->base_len = strlen(ignore_base(ignore));
	pthread_mutex_init(&walk->lock, NULL);
	*out = walk;
	return 0;
}

int walk_end(const struct walk *walk, struct err *err)
{
	if (!walk->failed)
		return 0;
	if (err)
		*err = walk->err;
	return -1;
}

size_t walk_skipped(const struct walk *walk)
{
	return atomic_load(&walk->skipped);
}

void walk_free(struct walk *walk)
{
	if (!walk)
		return;
	for (unsigned i = 0; i < CREW_MAX; i++)
		free(walk->desks[i]);
	pthread_mutex_destroy(&walk->lock);
	ignore_free(walk->ignore);
	free(walk);
}
