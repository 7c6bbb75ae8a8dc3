#include <limits.h>
#include <string.h>

#include "alloc.h"
#include "call.h"
#include "cleanup.h"
#include "err.h"
#include "path.h"
#include "save.h"
#include "tool.h"
#include "workspace.h"

struct request {
	const char *path, *content, *mode;
	size_t path_len, len;
};

static int append(const struct path_roots *roots, const struct request *request, bool *created,
	struct err *err)
{
	char name[NAME_MAX + 1];
	AUTO_CLOSE int dirfd = -1;

	if (path_open_target(roots, request->path, request->path_len, true, &dirfd, name, err) < 0)
		return -1;
	return save_append(dirfd, name, request->content, request->len, created, err);
}

static int write_whole(const struct path_roots *roots, const struct request *request, bool replace,
	bool *created, struct err *err)
{
	AUTO_SAVE struct save save = { .dirfd = -1, .fd = -1 };
	char name[NAME_MAX + 1];
	int dirfd = -1;
	/* A link that is there is something that exists: it is followed only to write over. */
	int opened = replace ? path_open_target(roots, request->path, request->path_len, true,
				       &dirfd, name, err)
			     : path_open_parent(roots, request->path, request->path_len, true,
				       &dirfd, name, err);

	if (opened < 0 || save_begin(&save, dirfd, name, replace, err) < 0 ||
		save_write(&save, request->content, request->len, err) < 0)
		return -1;
	return save_commit(&save, created, err);
}

static enum tool_status run(struct call *call, json_t *args, struct err *err)
{
	const struct path_roots *roots = call_workspace(call)->roots;
	struct request request = { .mode = arg_string(args, "mode", NULL) };
	bool created = false;
	int rc;

	request.path = arg_string(args, "path", &request.path_len);
	request.content = arg_string(args, "content", &request.len);
	if (request.mode && strcmp(request.mode, "append") == 0)
		rc = append(roots, &request, &created, err);
	else
		rc = write_whole(roots, &request,
			!request.mode || strcmp(request.mode, "create") != 0, &created, err);
	if (rc < 0)
		return TOOL_FAILED;

	AUTO_FREE char *text =
		alloc_printf("Successfully wrote %zu bytes to %s", request.len, request.path);
	call_text(call, text, strlen(text));
	call_structured(call, json_pack("{s:s, s:I, s:b}", "path", request.path, "bytes",
				      (json_int_t)request.len, "created", created));
	return TOOL_DONE;
}

static const char *const modes[] = { "overwrite", "append", "create", NULL };

static const struct param params[] = {
	{ "path", PARAM_STRING, .required = true,
		.description =
			"The file: relative to the workspace, or absolute. Missing directories "
			"are made." },
	{ "content", PARAM_STRING, .required = true,
		.description = "The text to write, as it stands; nothing is added to it." },
	{ "mode", PARAM_STRING,
		.description = "overwrite: replace what is there. append: add to the end. create: "
			       "fail if the file exists.",
		.fallback = "\"overwrite\"", .choices = modes },
	{ 0 },
};

const struct tool tool_write_file = {
	.name = "write_file",
	.title = "Write file",
	.description =
		"Writes a text file, whole or not at all: nobody sees a half-written one, and after "
		"an error the old content is still there. An existing file keeps its mode, owner and "
		"links. Directories that are missing are made.",
	.params = params,
	.output_schema =
		"{\"type\": \"object\", \"properties\": {"
		"\"path\": {\"type\": \"string\", \"description\": \"The path as it was given.\"},"
		"\"bytes\": {\"type\": \"integer\", \"description\": \"How many bytes were written.\"},"
		"\"created\": {\"type\": \"boolean\", \"description\": \"Whether the file is new.\"}},"
		"\"required\": [\"path\", \"bytes\", \"created\"], \"additionalProperties\": false}",
	.flags = TOOL_DESTRUCTIVE,
	.run = run,
};
