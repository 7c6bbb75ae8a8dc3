#include "template.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "host_template.h"
#include "site.h"
#include "slurp.h"

enum { LAYERS_BYTES_MAX = 64 * 1024 };

void template_release(struct template *template)
{
	for (int i = 0; i < template->layers_len; i++)
		free(template->layers[i]);
	free(template->usr_mask);
	*template = (struct template){ .layers_len = 0 };
}

static int read_layers(const char *dir, char *list, struct template *out, struct err *err)
{
	for (char *at = list; *at;) {
		size_t len = strcspn(at, "\n");
		bool more = at[len] == '\n';
		at[len] = '\0';
		if (out->layers_len == STAGE_LAYERS_MAX || len == 0 || at[0] == '.' ||
			strchr(at, '/'))
			return err_set(err, ERR_INVALID,
				"%s/layers: a name of a directory a line, %d at most", dir,
				STAGE_LAYERS_MAX);
		out->layers[out->layers_len++] = alloc_printf("%s/%s", dir, at);
		at += len + more;
	}
	return 0;
}

int template_find(const struct site *site, const char *name, struct template *out, struct err *err)
{
	struct template found = { .layers_len = 0 };
	AUTO_FREE char *dir = alloc_printf("%s/%s", site->templates, name);
	AUTO_FREE char *rootfs = alloc_printf("%s/rootfs", dir);
	AUTO_FREE char *list_path = alloc_printf("%s/layers", dir);
	int result = 0;

	if (strcmp(name, "host") == 0) {
		result = host_template_find(site, &found, err);
	} else if (access(rootfs, F_OK) == 0) {
		found.layers[found.layers_len++] = steal_ptr(&rootfs);
	} else {
		AUTO_FREE char *list = slurp(list_path, LAYERS_BYTES_MAX, NULL);
		result = list ? read_layers(dir, list, &found, err)
			      : err_set(err, ERR_NOT_FOUND,
					"there is no template '%s'; 'host' is always there", name);
	}
	if (result < 0)
		template_release(&found);
	else
		*out = found;
	return result;
}
