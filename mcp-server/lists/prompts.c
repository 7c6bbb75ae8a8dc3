/* The prompts of sandbox-mcp. A program with others brings lists of its own. */
#include "prompt.h"

#define PROMPT(name) extern const struct prompt prompt_##name;
#include "prompts.def"
#undef PROMPT

#define PROMPT(name) &prompt_##name,
const struct prompt *const prompts[] = {
#include "prompts.def"
	NULL
};
#undef PROMPT

const bool prompts_may_change = false;
