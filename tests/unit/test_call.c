#include "call.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "call_impl.h"
#include "err.h"
#include "loop.h"
#include "scratch.h"
#include "session.h"
#include "test.h"
#include "toolkit.h"
#include "worker.h"

/* What a client would have got, a letter each: n(otification), r(esponse). */
static char got[8];
static struct loop *loop;

static void add(char c)
{
	size_t len = strlen(got);

	if (len < sizeof got - 1)
		got[len] = c;
}

static bool notify(struct sink *sink, const char *json, size_t len)
{
	(void)sink, (void)json, (void)len;
	add('n');
	return true;
}

static void respond(struct sink *sink, unsigned status, struct buf *json)
{
	(void)sink, (void)status, (void)json;
	add('r');
	loop_stop(loop);
}

static void drop(struct sink *sink)
{
	(void)sink;
	loop_stop(loop);
}

static const struct sink_ops ops = { .notify = notify, .respond = respond, .drop = drop };
static struct sink sink = { .ops = &ops };

static struct call *new_call(struct toolkit *kit)
{
	const struct peer peer = {
		.revision = "2025-11-25", .log_level = 0, .caps = CAP_ELICITATION
	};
	json_t *message =
		json_pack("{s:s, s:i, s:s}", "jsonrpc", "2.0", "id", 1, "method", "tools/call");

	memset(got, 0, sizeof got);
	return call_new(&kit->workspace, message, &peer, &sink);
}

static void open_kit(struct toolkit *kit)
{
	toolkit_open(kit);
	kit->workspace.pool = worker_pool_new(kit->workspace.loop, 1, 16);
	loop = kit->workspace.loop;
}

static void close_kit(struct toolkit *kit)
{
	worker_pool_free(kit->workspace.pool);
	toolkit_close(kit);
}

static json_t *fail_loudly(struct call *call, struct err *err)
{
	call_log(call, CALL_ERROR, "test", json_string("on the worker"));
	err_set(err, ERR_IO, "no");
	return NULL;
}

static void failed(struct call *call, const struct err *err)
{
	call_log(call, CALL_ERROR, "test", json_string("on the loop again"));
	call_reply_err(call, err);
}

static void what_is_said_after_a_worker_s_end_comes_before_the_response(void)
{
	struct toolkit kit;
	struct err err;

	open_kit(&kit);
	call_on_worker(new_call(&kit), fail_loudly, failed);
	CHECK_INT(loop_run(loop, &err), 0);
	CHECK_TEXT(got, "nnr");
	close_kit(&kit);
}

static int loop_runs, blocking_runs; /* each is written by one thread */

/* As if its client had been asked in between: it is run twice, each time from the start. */
static enum tool_status run_twice(struct call *call, json_t *args, struct err *err)
{
	(void)args, (void)err;
	if (!call_may_block(call)) {
		loop_runs++;
		return TOOL_AGAIN;
	}
	return ++blocking_runs == 1 ? TOOL_PENDING : TOOL_DONE;
}

static void nothing(void *data)
{
	(void)data;
}

static void stop(void *data)
{
	(void)data;
	loop_stop(loop);
}

static void a_second_run_begins_on_the_loop_like_the_first(void)
{
	static const struct tool tool = {
		.name = "twice", .flags = TOOL_TRY_ON_LOOP, .run = run_twice
	};
	struct toolkit kit;
	struct err err;

	open_kit(&kit);
	struct call *call = new_call(&kit);
	call_run_tool(call, &tool, NULL);
	MUST(worker_submit(kit.workspace.pool, nothing, stop, NULL, &err));
	CHECK_INT(loop_run(loop, &err), 0);
	CHECK_INT(loop_runs, 1);
	CHECK_INT(blocking_runs, 1);
	call->again(call);
	CHECK_INT(loop_runs, 2);
	CHECK_INT(loop_run(loop, &err), 0);
	CHECK_INT(blocking_runs, 2);
	CHECK_TEXT(got, "r");
	close_kit(&kit);
}

static json_t *ask_on_worker(struct call *call, struct err *err)
{
	(void)err;
	ask(call, "name", "elicitation/create", NULL);
	return json_object();
}

static json_t *answer_on_worker(struct call *call, struct err *err)
{
	(void)err;
	call_reply(call, json_object());
	return json_object();
}

/* The signal that ends a process whose worker does this; 0: none. */
static int end_of(call_work_fn *work)
{
	struct toolkit kit;
	struct err err;
	int status = 0;

	open_kit(&kit);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		call_on_worker(new_call(&kit), work, NULL);
		loop_run(loop, &err);
		_exit(0);
	}
	MUST(waitpid(child, &status, 0)); /* it shares what the loop waits with */
	close_kit(&kit);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_worker_that_asks_or_answers_ends_the_process(void)
{
	CHECK_INT(end_of(ask_on_worker), SIGABRT);
	CHECK_INT(end_of(answer_on_worker), SIGABRT);
	CHECK_INT(end_of(fail_loudly), 0);
}

TESTS(CASE(what_is_said_after_a_worker_s_end_comes_before_the_response),
	CASE(a_second_run_begins_on_the_loop_like_the_first),
	CASE(a_worker_that_asks_or_answers_ends_the_process))
