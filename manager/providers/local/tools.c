#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "program.h"
#include "err.h"
#include "tree.h"

enum {
	FILES_MAX = 64,
	LIST_BYTES_MAX = 64 * 1024,
	LIST_MS = 10 * 1000,
};

static const char *const programs[] = { "sandbox-mcp", "sandbox-keeper", "sandbox-init" };

struct files {
	char *paths[FILES_MAX];
	size_t len;
	const char *loader; /* one of the paths */
};

static void files_release(struct files *files)
{
	for (size_t i = 0; i < files->len; i++)
		free(files->paths[i]);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int add(struct files *files, char *path, struct err *err)
{
	if (files->len == FILES_MAX) {
		free(path);
		return err_set(err, ERR_LIMIT, "sandbox-mcp has too many libraries");
	}
	files->paths[files->len++] = path;
	return 0;
}

static int add_programs(struct files *files, struct err *err)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n <= 0)
		return err_sys(err, "find this program");
	self[n] = '\0';
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		char *path = alloc_printf(
			"%.*s/%s", (int)(base_name(self) - self - 1), self, programs[i]);
		if (access(path, X_OK) < 0) {
			err_sys(err, "%s is needed beside this program", path);
			free(path);
			return -1;
		}
		if (add(files, path, err) < 0)
			return -1;
	}
	return 0;
}

/* Lines of the loader: "name => /path (0x…)", and for itself "/path (0x…)". */
static int add_line(struct files *files, const char *line, size_t len, struct err *err)
{
	const char *arrow = memmem(line, len, " => ", 4);
	const char *start = arrow ? arrow + 4 : line;

	while (start < line + len && (*start == '\t' || *start == ' '))
		start++;
	const char *end = memchr(start, ' ', (size_t)(line + len - start));
	if (*start != '/' || !end)
		return memmem(line, len, "not found", 9)
			       ? err_set(err, ERR_NOT_FOUND, "sandbox-mcp: %.*s", (int)len, line)
			       : 0;
	if (add(files, alloc_textn(start, (size_t)(end - start)), err) < 0)
		return -1;
	if (!arrow || strncmp(base_name(start), "ld-", 3) == 0)
		files->loader = files->paths[files->len - 1];
	return 0;
}

static int add_libraries(struct files *files, struct err *err)
{
	AUTO_BUF struct buf list = BUF_INIT(LIST_BYTES_MAX);
	const char *argv[] = { "sandbox-mcp", NULL };
	struct program program = { .path = files->paths[0],
		.argv = argv,
		.env = "LD_TRACE_LOADED_OBJECTS=1",
		.output = &list,
		.timeout_ms = LIST_MS };

	if (program_run(&program, err) < 0)
		return err_wrap(err, "list the libraries");
	for (const char *at = list.data; at && *at;) {
		size_t len = strcspn(at, "\n");
		if (add_line(files, at, len, err) < 0)
			return -1;
		at += len + (at[len] == '\n');
	}
	if (!files->loader)
		return err_set(err, ERR_INTERNAL, "sandbox-mcp names no loader");
	return 0;
}

/* A name for these files as they are: FNV-1a over what stat(2) says of them. */
static int version_of(const struct files *files, char out[17], struct err *err)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < files->len; i++) {
		struct stat st;
		char text[PATH_MAX + 64];
		if (stat(files->paths[i], &st) < 0)
			return err_sys(err, "look at %s", files->paths[i]);
		snprintf(text, sizeof text, "%s %lld %lld.%09ld", files->paths[i],
			(long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		for (const char *at = text; *at; at++)
			hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
	}
	snprintf(out, 17, "%016" PRIx64, hash);
	return 0;
}

static int copy_all(const struct files *files, const char *dir, struct err *err)
{
	AUTO_FREE char *draft = alloc_printf("%s.new", dir);

	if (tree_remove(draft, err) < 0)
		return -1;
	if (mkdir(draft, 0755) < 0)
		return err_sys(err, "make %s", draft);
	for (size_t i = 0; i < files->len; i++) {
		AUTO_FREE char *to = alloc_printf("%s/%s", draft, base_name(files->paths[i]));
		if (tree_copy_file(files->paths[i], to, 0755, err) < 0)
			return -1;
	}
	return rename(draft, dir) < 0 ? err_sys(err, "make %s", dir) : 0;
}

int tools_install(const char *base, char **dir, char **loader, struct err *err)
{
	__attribute__((cleanup(files_release))) struct files files = { .len = 0 };
	char version[17];

	if (add_programs(&files, err) < 0 || add_libraries(&files, err) < 0 ||
		version_of(&files, version, err) < 0)
		return -1;
	AUTO_FREE char *at = alloc_printf("%s/%s", base, version);
	if (access(at, F_OK) < 0 && copy_all(&files, at, err) < 0)
		return -1;
	*dir = steal_ptr(&at);
	*loader = alloc_text(base_name(files.loader));
	return 0;
}
