#ifndef STDIO_TRANSPORT_H
#define STDIO_TRANSPORT_H

/*
 * MCP on standard input and output: one message a line. Both eras; the connection is the
 * session of the older ones. At the end of input the server finishes what it was asked and
 * leaves.
 */
struct err;
struct server;
struct stdio;

int stdio_open(struct server *server, struct stdio **out, struct err *err);
void stdio_close(struct stdio *stdio);

/* Sends a message that belongs to no request. */
void stdio_notify(struct stdio *stdio, const char *json, size_t len);

#endif
