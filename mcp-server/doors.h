#ifndef DOORS_H
#define DOORS_H

/*
 * The plain doors beside MCP, for the manager and for scripts: whole files up and down, commands
 * with their output as it comes, and whether anybody is at work (docs/doors.md). Behind the
 * same token. Paths here are not confined to the roots: whatever the server's user may reach.
 */

struct http_request;
struct server;

void door_files_get(struct server *server, struct http_request *request); /* GET, HEAD */
void door_files_put(struct server *server, struct http_request *request);
void door_exec(struct server *server, struct http_request *request);
void door_activity(struct server *server, struct http_request *request);

/* A refusal of a door: {"success":false,"detail":…,"error":…} with the status that fits. */
struct err;
void door_refuse(struct http_request *request, const struct err *err);

#endif
