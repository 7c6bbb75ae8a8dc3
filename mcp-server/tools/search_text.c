#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "call.h"
#include "cleanup.h"
#include "err.h"
#include "path.h"
#include "rules.h"
#include "search_job.h"
#include "tool.h"
#include "utf8.h"
#include "workspace.h"

enum { LIMIT_DEFAULT = 250, LIMIT_MAX = 100000, CONTEXT_MAX = 100, TIME_MAX_MS = 50 * 1000 };

static const char *const cases[] = { "sensitive", "insensitive", "smart", NULL };

static const struct param params[] = {
	{ "pattern", PARAM_STRING, true,
		"Regular expression (PCRE2), searched for line by line: \"TODO\", \"def \\\\w+\\\\(\", "
		"\"\\\\bfoo\\\\b\". Escape . * + ? ( ) [ ] { } | ^ $ \\\\ to mean themselves.",
		NULL, NULL, 0, 0 },
	{ "path", PARAM_STRING, false, "The directory or file to search.", "\".\"", NULL, 0, 0 },
	{ "glob", PARAM_STRING, false,
		"Only files that match, as for ripgrep's -g: \"*.py\", \"src/**/*.{c,h}\", \"!*.md\".",
		NULL, NULL, 0, 0 },
	{ "case", PARAM_STRING, false,
		"Whether case matters: \"sensitive\", \"insensitive\", or \"smart\" (it matters if "
		"the pattern has an upper-case letter).",
		"\"sensitive\"", cases, 0, 0 },
	{ "context", PARAM_INTEGER, false, "Lines to show before and after each match.", "0", NULL,
		0, CONTEXT_MAX },
	{ "limit", PARAM_INTEGER, false,
		"The most matching lines to return: the first in order of path and line.", "250",
		NULL, 1, LIMIT_MAX },
	{ 0 }
};

static bool cancelled(const void *call)
{
	return call_cancelled(call);
}

/* ---- The result ---- */

/* As much of the hits as the limits allow. */
struct writer {
	struct call *call;
	json_t *matches;
	size_t limit, context, count;
	size_t room; /* bytes that still fit into the result */
	bool any, full, truncated;
};

/* The match that a line of context follows or precedes, in the structured form. */
struct place {
	json_t *match;   /* the last one, or NULL */
	uint64_t number; /* its line */
	json_t *waiting; /* lines that will be `before` the next */
};

static void add_text_line(struct writer *w, const struct shortlist_item *item,
	const struct grep_line *line, const char *text)
{
	char number[32];
	int n = snprintf(number, sizeof number, line->is_match ? ":%" PRIu64 ":" : "-%" PRIu64 "-",
		line->number);

	if (w->any)
		call_text_add(w->call, "\n", 1);
	w->any = true;
	call_text_add(w->call, item->path, item->len);
	call_text_add(w->call, number, (size_t)n);
	call_text_add(w->call, text, line->len);
}

/* What a line takes in both forms. */
static size_t cost_of(
	const struct shortlist_item *item, const struct grep_line *line, const char *text)
{
	size_t path = utf8_json_size(item->path, item->len);

	return 2 * utf8_json_size(text, line->len) + (line->is_match ? 2 : 1) * path + 100;
}

static void add_json_line(struct writer *w, const struct shortlist_item *item,
	const struct grep_line *line, const char *text, struct place *place)
{
	json_t *value = utf8_json(text, line->len);

	if (line->is_match) {
		place->match = json_pack("{s:o, s:I, s:o, s:o, s:o}", "path",
			utf8_json(item->path, item->len), "line", (json_int_t)line->number, "text",
			value, "before", place->waiting, "after", json_array());
		place->waiting = json_array();
		place->number = line->number;
		json_array_append_new(w->matches, place->match);
	} else if (place->match && line->number <= place->number + w->context) {
		json_array_append_new(json_object_get(place->match, "after"), value);
	} else {
		json_array_append_new(place->waiting, value);
	}
}

/* Where the limit of matches falls into a file's lines: behind the context of the last one. */
static size_t lines_in_limit(const struct writer *w, const struct grep_hits *hits)
{
	size_t left = w->limit - w->count, last = 0;

	for (size_t i = 0; i < hits->count; i++) {
		const struct grep_line *line = &hits->lines[i];

		if (line->is_match) {
			if (left-- == 0)
				break;
			last = i;
		}
	}
	size_t n = last + 1;
	while (n < hits->count && !hits->lines[n].is_match &&
		hits->lines[n].number <= hits->lines[last].number + w->context)
		n++;
	return n;
}

static void write_file(struct writer *w, const struct shortlist_item *item)
{
	const struct grep_hits *hits = item->payload;
	struct place place = { .waiting = json_array() };
	size_t n = lines_in_limit(w, hits);

	w->truncated |= n < hits->count;
	for (size_t i = 0; i < n; i++) {
		const struct grep_line *line = &hits->lines[i];
		const char *text = hits->texts.data + line->text;

		size_t cost = cost_of(item, line, text);
		if (cost > w->room) {
			w->truncated = w->full = true;
			break;
		}
		w->room -= cost;
		if (w->context > 0 && w->any && (i == 0 || line->number > line[-1].number + 1))
			call_text_add(w->call, "\n--", 3);
		add_text_line(w, item, line, text);
		add_json_line(w, item, line, text, &place);
		w->count += line->is_match;
	}
	json_decref(place.waiting);
}

static bool write_result(
	struct call *call, const struct search_result *result, size_t limit, size_t context)
{
	struct writer w = {
		.call = call,
		.matches = json_array(),
		.limit = limit,
		.context = context,
		.room = call_workspace(call)->result_max / 8 * 7,
	};
	const struct shortlist *list = &result->files;

