#include "search_job.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "cleanup.h"
#include "crew.h"
#include "err.h"
#include "walk.h"

enum {
	START_AFTER = 1,
	SPLIT_MIN = 8 << 20, /* a file of this size is searched in ranges */
	RANGE = 4 << 20,
};

struct search {
	const struct search_job *job;
	struct grep_options options;
	struct crew *crew;
	struct grep *greps[CREW_MAX]; /* made when first used */
	struct shortlist found[CREW_MAX];
	pthread_mutex_t lock; /* for the members below */
	size_t too_hard, skipped;
	char *too_hard_path;
	bool binary;
};

static void drop_hits(void *payload)
{
	grep_hits_release(payload);
	free(payload);
}

static bool interrupted(void *data)
{
	return crew_stopped(data);
}

static struct grep *grep_of(struct search *search, unsigned worker)
{
	if (!search->greps[worker])
		search->greps[worker] = grep_new(&search->options);
	return search->greps[worker];
}

static void skip(struct search *search)
{
	pthread_mutex_lock(&search->lock);
	search->skipped++;
	pthread_mutex_unlock(&search->lock);
}

/* Takes over what was found in a file. */
static void finish(struct search *search, unsigned worker, int fd, const char *path, size_t len,
	struct grep_hits *hits)
{
	grep_end(&search->options, fd, hits);
	if (hits->too_hard > 0 || hits->binary_match) {
		pthread_mutex_lock(&search->lock);
		search->too_hard += hits->too_hard;
		if (hits->too_hard > 0 && !search->too_hard_path)
			search->too_hard_path = alloc_textn(path, len);
		search->binary |= search->options.named && hits->binary_match;
		pthread_mutex_unlock(&search->lock);
	}
	if (hits->matches == 0) {
		grep_hits_release(hits);
		return;
	}
	struct grep_hits *kept = alloc_zero(sizeof *kept);
	*kept = *hits;
	shortlist_add(&search->found[worker], path, len, hits->matches,
		hits->texts.len + hits->count * (len + 8), kept);
}

/* ---- A large file ---- */

/* What several threads search together: each takes the next range until none is left. */
struct split {
	struct search *search;
	int fd;
	char *path;
	size_t len, count;      /* of its ranges */
	struct grep_hits *hits; /* of each range */
	atomic_size_t next;
	atomic_size_t enough; /* ranges from here on need not be searched */
	atomic_uint refs;
	atomic_bool failed;
	pthread_mutex_t lock; /* for the members below */
	bool *done;
	size_t joined, matches; /* ranges done from the first on, and what they have */
};

struct helper {
	struct crew_task task;
	struct split *split;
};

static void split_unref(struct split *split, unsigned worker)
{
	struct grep_hits *all = split->hits;

	if (atomic_fetch_sub(&split->refs, 1) > 1)
		return;
	for (size_t i = 1; i < split->count; i++)
		grep_join(all, &split->hits[i]);
	if (atomic_load(&split->failed))
		skip(split->search);
	finish(split->search, worker, split->fd, split->path, split->len, all);
	pthread_mutex_destroy(&split->lock);
	close(split->fd);
	free(split->path);
	free(split->hits);
	free(split->done);
	free(split);
}

/* Once the first ranges have enough, or a NUL, those behind cannot count. */
static void range_done(struct split *split, size_t i)
{
	pthread_mutex_lock(&split->lock);
	split->done[i] = true;
	while (split->joined < split->count && split->done[split->joined]) {
		const struct grep_hits *hits = &split->hits[split->joined++];

		split->matches += hits->matches;
		if (split->matches > split->search->options.matches_max ||
			(hits->nul >= 0 && !split->search->options.named))
			atomic_store(&split->enough, split->joined);
	}
	pthread_mutex_unlock(&split->lock);
}

static void search_ranges(struct split *split, unsigned worker)
{
	struct grep *grep = grep_of(split->search, worker);

	while (!crew_stopped(split->search->crew)) {
		size_t i = atomic_fetch_add(&split->next, 1);

		if (i >= split->count || i >= atomic_load(&split->enough))
			return;
		int64_t from = (int64_t)i * RANGE;
		int64_t to = i + 1 < split->count ? from + RANGE : INT64_MAX;
		if (grep_range(grep, split->fd, from, to, &split->hits[i]) < 0)
			atomic_store(&split->failed, true);
		range_done(split, i);
	}
}

static void help(struct crew *crew, struct crew_task *task, unsigned worker)
{
	struct helper *helper = (struct helper *)task;

	(void)crew;
	search_ranges(helper->split, worker);
	split_unref(helper->split, worker);
	free(helper);
}

static void search_split(
	struct search *search, unsigned worker, int *fd, int64_t size, const char *path, size_t len)
{
	struct split *split = alloc_zero(sizeof *split);
	unsigned helpers = crew_threads(search->crew) - 1;

