#ifndef CLEANUP_H
#define CLEANUP_H

/*
 * Cleanup by attribute: what a variable holds is released when it goes out of scope. Such a
 * variable is initialised where it is declared; steal_ptr() and steal_fd() mark each hand-over.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
#define AUTO_CLOSEDIR __attribute__((cleanup(cleanup_closedir)))

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Takes the pointer out of the variable `p`, which is NULL afterwards. */
#define steal_ptr(p)                     \
	({                               \
		__typeof__(*(p)) taken = *(p); \
		*(p) = NULL;             \
		taken;                   \
	})

#endif