	w.truncated = list->cut || result->late || result->too_hard > 0;
	call_text_begin(call);
	for (size_t i = 0; i < list->count && !w.full; i++) {
		if (w.count == limit) {
			w.truncated = true;
			break;
		}
		write_file(&w, &list->items[i]);
	}
	if (!w.any)
		call_text_add(call, "No matches found", 16);
	call_text_end(call);
	call_structured(
		call, json_pack("{s:o, s:b}", "matches", w.matches, "truncated", (int)w.truncated));
	return w.truncated;
}

static void write_note(struct call *call, const struct search_result *result, bool truncated)
{
	AUTO_BUF struct buf text = BUF_INIT(2000);

	if (result->late)
		buf_addf(&text, "[stopped after %d s: search a directory below]\n",
			TIME_MAX_MS / 1000);
	else if (truncated && result->too_hard == 0)
		buf_add_text(&text, "[cut: there are more matches; narrow `pattern`, `glob` or "
				    "`path`, or raise `limit`]\n");
	if (result->too_hard > 0)
		buf_addf(&text,
			"[%zu lines were given up: the pattern backtracks too much there, the first "
			"time in %.300s]\n",
			result->too_hard, result->too_hard_path);
	if (result->binary)
		buf_add_text(&text, "[the file is binary: it has matches that are not shown]\n");
	if (result->skipped > 0)
		buf_addf(&text, "[%zu files or directories could not be read]\n", result->skipped);
	if (text.len > 0)
		call_text(call, text.data, text.len - 1);
}

/* ---- The call ---- */

static int read_case(json_t *args, enum regex_case *how)
{
	size_t len;
	const char *name = arg_string(args, "case", &len);

	*how = REGEX_SENSITIVE;
	if (name && strcmp(name, "insensitive") == 0)
		*how = REGEX_INSENSITIVE;
	else if (name && strcmp(name, "smart") == 0)
		*how = REGEX_SMART;
	return 0;
}

static int read_glob(json_t *args, struct rules **only, struct err *err)
{
	const char *glob;

	if (!arg_given(args, "glob"))
		return 0;
	if (arg_text(args, "glob", NULL, &glob, err) < 0)
		return -1;
	*only = rules_new();
	if (rules_add(*only, glob, strlen(glob), err) < 0)
		return -1;
	rules_seal(*only);
	return 0;
}

static int do_search(struct call *call, json_t *args, struct search_job *job, struct err *err)
{
	const struct workspace *workspace = call_workspace(call);
	size_t pattern_len, path_len = 1;
	const char *pattern = arg_string(args, "pattern", &pattern_len), *path = ".";
	struct search_result result;
	enum regex_case how;
	AUTO_CLOSE int fd = -1;

	if (arg_given(args, "path"))
		path = arg_string(args, "path", &path_len);
	read_case(args, &how);
	if (pattern_len == 0)
		return err_set(err, ERR_INVALID, "`pattern` is empty: every line would match");
	if (regex_new(pattern, pattern_len, how, &job->regex, err) < 0 ||
		read_glob(args, &job->only, err) < 0 ||
		path_open(workspace->roots, path, path_len, O_RDONLY, 0, &fd, err) < 0)
		return -1;
	job->path = path;
	job->path_len = path_len;
	if (search_run(job, fd, &result, err) < 0)
		return -1;
	write_note(call, &result, write_result(call, &result, job->limit, job->context));
	search_result_release(&result);
	return 0;
}

static enum tool_status run(struct call *call, json_t *args, struct err *err)
{
	const struct workspace *workspace = call_workspace(call);
	struct search_job job = {
		.roots = workspace->roots,
		.limit = (size_t)arg_integer(args, "limit", LIMIT_DEFAULT),
		.context = (size_t)arg_integer(args, "context", 0),
		.bytes_max = workspace->result_max,
		.time_max_ms = TIME_MAX_MS,
		.cancelled = cancelled,
		.data = call,
	};
	int failed = do_search(call, args, &job, err);

	rules_free(job.only);
	regex_free(job.regex);
	return failed ? TOOL_FAILED : TOOL_DONE;
}

const struct tool tool_search_text = {
	.name = "search_text",
	.title = "Search in files",
	.description =
		"Finds the lines of files that match a regular expression, as `rg -n PATTERN` does "
		"in `path`: files that .gitignore, .ignore or .rgignore exclude, hidden and binary "
		"ones are left out. Returns path:line:text for a match and path-line-text for a "
		"line of context, sorted; paths are relative to `path`, and `path` itself where it "
		"is a file. Of a line over 2,000 bytes the part around the match is shown.",
	.params = params,
	.output_schema =
		"{\"type\":\"object\",\"properties\":{"
		"\"matches\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
		"\"path\":{\"type\":\"string\"},"
		"\"line\":{\"type\":\"integer\",\"description\":\"From 1\"},"
		"\"text\":{\"type\":\"string\"},"
		"\"before\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
		"\"description\":\"Lines of context before, where they are not yet behind another "
		"match\"},"
		"\"after\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
		"\"description\":\"Lines of context behind, up to the next match\"}},"
		"\"required\":[\"path\",\"line\",\"text\",\"before\",\"after\"],"
		"\"additionalProperties\":false}},"
		"\"truncated\":{\"type\":\"boolean\","
		"\"description\":\"There are more matches than these\"}},"
		"\"required\":[\"matches\",\"truncated\"],\"additionalProperties\":false}",
	.flags = TOOL_READ_ONLY | TOOL_IDEMPOTENT,
	.run = run,
};
