#ifndef USER_NAME_H
#define USER_NAME_H

/* What a user, or the holder of an API key, may be called. */
struct err;

enum { USER_NAME_MAX = 64 };

/* Letters, digits and . _ @ -, beginning with a letter or digit; ERR_INVALID says so. */
int user_name_check(const char *name, struct err *err);

#endif
