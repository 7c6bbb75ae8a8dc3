#ifndef LOCAL_TALK_H
#define LOCAL_TALK_H

/* Commands in a sandbox, through its own tool server, as its clients run them. */
#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "local_kit.h"

enum { TALK_MAX = 256 * 1024, TALK_MS = 60 * 1000 };

/* Sends the whole text; false where the other end is gone. */
static inline bool talk_send(int fd, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct pollfd ready = { .fd = fd, .events = POLLOUT };
		if (poll(&ready, 1, TALK_MS) <= 0)
			return false;
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);
		if (n < 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

/* Reads to the end, or until TALK_MS pass; NULL: nothing came. */
static inline char *talk_receive(int fd)
{
	char *text = calloc(1, TALK_MAX);
	size_t len = 0;

	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		if (!text || poll(&ready, 1, TALK_MS) <= 0)
			break;
		ssize_t n = recv(fd, text + len, TALK_MAX - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (text && len > 0)
		return text;
	free(text);
	return NULL;
}

/* What the tool server answers to a call of a tool with `arguments` (taken over):
 * `structuredContent`, or NULL. */
static inline json_t *talk_call(
	struct kit *kit, const char *id, const char *tool, json_t *arguments)
{
	struct err err;
	int fd;

	if (kit->provider->dial(kit->provider, id, KIT_PORT, &fd, &err) < 0) {
		printf("# %s\n", err.msg);
		json_decref(arguments);
		return NULL;
	}
	json_t *call = json_pack("{s:s, s:i, s:s, s:{s:s, s:o}}", "jsonrpc", "2.0", "id", 1,
		"method", "tools/call", "params", "name", tool, "arguments", arguments);
	char *body = json_dumps(call, JSON_COMPACT), head[512];
	int len = snprintf(head, sizeof head,
		"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
		"Content-Type: application/json\r\nConnection: close\r\n"
		"Accept: application/json, text/event-stream\r\n"
		"MCP-Protocol-Version: 2025-06-18\r\nContent-Length: %zu\r\n\r\n",
		KIT_PORT, kit_token, strlen(body));
	bool sent = talk_send(fd, head, (size_t)len) && talk_send(fd, body, strlen(body));
	char *answer = sent ? talk_receive(fd) : NULL;
	const char *start = answer ? strstr(answer, "\r\n\r\n") : NULL;
	start = start ? strchr(start, '{') : NULL;
	json_t *whole = start ? json_loads(start, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
	json_t *content =
		json_incref(json_object_get(json_object_get(whole, "result"), "structuredContent"));
	if (!content)
		printf("# no result: %.200s\n", answer ? answer : "(nothing)");
	close(fd);
	json_decref(whole);
	json_decref(call);
	free(answer);
	free(body);
	return content;
}

/* The exit code of a command; `out` (NULL is allowed) gets its output, cut to `size`. */
static inline int talk_output(
	struct kit *kit, const char *id, const char *command, char *out, size_t size)
{
	json_t *content = talk_call(
		kit, id, "run_command", json_pack("{s:s, s:i}", "command", command, "timeout", 50));
	json_t *code = json_object_get(content, "exit_code");
	int result = json_is_integer(code) ? (int)json_integer_value(code) : -1;
	const char *text = json_string_value(json_object_get(content, "stdout"));

	if (out)
		snprintf(out, size, "%s", text ? text : "");
	json_decref(content);
	return result;
}

static inline int talk_code(struct kit *kit, const char *id, const char *command)
{
	return talk_output(kit, id, command, NULL, 0);
}

#endif
