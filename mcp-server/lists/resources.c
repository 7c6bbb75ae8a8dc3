/* The providers of resources of sandbox-mcp. A program with others brings lists of its own. */
#include "resource.h"

#define RESOURCES(name) extern const struct resource_provider resources_##name;
#include "resources.def"
#undef RESOURCES

#define RESOURCES(name) &resources_##name,
const struct resource_provider *const resource_providers[] = {
#include "resources.def"
	NULL
};
#undef RESOURCES

const bool resources_may_change = true;
