#ifndef RESOURCE_H
#define RESOURCE_H

/*
 * A provider of resources: one file in resources/, one descriptor, one line in resources.def.
 * It owns the URIs that begin with its prefix. A provider knows this header, call.h, workspace.h
 * and lib/; never HTTP or JSON-RPC. What it adds to lists are objects as MCP has them: Resource,
 * TextResourceContents, BlobResourceContents.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct call;
struct completion;
struct err;

struct resource_template {
	const char *uri; /* a template as RFC 6570 has it: "file:///{+path}" */
	const char *name, *title, *description;
	const char *mime; /* where all that match have the same type, else NULL */
};

struct resource_provider {
	const char *prefix; /* "file://" */
	const struct resource_template *templates; /* up to one without a URI; NULL: none */
	/* The list changes with the directories of the workspace; else whoever changes it says so
	 * by listeners_resources_changed(). */
	bool lists_workspace;

	/*
	 * Appends one page of resources to `list`. `after` is "" for the first page, else what
	 * *next was set to by the page before; the last page leaves *next alone. The caller frees
	 * it. ERR_INVALID: `after` is not of this provider. Runs on a worker. NULL: lists none.
	 */
	int (*list)(struct call *call, const char *after, json_t *list, char **next,
		struct err *err);

	/*
	 * Appends what `uri` stands for to `contents`, at least one. ERR_NOT_FOUND, ERR_INVALID,
	 * ERR_DENIED, ERR_LIMIT, each with a sentence that says what to do. Runs on a worker.
	 */
	int (*read)(struct call *call, const char *uri, size_t len, json_t *contents,
		struct err *err);

	/* Values for a template's variable that begin with `typed` (completion.h). Runs on a
	 * worker. NULL: there are none. */
	int (*complete)(struct call *call, const struct resource_template *of,
		const char *variable, const char *typed, struct completion *out, struct err *err);

	/*
	 * The path of the file or directory behind `uri`, whose changes are those of the resource;
	 * it need not exist. Runs on the loop and touches no file. NULL: whoever changes a
	 * resource says so by listeners_resource_updated().
	 */
	int (*file)(const char *uri, size_t len, struct buf *path, struct err *err);
};

/* All providers, in the order of resources.def; NULL at the end. */
extern const struct resource_provider *const resource_providers[];

/* Whether what is listed can change while the server runs. */
extern const bool resources_may_change;

#endif
