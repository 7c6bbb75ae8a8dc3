#include "log.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scratch.h"
#include "test.h"

/* Standard error for a while; what waits forever is ended by the alarm. */
struct capture {
	int saved, reader;
};

static struct capture begin_with(const int ends[2])
{
	struct capture capture = { .reader = ends[0] };

	MUST(capture.saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
	MUST(dup2(ends[1], STDERR_FILENO));
	MUST(close(ends[1]));
	alarm(60);
	return capture;
}

static struct capture begin(void)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC));
	return begin_with(ends);
}

static void end(struct capture *capture)
{
	alarm(0);
	MUST(dup2(capture->saved, STDERR_FILENO));
	MUST(close(capture->saved));
	MUST(close(capture->reader));
}

/* What is there, as a text. */
static const char *take(const struct capture *capture)
{
	static char text[1024 * 1024];
	size_t len = 0;
	ssize_t n;

	MUST(fcntl(capture->reader, F_SETFL, O_NONBLOCK));
	while ((n = read(capture->reader, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

static size_t count(const char *text, char c)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == c;
	return n;
}

static void writes_a_line_for_an_event(void)
{
	struct capture capture = begin();

	log_setup(LOG_INFO, false);
	log_event(LOG_DEBUG, "unseen", NULL);
	log_event(LOG_INFO, "it began", "who", "me", "why", "a \"b\"\n", NULL);
	CHECK_TEXT(
		strchr(take(&capture), ' '), " info    it began who=me why=\"a \\\"b\\\"\\n\"\n");
	end(&capture);
}

static void a_cut_line_is_still_a_line(void)
{
	static char large[20000], odd[20000];
	struct capture capture = begin();

	memset(large, 'x', sizeof large - 1);
	for (size_t i = 0; i + 3 < sizeof odd; i += 3)
		memcpy(odd + i, i % 2 ? "ü\n" : "\xff\x01\"", 3);
	for (int json = 0; json < 2; json++) {
		log_setup(LOG_INFO, json);
		log_event(LOG_INFO, "event", "a", "1", "large", large, "b", "2", NULL);
		log_event(LOG_INFO, "event", "a", "1", "odd", odd, "large", large, NULL);
		const char *line = take(&capture), *end_of_line;
		CHECK_INT(count(line, '\n'), 2);
		for (; (end_of_line = strchr(line, '\n')); line = end_of_line + 1) {
			size_t len = (size_t)(end_of_line - line);
			CHECK(len > 2000 && len < PIPE_BUF && memmem(line, len, "…", 3));
			json_t *object = json_loadb(line, len, 0, NULL);
			CHECK(!json || json_is_string(json_object_get(object, "a")));
			json_decref(object);
		}
		CHECK_TEXT(line, "");
	}
	log_event(LOG_INFO, "event", "large", large, "b", "2", NULL);
	const char *text = take(&capture);
	CHECK_INT(count(text, '\n'), 1);
	CHECK(strstr(text, "…\",\"b\":\"2\"}\n") != NULL);
	end(&capture);
}

/* Until a line is lost; how many were not. */
static size_t fill(const struct capture *capture)
{
	size_t written = 0;
	int before = -1, now;

	for (;; written++) {
		log_event(LOG_INFO, "filling", "number", "1", NULL);
		MUST(ioctl(capture->reader, FIONREAD, &now));
		if (now == before)
			return written;
		before = now;
	}
}

static void lost_lines_are_counted(const int ends[2])
{
	struct capture capture = begin_with(ends);

	log_setup(LOG_INFO, false);
	size_t written = fill(&capture); /* and one is lost */
	log_event(LOG_INFO, "lost", NULL);
	log_event(LOG_INFO, "lost", NULL);
	const char *text = take(&capture);
	CHECK_INT(count(text, '\n'), written);
	CHECK(strstr(text, "lost") == NULL);
	log_event(LOG_INFO, "seen", NULL);
	text = take(&capture);
	CHECK(strstr(text, " warning lines of this log were lost lines=3\n") != NULL);
	CHECK(strstr(text, " info    seen\n") != NULL);
	log_event(LOG_INFO, "seen", NULL);
	CHECK_INT(count(take(&capture), '\n'), 1);
	end(&capture);
}

static void a_full_pipe_keeps_nobody_waiting(void)
{
	int ends[2];

	MUST(pipe2(ends, O_CLOEXEC));
	lost_lines_are_counted(ends);
}

static void nor_does_a_full_socket(void)
{
	int ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	lost_lines_are_counted(ends);
}

static void a_file_takes_everything(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	static char text[64 * 1024];
	struct capture capture;
	int ends[2];

	MUST(ends[1] = open("log", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	MUST(ends[0] = open("log", O_RDONLY | O_CLOEXEC));
	capture = begin_with(ends);
	for (int i = 0; i < 500; i++)
		log_event(LOG_INFO, "event", NULL);
	end(&capture);
	CHECK_INT(count(scratch_read("log", text, sizeof text), '\n'), 500);
}

TESTS(CASE(writes_a_line_for_an_event), CASE(a_cut_line_is_still_a_line),
	CASE(a_full_pipe_keeps_nobody_waiting), CASE(nor_does_a_full_socket),
	CASE(a_file_takes_everything))
