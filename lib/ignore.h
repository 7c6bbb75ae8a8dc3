#ifndef IGNORE_H
#define IGNORE_H

/*
 * Which files a search leaves out: ripgrep's rules. In falling order of weight: -g; .rgignore;
 * .ignore; .gitignore and .git/info/exclude up to the top of the repository, and git's global
 * excludes file, these three only inside a repository; then names that begin with a dot. The
 * nearest directory counts first, and directories above the start of the search count, too.
 *
 * Ignore files are opened below the directory that they stand in: a symlink that leaves it is
 * not followed. A `struct ignore_dir` stands for a directory and all above it, never changes
 * once made, and is shared by reference; any thread may use it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "rules.h"

struct err;
struct ignore;
struct ignore_dir;
struct path_roots;

/* What a listing of the directory has seen, so that nothing is opened in vain. */
enum ignore_found {
	IGNORE_FOUND_RGIGNORE = 1 << 0,
	IGNORE_FOUND_IGNORE = 1 << 1,
	IGNORE_FOUND_GITIGNORE = 1 << 2,
	IGNORE_FOUND_GIT = 1 << 3,
	IGNORE_FOUND_ANY = 0xF, /* not known */
};

/*
 * The rules for a search that starts in `dirfd`. `only` are the globs of -g, or NULL; borrowed.
 * `roots` bound where the .git file of a worktree may point to; NULL: nowhere.
 */
int ignore_new(int dirfd, const struct path_roots *roots, const struct rules *only,
	struct ignore **out, struct err *err);
void ignore_free(struct ignore *ignore);

/* The absolute name of the start, without a slash at its end ("" for "/"). Borrowed. All paths
 * below are this, a slash, and the path from there. */
const char *ignore_base(const struct ignore *ignore);

/* The directories above the start. Borrowed. */
struct ignore_dir *ignore_above(struct ignore *ignore);

/* The bit of enum ignore_found that a name in a listing stands for, or 0. */
unsigned ignore_found(const char *name);

/* The directory `path` (open as `dirfd`) in the directory `parent`; a new reference.
 * ERR_LIMIT where all ignore files together need too much memory. */
int ignore_enter(struct ignore *ignore, struct ignore_dir *parent, int dirfd, const char *path,
	size_t len, unsigned found, struct ignore_dir **out, struct err *err);
struct ignore_dir *ignore_dir_ref(struct ignore_dir *dir);
void ignore_dir_unref(struct ignore_dir *dir); /* NULL is allowed */

/* Whether the search leaves out `name`, an entry of `dir`. */
bool ignore_skips(
	const struct ignore *ignore, const struct ignore_dir *dir, const struct rule_name *name);

#endif
