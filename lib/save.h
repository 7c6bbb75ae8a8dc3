#ifndef SAVE_H
#define SAVE_H

/*
 * A file that is written whole or not at all. Its bytes go into a draft first, which has no
 * name where the file system can do that; save_commit() puts it in the place of the old file,
 * whose mode, owner, ACL and extended attributes it takes over. Where that would change what
 * the name stands for (several hard links, an owner or attributes that cannot be given, a
 * directory that cannot be written, a mount point), the draft is copied into the old file
 * instead. May block. One thread at a time.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct save {
	int dirfd, fd;
	bool replace;
	char name[NAME_MAX + 1];
	char temp[NAME_MAX + 1]; /* the draft's own name, or "" */
	bool elsewhere;          /* the draft is on another file system */
	bool was_there;          /* when it began, with `mode` */
	mode_t mode;
};

#define AUTO_SAVE __attribute__((cleanup(save_release)))

/*
 * Begins to write `name` in the directory `dirfd` (taken over; O_PATH will do). The name is one
 * component; a symlink of that name is refused, since path_open_target() has followed it. With
 * `replace` false it fails where the name exists (ERR_CONFLICT), here or in save_commit().
 */
int save_begin(
	struct save *save, int dirfd, const char *name, bool replace, struct err *err);

int save_write(struct save *save, const void *bytes, size_t len, struct err *err);

/*
 * Makes the draft the file, on disk when this returns. `created`: there was none before. After
 * a failure the old file is as it was; where it is not, the message says so.
 */
int save_commit(struct save *save, bool *created, struct err *err);

/* Drops the draft, unless it was committed. All zeroes but dirfd and fd -1 is allowed. */
void save_release(struct save *save);

/*
 * Adds to the end of a file, in place (`name` as for save_begin()); makes it where it is not
 * there. Two of these calls never mix. After a failure nothing was added.
 */
int save_append(int dirfd, const char *name, const void *bytes, size_t len, bool *created,
	struct err *err);

#endif