	split->search = search;
	split->fd = steal_fd(fd);
	split->path = alloc_textn(path, len);
	split->len = len;
	split->count = (size_t)((size + RANGE - 1) / RANGE);
	split->enough = SIZE_MAX;
	split->refs = 1 + helpers;
	split->hits = alloc_array(split->count, sizeof *split->hits);
	for (size_t i = 0; i < split->count; i++)
		grep_hits_init(&split->hits[i]);
	split->done = alloc_array(split->count, sizeof *split->done);
	pthread_mutex_init(&split->lock, NULL);
	for (unsigned i = 0; i < helpers; i++) {
		struct helper *helper = alloc_zero(sizeof *helper);

		*helper = (struct helper){ { help, NULL }, split };
		crew_push(search->crew, &helper->task);
	}
	search_ranges(split, worker);
	split_unref(split, worker);
}

/* ---- Files ---- */

static void search_fd(struct search *search, unsigned worker, int *fd, const char *path, size_t len)
{
	struct grep_hits hits;
	struct stat st;

	if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_size >= SPLIT_MIN && crew_threads(search->crew) > 1 &&
		grep_can_split(&search->options, *fd)) {
		search_split(search, worker, fd, st.st_size, path, len);
		return;
	}
	grep_hits_init(&hits);
	if (grep_file(grep_of(search, worker), *fd, &hits) < 0)
		skip(search);
	finish(search, worker, *fd, path, len, &hits);
}

static bool wants(const char *path, size_t len, unsigned worker, void *data)
{
	struct search *search = data;

	return shortlist_wants(&search->found[worker], path, len);
}

static void visit(struct crew *crew, const struct walk_file *file, unsigned worker, void *data)
{
	struct search *search = data;

	(void)crew;
	if (!shortlist_wants(&search->found[worker], file->path, file->len))
		return;
	AUTO_CLOSE int fd = openat(
		file->dirfd, file->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		search_fd(search, worker, &fd, file->path, file->len);
	else if (errno != ENOENT && errno != ELOOP)
		skip(search);
}

struct named {
	struct crew_task task;
	struct search *search;
	int fd;
};

static void search_named(struct crew *crew, struct crew_task *task, unsigned worker)
{
	struct named *named = (struct named *)task;
	const struct search_job *job = named->search->job;
	AUTO_CLOSE int fd = fcntl(named->fd, F_DUPFD_CLOEXEC, 0);

	(void)crew;
	if (fd >= 0)
		search_fd(named->search, worker, &fd, job->path, job->path_len);
	else
		skip(named->search);
}

/* ---- The search ---- */

static int search_tree(struct search *search, int fd, enum crew_end *end, struct err *err)
{
	const struct walk_options options = {
		.roots = search->job->roots,
		.only = search->job->only,
		.spread = true,
		.wants = wants,
		.visit = visit,
		.data = search,
	};
	struct walk *walk;

	if (walk_new(fd, &options, &walk, err) < 0)
		return -1;
	walk_start(walk, search->crew);
	*end = crew_run(search->crew);
	int failed = walk_end(walk, err);
	search->skipped += walk_skipped(walk);
	walk_free(walk);
	return failed;
}

static int search_all(struct search *search, int fd, enum crew_end *end, struct err *err)
{
	struct named named = { { search_named, NULL }, search, fd };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if (S_ISDIR(st.st_mode))
		return search_tree(search, fd, end, err);
	search->options.named = true;
	crew_push(search->crew, &named.task);
	*end = crew_run(search->crew);
	return 0;
}

int search_run(const struct search_job *job, int fd, struct search_result *result, struct err *err)
{
	struct search search = { .job = job };
	enum crew_end end = CREW_DONE;

	*result = (struct search_result){ 0 };
	search.crew = crew_new(&(struct crew_options){ .start_after = START_AFTER,
		.limit_ms = job->time_max_ms,
		.cancelled = job->cancelled,
		.data = job->data });
	search.options = (struct grep_options){ .regex = job->regex,
		.context = job->context,
		.matches_max = job->limit,
		.texts_max = job->bytes_max,
		.interrupted = interrupted,
		.data = search.crew };
	pthread_mutex_init(&search.lock, NULL);
	for (unsigned i = 0; i < CREW_MAX; i++)
		shortlist_init(&search.found[i], job->limit, job->bytes_max, drop_hits);
	int failed = search_all(&search, fd, &end, err);
	shortlist_init(&result->files, job->limit, job->bytes_max, drop_hits);
	shortlist_merge(&result->files, search.found, CREW_MAX);
	result->skipped = search.skipped;
	result->too_hard = search.too_hard;
	result->too_hard_path = search.too_hard_path;
	result->binary = search.binary;
	result->late = end == CREW_LATE;
	for (unsigned i = 0; i < CREW_MAX; i++)
		grep_free(search.greps[i]);
	pthread_mutex_destroy(&search.lock);
	crew_free(search.crew);
	if (!failed && end == CREW_CANCELLED)
		failed = err_set(err, ERR_CANCELLED, "the search was cancelled");
	if (failed)
		search_result_release(result);
	return failed;
}

void search_result_release(struct search_result *result)
{
	shortlist_release(&result->files);
	free(result->too_hard_path);
	*result = (struct search_result){ 0 };
}
