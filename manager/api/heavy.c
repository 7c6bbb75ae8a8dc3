/* Large JSON, in and out, on a worker: tens of megabytes would hold up everybody on the loop. */
#include <stdlib.h>

#include "alloc.h"
#include "api.h"
#include "cleanup.h"
#include "err.h"
#include "http.h"
#include "json_reader.h"
#include "manager.h"
#include "worker.h"

enum { AT_ONCE_BYTES = 64 * 1024, BODY_MAX = 32 * 1024 * 1024, DEPTH_MAX = 32, NUMBER_MAX = 32 };

/* ---- in ---- */

struct reading {
	struct api_call *call;
	const char *bytes;
	size_t len;
	char *taken; /* the bytes: the request may be gone before a worker has read them */
	json_t *body;
	struct err err;
	api_read_fn *fn;
};

static void read_body(void *data)
{
	static const struct json_limits limits = { DEPTH_MAX, BODY_MAX, NUMBER_MAX };
	struct reading *reading = data;

	reading->body = json_read(reading->bytes, reading->len, &limits, &reading->err);
}

static void was_read(void *data)
{
	struct reading *reading = data;

	reading->fn(reading->call, reading->body, reading->body ? NULL : &reading->err);
	free(reading->taken);
	free(reading);
}

void api_read_json(struct api_call *call, const char *bytes, size_t len, api_read_fn *fn)
{
	struct reading *reading = alloc_zero(sizeof *reading);

	*reading = (struct reading){ .call = call, .bytes = bytes, .len = len, .fn = fn };
	/* Until it was read: what the end of the manager drops was not. */
	err_set(&reading->err, ERR_CANCELLED, "the manager is stopping");
	if (len > AT_ONCE_BYTES) {
		reading->taken = http_take_body(call->request);
		if (worker_submit(call->manager->workers, read_body, was_read, reading, NULL) == 0)
			return;
	}
	read_body(reading);
	was_read(reading);
}

/* ---- out ---- */

struct writing {
	struct api_call *call;
	json_t *answer;
	char *text;
	api_written_fn *fn;
};

static void write_answer(void *data)
{
	struct writing *writing = data;

	writing->text = json_dumps(writing->answer, JSON_COMPACT);
}

static void was_written(void *data)
{
	struct writing *writing = data;

	json_decref(writing->answer);
	writing->fn(writing->call, writing->text);
	free(writing);
}

void api_write_json(struct api_call *call, json_t *answer, api_written_fn *fn)
{
	struct writing *writing = alloc_zero(sizeof *writing);

	*writing = (struct writing){ .call = call, .answer = answer, .fn = fn };
	if (worker_submit(call->manager->workers, write_answer, was_written, writing, NULL) == 0)
		return;
	write_answer(writing);
	was_written(writing);
}
