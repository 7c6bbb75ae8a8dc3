#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops the bytes of a character that snprintf cut in two. */
static void trim_to_character(char *text, size_t len)
{
	size_t start = len;

	while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start == 0 || (unsigned char)text[start - 1] < 0xC0)
		return;

	unsigned char lead = (unsigned char)text[start - 1];
	size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
	if (len - start + 1 < want)
		text[start - 1] = '\0';
}

static void set_message(struct err *err, const char *text)
{
	int n = snprintf(err->msg, sizeof err->msg, "%s", text);

	if (n >= (int)sizeof err->msg)
		trim_to_character(err->msg, sizeof err->msg - 1);
}

enum err_code err_code_of(int sysno)
{
	switch (sysno) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
	case EXDEV: /* openat2: the path leaves its root */
	case ELOOP: /* openat2: a link that may not be followed */
		return ERR_DENIED;
	case EEXIST:
	case ENOTEMPTY:
	case EBUSY:
		return ERR_CONFLICT;
	case ENAMETOOLONG:
	case EISDIR:
	case EINVAL:
		return ERR_INVALID;
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return ERR_LIMIT;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECANCELED:
		return ERR_CANCELLED;
	default:
		return ERR_IO;
	}
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	char text[2 * sizeof err->msg];
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	err->code = code;
	err->sysno = 0;
	set_message(err, text);
	return -1;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int sysno = errno;
	char what[sizeof err->msg], text[2 * sizeof err->msg];
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	snprintf(text, sizeof text, "%s: %s", what, strerrordesc_np(sysno));
	err->code = err_code_of(sysno);
	err->sysno = sysno;
	set_message(err, text);
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char what[sizeof err->msg], text[2 * sizeof err->msg + 2];
	va_list args;

	if (!err)
		return -1;
	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	snprintf(text, sizeof text, "%s: %s", what, err->msg);
	set_message(err, text);
	return -1;
}
