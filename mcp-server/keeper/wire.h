#ifndef WIRE_H
#define WIRE_H

/*
 * What the server and the keeper tell each other: messages over a stream socket of the same
 * machine, each a head, a fixed body and texts that end with NUL. Neither side waits for the
 * other, both bound what they hold. The version is in the first message of each side; who does
 * not know the other's version says nothing further.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

struct err;

enum {
	WIRE_VERSION = 2,
	WIRE_MESSAGE_MAX = 4 * 1024 * 1024,
	WIRE_FDS_MAX = 2,       /* of one message */
	WIRE_FDS_HELD_MAX = 64, /* received, their messages not complete yet */
};

enum wire_type {
	/* server to keeper */
	WIRE_HELLO = 1,  /* wire_hello: always the first message */
	WIRE_START,      /* wire_start, texts; descriptors: directory, standard input (optional) */
	WIRE_KILL,       /* end the command: SIGTERM, SIGKILL two seconds later */
	WIRE_DETACH,     /* it is a background command from now on */
	WIRE_TAKEN,      /* wire_sizes: so much of a streamed command's output has been taken */

	/* keeper to server */
	WIRE_WELCOME,    /* wire_welcome: answers WIRE_HELLO; one WIRE_RUNNING a command follows */
	WIRE_RUNNING,    /* wire_running, text: the command line */
	WIRE_STARTED,    /* wire_running: background and streamed commands only */
	WIRE_GREW,       /* wire_sizes: a streamed command has written more */
	WIRE_DETACHED,   /* wire_ended as it stands: past its time, it goes on in the background */
	WIRE_ENDED,      /* wire_ended */
};

struct wire_head {
	uint32_t size; /* of the whole message */
	uint16_t type;
	uint16_t fds;  /* descriptors that came with it */
	uint64_t number; /* the command's, where the message is about one */
};

struct wire_hello {
	uint32_t version, reserved;
	uint64_t head_bytes, tail_bytes; /* what a stream's log keeps at its ends */
	uint64_t keep_commands, keep_bytes; /* how much of ended commands stays on disk */
	uint64_t nofile; /* soft limit of open files for commands */
};

struct wire_welcome {
	uint32_t version, running;
};

enum wire_flags {
	WIRE_BACKGROUND = 1 << 0,
	WIRE_BACKGROUND_ON_TIMEOUT = 1 << 1,
	WIRE_STREAMED = 1 << 2, /* output waits for WIRE_TAKEN */
	WIRE_TIMED_OUT = 1 << 3,
	WIRE_STDIN = 1 << 4,   /* a second descriptor came along */
	WIRE_AS_USER = 1 << 5, /* of the ids that are given; else the keeper's own */
};

/* Texts: command line, name of the directory, path of the shell; where `args` > 0, the path of a
 * program to try before the shell, and its arguments; `vars` variables; `groups` ids of groups,
 * decimal. */
struct wire_start {
	uint32_t flags, args, vars, groups, uid, gid;
	int64_t timeout_ms; /* 0: none */
};

struct wire_running {
	uint32_t flags;
	int32_t pid;
	int64_t started_ms;
};

struct wire_sizes {
	uint64_t bytes[2]; /* stdout, stderr */
};

struct wire_stream {
	uint64_t bytes; /* written by the command */
	uint64_t dropped_from, dropped_to; /* not in the log; both 0 where nothing is missing */
};

struct wire_ended {
	uint32_t flags;
	int32_t pid;
	int32_t exit_code, signo; /* signo 0: it exited */
	int32_t sysno;            /* not 0: it could not be started */
	uint32_t reserved;
	int64_t started_ms, duration_ms; /* realtime, monotonic */
	uint64_t max_rss_bytes;
	struct wire_stream streams[2];
};

/* ---- reading texts ---- */

struct wire_texts {
	const char *at, *end;
};

/* The next text, or NULL where there is none (any more). */
const char *wire_text(struct wire_texts *texts);

/* ---- one side of the connection ---- */

struct wire {
	int fd;
	struct buf in, out;
	int fds_in[WIRE_FDS_HELD_MAX];
	size_t fds_in_len;
	struct wire_sent_fd *fds_out; /* waiting for their bytes' turn */
};

/* Takes ownership of the socket. */
void wire_init(struct wire *wire, int fd, size_t out_max);
void wire_release(struct wire *wire); /* closes it and every descriptor held */

/*
 * Queues a message and sends what the socket takes. `fds` are borrowed. ERR_LIMIT where more
 * than `out_max` bytes wait, ERR_IO where the other side is gone.
 */
int wire_send(struct wire *wire, enum wire_type type, uint64_t number, const struct buf *body,
	const int *fds, size_t fds_len, struct err *err);

/* Sends what waits; 0 also where some still does (wire->out.len). */
int wire_flush(struct wire *wire, struct err *err);

/* A message received; body and texts are borrowed until the callback returns, and so are the
 * descriptors: what the callback keeps, it takes with steal_fd(). */
struct wire_message {
	struct wire_head head;
	const void *body;
	size_t len; /* of the body, texts included */
	int fds[WIRE_FDS_MAX];
	size_t fds_len;
};

typedef int wire_fn(struct wire_message *message, void *data, struct err *err);

/* Reads what is there, calls `fn` for each whole message. 1: the other side closed; -1: an
 * error of the socket, of the format (ERR_INVALID) or of `fn`. */
int wire_receive(struct wire *wire, wire_fn *fn, void *data, struct err *err);

/* Copies the fixed body out; ERR_INVALID where it is too short. Texts begin behind it. */
int wire_body(const struct wire_message *message, void *body, size_t size,
	struct wire_texts *texts, struct err *err);

/* ---- names ---- */

enum { WIRE_ID_LEN = 11 };

/* A command's number as its id, the name of its folder: 11 characters that sort by age. */
void wire_id(uint64_t number, char id[WIRE_ID_LEN + 1]);

/* 0 where the text is no id. */
uint64_t wire_number(const char *id);

#endif
