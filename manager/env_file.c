#include "env_file.h"

#include <ctype.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "slurp.h"

enum { FILE_MAX_BYTES = 1024 * 1024 };

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The value at `at`, up to the end of its line; returns what follows, or NULL where malformed. */
static const char *quoted(const char *at, char quote, struct buf *out)
{
	for (at++; *at && *at != quote && *at != '\n'; at++) {
		if (quote == '"' && *at == '\\' && at[1]) {
			at++;
			buf_add_char(out, *at == 'n' ? '\n' : *at);
		} else {
			buf_add_char(out, *at);
		}
	}
	if (*at != quote)
		return NULL;
	at++;
	at += strspn(at, " \t\r");
	return *at == '\0' || *at == '\n' || *at == '#' ? at + strcspn(at, "\n") : NULL;
}

/* A # begins a comment where blank stands before it, so that a URL may hold one. */
static const char *plain(const char *at, struct buf *out)
{
	const char *end = at + strcspn(at, "\n");
	const char *stop = at;

	while (stop < end && !(*stop == '#' && (stop == at || isblank((unsigned char)stop[-1]))))
		stop++;
	while (stop > at && isspace((unsigned char)stop[-1]))
		stop--;
	buf_add(out, at, (size_t)(stop - at));
	return end;
}

static const char *read_line(const char *at, struct buf *name, struct buf *value)
{
	if (strncmp(at, "export", 6) == 0 && isblank((unsigned char)at[6]))
		at += 6 + strspn(at + 6, " \t");
	while (is_name(*at))
		buf_add_char(name, *at++);
	at += strspn(at, " \t");
	if (name->len == 0 || isdigit((unsigned char)name->data[0]) || *at++ != '=')
		return NULL;
	at += strspn(at, " \t");
	return *at == '"' || *at == '\'' ? quoted(at, *at, value) : plain(at, value);
}

int env_file_read(const char *path, env_file_fn *fn, void *data, struct err *err)
{
	size_t len;
	AUTO_FREE char *text = slurp(path, FILE_MAX_BYTES, &len);
	const char *at = text;

	if (!text)
		return err_set(err, ERR_NOT_FOUND, "%s cannot be read", path);
	for (int line = 1; *at; line++) {
		AUTO_BUF struct buf name = BUF_INIT(256);
		AUTO_BUF struct buf value = BUF_INIT(FILE_MAX_BYTES);

		at += strspn(at, " \t\r");
		if (*at != '#' && *at != '\n' && *at) {
			at = read_line(at, &name, &value);
			if (!at || name.over)
				return err_set(err, ERR_INVALID,
					"%s, line %d: write NAME=value", path, line);
			if (fn(name.data, value.data ? value.data : "", data, err) < 0)
				return err_wrap(err, "%s, line %d", path, line);
		}
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	return 0;
}
