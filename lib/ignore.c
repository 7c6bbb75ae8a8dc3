#include "ignore.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "gitconfig.h"
#include "path.h"
#include "slurp.h"

enum {
	FILE_MAX = 1 << 20,        /* a larger ignore file is none */
	RULES_BYTES_MAX = 64 << 20 /* of all directories that are being walked */
};

struct ignore {
	char *base;
	size_t base_len;
	const struct path_roots *roots;
	const struct rules *only;
	struct rules *global;
	struct ignore_dir *above;
	atomic_size_t bytes;
};

enum kind { RGIGNORE, IGNORE, GITIGNORE, EXCLUDE, KINDS };

struct ignore_dir {
	atomic_uint refs;
	struct ignore *ignore;
	struct ignore_dir *parent; /* the nearest above that has any rule, or NULL */
	struct rules *rules[KINDS];
	size_t skip; /* where paths relative to it begin */
	size_t bytes;
	bool has_git; /* the top of a repository */
	bool in_git;  /* in one */
};

static const char *const file_names[] = { ".rgignore", ".ignore", ".gitignore" };

unsigned ignore_found(const char *name)
{
	for (unsigned i = 0; i < sizeof file_names / sizeof *file_names; i++)
		if (strcmp(name, file_names[i]) == 0)
			return 1U << i;
	return strcmp(name, ".git") == 0 ? IGNORE_FOUND_GIT : 0;
}

/* ---- Reading ---- */

static int open_below(int dirfd, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC |
				    (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY)),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dirfd, name, &how, sizeof how);
}

static struct rules *rules_of_text(const char *text, size_t len)
{
	struct rules *rules = rules_new();

	rules_add_file(rules, text, len);
	if (rules_count(rules) == 0) {
		rules_free(rules);
		return NULL;
	}
	rules_seal(rules);
	return rules;
}

static struct rules *rules_of_fd(int fd)
{
	size_t len;
	AUTO_FREE char *text = fd < 0 ? NULL : slurp_fd(fd, FILE_MAX, &len);

	return text ? rules_of_text(text, len) : NULL;
}

static struct rules *read_rules(int dirfd, const char *name)
{
	AUTO_CLOSE int fd = open_below(dirfd, name, O_RDONLY);

	return rules_of_fd(fd);
}

/* The first line of a file in one of the roots, or NULL. */
static char *first_line(const struct path_roots *roots, const char *path)
{
	AUTO_CLOSE int fd = -1;
	size_t len;

	if (path_open(roots, path, strlen(path), O_RDONLY | O_NONBLOCK, 0, &fd, NULL) < 0)
		return NULL;
	char *text = slurp_fd(fd, PATH_MAX_BYTES, &len);
	if (text)
		text[strcspn(text, "\r\n")] = '\0';
	return text;
}

/* The exclude file of a worktree: its .git is a file that leads to the repository. */
static struct rules *read_worktree_exclude(const struct path_roots *roots, const char *dir, int len)
{
	static const char mark[] = "gitdir: ";
	AUTO_CLOSE int fd = -1;

	if (!roots)
		return NULL;
	AUTO_FREE char *file = alloc_printf("%.*s/.git", len, dir);
	AUTO_FREE char *line = first_line(roots, file);
	if (!line || strncmp(line, mark, sizeof mark - 1) != 0)
		return NULL;
	const char *to = line + sizeof mark - 1;
	AUTO_FREE char *git = *to == '/' ? alloc_text(to) : alloc_printf("%.*s/%s", len, dir, to);
	AUTO_FREE char *pointer = alloc_printf("%s/commondir", git);
	AUTO_FREE char *common = first_line(roots, pointer);
	if (!common)
		return NULL;
	AUTO_FREE char *exclude = *common == '.' ? alloc_printf("%s/%s/info/exclude", git, common)
						 : alloc_printf("%s/info/exclude", common);
	if (path_open(roots, exclude, strlen(exclude), O_RDONLY | O_NONBLOCK, 0, &fd, NULL) < 0)
		return NULL;
	return rules_of_fd(fd);
}

