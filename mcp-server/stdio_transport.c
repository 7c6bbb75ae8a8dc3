#include "stdio_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "ask.h"
#include "batch.h"
#include "buf.h"
#include "config.h"
#include "err.h"
#include "listeners.h"
#include "log.h"
#include "loop.h"
#include "revision.h"
#include "rpc.h"
#include "server.h"
#include "session.h"

enum { READ_BYTES = 64 * 1024 };

struct stdio {
	struct server *server;
	struct session *session;
	struct loop_io *in_io, *out_io;
	struct loop_timer *again; /* for a file as standard input: epoll takes none */
	struct buf in, out;
	bool skipping;  /* the rest of a line that was too long */
	bool ended;     /* no more input */
	size_t pending; /* messages not answered yet */
};

static void leave_when_done(struct stdio *stdio)
{
	if (stdio->ended && stdio->pending == 0 && stdio->out.len == 0)
		loop_stop(stdio->server->workspace.loop);
}

/* ---- out ---- */

static void give_up(struct stdio *stdio, const char *why)
{
	log_event(LOG_ERROR, "standard output failed", "why", why, NULL);
	buf_clear(&stdio->out);
	loop_stop(stdio->server->workspace.loop);
}

static void flush(struct stdio *stdio)
{
	while (stdio->out.len > 0) {
		ssize_t n = write(STDOUT_FILENO, stdio->out.data, stdio->out.len);
		if (n < 0 && errno == EAGAIN) {
			if (stdio->out_io)
				loop_io_set(stdio->out_io, EPOLLOUT, NULL);
			return;
		}
		if (n < 0 && errno != EINTR) {
			give_up(stdio, strerrordesc_np(errno));
			return;
		}
		if (n > 0)
			buf_consume(&stdio->out, (size_t)n);
	}
	if (stdio->out_io)
		loop_io_set(stdio->out_io, 0, NULL);
	leave_when_done(stdio);
}

static void on_writable(unsigned events, void *data)
{
	(void)events;
	flush(data);
}

void stdio_notify(struct stdio *stdio, const char *json, size_t len)
{
	buf_add(&stdio->out, json, len);
	buf_add_char(&stdio->out, '\n');
	if (stdio->out.over)
		give_up(stdio, "the client does not read");
	else
		flush(stdio);
}

/* ---- one message ---- */

struct line {
	struct sink sink;
	struct stdio *stdio;
};

static bool line_notify(struct sink *sink, const char *json, size_t len)
{
	struct stdio *stdio = ((struct line *)sink)->stdio;

	stdio_notify(stdio, json, len);
	return !stdio->ended;
}

static void line_respond(struct sink *sink, unsigned status, struct buf *json)
{
	struct stdio *stdio = ((struct line *)sink)->stdio;

	(void)status;
	stdio->pending--;
	free(sink);
	if (json)
		stdio_notify(stdio, json->data, json->len);
	else
		leave_when_done(stdio);
}

static void line_drop(struct sink *sink)
{
	line_respond(sink, 0, NULL);
}

static const struct sink_ops line_ops = {
	.notify = line_notify,
	.respond = line_respond,
	.drop = line_drop,
};

static void handle_line(struct stdio *stdio, const char *text, size_t len)
{
	struct line *line = alloc_zero(sizeof *line);
	struct inbound in = {
		.server = stdio->server,
		.transport = FROM_STDIO,
		.session = stdio->session,
		.sink = &line->sink,
	};
	const char *revision = session_revision(stdio->session);
	struct err err;

	*line = (struct line){ .sink.ops = &line_ops, .stdio = stdio };
	stdio->pending++;
	json_t *message = rpc_parse(stdio->server->config, text, len, &err);
	if (!message)
		rpc_refuse(&in, NULL, 400,
			err.code == ERR_LIMIT ? RPC_INVALID_REQUEST : RPC_PARSE_ERROR, NULL, "%s",
			err.msg);
	else if (json_is_array(message) && revision && revision_has_batches(revision))
		batch_handle(&in, message);
	else
		rpc_handle(&in, message);
}

