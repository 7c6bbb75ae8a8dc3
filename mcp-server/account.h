#ifndef ACCOUNT_H
#define ACCOUNT_H

/* A user of this machine, as its databases (NSS) know it. */
#include <stddef.h>
#include <sys/types.h>

struct err;

struct account {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* all that it is a member of */
	size_t groups_len;
	char *name, *home, *shell;
};

/* Looks one up. ERR_INVALID where there is none. May block: on a worker only. */
int account_find(const char *name, struct account **out, struct err *err);
void account_free(struct account *account); /* NULL is allowed */

#endif
