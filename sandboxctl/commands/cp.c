/* cp: a file into a sandbox or out of it, in pieces; "-" is standard input or output. */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "api.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"

static const struct option options[] = { COMMON_OPTIONS };

/* The path behind "ID:", or NULL where the word names a file here. */
static char *path_inside(char *word)
{
	size_t len = strcspn(word, ":");

	return word[len] == ':' && api_is_id(word, len) ? word + len + 1 : NULL;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A directory, or nothing, takes the file's own name. The caller frees it. */
static char *with_name(const char *path, bool is_dir, const char *from)
{
	size_t len = strlen(path);

	if (!is_dir)
		return alloc_text(path);
	return alloc_printf(
		"%s%s%s", path, len > 0 && path[len - 1] != '/' ? "/" : "", name_of(from));
}

/* ---- into a sandbox ---- */

static bool ignore(const char *bytes, size_t len, void *data)
{
	(void)bytes, (void)len, (void)data;
	return true;
}

static int upload(const struct settings *settings, const char *from, char *to, const char *path,
	struct err *err)
{
	bool is_input = strcmp(from, "-") == 0;
	AUTO_CLOSE int opened = is_input ? -1 : open(from, O_RDONLY | O_CLOEXEC);
	bool is_dir = *path == '\0' || path[strlen(path) - 1] == '/';
	struct stat st;

	if (!is_input && opened < 0)
		return err_sys(err, "open %s", from);
	if (!is_input && fstat(opened, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID,
			"%s is a directory: send it as tar -c %s | sandboxctl cp - ID:PATH", from,
			from);
	if (is_input && is_dir)
		return err_set(err, ERR_INVALID, "name the file that standard input becomes");
	AUTO_FREE char *id = alloc_textn(to, strcspn(to, ":"));
	AUTO_FREE char *target = with_name(path, is_dir, from);
	struct api_upload file = { id, target, is_input ? STDIN_FILENO : opened };
	struct api_request request = { "POST", "/sandboxes/upload-file", NULL, NULL, &file, ignore,
		NULL };
	return api_send(settings, &request, err);
}

/* ---- out of a sandbox ---- */

struct saving {
	int fd;
	struct err *err;
};

static bool save(const char *bytes, size_t len, void *data)
{
	struct saving *saving = data;

	while (len > 0) {
		ssize_t n = write(saving->fd, bytes, len);
		if (n < 0) {
			err_sys(saving->err, "write what comes");
			return false;
		}
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static int receive(const struct settings *settings, const char *from, const char *path, int fd,
	struct err *err)
{
	AUTO_FREE char *id = alloc_textn(from, strcspn(from, ":"));
	json_auto_t *body = json_pack("{s:s, s:s}", "sandbox_id", id, "path", path);
	struct saving saving = { fd, err };
	struct api_request request = { "POST", "/sandboxes/download-file", body, NULL, NULL, save,
		&saving };

	if (!body)
		return err_set(err, ERR_INVALID, "the path is not UTF-8");
	return api_send(settings, &request, err);
}

/* Under another name first: what bears the name is whole. */
static int receive_file(const struct settings *settings, const char *from, const char *path,
	const char *target, struct err *err)
{
	AUTO_FREE char *draft = alloc_printf("%s.XXXXXX", target);
	AUTO_CLOSE int fd = mkostemp(draft, O_CLOEXEC);
	mode_t mask = umask(0);

	umask(mask);
	if (fd < 0)
		return err_sys(err, "create %s", draft);
	int failed = receive(settings, from, path, fd, err);
	if (!failed && (fchmod(fd, 0666 & ~mask) < 0 || rename(draft, target) < 0))
		failed = err_sys(err, "write %s", target);
	if (failed)
		unlink(draft);
	return failed;
}

static int download(const struct settings *settings, const char *from, const char *path,
	const char *to, struct err *err)
{
	struct stat st;
	bool there = stat(to, &st) == 0;

	if (*path == '\0')
		return err_set(err, ERR_INVALID, "name a file behind ID:");
	if (strcmp(to, "-") == 0)
		return receive(settings, from, path, STDOUT_FILENO, err);
	AUTO_FREE char *target = with_name(to, there && S_ISDIR(st.st_mode), path);
	if (there && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) { /* a device or a pipe */
		AUTO_CLOSE int fd = open(to, O_WRONLY | O_CLOEXEC);
		return fd < 0 ? err_sys(err, "open %s", to)
			      : receive(settings, from, path, fd, err);
	}
	return receive_file(settings, from, path, target, err);
}

static int run(const struct settings *settings, int count, char **words, struct err *err)
{
	const char *from = path_inside(words[0]), *to = path_inside(words[1]);
	(void)count;

	if (!from == !to)
		return err_set(err, ERR_INVALID,
			"one of the two has to be ID:PATH, the other a file here or -");
	return from ? download(settings, words[0], from, words[1], err)
		    : upload(settings, words[0], words[1], to, err);
}

const struct command command_cp = { "cp", "FROM TO",
	"Copies a file into a sandbox or out of it.\n\n"
	"One of FROM and TO is ID:PATH, a relative PATH begins in /workspace; the other is a\n"
	"file here, or - for standard input or output.",
	2, 2, 0, options, 0, run };
