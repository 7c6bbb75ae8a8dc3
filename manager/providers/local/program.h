#ifndef PROGRAM_H
#define PROGRAM_H

/*
 * A program of the host that is run to its end: bounded in time and output. Blocks, so it is
 * called on workers. Started helpers (slirp4netns) use program_start() and are not waited for.
 */
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

enum { PROGRAM_KEEP_MAX = 2 };

struct program {
	const char *path;
	const char *const *argv;    /* up to NULL; argv[0] is what messages call it */
	const char *env;            /* one more NAME=value of its environment, or NULL */
	const char *input;          /* its standard input, or NULL: none */
	struct buf *output;         /* its standard output, or NULL: dropped */
	struct buf *complaints;     /* its standard error, or NULL: dropped */
	int keep[PROGRAM_KEEP_MAX]; /* descriptors that it inherits as 3 and up; 0 or -1: none */
	int (*before)(void *data);  /* as in proc.h */
	void *before_data;
	int64_t timeout_ms;
};

/* Runs it; an error where it cannot be started, takes too long or exits with another code than
 * 0: the message has the last line that it complained with. */
int program_run(const struct program *program, struct err *err);

/* Starts it, without output. The caller reaps the process, by `pidfd` (owned by the caller). */
int program_start(const struct program *program, int *pidfd, pid_t *pid, struct err *err);

/* The path of a program, looked for where an administrator's shell would; NULL: it is not
 * installed. The caller frees it. */
char *program_find(const char *name);

#endif
