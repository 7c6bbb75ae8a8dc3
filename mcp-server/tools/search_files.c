#include <fcntl.h>
#include <string.h>

#include "buf.h"
#include "call.h"
#include "cleanup.h"
#include "crew.h"
#include "err.h"
#include "path.h"
#include "rules.h"
#include "shortlist.h"
#include "tool.h"
#include "utf8.h"
#include "walk.h"
#include "workspace.h"

enum { LIMIT_DEFAULT = 1000, LIMIT_MAX = 100000, TIME_MAX_MS = 50 * 1000, START_AFTER = 24 };

static const struct param params[] = {
	{ "pattern", PARAM_STRING, true,
		"Glob, as for ripgrep's -g: \"*.py\" finds names at any depth, \"src/**/*.{c,h}\" "
		"(with a slash) is matched from `path` on, \"!*.md\" finds all but these.",
		NULL, NULL, 0, 0 },
	{ "path", PARAM_STRING, false, "The directory to search.", "\".\"", NULL, 0, 0 },
	{ "limit", PARAM_INTEGER, false, "The most files to return: the first in sorted order.",
		"1000", NULL, 1, LIMIT_MAX },
	{ 0 }
};

/* A search, and what came of it. */
struct search {
	struct call *call;
	size_t limit;
	struct rules *only;
	struct shortlist found[CREW_MAX]; /* one a worker */
	struct shortlist all;
	enum crew_end end;
	size_t skipped;
};

static bool wants(const char *path, size_t len, unsigned worker, void *data)
{
	struct search *search = data;

	return shortlist_wants(&search->found[worker], path, len);
}

static void visit(struct crew *crew, const struct walk_file *file, unsigned worker, void *data)
{
	struct search *search = data;

	(void)crew;
	shortlist_add(&search->found[worker], file->path, file->len, 1, file->len + 1, NULL);
}

static bool cancelled(const void *call)
{
	return call_cancelled(call);
}

static int search_tree(struct search *search, int dirfd, struct err *err)
{
	const struct workspace *workspace = call_workspace(search->call);
	const struct walk_options options = {
		.roots = workspace->roots,
		.only = search->only,
		.wants = wants,
		.visit = visit,
		.data = search,
	};
	const struct crew_options crew_options = {
		.start_after = START_AFTER,
		.limit_ms = TIME_MAX_MS,
		.cancelled = cancelled,
		.data = search->call,
	};
	struct walk *walk;

	if (walk_new(dirfd, &options, &walk, err) < 0)
		return -1;
	struct crew *crew = crew_new(&crew_options);
	for (unsigned i = 0; i < CREW_MAX; i++)
		shortlist_init(&search->found[i], search->limit, workspace->result_max, NULL);
	walk_start(walk, crew);
	search->end = crew_run(crew);
	shortlist_merge(&search->all, search->found, CREW_MAX);
	int failed = walk_end(walk, err);
	search->skipped = walk_skipped(walk);
	walk_free(walk);
	crew_free(crew);
	if (!failed && search->end == CREW_CANCELLED)
		return err_set(err, ERR_CANCELLED, "the search was cancelled");
	return failed;
}

/* The text and the structured form, as far as the limits allow; whether they were cut. */
static bool write_result(struct search *search)
{
	const struct shortlist *list = &search->all;
	struct call *call = search->call;
	size_t room = call_workspace(call)->result_max / 8 * 7, n = 0;
	json_t *files = json_array();

	for (; n < list->count && n < search->limit; n++) {
		size_t cost = 2 * utf8_json_size(list->items[n].path, list->items[n].len) + 8;

		if (cost > room)
			break;
		room -= cost;
	}
	call_text_begin(call);
	for (size_t i = 0; i < n; i++) {
		const struct shortlist_item *item = &list->items[i];

		call_text_add(call, item->path, item->len);
		if (i + 1 < n)
			call_text_add(call, "\n", 1);
		json_array_append_new(files, utf8_json(item->path, item->len));
	}
	if (n == 0)
		call_text_add(call, "No files found", 14);
	call_text_end(call);
	bool truncated = n < list->count || list->cut || search->end == CREW_LATE;
	call_structured(call, json_pack("{s:o, s:b}", "files", files, "truncated", (int)truncated));
	return truncated;
}

static void write_note(struct search *search, bool truncated)
{
	AUTO_BUF struct buf text = BUF_INIT(1000);

	if (search->end == CREW_LATE)
		buf_addf(&text, "[stopped after %d s: search a directory below]",
			TIME_MAX_MS / 1000);
	else if (truncated)
		buf_add_text(&text, "[cut: there are more files; narrow `pattern` or `path`, or "
				    "raise `limit`]");
	if (search->skipped > 0)
		buf_addf(&text, "%s[%zu directories could not be read]", text.len ? "\n" : "",
			search->skipped);
	if (text.len > 0)
		call_text(search->call, text.data, text.len);
}

static int do_search(struct search *search, json_t *args, struct err *err)
{
	size_t path_len = 1;
	const char *path = ".", *pattern;
	AUTO_CLOSE int dirfd = -1;

	if (arg_given(args, "path"))
		path = arg_string(args, "path", &path_len);
	if (arg_text(args, "pattern", NULL, &pattern, err) < 0)
		return -1;
	if (rules_add(search->only, pattern, strlen(pattern), err) < 0)
		return -1;
	rules_seal(search->only);
	if (path_open(call_workspace(search->call)->roots, path, path_len, O_RDONLY | O_DIRECTORY,
		    0, &dirfd, err) < 0)
		return -1;
	if (search_tree(search, dirfd, err) < 0)
		return -1;
	write_note(search, write_result(search));
	return 0;
}

static enum tool_status run(struct call *call, json_t *args, struct err *err)
{
	struct search search = {
		.call = call,
		.limit = (size_t)arg_integer(args, "limit", LIMIT_DEFAULT),
		.only = rules_new(),
	};

	shortlist_init(&search.all, search.limit, call_workspace(call)->result_max, NULL);
	int failed = do_search(&search, args, err);
	shortlist_release(&search.all);
	rules_free(search.only);
	return failed ? TOOL_FAILED : TOOL_DONE;
}

const struct tool tool_search_files = {
	.name = "search_files",
	.title = "Search files by name",
	.description =
		"Finds files whose path matches a glob, as `rg --files -g PATTERN` does in `path`: "
		"files that .gitignore, .ignore or .rgignore exclude and hidden ones are left "
		"out, unless the pattern names them; symlinks are not followed. Returns the paths "
		"relative to `path`, sorted, one a line.",
	.params = params,
	.output_schema = "{\"type\":\"object\",\"properties\":{"
			 "\"files\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
			 "\"description\":\"Paths relative to `path`, sorted\"},"
			 "\"truncated\":{\"type\":\"boolean\","
			 "\"description\":\"There are more files than these\"}},"
			 "\"required\":[\"files\",\"truncated\"],\"additionalProperties\":false}",
	.flags = TOOL_READ_ONLY | TOOL_IDEMPOTENT,
	.run = run,
};
