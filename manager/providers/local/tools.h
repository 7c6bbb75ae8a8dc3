#ifndef TOOLS_H
#define TOOLS_H

/*
 * What is at /.sandbox inside: the tool server with its own loader and libraries, so that it runs
 * in any image; the keeper; the init. One directory, flat, since under an explicit loader the
 * server finds the keeper beside that. Copied once a version, as running sandboxes keep theirs.
 */
struct err;

/* Copies the programs that are beside this one to `base`/<version>, unless they are there.
 * `dir` and the name of the `loader` in it are the caller's to free. */
int tools_install(const char *base, char **dir, char **loader, struct err *err);

#endif
