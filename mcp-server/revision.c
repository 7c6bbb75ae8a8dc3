#include "revision.h"

#include <string.h>

const char *const revisions[REVISIONS] = {
	"2024-11-05",
	"2025-03-26",
	"2025-06-18",
	REVISION_LATEST_LEGACY,
	REVISION_MODERN,
};

const char *revision_find(const char *name)
{
	for (size_t i = 0; name && i < REVISIONS; i++) {
		if (strcmp(revisions[i], name) == 0)
			return revisions[i];
	}
	return NULL;
}

size_t revision_index(const char *name)
{
	size_t i = 0;

	while (i < REVISIONS - 1 && strcmp(revisions[i], name) != 0)
		i++;
	return i;
}

bool revision_has_batches(const char *name)
{
	return strcmp(name, "2025-03-26") == 0;
}

bool revision_resumes(const char *name)
{
	return strcmp(name, "2025-11-25") == 0;
}
