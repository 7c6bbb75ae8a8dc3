#include "batch.h"

#include <stdlib.h>

#include "alloc.h"
#include "config.h"
#include "rpc.h"
#include "server.h"

struct batch {
	struct sink *outer;
	struct buf out;
	size_t open; /* messages not answered yet */
};

struct member {
	struct sink sink;
	struct batch *batch;
};

static void close_one(struct batch *batch)
{
	if (--batch->open > 0)
		return;
	if (batch->out.len > 0)
		buf_add_char(&batch->out, ']');
	if (batch->out.over) {
		buf_clear(&batch->out);
		buf_add_text(&batch->out,
			"[{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,\"message\":"
			"\"The answers are larger than this server sends: send fewer at a "
			"time\"}}]");
	}
	bool any = batch->out.len > 0;
	batch->outer->ops->respond(batch->outer, any ? 200 : 202, any ? &batch->out : NULL);
	buf_release(&batch->out);
	free(batch);
}

static void member_respond(struct sink *sink, unsigned status, struct buf *json)
{
	struct member *member = (struct member *)sink;
	struct batch *batch = member->batch;

	(void)status;
	if (json) {
		buf_add_char(&batch->out, batch->out.len ? ',' : '[');
		buf_add(&batch->out, json->data, json->len);
	}
	free(member);
	close_one(batch);
}

/* A batch is answered as one JSON array: nothing leaves before it. */
static bool member_notify(struct sink *sink, const char *json, size_t len)
{
	(void)sink, (void)json, (void)len;
	return false;
}

static void member_drop(struct sink *sink)
{
	member_respond(sink, 202, NULL);
}

static const struct sink_ops member_ops = {
	.notify = member_notify,
	.respond = member_respond,
	.drop = member_drop,
};

void batch_handle(const struct inbound *in, json_t *array)
{
	size_t i, count = json_array_size(array);
	json_t *message;

	if (count == 0 || count > BATCH_MAX) {
		rpc_refuse(in, NULL, 400, RPC_INVALID_REQUEST, NULL,
			"Invalid request: a batch holds 1 to %d messages", BATCH_MAX);
		json_decref(array);
		return;
	}
	struct batch *batch = alloc_zero(sizeof *batch);
	batch->outer = in->sink;
	batch->open = count + 1; /* one for this loop */
	buf_init(&batch->out, (size_t)in->server->config->result_max);
	json_array_foreach(array, i, message) {
		struct member *member = alloc_zero(sizeof *member);
		*member = (struct member){
			.sink = { .ops = &member_ops, .outer = in->sink },
			.batch = batch,
		};
		struct inbound each = *in;
		each.in_batch = true;
		each.sink = &member->sink;
		rpc_handle(&each, json_incref(message));
	}
	json_decref(array);
	close_one(batch);
}
