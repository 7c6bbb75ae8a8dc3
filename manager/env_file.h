#ifndef ENV_FILE_H
#define ENV_FILE_H

/*
 * A .env file: NAME=value a line, comments behind #, an optional `export`, single quotes that keep
 * everything and double quotes with \n, \" and \\. Nothing is expanded or run.
 */
#include <stdbool.h>

struct err;

/* Told of each variable in turn; -1 ends the reading with its error, which gets the line. */
typedef int env_file_fn(const char *name, const char *value, void *data, struct err *err);

/* ERR_NOT_FOUND where there is no such file, ERR_INVALID with the line where it is malformed. */
int env_file_read(const char *path, env_file_fn *fn, void *data, struct err *err);

#endif
