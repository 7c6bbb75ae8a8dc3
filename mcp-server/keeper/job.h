#ifndef JOB_H
#define JOB_H

/*
 * One command as the keeper runs it, from its start until its last writer is gone. A job ends
 * when its main process has and what it wrote is read; processes that it leaves behind go on,
 * and their output is still drained. One that is asked to end gets SIGTERM together with all
 * that descends from it, and SIGKILL two seconds later. Keeper only.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "stream.h"
#include "wire.h"

struct err;
struct keeper;
struct loop_timer;

enum job_phase {
	JOB_RUNNING,
	JOB_ENDING, /* asked to end */
	JOB_ENDED,  /* only its logs are still open, perhaps */
};

/* What the server has not heard yet: no message waits anywhere but as such a bit. */
enum job_news {
	JOB_SAY_RUNNING = 1 << 0,
	JOB_SAY_STARTED = 1 << 1,
	JOB_SAY_GREW = 1 << 2,
	JOB_SAY_DETACHED = 1 << 3,
	JOB_SAY_ENDED = 1 << 4,
};

struct job {
	struct keeper *keeper;
	uint64_t number, mark;
	enum job_phase phase;
	uint32_t flags; /* enum wire_flags */
	pid_t pid;
	bool reaped, killed, settled; /* settled: enough time to read what was written */
	int wait_status, sysno;
	int64_t started_ms, started_at_ms, duration_ms; /* realtime, monotonic, or -1 */
	int64_t time_out_at_ms; /* by the loop's clock; 0: never */
	uint64_t max_rss_bytes;
	struct stream streams[2];
	struct loop_timer *timer; /* until a status is due, the time-out, SIGKILL, or settled */
	char *command, *cwd;      /* cut */

	unsigned news;
	struct job *next_news;
	bool in_news;
};

/*
 * Starts the command that the message describes, and takes the descriptors that it needs. A
 * job that could not be started has ended, with `sysno` set. NULL (ERR_INVALID) where the
 * message is malformed, or the log could not be made.
 */
struct job *job_start(struct keeper *keeper, struct wire_message *message, struct err *err);

/* Closes and forgets; the processes are left alone. */
void job_free(struct job *job);

void job_exited(struct job *job, int wait_status, const struct rusage *usage);

/* Some process without a parent has ended: was it the last of this job's family? */
void job_orphan_exited(struct job *job);

void job_end(struct job *job);
void job_detach(struct job *job);
void job_taken(struct job *job, const struct wire_sizes *sizes);

/* The server is gone: output is awaited by nobody. */
void job_server_gone(struct job *job);

/* Whether it has to end when the server does: it is in the foreground and not at its end. */
bool job_belongs_to_server(const struct job *job);

/* Whether nothing is left to do for it. */
bool job_is_over(const struct job *job);

/* How long it has been running, or ran. */
int64_t job_age_ms(const struct job *job);

/* How it stands, for messages and status. */
void job_report(const struct job *job, struct wire_ended *report);

/* Sets down how it stands in its status file. */
void job_write_status(const struct job *job);

#endif
