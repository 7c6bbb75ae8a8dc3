#include "job.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "family.h"
#include "keeper.h"
#include "loop.h"
#include "proc.h"
#include "store.h"
#include "utf8.h"

enum {
	KILL_AFTER_MS = 2000, /* SIGKILL follows SIGTERM */
	SETTLE_MS = 50,       /* output of processes left behind that still belongs to the result */
	STATUS_AFTER_MS = 100, /* a shorter foreground command has a status at its end only */
	DRAINS_AT_END = 64,
	COMMAND_SHOWN = 4000, /* bytes of the command line in status and lists */
	VARS_MAX = 100 * 1000,
	GROUPS_MAX = 65536, /* NGROUPS_MAX of the kernel */
};

static void on_timer(void *data);
static void on_output(void *data);

static int64_t clock_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- starting ---- */

/* What WIRE_START says; texts are borrowed from the message. */
struct request {
	struct wire_start fixed;
	const char *command, *cwd, *shell, *program;
	char **args, **vars;
	gid_t *groups;
};

static void request_release(struct request *request)
{
	free(request->args);
	free(request->vars);
	free(request->groups);
}

static char **read_list(struct wire_texts *texts, size_t len)
{
	char **list = alloc_array(len + 1, sizeof *list);

	for (size_t i = 0; i < len; i++) {
		const char *text = wire_text(texts);
		if (!text) {
			free(list);
			return NULL;
		}
		list[i] = (char *)(uintptr_t)text; /* execve's type; nobody writes there */
	}
	return list;
}

static gid_t *read_groups(struct wire_texts *texts, size_t len)
{
	gid_t *groups = alloc_array(len + 1, sizeof *groups);

	for (size_t i = 0; i < len; i++) {
		const char *text = wire_text(texts);
		if (!text) {
			free(groups);
			return NULL;
		}
		groups[i] = (gid_t)strtoul(text, NULL, 10);
	}
	return groups;
}

static int read_request(
	const struct wire_message *message, struct request *request, struct err *err)
{
	struct wire_texts texts;

	if (wire_body(message, &request->fixed, sizeof request->fixed, &texts, err) < 0)
		return -1;
	size_t fds = request->fixed.flags & WIRE_STDIN ? 2 : 1;
	request->command = wire_text(&texts);
	request->cwd = wire_text(&texts);
	request->shell = wire_text(&texts);
	if (!request->shell || message->fds_len != fds || request->fixed.args > VARS_MAX ||
		request->fixed.vars > VARS_MAX || request->fixed.groups > GROUPS_MAX)
		return err_set(err, ERR_INVALID, "a malformed message to start a command");
	request->program = request->fixed.args > 0 ? wire_text(&texts) : NULL;
	request->args = read_list(&texts, request->fixed.args);
	request->vars = request->args ? read_list(&texts, request->fixed.vars) : NULL;
	request->groups = request->vars ? read_groups(&texts, request->fixed.groups) : NULL;
	if (!request->groups)
		return err_set(err, ERR_INVALID, "a message to start a command is cut short");
	return 0;
}

static int spawn(struct job *job, const struct wire_message *message, const struct request *request,
	const int child_fds[2], struct err *err)
{
	const struct keeper *keeper = job->keeper;
	const char *slash = strrchr(request->shell, '/');
	char *shell = (char *)(uintptr_t)(slash ? slash + 1 : request->shell);
	char dash_c[] = "-c", end_of_options[] = "--";
	char *shell_args[] = { shell, dash_c, end_of_options, (char *)(uintptr_t)request->command,
		NULL };
	struct proc_program programs[2];
	size_t n = 0;

	if (request->program)
		programs[n++] = (struct proc_program){ request->program, request->args };
	programs[n++] = (struct proc_program){ request->shell, shell_args };
	int fds[] = { message->fds_len > 1 ? message->fds[1] : keeper->null_fd, child_fds[0],
		child_fds[1] };
	const struct proc_user user = { request->fixed.uid, request->fixed.gid, request->groups,
		request->fixed.groups };
	struct proc_spec spec = {
		.programs = programs,
		.programs_len = n,
		.envp = request->vars,
		.fds = fds,
		.fds_len = 3,
		.cwd_fd = message->fds[0],
		.mark = job->mark,
		.nofile = keeper->nofile,
		.user = request->fixed.flags & WIRE_AS_USER ? &user : NULL,
	};
	return proc_spawn(&spec, &job->pid, err);
}

