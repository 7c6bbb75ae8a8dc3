#include "job.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "store.h"
#include "utf8.h"

void job_report(const struct job *job, struct wire_ended *report)
{
	bool exited = WIFEXITED(job->wait_status);

	*report = (struct wire_ended){
		.flags = job->flags,
		.pid = job->pid,
		.sysno = job->sysno,
		.started_ms = job->started_ms,
		.duration_ms = job_age_ms(job),
		.max_rss_bytes = job->max_rss_bytes,
	};
	if (job->reaped) {
		report->signo = exited ? 0 : WTERMSIG(job->wait_status);
		report->exit_code = exited ? WEXITSTATUS(job->wait_status) : 128 + report->signo;
	}
	for (int i = 0; i < 2; i++) {
		const struct stream *stream = &job->streams[i];
		report->streams[i] = (struct wire_stream){ stream->bytes, stream->dropped_from,
			stream->dropped_to };
	}
}

static const char *signal_name(int signo, char name[32])
{
	const char *short_name = sigabbrev_np(signo);

	if (short_name)
		snprintf(name, 32, "SIG%s", short_name);
	else
		snprintf(name, 32, "SIGRTMIN+%d", signo - SIGRTMIN);
	return name;
}

static const char *state(const struct job *job)
{
	if (job->phase != JOB_ENDED)
		return "running";
	if (job->sysno)
		return "failed";
	return WIFEXITED(job->wait_status) ? "exited" : "killed";
}

static void add_stream(struct buf *out, const char *name, const struct stream *stream)
{
	buf_addf(out, ",\"%s\":{\"bytes\":%llu,\"dropped\":", name,
		(unsigned long long)stream->bytes);
	if (stream->dropped_to > 0)
		buf_addf(out, "[%llu,%llu]}", (unsigned long long)stream->dropped_from,
			(unsigned long long)stream->dropped_to);
	else
		buf_add_text(out, "null}");
}

static void add_end(struct buf *out, const struct job *job, const struct wire_ended *report)
{
	char name[32];

	if (job->phase != JOB_ENDED || job->sysno) {
		buf_addf(out, ",\"ended_ms\":null,\"exit_code\":null,\"signal\":null,"
			      "\"max_rss_bytes\":null,\"error\":");
		if (job->sysno)
			buf_addf(out, "\"%s\"", strerrordesc_np(job->sysno));
		else
			buf_add_text(out, "null");
		return;
	}
	buf_addf(out, ",\"ended_ms\":%lld,\"exit_code\":%d,\"signal\":",
		(long long)(job->started_ms + report->duration_ms), report->exit_code);
	if (report->signo)
		buf_addf(out, "\"%s\"", signal_name(report->signo, name));
	else
		buf_add_text(out, "null");
	buf_addf(out, ",\"max_rss_bytes\":%llu,\"error\":null",
		(unsigned long long)job->max_rss_bytes);
}

/* store.c looks for what it begins with, for "background" and for "keeper_pid". */
void job_write_status(const struct job *job)
{
	AUTO_BUF struct buf out = BUF_INIT(64 * 1024);
	struct wire_ended report;
	char id[WIRE_ID_LEN + 1];

	job_report(job, &report);
	wire_id(job->number, id);
	buf_addf(&out, "{\"state\":\"%s\",\"background\":%s,\"keeper_pid\":%d,\"id\":\"%s\",",
		state(job), job->flags & WIRE_BACKGROUND ? "true" : "false", (int)getpid(), id);
	buf_addf(&out, "\"pid\":%d,\"command\":", (int)job->pid);
	utf8_add_json(&out, job->command, strlen(job->command));
	buf_add_text(&out, ",\"cwd\":");
	utf8_add_json(&out, job->cwd, strlen(job->cwd));
	buf_addf(&out, ",\"started_ms\":%lld,\"timed_out\":%s", (long long)job->started_ms,
		job->flags & WIRE_TIMED_OUT ? "true" : "false");
	add_end(&out, job, &report);
	add_stream(&out, "stdout", &job->streams[0]);
	add_stream(&out, "stderr", &job->streams[1]);
	buf_add_text(&out, "}\n");
	store_write_status(job->keeper->store, job->number, &out, NULL);
}
