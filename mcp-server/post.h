#ifndef POST_H
#define POST_H

/*
 * One POST to the MCP endpoint: the sink of its message. The answer is JSON, or a stream of
 * events where something goes before the response or the client takes nothing else. In
 * 2025-11-25 a client that lost its stream comes back for the rest by GET with Last-Event-ID
 * (basic/transports, "Resumability and Redelivery"): the call goes on, and what it says is kept,
 * for half a minute and within bounds. Loop thread only.
 */
#include <stdbool.h>

struct http_request;
struct post;
struct server;
struct sink;

/* The sink's last call frees it. */
struct post *post_new(
	struct server *server, struct http_request *request, bool takes_json, bool takes_stream);
struct sink *post_sink(struct post *post);

/* Frees one whose message never came. */
void post_free(struct post *post);

/* Answers a GET with the stream that the event of this id began, from where it was lost. False
 * where there is none in this session: the request was not answered. */
bool post_resume(struct server *server, struct http_request *request, const char *session,
	const char *event_id);

/* Gives up those whose clients have not come back. */
void posts_close(struct server *server);

#endif