static int open_streams(struct job *job, int log_fds[2], int child_fds[2], struct err *err)
{
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &job->streams[i];
		stream->head_bytes = job->keeper->head_bytes;
		stream->tail_bytes = job->keeper->tail_bytes;
		stream->awaited = job->flags & WIRE_STREAMED;
		stream->changed = on_output;
		stream->data = job;
		if (stream_open(stream, job->keeper->loop, steal_fd(&log_fds[i]), &child_fds[i],
			    err) < 0)
			return -1;
	}
	return 0;
}

static void set_timer(struct job *job, int64_t ms)
{
	if (!job->timer)
		job->timer = loop_timer_new(job->keeper->loop, on_timer, job);
	loop_timer_set(job->timer, ms);
}

static void await_time_out(struct job *job)
{
	if (job->time_out_at_ms > 0)
		set_timer(job, job->time_out_at_ms - loop_now_ms(job->keeper->loop));
}

static void finish(struct job *job);

/* The rest of starting, where a failure is the command's end. */
static int launch(struct job *job, const struct wire_message *message,
	const struct request *request, struct err *err)
{
	int log_fds[2] = { -1, -1 }, child_fds[2] = { -1, -1 };

	int result = store_make(job->keeper->store, job->number, log_fds, err);
	if (result == 0)
		result = open_streams(job, log_fds, child_fds, err);
	/* So that the user can open them again, as /dev/stdout. */
	for (int i = 0; result == 0 && request->fixed.flags & WIRE_AS_USER && i < 2; i++)
		if (fchown(child_fds[i], request->fixed.uid, request->fixed.gid) < 0)
			result = err_sys(err, "hand over the output");
	if (result == 0)
		result = spawn(job, message, request, child_fds, err);
	for (int i = 0; i < 2; i++) {
		cleanup_close(&log_fds[i]);
		cleanup_close(&child_fds[i]);
	}
	return result;
}

struct job *job_start(struct keeper *keeper, struct wire_message *message, struct err *err)
{
	struct request request __attribute__((cleanup(request_release))) = { 0 };
	struct err why = { 0 };

	if (read_request(message, &request, err) < 0)
		return NULL;
	struct job *job = alloc_zero(sizeof *job);
	*job = (struct job){
		.keeper = keeper,
		.number = message->head.number,
		.mark = store_mark(message->head.number),
		.flags = request.fixed.flags,
		.started_ms = clock_ms(CLOCK_REALTIME),
		.started_at_ms = clock_ms(CLOCK_MONOTONIC),
		.duration_ms = -1,
		.command = alloc_textn(request.command,
			utf8_floor(request.command, strnlen(request.command, COMMAND_SHOWN))),
		.cwd = alloc_text(request.cwd),
	};
	for (int i = 0; i < 2; i++)
		job->streams[i].pipe_fd = job->streams[i].log_fd = -1;
	if (launch(job, message, &request, &why) < 0) {
		job->sysno = why.sysno ? why.sysno : EIO;
		finish(job);
		return job;
	}
	if (request.fixed.timeout_ms > 0)
		job->time_out_at_ms = loop_now_ms(keeper->loop) + request.fixed.timeout_ms;
	if (job->flags & WIRE_BACKGROUND) {
		job_write_status(job);
		await_time_out(job);
	} else {
		set_timer(job, STATUS_AFTER_MS);
	}
	if (job->flags & (WIRE_BACKGROUND | WIRE_STREAMED))
		keeper_news(keeper, job, JOB_SAY_STARTED);
	return job;
}

void job_free(struct job *job)
{
	for (int i = 0; i < 2; i++)
		stream_close(&job->streams[i]);
	loop_timer_free(job->timer);
	free(job->command);
	free(job->cwd);
	free(job);
}

/* ---- ending ---- */

int64_t job_age_ms(const struct job *job)
{
	if (job->duration_ms >= 0)
		return job->duration_ms;
	return clock_ms(CLOCK_MONOTONIC) - job->started_at_ms;
}

bool job_belongs_to_server(const struct job *job)
{
	return !(job->flags & WIRE_BACKGROUND) &&
	       (job->phase == JOB_ENDING || (job->phase == JOB_RUNNING && !job->reaped));
}

static bool at_end(const struct job *job)
{
	return stream_at_end(&job->streams[0]) && stream_at_end(&job->streams[1]);
}

bool job_is_over(const struct job *job)
{
	return job->phase == JOB_ENDED && at_end(job) && !job->in_news;
}

static void finish(struct job *job)
{
	job->phase = JOB_ENDED;
	job->duration_ms = clock_ms(CLOCK_MONOTONIC) - job->started_at_ms;
	if (job->timer)
		loop_timer_stop(job->timer);
	for (int i = 0; i < 2; i++)
		stream_release(&job->streams[i]);
	job_write_status(job);
	keeper_news(job->keeper, job, JOB_SAY_ENDED);
	keeper_look_at(job->keeper, job);
}

