#ifndef GITCONFIG_H
#define GITCONFIG_H

/* The one setting of git's user configuration that a search needs. Any thread. */

/*
 * The file of core.excludesFile, from ~/.gitconfig, else from git/config in the XDG directory,
 * else git's default there (which need not exist). NULL without a home. The caller frees it.
 */
char *gitconfig_excludes_file(void);

#endif
