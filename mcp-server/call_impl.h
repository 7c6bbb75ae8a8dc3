#ifndef CALL_IMPL_H
#define CALL_IMPL_H

/*
 * A call as the protocol side sees it: the request, who sent it, where its messages go. Tools
 * see only call.h. A call has one owner at a time: the loop, or, while `on_worker` is set, a
 * worker, which uses `result`, `cancelled` and the progress fields only. What is the loop's alone
 * ends the process where a worker tries it.
 */
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "result.h"

struct ask;
struct err;
struct server;
struct session;

/* Who sent a request, and in which revision of the protocol. */
struct peer {
	const char *revision;     /* "2026-07-28" …; a constant */
	bool modern;              /* 2026-07-28: stateless */
	struct session *session;  /* older eras; NULL where there is none. Borrowed. */
	unsigned caps;            /* what the client can do: enum session_caps */
	int log_level;            /* lowest level of notifications/message, or LOG_NONE */
};

enum { LOG_NONE = 100 };

/* Where the messages of one request go: an HTTP response, a stream, standard output. */
struct sink {
	const struct sink_ops *ops;
	struct sink *outer; /* of a batch, where this is a member's; else NULL */
};

struct sink_ops {
	/* The message became a call, which the sink may cancel until respond() or drop(); may be
	 * NULL. */
	void (*begin)(struct sink *sink, struct call *call);
	/* A message before the response. False where no answer to it can come: the client takes
	 * no such messages, or sends none any more. */
	bool (*notify)(struct sink *sink, const char *json, size_t len);
	/* The response and, for HTTP, its status; takes over the bytes. The last call. */
	void (*respond)(struct sink *sink, unsigned status, struct buf *json);
	/* There will be no response: the client cancelled. The last call. */
	void (*drop)(struct sink *sink);
	/* Ends the connection where the client can come back for the rest; may be NULL. */
	void (*detach)(struct sink *sink);
};

/* Work of a method that may block: the result (new reference), or NULL with `err`. */
typedef json_t *call_work_fn(struct call *call, struct err *err);

/* Answers a call whose work failed. */
typedef void call_failed_fn(struct call *call, const struct err *err);

struct call {
	const struct workspace *workspace;
	struct server *server; /* NULL in unit tests */
	struct peer peer;
	struct sink *sink; /* NULL in unit tests */
	json_t *message;   /* the whole request; owned */
	json_t *id;        /* borrowed from it, like all below */
	const char *method;
	json_t *params, *args, *progress_token;

	const struct tool *tool; /* tools/call only */
	void (*again)(struct call *call); /* runs it again when the client has answered (ask.h) */
	struct result result;
	unsigned status; /* HTTP status of the response */
	bool on_worker;  /* changed by the loop, before a worker begins and after it ended */
	bool waiting;
	enum tool_status tool_status; /* what a worker's run returned, with `err` */
	struct err *tool_err;

	call_work_fn *work;     /* call_on_worker() */
	call_failed_fn *failed;
	json_t *value; /* what `work` returned */

	atomic_bool cancelled;
	call_cancel_fn *on_cancel;
	void *on_cancel_data;

	double last_progress;
	int64_t last_progress_ms;

	struct call *next, **link; /* the session's calls in flight */
	struct call *next_served, **link_served; /* the server's */

	struct ask *ask; /* what the client is asked; NULL: nothing so far */
};

/* A call for a checked request message; takes ownership of `message`. */
struct call *call_new(const struct workspace *workspace, json_t *message, const struct peer *peer,
	struct sink *sink);
void call_free(struct call *call);

/* Ends the process where a worker has the call: what follows is the loop's. */
void call_expect_loop(const struct call *call);

/* From here on it counts as being served. */
void call_serve(struct call *call, struct server *server);

/* Cancels every call that is being served; or those only whose sink is part of `outer`. */
void calls_cancel(struct server *server, const struct sink *outer);

/* Runs a tool: on the loop where it can, on a worker else. The response leaves through the
 * sink, now or later; the call is freed then. */
void call_run_tool(struct call *call, const struct tool *tool, json_t *args);

/* Responses of other methods; each ends and frees the call. `value` and `data` are taken over. */
void call_reply(struct call *call, json_t *value);
void call_reply_members(struct call *call, const char *members, size_t len);
void call_reply_error(struct call *call, int code, json_t *data, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void call_reply_err(struct call *call, const struct err *err); /* the code that `err` stands for */

/* Nobody waits any more: tells the tool; no response will be sent. The call may be gone. */
void call_cancel(struct call *call);

/* Does the work on a worker and answers with what it returns; else by `failed`, or, where that
 * is NULL, by call_reply_err(). */
void call_on_worker(struct call *call, call_work_fn *work, call_failed_fn *failed);

/* From here on the call only waits for events: it no longer counts as being served. */
void call_wait(struct call *call);

/* Ends the connection of a call that takes long, where its client can come back for the rest
 * (2025-11-25, "Resumability and Redelivery"); does nothing elsewhere. */
void call_detach(struct call *call);

/* A notification on the call's own stream; takes ownership of `params`. False where it did not
 * get there, as the sink's notify() says. */
bool call_notify(struct call *call, const char *method, json_t *params);

/* JSON-RPC error codes: its section 5.1, and basic/index of MCP 2026-07-28. */
enum {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
	RPC_SESSION_NOT_FOUND = -32001,   /* older eras */
	RPC_RESOURCE_NOT_FOUND = -32002,  /* older eras; -32602 since 2026-07-28 */
	RPC_HEADER_MISMATCH = -32020,     /* 2026-07-28 */
	RPC_MISSING_CAPABILITY = -32021,  /* 2026-07-28 */
	RPC_UNSUPPORTED_VERSION = -32022, /* 2026-07-28 */
};

/* The HTTP status that carries an error of this code. */
unsigned rpc_status(int code, bool modern);

#endif
