#ifndef TOOLKIT_H
#define TOOLKIT_H

/*
 * Runs a tool on a temporary workspace, without HTTP. One at a time.
 *
 *	struct toolkit kit;
 *	toolkit_open(&kit);
 *	json_t *result = toolkit_call(&kit, &tool_read_file, "{\"path\": \"a.txt\"}");
 */
#include <jansson.h>

#include "tool.h"
#include "workspace.h"

struct toolkit {
	char dir[64]; /* the workspace's absolute name */
	struct workspace workspace;
};

void toolkit_open(struct toolkit *kit);
void toolkit_close(struct toolkit *kit); /* removes the directory */

/* Writes a file below the workspace, parents made. */
void toolkit_file(struct toolkit *kit, const char *path, const char *content, size_t len);

/* The tool's whole result ("content", "structuredContent", "isError" …); the caller frees it.
 * TOOL_TRY_ON_LOOP tools are tried without blocking first, as the server does. */
json_t *toolkit_call(struct toolkit *kit, const struct tool *tool, const char *args);

/* The text of the first content item, borrowed; NULL where there is none. */
const char *toolkit_text(const json_t *result);

#endif
