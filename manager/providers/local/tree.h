#ifndef TREE_H
#define TREE_H

/*
 * Files and directories of the engine's own, which no sandbox can write: nothing here is fit for
 * trees of others. Blocking; any thread.
 */
#include <stdint.h>
#include <sys/types.h>

struct err;

/* As mkdir(2), with exactly this mode and owner; one that is there is given them. */
int tree_make_dir(const char *path, mode_t mode, uid_t owner, struct err *err);

/* Writes a whole file, in place of an old one by rename. */
int tree_write(const char *path, const char *text, mode_t mode, uid_t owner, struct err *err);

/* Copies a file's bytes (owner: us). */
int tree_copy_file(const char *from, const char *to, mode_t mode, struct err *err);

/* Copies what others may read below `from`: directories, files, symlinks. Nothing there is no
 * error. */
int tree_copy_public(const char *from, const char *to, struct err *err);

/* Removes a file or directory and all below it. Nothing there is no error. */
int tree_remove(const char *path, struct err *err);

/* Gives it and all below to owners whose ids are larger by that; nobody counts as root. */
int tree_shift(const char *path, uint32_t by, struct err *err);

/* Removes all that a directory has but `name`. */
int tree_keep_only(const char *dir, const char *name, struct err *err);

#endif
