#include "data_lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"

enum { PID_TEXT = 24 };

/* The number that the file holds, or 0. */
static long owner_of(int fd)
{
	char text[PID_TEXT] = "";

	if (pread(fd, text, sizeof text - 1, 0) < 0)
		return 0;
	return strtol(text, NULL, 10);
}

static int refuse(int fd, const char *path, struct err *err)
{
	if (errno != EWOULDBLOCK)
		return err_sys(err, "lock %s", path);
	return err_set(err, ERR_CONFLICT,
		"another manager is running on this data (process %ld holds %s): stop it, or give "
		"this one a directory of its own",
		owner_of(fd), path);
}

int data_lock_take(const char *path, int *fd, struct err *err)
{
	AUTO_CLOSE int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[PID_TEXT];

	if (lock < 0)
		return err_sys(err, "open %s", path);
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return refuse(lock, path, err);
	int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)len, 0) != len)
		return err_sys(err, "write %s", path);
	*fd = steal_fd(&lock);
	return 0;
}
