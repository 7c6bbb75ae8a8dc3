#ifndef LOGIN_H
#define LOGIN_H

/* Name and password become an identity. */
#include "credentials.h"

struct err;
struct store;

/*
 * ERR_DENIED, after the same time, where there is no such user or the password is another. Takes
 * tens of milliseconds and 16 MB: on a worker.
 */
int login_check(struct store *store, const char *name, const char *password,
	struct identity *out, struct err *err);

#endif
