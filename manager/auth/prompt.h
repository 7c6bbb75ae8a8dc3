#ifndef PROMPT_H
#define PROMPT_H

/* Asks the person at the terminal for a line that is not shown. For commands. */
#include <stddef.h>

struct err;

/* Reads up to `size` - 1 bytes of a line into `out`, without its end. ERR_INVALID: there is no
 * terminal; ERR_LIMIT: the line is longer; ERR_CANCELLED: there was none. */
int prompt_secret(const char *question, char *out, size_t size, struct err *err);

#endif
