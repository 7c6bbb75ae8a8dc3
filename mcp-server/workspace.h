#ifndef WORKSPACE_H
#define WORKSPACE_H

/* What the tools work on: directories, commands, limits. Constant after start, any thread. */
#include <stddef.h>
#include <stdint.h>

struct commands;
struct loop;
struct path_roots;
struct worker_pool;

struct workspace {
	struct path_roots *roots;  /* root 0 is the workspace directory */
	struct commands *commands; /* loop thread only; NULL where commands cannot run (unit tests) */
	struct loop *loop;         /* loop thread only */
	struct worker_pool *pool;  /* loop thread only */
	size_t result_max;         /* bytes of text that one tool result may hold */
	size_t commands_max;       /* commands that run at once */
};

#endif
