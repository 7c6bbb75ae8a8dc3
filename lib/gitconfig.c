#include "gitconfig.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alloc.h"
#include "cleanup.h"
#include "slurp.h"

enum { CONFIG_MAX = 1 << 20 };

static const char *skip_blanks(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

/* The value of a line that sets excludesFile, else NULL. Sections are not looked at, nor does
 * ripgrep: no other one has a variable of this name. */
static char *excludes_of_line(const char *line, size_t len, const char *home)
{
	static const char name[] = "excludesfile";
	AUTO_FREE char *copy = alloc_textn(line, len);
	const char *at = skip_blanks(copy);

	if (strncasecmp(at, name, sizeof name - 1) != 0)
		return NULL;
	at = skip_blanks(at + sizeof name - 1);
	if (*at != '=')
		return NULL;
	at = skip_blanks(at + 1);
	size_t n = strlen(at);
	while (n > 0 && isspace((unsigned char)at[n - 1]))
		n--;
	if (n >= 2 && at[0] == '"' && at[n - 1] == '"')
		at++, n -= 2;
	if (n == 0)
		return NULL;
	if (at[0] == '~')
		return alloc_printf("%s%.*s", home, (int)(n - 1), at + 1);
	return alloc_textn(at, n);
}

static char *excludes_of_file(const char *path, const char *home)
{
	size_t len;
	AUTO_FREE char *text = slurp(path, CONFIG_MAX, &len);
	char *found = NULL;

	for (const char *line = text; line && *line && !found;) {
		size_t n = strcspn(line, "\n");

		found = excludes_of_line(line, n, home);
		line += n + (line[n] == '\n');
	}
	return found;
}

char *gitconfig_excludes_file(void)
{
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");

	if (!home || !*home)
		return NULL;
	AUTO_FREE char *own = alloc_printf("%s/.gitconfig", home);
	AUTO_FREE char *dir = xdg && *xdg ? alloc_text(xdg) : alloc_printf("%s/.config", home);
	AUTO_FREE char *shared = alloc_printf("%s/git/config", dir);
	char *found = excludes_of_file(own, home);

	if (!found)
		found = excludes_of_file(shared, home);
	return found ? found : alloc_printf("%s/git/ignore", dir);
}