/* Whether a reader for whom the command waits has not taken all yet. */
static bool reader_is_behind(const struct job *job)
{
	for (int i = 0; i < 2; i++)
		if (job->streams[i].awaited && !stream_at_end(&job->streams[i]) &&
			!job->streams[i].io)
			return true;
	return false;
}

static void read_rest(struct job *job)
{
	for (int i = 0; i < 2; i++)
		for (int n = 0; n < DRAINS_AT_END && stream_drain(&job->streams[i]); n++)
			;
}

static void settle_soon(struct job *job)
{
	if (!job->settled && !(job->timer && loop_timer_armed(job->timer)))
		set_timer(job, SETTLE_MS);
}

/* The main process has ended: is the command at its end, too? */
static void look(struct job *job)
{
	if (!job->reaped || job->phase == JOB_ENDED)
		return;
	if (job->phase == JOB_ENDING && !job->settled && family_signal(&job->mark, 1, 0, 0) > 0) {
		if (job->killed)
			settle_soon(job); /* the last of them are about to go */
		return;
	}
	if (job->phase == JOB_ENDING && !job->killed) {
		job->killed = true;
		family_kill(&job->mark, 1); /* whoever was not seen, being on the run */
	}
	read_rest(job);
	if (at_end(job) || (job->settled && !reader_is_behind(job)))
		finish(job);
	else
		settle_soon(job);
}

void job_exited(struct job *job, int wait_status, const struct rusage *usage)
{
	job->reaped = true;
	job->wait_status = wait_status;
	job->max_rss_bytes = (uint64_t)usage->ru_maxrss * 1024;
	if (job->timer && job->phase == JOB_RUNNING)
		loop_timer_stop(job->timer);
	look(job);
}

void job_orphan_exited(struct job *job)
{
	if (job->phase == JOB_ENDING)
		look(job);
}

static void on_output(void *data)
{
	struct job *job = data;

	if (job->flags & WIRE_STREAMED && job->phase != JOB_ENDED)
		keeper_news(job->keeper, job, JOB_SAY_GREW);
	if (!at_end(job))
		return;
	if (job->phase != JOB_ENDED) {
		look(job);
		return;
	}
	job_write_status(job); /* what it left behind has written more */
	keeper_look_at(job->keeper, job);
}

void job_end(struct job *job)
{
	if (job->phase != JOB_RUNNING || job->reaped)
		return;
	job->phase = JOB_ENDING;
	/* In one step: a shell must not go on to its next command because this one was ended. */
	kill(-job->pid, SIGTERM);
	kill(-job->pid, SIGCONT); /* so that a stopped one can react */
	family_signal(&job->mark, 1, job->pid, SIGTERM);
	set_timer(job, KILL_AFTER_MS);
}

void job_detach(struct job *job)
{
	if (job->phase != JOB_RUNNING)
		return;
	job->flags |= WIRE_BACKGROUND;
	job->flags &= ~(uint32_t)WIRE_STREAMED;
	for (int i = 0; i < 2; i++)
		stream_release(&job->streams[i]);
	job_write_status(job);
}

static void time_out(struct job *job)
{
	job->flags |= WIRE_TIMED_OUT;
	if (!(job->flags & WIRE_BACKGROUND_ON_TIMEOUT)) {
		job_end(job);
		return;
	}
	job_detach(job);
	keeper_news(job->keeper, job, JOB_SAY_DETACHED);
}

static void on_timer(void *data)
{
	struct job *job = data;

	if (job->reaped && (job->phase == JOB_RUNNING || job->killed)) {
		job->settled = true;
		look(job);
	} else if (job->phase == JOB_ENDING) {
		job->killed = true;
		family_kill(&job->mark, 1);
		if (!job->reaped)
			kill(-job->pid, SIGKILL);
		look(job);
	} else if (job->time_out_at_ms > 0 &&
		   loop_now_ms(job->keeper->loop) >= job->time_out_at_ms) {
		time_out(job);
	} else {
		job_write_status(job);
		await_time_out(job);
	}
}

void job_taken(struct job *job, const struct wire_sizes *sizes)
{
	for (int i = 0; i < 2; i++)
		stream_taken(&job->streams[i], sizes->bytes[i]);
	look(job);
}

void job_server_gone(struct job *job)
{
	job->news = 0;
	job->flags &= ~(uint32_t)WIRE_STREAMED;
	for (int i = 0; i < 2; i++)
		stream_release(&job->streams[i]);
	look(job);
}
