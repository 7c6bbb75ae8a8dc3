#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"
#include "loop.h"

enum {
	CHUNK = 64 * 1024,        /* what a pipe holds */
	CHUNKS_PER_DRAIN = 4,     /* then other commands have their turn */
	PUNCH_STEP = 1024 * 1024, /* the hole grows by so much at once */
	BLOCK = 4096,
};

static char chunk[CHUNK];

static void on_readable(unsigned events, void *data)
{
	struct stream *stream = data;

	(void)events;
	stream_drain(stream);
	stream->changed(stream->data);
}

static bool must_wait(const struct stream *stream)
{
	return stream->awaited && stream->bytes - stream->taken >= STREAM_WINDOW;
}

static void end(struct stream *stream)
{
	loop_io_free(steal_ptr(&stream->io));
	cleanup_close(&stream->pipe_fd);
	stream->pipe_fd = -1;
	cleanup_close(&stream->log_fd);
	stream->log_fd = -1;
}

static void watch(struct stream *stream)
{
	if (stream->io || stream->pipe_fd < 0 || must_wait(stream))
		return;
	/* Fails only for want of kernel memory; what is written is then read at the end. */
	loop_io_new(stream->loop, stream->pipe_fd, EPOLLIN, on_readable, stream, &stream->io, NULL);
}

int stream_open(
	struct stream *stream, struct loop *loop, int log_fd, int *child_fd, struct err *err)
{
	int ends[2];

	stream->loop = loop;
	stream->log_fd = log_fd;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	stream->pipe_fd = ends[0];
	*child_fd = ends[1];
	if (fcntl(stream->pipe_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(err, "set up a pipe");
	return loop_io_new(loop, stream->pipe_fd, EPOLLIN, on_readable, stream, &stream->io, err);
}

void stream_close(struct stream *stream)
{
	if (stream->loop)
		end(stream);
}

bool stream_at_end(const struct stream *stream)
{
	return stream->pipe_fd < 0;
}

/* ---- the log ---- */

/* From here on the log stays as it is. */
static void lose(struct stream *stream, uint64_t at)
{
	stream->lost = true;
	if (stream->dropped_to == 0)
		stream->dropped_from = at;
}

/* Moves the hole's end to `tail_bytes` before the log's. */
static void punch(struct stream *stream, uint64_t size)
{
	uint64_t from = stream->dropped_to, to = size - stream->tail_bytes;

	if (from == 0)
		from = (stream->head_bytes + BLOCK - 1) / BLOCK * BLOCK;
	to = to / BLOCK * BLOCK;
	if (fallocate(stream->log_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
		    (off_t)(to - from)) < 0) {
		lose(stream, size);
		return;
	}
	if (stream->dropped_to == 0)
		stream->dropped_from = from;
	stream->dropped_to = to;
}

static void keep(struct stream *stream, const char *bytes, size_t len)
{
	uint64_t size = stream->bytes;
	size_t done = 0;

	while (!stream->lost && done < len) {
		ssize_t n = write(stream->log_fd, bytes + done, len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			lose(stream, size + done);
	}
	stream->bytes = size + len;
	if (stream->lost) {
		stream->dropped_to = stream->bytes;
		return;
	}
	uint64_t kept_from = stream->dropped_to ? stream->dropped_to : stream->head_bytes;
	if (stream->bytes >= kept_from + stream->tail_bytes + PUNCH_STEP)
		punch(stream, stream->bytes);
}

bool stream_drain(struct stream *stream)
{
	for (int i = 0; i < CHUNKS_PER_DRAIN && stream->pipe_fd >= 0; i++) {
		if (must_wait(stream)) {
			loop_io_free(steal_ptr(&stream->io));
			return false;
		}
		ssize_t n = read(stream->pipe_fd, chunk, sizeof chunk);
		if (n > 0)
			keep(stream, chunk, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			end(stream);
		else if (errno == EAGAIN)
			return false;
		if (n > 0 && (size_t)n < sizeof chunk)
			return true;
	}
	return stream->pipe_fd >= 0;
}

/* ---- a reader that is waited for ---- */

void stream_taken(struct stream *stream, uint64_t bytes)
{
	if (bytes > stream->taken && bytes <= stream->bytes)
		stream->taken = bytes;
	watch(stream);
}

void stream_release(struct stream *stream)
{
	stream->awaited = false;
	if (stream->loop)
		watch(stream);
}
