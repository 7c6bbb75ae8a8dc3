#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "alloc.h"
#include "err.h"

void names_release(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i].text);
	free(names->list);
	*names = (struct names){ 0 };
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Sorts, and drops what is behind the first `max`. */
static void cut(struct names *names, size_t max)
{
	if (names->count > 1)
		qsort(names->list, names->count, sizeof *names->list, compare);
	while (names->count > max)
		free(names->list[--names->count].text);
}

static bool matches(const struct names_query *query, const char *name)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (name[0] == '.' && !query->hidden))
		return false;
	if (query->prefix && strncmp(name, query->prefix, strlen(query->prefix)) != 0)
		return false;
	return !query->after || strcmp(name, query->after) > 0;
}

static unsigned char type_of(DIR *dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_WHT;
	return IFTODT(st.st_mode);
}

/* The list grows to twice what is asked for before it is cut, so that sorting stays cheap. */
static void keep(struct names *names, const struct names_query *query, const char *text,
	unsigned char type, const char **bound)
{
	if (*bound && strcmp(text, *bound) > 0)
		return;
	names->list[names->count++] = (struct name){ alloc_text(text), type };
	if (names->count == 2 * query->max) {
		cut(names, query->max);
		*bound = names->list[query->max - 1].text;
	}
}

int names_read(DIR *dir, const struct names_query *query, struct names *out, struct err *err)
{
	const char *bound = NULL;
	struct names names = { .list = alloc_array(2 * query->max, sizeof *names.list) };
	struct dirent *entry;

	rewinddir(dir);
	while (names.read < NAMES_READ_MAX && (errno = 0, entry = readdir(dir))) {
		names.read++;
		if (!matches(query, entry->d_name))
			continue;
		unsigned char type = type_of(dir, entry);
		if (query->type && type != query->type)
			continue;
		names.matching++;
		keep(&names, query, entry->d_name, type, &bound);
	}
	if (errno != 0 && names.read < NAMES_READ_MAX) {
		err_sys(err, "read a directory");
		names_release(&names);
		return -1;
	}
	cut(&names, query->max);
	*out = names;
	return 0;
}
