#ifndef PASSWORDS_H
#define PASSWORDS_H

/*
 * Passwords by crypt(3), method yescrypt. Each call takes tens of milliseconds and 16 MB: on a
 * worker, or in a command.
 */
#include <stdbool.h>

struct err;

enum { PASSWORD_MAX = 511 }; /* bytes; libcrypt takes no more */

/* The hash, which the caller frees. ERR_INVALID: empty, too long, or a line break in it. */
int password_hash(const char *password, char **hash, struct err *err);

/* Whether it is right. `hash` NULL stands for a user who is not there: false, as slowly. */
bool password_check(const char *password, const char *hash);

#endif