/* ---- in ---- */

static bool blank(const char *text, size_t len)
{
	return strspn(text, " \t\r\n") >= len;
}

static void too_long(struct stdio *stdio)
{
	static const char refusal[] =
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":"
		"\"The message is longer than --max-body-bytes allows\"}}";

	buf_clear(&stdio->in);
	stdio->skipping = true;
	stdio_notify(stdio, refusal, sizeof refusal - 1);
}

/* Takes the lines out of what was read; keeps the beginning of the next. */
static void take_lines(struct stdio *stdio)
{
	size_t start = 0;

	while (start < stdio->in.len) {
		char *text = stdio->in.data + start;
		char *end = memchr(text, '\n', stdio->in.len - start);
		if (!end)
			break;
		size_t len = (size_t)(end - text);
		*end = '\0';
		if (!stdio->skipping && !blank(text, len))
			handle_line(stdio, text, len);
		stdio->skipping = false;
		start += len + 1;
	}
	buf_consume(&stdio->in, start);
}

static void end_of_input(struct stdio *stdio)
{
	if (stdio->in.len > 0 && !stdio->skipping) {
		buf_add_char(&stdio->in, '\n');
		take_lines(stdio);
	}
	stdio->ended = true;
	loop_io_free(stdio->in_io);
	stdio->in_io = NULL;
	ask_give_up(stdio->session);
	listeners_end(stdio->server);
	leave_when_done(stdio);
}

static void on_readable(unsigned events, void *data)
{
	struct stdio *stdio = data;

	(void)events;
	char *room = buf_reserve(&stdio->in, READ_BYTES);
	if (!room) {
		too_long(stdio);
		return;
	}
	ssize_t n = read(STDIN_FILENO, room, READ_BYTES);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end_of_input(stdio);
		return;
	}
	buf_commit(&stdio->in, (size_t)n);
	if (stdio->skipping && !memchr(stdio->in.data, '\n', stdio->in.len))
		buf_clear(&stdio->in);
	take_lines(stdio);
}

static void read_file_input(void *data)
{
	struct stdio *stdio = data;

	on_readable(EPOLLIN, stdio);
	if (!stdio->ended)
		loop_timer_set(stdio->again, 0);
}

static void send_unasked(const char *json, size_t len, void *data)
{
	stdio_notify(data, json, len);
}

static int watch(struct stdio *stdio, struct err *err)
{
	struct loop *loop = stdio->server->workspace.loop;
	struct stat st;

	if (fstat(STDIN_FILENO, &st) < 0)
		return err_sys(err, "read standard input");
	if (S_ISREG(st.st_mode)) {
		stdio->again = loop_timer_new(loop, read_file_input, stdio);
		loop_timer_set(stdio->again, 0);
	} else if (loop_io_new(loop, STDIN_FILENO, EPOLLIN, on_readable, stdio, &stdio->in_io,
			   err) < 0) {
		return -1;
	}
	/* A pipe or a socket may be full; what else there is (a file) takes everything. */
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	if (flags < 0)
		return err_sys(err, "write to standard output");
	if (fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
		fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
		return loop_io_new(loop, STDOUT_FILENO, 0, on_writable, stdio, &stdio->out_io,
			err);
	}
	return 0;
}

int stdio_open(struct server *server, struct stdio **out, struct err *err)
{
	struct stdio *stdio = alloc_zero(sizeof *stdio);

	stdio->server = server;
	stdio->session = session_local(server->sessions);
	session_set_channel(stdio->session, send_unasked, stdio);
	buf_init(&stdio->in, (size_t)server->config->body_max + READ_BYTES);
	buf_init(&stdio->out, (size_t)server->config->queue_max);
	*out = stdio;
	return watch(stdio, err);
}

void stdio_close(struct stdio *stdio)
{
	if (!stdio)
		return;
	session_local_free(stdio->session);
	loop_io_free(stdio->in_io);
	loop_io_free(stdio->out_io);
	loop_timer_free(stdio->again);
	buf_release(&stdio->in);
	buf_release(&stdio->out);
	free(stdio);
}
