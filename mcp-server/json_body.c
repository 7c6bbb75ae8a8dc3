#include "json_body.h"

#include <stdlib.h>

#include "alloc.h"
#include "config.h"
#include "err.h"
#include "rpc.h"
#include "server.h"
#include "worker.h"

/* What is longer is parsed on a worker: the loop must not stand still meanwhile. */
enum { PARSE_ON_LOOP_MAX = 64 * 1024 };

struct reading {
	struct server *server;
	struct http_request *request;
	json_body_fn *fn;
	http_fn *gone;
	void *data;
	json_t *body; /* NULL: see `err` */
	struct err err;
};

static void parse(void *data)
{
	struct reading *reading = data;
	size_t len;
	const char *bytes = http_body(reading->request, &len);

	reading->body = rpc_parse(reading->server->config, bytes, len, &reading->err);
}

static void hand_over(void *data)
{
	struct reading reading = *(struct reading *)data;

	free(data);
	reading.fn(reading.request, reading.body, &reading.err, reading.data);
}

static void on_body(struct http_request *request, void *data)
{
	struct reading *reading = data;
	size_t len;

	http_body(request, &len);
	err_set(&reading->err, ERR_CANCELLED, "The server is stopping");
	if (len <= PARSE_ON_LOOP_MAX)
		parse(reading);
	else if (worker_submit(reading->server->workspace.pool, parse, hand_over, reading,
			 &reading->err) == 0)
		return;
	hand_over(reading);
}

static void on_body_gone(struct http_request *request, void *data)
{
	struct reading *reading = data;

	if (reading->gone)
		reading->gone(request, reading->data);
	free(reading);
}

void json_body_read(struct server *server, struct http_request *request, json_body_fn *fn,
	http_fn *gone, void *data)
{
	struct reading *reading = alloc_zero(sizeof *reading);

	*reading = (struct reading){
		.server = server,
		.request = request,
		.fn = fn,
		.gone = gone,
		.data = data,
	};
	http_read_body(request, (size_t)server->config->body_max, on_body, on_body_gone, reading);
}
