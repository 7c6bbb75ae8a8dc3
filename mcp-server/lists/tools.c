/* The tools of sandbox-mcp. A program with others brings lists of its own. */
#include "tool.h"

#define TOOL(name) extern const struct tool tool_##name;
#include "tools.def"
#undef TOOL

#define TOOL(name) &tool_##name,
const struct tool *const tools[] = {
#include "tools.def"
	NULL
};
#undef TOOL

const bool tools_may_change = false;
