#include "slurp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "alloc.h"
#include "cleanup.h"

char *slurp_fd(int fd, size_t max, size_t *len)
{
	struct stat st;
	size_t have = 0;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
		return NULL;
	/* One more than it says: it may be growing. */
	size_t cap = (size_t)st.st_size + 2;
	AUTO_FREE char *text = alloc_zero(cap);

	for (;;) {
		ssize_t n = read(fd, text + have, cap - 1 - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		if (n == 0)
			break;
		have += (size_t)n;
		if (have > max)
			return NULL;
		if (have == cap - 1) {
			cap += cap;
			text = alloc_grow(text, cap);
		}
	}
	text[have] = '\0';
	if (len)
		*len = have;
	return steal_ptr(&text);
}

char *slurp(const char *path, size_t max, size_t *len)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? NULL : slurp_fd(fd, max, len);
}
