#ifndef PROMPTS_H
#define PROMPTS_H

/* The methods of prompts, and what others need to know of them. */
#include "prompt.h"

/* NULL where there is none of that name, or `name` is no string. */
const struct prompt *prompt_find(const json_t *name);

#endif
