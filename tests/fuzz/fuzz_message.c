/* Any JSON-RPC message, in each era: one answer or none, and what is sent is JSON. */
#include <stdint.h>

#include "batch.h"
#include "call_impl.h"
#include "loop.h"
#include "rpc.h"
#include "session.h"

#include "server_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server *server;
static int answers;
static struct call *pending;

static bool on_notify(struct sink *sink, const char *json, size_t len)
{
	json_t *message = json_loadb(json, len, JSON_ALLOW_NUL, NULL);

	(void)sink;
	MUST(message ? 0 : -1);
	json_decref(message);
	return true;
}

static void on_begin(struct sink *sink, struct call *call)
{
	(void)sink;
	pending = call;
}

static void on_respond(struct sink *sink, unsigned status, struct buf *json)
{
	(void)status;
	if (json)
		on_notify(sink, json->data, json->len);
	answers++;
	loop_stop(server->workspace.loop);
}

static void on_drop(struct sink *sink)
{
	on_respond(sink, 0, NULL);
}

static const struct sink_ops ops = { .begin = on_begin, .notify = on_notify,
	.respond = on_respond, .drop = on_drop };

/* Subscriptions and questions to the client stay open: nobody will answer, so cancel them. */
static void wait_for_answer(struct loop_timer *timer)
{
	for (int turn = 0; answers == 0 && turn < 100; turn++) {
		if (turn == 1 && pending)
			call_cancel(pending);
		loop_timer_set(timer, 200);
		loop_run(server->workspace.loop, NULL);
	}
	loop_timer_stop(timer);
}

static void on_timer(void *data)
{
	(void)data;
	loop_stop(server->workspace.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop_timer *timer;
	struct sink sink = { .ops = &ops };

	if (size == 0)
		return 0;
	if (!server) {
		server = kit_server(NULL);
		timer = loop_timer_new(server->workspace.loop, on_timer, NULL);
	}
	json_t *message = rpc_parse(server->config, (const char *)data + 1, size - 1, NULL);
	if (!message)
		return 0;
	struct inbound in = { .server = server, .sink = &sink,
		.transport = data[0] == 's' ? FROM_SSE : FROM_STDIO,
		.session = session_local(server->sessions) };
	answers = 0;
	pending = NULL;
	if (json_is_array(message))
		batch_handle(&in, message);
	else
		rpc_handle(&in, message);
	wait_for_answer(timer);
	session_local_free(in.session);
	MUST(answers == 1 ? 0 : -1);
	return 0;
}
