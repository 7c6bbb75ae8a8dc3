#ifndef RESOURCES_H
#define RESOURCES_H

/* The methods that list and read resources, and what others need to know of their providers. */
#include "resource.h"

struct call;
struct err;

enum { RESOURCE_URI_MAX = 16 * 1024 };

/* The provider of a URI, whether there is such a resource or not; NULL: there is none. */
const struct resource_provider *resource_provider_find(const char *uri, size_t len);

/* Answers a call about params.uri with an error, whose code depends on the era. */
void resource_refuse(struct call *call, const struct err *err);

#endif
