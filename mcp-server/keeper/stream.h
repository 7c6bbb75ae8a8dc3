#ifndef STREAM_H
#define STREAM_H

/*
 * One output stream of a command: a pipe that is drained into a log file. The file keeps its
 * first and last bytes at their true offsets; what lies between becomes a hole, so neither
 * memory nor disk grows with the output. A command never gets SIGPIPE or an error because of
 * its log. Keeper only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct loop;
struct loop_io;

typedef void stream_fn(void *data);

struct stream {
	struct loop *loop;
	struct loop_io *io; /* NULL: closed or held */
	int pipe_fd, log_fd;
	uint64_t head_bytes, tail_bytes;
	uint64_t bytes; /* written by the command so far */
	uint64_t dropped_from, dropped_to; /* not in the log */
	uint64_t taken; /* by a reader that the command waits for */
	bool awaited;   /* there is such a reader */
	bool lost;      /* the log takes no more */
	stream_fn *changed; /* there was output, or the end */
	void *data;
};

enum { STREAM_WINDOW = 1024 * 1024 }; /* so far a command may be ahead of an awaited reader */

/* Takes ownership of `log_fd`. `child_fd` is the end that the command writes to: the caller
 * closes it. */
int stream_open(struct stream *stream, struct loop *loop, int log_fd, int *child_fd,
	struct err *err);

/* Closes what is open; legal after a failed or a missing stream_open(). */
void stream_close(struct stream *stream);

/* Whether the last writer has gone and all has been read. */
bool stream_at_end(const struct stream *stream);

/* Reads what is there, a bounded part of it. True where there may be more at once. */
bool stream_drain(struct stream *stream);

/* The reader has taken so many bytes. */
void stream_taken(struct stream *stream, uint64_t bytes);

/* Nobody is awaited any more. */
void stream_release(struct stream *stream);

#endif
