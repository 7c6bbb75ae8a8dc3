#ifndef SCRATCH_H
#define SCRATCH_H

/*
 * A temporary directory for one test, which is also its working directory. Failing here ends
 * the test program: nothing could be tested.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUST(call)                                                                        \
	do {                                                                              \
		if ((call) < 0) {                                                         \
			printf("Bail out! %s:%d: " #call ": %m\n", __FILE__, __LINE__);   \
			exit(99);                                                         \
		}                                                                         \
	} while (0)

struct scratch {
	char dir[32];
};

#define AUTO_SCRATCH __attribute__((cleanup(scratch_leave), unused))

static inline struct scratch scratch_enter(void)
{
	struct scratch scratch = { "/tmp/scratch-XXXXXX" };

	MUST(mkdtemp(scratch.dir) ? 0 : -1);
	MUST(chdir(scratch.dir));
	return scratch;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline void scratch_leave(struct scratch *scratch)
{
	MUST(chdir("/"));
	MUST(nftw(scratch->dir, scratch_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT));
}

static inline void scratch_write(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	MUST(fd);
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);
		MUST(n);
		done += (size_t)n;
	}
	MUST(close(fd));
}

static inline void scratch_text(const char *path, const char *text)
{
	scratch_write(path, text, strlen(text));
}

/* Up to size - 1 bytes of a file, as a text. */
static inline const char *scratch_read(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	MUST(fd);
	ssize_t n = read(fd, out, size - 1);
	MUST(n);
	out[n] = '\0';
	MUST(close(fd));
	return out;
}

#endif
