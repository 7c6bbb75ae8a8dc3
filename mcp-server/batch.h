#ifndef BATCH_H
#define BATCH_H

/* JSON-RPC batches (section 6), which revision 2025-03-26 has: an array of messages, answered
 * by one array of responses. Notifications of its calls are dropped. */
#include <jansson.h>

struct inbound;

enum { BATCH_MAX = 100 };

/* Serves each message of the array; takes ownership. in->sink gets one respond(). */
void batch_handle(const struct inbound *in, json_t *array);

#endif