static void read_git(struct ignore_dir *dir, int dirfd, const char *path, size_t len)
{
	struct stat st;

	if (fstatat(dirfd, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISLNK(st.st_mode)) {
		AUTO_CLOSE int fd = open_below(dirfd, ".git", O_PATH);
		if (fd < 0 && errno == ENOENT)
			return;
	}
	dir->has_git = true;
	if (S_ISREG(st.st_mode))
		dir->rules[EXCLUDE] = read_worktree_exclude(dir->ignore->roots, path, (int)len);
	else
		dir->rules[EXCLUDE] = read_rules(dirfd, ".git/info/exclude");
}

/* What stands in one directory; NULL where nothing does. The parent is not set. */
static struct ignore_dir *read_dir(
	struct ignore *ignore, int dirfd, const char *path, size_t len, unsigned found)
{
	struct ignore_dir *dir = alloc_zero(sizeof *dir);
	bool any = false;

	*dir = (struct ignore_dir){ .refs = 1, .ignore = ignore, .skip = len + 1 };
	for (unsigned i = 0; i < sizeof file_names / sizeof *file_names; i++)
		if (found & 1U << i)
			dir->rules[i] = read_rules(dirfd, file_names[i]);
	if (found & IGNORE_FOUND_GIT)
		read_git(dir, dirfd, path, len);
	for (unsigned i = 0; i < KINDS; i++) {
		any |= dir->rules[i] != NULL;
		dir->bytes += dir->rules[i] ? rules_size(dir->rules[i]) : 0;
	}
	atomic_fetch_add(&ignore->bytes, dir->bytes);
	if (any || dir->has_git)
		return dir;
	ignore_dir_unref(dir);
	return NULL;
}

/* ---- Directories ---- */

struct ignore_dir *ignore_dir_ref(struct ignore_dir *dir)
{
	if (dir)
		atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
	return dir;
}

void ignore_dir_unref(struct ignore_dir *dir)
{
	while (dir && atomic_fetch_sub_explicit(&dir->refs, 1, memory_order_acq_rel) == 1) {
		struct ignore_dir *parent = dir->parent;

		for (unsigned i = 0; i < KINDS; i++)
			rules_free(dir->rules[i]);
		atomic_fetch_sub(&dir->ignore->bytes, dir->bytes);
		free(dir);
		dir = parent;
	}
}

int ignore_enter(struct ignore *ignore, struct ignore_dir *parent, int dirfd, const char *path,
	size_t len, unsigned found, struct ignore_dir **out, struct err *err)
{
	struct ignore_dir *dir = found ? read_dir(ignore, dirfd, path, len, found) : NULL;

	if (!dir) {
		*out = ignore_dir_ref(parent);
		return 0;
	}
	if (atomic_load(&ignore->bytes) > RULES_BYTES_MAX) {
		ignore_dir_unref(dir);
		return err_set(err, ERR_LIMIT,
			"the ignore files on the way to %.*s are too large: search a directory below",
			(int)len, path);
	}
	dir->parent = ignore_dir_ref(parent);
	dir->in_git = dir->has_git || (parent && parent->in_git);
	*out = dir;
	return 0;
}

/* The directories above the start, from the nearest up. */
static void read_above(struct ignore *ignore, int dirfd)
{
	struct ignore_dir **link = &ignore->above;
	size_t len = ignore->base_len;
	AUTO_CLOSE int fd = -1;
	bool in_git = false;

	while (len > 0) {
		int up = openat(fd < 0 ? dirfd : fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			break;
		if (fd >= 0)
			close(fd);
		fd = up;
		while (ignore->base[--len] != '/')
			;
		*link = read_dir(ignore, fd, ignore->base, len, IGNORE_FOUND_ANY);
		if (*link) {
			in_git |= (*link)->has_git;
			link = &(*link)->parent;
		}
	}
	for (struct ignore_dir *dir = ignore->above; dir; dir = dir->parent)
		dir->in_git = in_git;
}

/* The start's true name; "" where it cannot be had, and then nothing above it counts. */
static char *name_of(int dirfd)
{
	AUTO_FREE char *link = alloc_printf("/proc/self/fd/%d", dirfd);
	char name[PATH_MAX_BYTES];
	ssize_t n = readlink(link, name, sizeof name);

	if (n <= 1 || (size_t)n == sizeof name || name[0] != '/')
		n = 0;
	return alloc_textn(name, (size_t)n);
}

static struct rules *read_global(void)
{
	AUTO_FREE char *path = gitconfig_excludes_file();
	size_t len;
	AUTO_FREE char *text = path ? slurp(path, FILE_MAX, &len) : NULL;

	return text ? rules_of_text(text, len) : NULL;
}

int ignore_new(int dirfd, const struct path_roots *roots, const struct rules *only,
	struct ignore **out, struct err *err)
{
	struct ignore *ignore = alloc_zero(sizeof *ignore);

	ignore->base = name_of(dirfd);
	ignore->base_len = strlen(ignore->base);
	ignore->roots = roots;
	ignore->only = only;
	ignore->global = read_global();
	read_above(ignore, dirfd);
	if (atomic_load(&ignore->bytes) > RULES_BYTES_MAX) {
		err_set(err, ERR_LIMIT, "the ignore files above %s are too large", ignore->base);
		ignore_free(ignore);
		return -1;
	}
	*out = ignore;
	return 0;
}

void ignore_free(struct ignore *ignore)
{
	if (!ignore)
		return;
	ignore_dir_unref(ignore->above);
	rules_free(ignore->global);
	free(ignore->base);
	free(ignore);
}

const char *ignore_base(const struct ignore *ignore)
{
	return ignore->base;
}

struct ignore_dir *ignore_above(struct ignore *ignore)
{
	return ignore->above;
}

/* ---- Matching ---- */

static enum verdict verdict_of_files(
	const struct ignore *ignore, const struct ignore_dir *from, const struct rule_name *name)
{
	enum verdict found[KINDS] = { VERDICT_NONE };
	bool in_git = from && from->in_git, left_git = !in_git;

	for (const struct ignore_dir *dir = from; dir; dir = dir->parent) {
		for (unsigned i = 0; i < KINDS; i++) {
			bool counts = i < GITIGNORE || !left_git;

			if (counts && dir->rules[i] && found[i] == VERDICT_NONE)
				found[i] = rules_match(dir->rules[i], name, dir->skip);
		}
		left_git |= dir->has_git;
	}
	for (unsigned i = 0; i < KINDS; i++)
		if (found[i] != VERDICT_NONE)
			return found[i];
	if (in_git && ignore->global)
		return rules_match(ignore->global, name, ignore->base_len + 1);
	return VERDICT_NONE;
}

bool ignore_skips(
	const struct ignore *ignore, const struct ignore_dir *dir, const struct rule_name *name)
{
	enum verdict verdict;

	if (ignore->only) {
		verdict = rules_match(ignore->only, name, ignore->base_len + 1);
		if (verdict != VERDICT_NONE)
			return verdict == VERDICT_KEEP;
		if (rules_have_ignore(ignore->only) && !name->is_dir)
			return true;
	}
	verdict = verdict_of_files(ignore, dir, name);
	if (verdict != VERDICT_NONE)
		return verdict == VERDICT_IGNORE;
	return name->path[name->name] == '.';
}
