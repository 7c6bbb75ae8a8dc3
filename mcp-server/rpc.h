#ifndef RPC_H
#define RPC_H

/*
 * JSON-RPC 2.0 messages as they come in: limits, shape, era, method. What follows is the same
 * for every transport; the eras (eras/) only translate. Loop thread, except rpc_parse().
 */
#include <jansson.h>
#include <stdbool.h>

#include "call_impl.h"

struct config;
struct err;
struct http_request;
struct server;
struct session;
struct sink;

enum transport { FROM_HTTP, FROM_SSE, FROM_STDIO };

/* One message, and how it came. */
struct inbound {
	struct server *server;
	enum transport transport;
	struct http_request *http; /* FROM_HTTP: its headers; else NULL */
	struct session *session;   /* FROM_SSE, FROM_STDIO: the connection's; FROM_HTTP: NULL */
	bool in_batch;
	struct sink *sink;         /* gets exactly one respond() or drop() for each message */
};

/*
 * Parses a body within the configured limits; NULL with a sentence otherwise. Any thread. A
 * string may hold NUL characters.
 */
json_t *rpc_parse(const struct config *config, const char *bytes, size_t len, struct err *err);

/* Serves one message (not an array); takes ownership of it. */
void rpc_handle(const struct inbound *in, json_t *message);

/* Answers with an error before there is a call; `id` may be NULL. Takes ownership of `data`. */
void rpc_refuse(const struct inbound *in, const json_t *id, unsigned status, int code,
	json_t *data, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Whether a message is a request of 2026-07-28, by its _meta (reference: basic/versioning). */
bool rpc_is_modern(const json_t *message);

/* The eras: each finds out who is asking, or refuses (false). */
bool modern_peer(const struct inbound *in, const json_t *message, struct peer *peer);
bool legacy_peer(const struct inbound *in, const json_t *message, struct peer *peer);

/* `initialize` of the older eras. */
void legacy_initialize(const struct inbound *in, struct call *call);

#endif
