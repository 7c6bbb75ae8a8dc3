#ifndef KEEPER_H
#define KEEPER_H

/*
 * The keeper: a small process that runs the commands of one tool server and outlives it. It
 * serves one server at a time; when that goes, foreground commands are killed at once and
 * background ones go on, for the next server to find. It leaves when there is neither.
 */
#include <stdbool.h>
#include <stdint.h>

#include "table.h"
#include "wire.h"

struct err;
struct job;
struct loop;
struct loop_io;
struct store;

struct keeper {
	struct loop *loop;
	struct store *store;
	int null_fd;     /* standard input of commands without one */
	uint64_t nofile; /* these three as the server says */
	uint64_t head_bytes, tail_bytes;

	int listen_fd; /* -1: about to leave */
	struct loop_io *listen_io;

	struct wire server; /* fd -1: there is none */
	struct loop_io *server_io;
	bool greeted, writing; /* WIRE_HELLO came; the socket is watched for room, too */

	struct table jobs;
	struct job *news, **news_end; /* with something to tell, in order */
	bool over;                    /* some job may be over */
};

/* Runs until there is nothing left to do. Takes ownership of the listening socket. */
int keeper_run(int listen_fd, int state_fd, struct err *err);

/* There is news of the job (enum job_news) for the server. */
void keeper_news(struct keeper *keeper, struct job *job, unsigned news);

/* The job may be over: looked at when the turn ends. */
void keeper_look_at(struct keeper *keeper, struct job *job);

#endif
