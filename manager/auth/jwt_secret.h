#ifndef JWT_SECRET_H
#define JWT_SECRET_H

/* What signs tokens where no secret is configured: made once, in <data directory>/jwt.secret. */
#include "jwt_key.h"

struct err;

/* Reads the file, or makes it (mode 0600, on disk when this returns). ERR_DENIED where others may
 * read it. May block. */
int jwt_secret_load(const char *data_dir, struct jwt_key **out, struct err *err);

#endif
