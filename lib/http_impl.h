#ifndef HTTP_IMPL_H
#define HTTP_IMPL_H

/*
 * What the files of lib/http share. libmicrohttpd's rules that shape it: no response may be
 * queued while upload data is handed over; a connection is suspended and resumed by flags that
 * say so, and MHD_run() must follow a resume; disconnects are invisible while suspended, and it
 * misses an end that comes together with data, so each socket is watched here, too; a suspended
 * connection cannot be freed, so a request that waits for its answer is always there.
 */
#include <microhttpd.h>
#include <netinet/in.h>

#include "http.h"

enum { REPLY_HEADERS_MAX = 12, HTTP_ADDRESS_BYTES = INET6_ADDRSTRLEN + 16 };

struct http_connection {
	int fd;
	struct loop_io *watch;        /* for the client's leaving */
	struct http_request *request; /* being served, or NULL */
	bool half_closed, dead;       /* the client closed its side; the connection is gone */
	int64_t deadline_ms; /* to be closed then */
	char client[INET6_ADDRSTRLEN];
	struct http_connection *next, **link;
};

/* A header's value without the white space behind it, which libmicrohttpd leaves there. */
struct trimmed_value {
	const char *whole;
	struct trimmed_value *next;
	char text[];
};

struct reply_header {
	char *name, *value;
};

struct http_request {
	struct http *http;
	struct MHD_Connection *mhd;
	struct http_connection *connection;
	const char *method_name, *path;
	enum http_method method;
	void *user;
	struct trimmed_value *trimmed;

	struct buf body;
	bool announces_body, head_pending, in_memory, body_done, paused, suspended, discarding;
	bool waits; /* with its head, until http_go_on() */
	http_fn *head;
	void *head_data;
	http_piece_fn *piece;
	http_fn *on_body, *on_body_gone;
	void *body_data;

	http_gone_fn *on_gone;
	void *gone_data;
	bool told, told_dead; /* on_gone was called so */

	struct reply_header headers[REPLY_HEADERS_MAX];
	size_t header_count;
	struct MHD_Response *response; /* set once answered, until queued */
	unsigned status;
	bool answered;
	struct http_stream *stream;

	struct http_request *next, **link;
};

/* Wakes a sleeping request; MHD calls the handler again. */
void http_request_wake(struct http_request *request);

/* Lets it sleep; where the client left already, it is told so at once. */
void http_request_sleep(struct http_request *request);

/* Looks again whether the client left a sleeping request. */
void http_request_look(struct http_request *request);

/* Stores the answer (takes the response over) and wakes the request. */
void http_request_answer(struct http_request *request, unsigned status,
	struct MHD_Response *response);

/* A deadline for what the connection has to do next; 0: none. */
void http_request_deadline(struct http_request *request, unsigned seconds);

/* The deadline by which an answer, of which so many bytes are in memory, has to have left. */
void http_request_expect_left(struct http_request *request, size_t bytes);
bool http_draining(const struct http *http);
bool http_refuse_body(struct http_request *request); /* false: its user has no answer of its own */
unsigned http_body_seconds(const struct http *http);

int http_listen(const struct http_options *options, int *out, struct err *err);

/* Where a socket listens, as HOST:PORT and as a number. */
int http_name_address(
	int fd, char out[HTTP_ADDRESS_BYTES], uint16_t *out_port, struct err *err);

/* libmicrohttpd has to run before the loop waits. */
void http_run_soon(struct http *http);

/* 413, with a sentence; the rest of the body is thrown away. */
void http_reply_too_large(struct http_request *request);

bool http_stream_ended(const struct http_stream *stream);
void http_stream_probe(struct http_stream *stream);
void http_stream_forget_request(struct http_stream *stream);
void http_count_stream(struct http *http, int change);

#endif
