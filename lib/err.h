#ifndef ERR_H
#define ERR_H

/*
 * What went wrong, in one value that its caller owns: nothing to free, nothing to leak, and
 * ignoring it costs nothing. A message says what failed, on what, and what to do about it.
 * Functions that can fail take `struct err *err` last (NULL is allowed), return -1, and leave
 * their outputs untouched.
 */

enum err_code {
	ERR_INVALID = 1, /* the request is wrong: its sender must change it */
	ERR_NOT_FOUND,
	ERR_DENIED,
	ERR_CONFLICT, /* right in itself, but not in the present state */
	ERR_LIMIT,    /* larger, longer or more than allowed */
	ERR_TIMEOUT,
	ERR_CANCELLED,
	ERR_IO,
	ERR_INTERNAL,
};

struct err {
	enum err_code code;
	int sysno; /* the errno behind it, or 0 */
	char msg[256];
};

/* Sets the error; always returns -1. A message that is too long is cut between characters. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same from errno, whose text is appended: "open a.txt: No such file or directory". */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts a context before the message that is there: "read a.txt: <old message>"; returns -1. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The code that an errno stands for. */
enum err_code err_code_of(int sysno);

#endif
