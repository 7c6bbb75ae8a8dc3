#include <stdio.h>
#include <string.h>

#include "base64.h"
#include "local.h"

struct sandbox *pool_find(struct local *local, const struct record *want)
{
	for (struct sandbox *at = table_next(&local->table, NULL); at;
		at = table_next(&local->table, at))
		if (at->record.pooled && !at->busy && !at->reserved && at->token[0] &&
			sandbox_state(at) == PROVIDER_RUNNING && record_fits(&at->record, want))
			return at;
	return NULL;
}

void pool_refill(struct local *local)
{
	(void)local;
}
