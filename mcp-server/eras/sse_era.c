#include "eras/sse_era.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alloc.h"
#include "base64.h"
#include "config.h"
#include "err.h"
#include "http.h"
#include "json_body.h"
#include "rpc.h"
#include "server.h"
#include "session.h"
#include "sse.h"

enum { NAME_BYTES = 18, NAME_CHARS = 24 };

/* One open stream. Messages being served hold a reference: they may outlive it. */
struct link {
	struct server *server;
	char name[NAME_CHARS + 1];
	struct session *session;
	struct session *holder; /* session_set_stream() */
	struct sse *stream;     /* NULL once it was closed */
	size_t refs;
	struct link *next, **place;
};

static void unref(struct link *link)
{
	if (--link->refs > 0)
		return;
	free(link);
}

static void on_closed(struct sse *sse, void *data)
{
	struct link *link = data;

	(void)sse;
	link->stream = NULL;
	*link->place = link->next;
	if (link->next)
		link->next->place = link->place;
	session_local_free(link->session);
	link->session = NULL;
	unref(link);
}

static bool name_link(struct link *link)
{
	unsigned char random[NAME_BYTES];
	AUTO_BUF struct buf name = BUF_INIT(NAME_CHARS);

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return false;
	base64url_add(&name, random, sizeof random);
	memcpy(link->name, name.data, NAME_CHARS);
	return true;
}

void sse_era_get(struct server *server, struct http_request *request)
{
	struct link *link = alloc_zero(sizeof *link);
	char endpoint[64];

	if (sse_hub_count(server->streams) >= (size_t)server->config->streams_max ||
		!name_link(link)) {
		free(link);
		http_set_header(request, "Retry-After", "5");
		http_reply_text(request, 503, "text/plain", "Too many streams are open.\n");
		return;
	}
	link->server = server;
	link->refs = 1;
	link->session = session_local(server->sessions);
	link->next = server->links;
	link->place = &server->links;
	if (link->next)
		link->next->place = &link->next;
	server->links = link;
	link->stream = sse_open(server->streams, request, on_closed, link);
	session_set_stream(link->session, link->stream, &link->holder);
	/* Relative: clients refuse another scheme or host than they came to, and a proxy changes
	 * both. */
	int len = snprintf(endpoint, sizeof endpoint, "/messages?session=%s", link->name);
	sse_send(link->stream, "endpoint", NULL, endpoint, (size_t)len);
}

/* ---- POST ---- */

/* One message: it is accepted at once, its answer goes to the stream. */
struct delivery {
	struct sink sink;
	struct link *link;
};

static bool deliver(struct sink *sink, const char *json, size_t len)
{
	struct sse *stream = ((struct delivery *)sink)->link->stream;

	return stream && sse_send(stream, "message", NULL, json, len) == 0;
}

static void delivery_respond(struct sink *sink, unsigned status, struct buf *json)
{
	struct delivery *delivery = (struct delivery *)sink;

	(void)status;
	if (json)
		deliver(sink, json->data, json->len);
	unref(delivery->link);
	free(delivery);
}

static void delivery_drop(struct sink *sink)
{
	delivery_respond(sink, 0, NULL);
}

static const struct sink_ops delivery_ops = {
	.notify = deliver,
	.respond = delivery_respond,
	.drop = delivery_drop,
};

static struct link *find(struct server *server, const char *name)
{
	struct link *link = server->links;

	while (link && strcmp(link->name, name) != 0)
		link = link->next;
	return link;
}

static void on_body(
	struct http_request *request, json_t *message, const struct err *err, void *data)
{
	struct server *server = data;
	const char *name = http_query(request, "session", NULL);
	struct link *link = name ? find(server, name) : NULL;

	if (!link) {
		json_decref(message);
		http_reply_text(request, 404, "text/plain",
			"No stream of that name is open: GET /sse first.\n");
		return;
	}
	if (!message) {
		AUTO_BUF struct buf text = BUF_INIT(sizeof err->msg + 1);
		buf_addf(&text, "%s\n", err->msg);
		http_reply(request, 400, "text/plain", &text);
		return;
	}
	http_reply_text(request, 202, "text/plain", "Accepted");
	struct delivery *delivery = alloc_zero(sizeof *delivery);
	*delivery = (struct delivery){ .sink.ops = &delivery_ops, .link = link };
	link->refs++;
	struct inbound in = {
		.server = server,
		.transport = FROM_SSE,
		.session = link->session,
		.sink = &delivery->sink,
	};
	rpc_handle(&in, message);
}

void sse_era_post(struct server *server, struct http_request *request)
{
	json_body_read(server, request, on_body, NULL, server);
}
