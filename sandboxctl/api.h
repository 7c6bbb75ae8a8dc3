#ifndef API_H
#define API_H

/*
 * One call to the manager and its answer. A refusal becomes an error with the manager's own
 * sentence. One thread, one call at a time.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct err;
struct settings;

enum { PATH_MAX_BYTES = 512 };

/* Takes a piece of a good answer; false ends the call. */
typedef bool api_take(const char *bytes, size_t len, void *data);

/* A file that goes up: all of `fd`. */
struct api_upload {
	const char *sandbox_id, *path;
	int fd;
};

/* What is asked for. */
struct api_request {
	const char *method, *path; /* path with query */
	const json_t *body;        /* or NULL */
	const char *header;        /* one more, or NULL */
	const struct api_upload *upload;
	api_take *take;
	void *data;
};

/* 0, or -1: it was refused, could not be made, broke off, or `take` ended it. */
int api_send(const struct settings *settings, const struct api_request *request, struct err *err);

/* The same with the whole answer, an object (new reference), or NULL. `body` and `header` may be
 * NULL. */
json_t *api_call(const struct settings *settings, const char *method, const char *path,
	const json_t *body, const char *header, struct err *err);

/* `path` for a sandbox: /sandboxes/ID/LEAF. ERR_INVALID where that is no id. */
int api_path(char path[PATH_MAX_BYTES], const char *id, const char *leaf, struct err *err);

/* Whether it has the form of a sandbox's id. */
bool api_is_id(const char *text, size_t len);

#endif
