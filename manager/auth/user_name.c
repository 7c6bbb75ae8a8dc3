#include "user_name.h"

#include <stdbool.h>
#include <string.h>

#include "err.h"

static bool begins_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool in_name(char c)
{
	return begins_name(c) || (c && strchr("._@-", c));
}

int user_name_check(const char *name, struct err *err)
{
	size_t len = 0;

	while (in_name(name[len]))
		len++;
	if (len == 0 || len > USER_NAME_MAX || name[len] || !begins_name(name[0]))
		return err_set(err, ERR_INVALID,
			"a name has 1 to %d letters, digits and . _ @ -, and begins with a letter "
			"or digit",
			USER_NAME_MAX);
	return 0;
}
