#include "disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "program.h"
#include "err.h"
#include "site.h"
#include "slurp.h"
#include "tree.h"

enum {
	MIB = 1024 * 1024,
	FORMAT_MS = 60 * 1000,
	KIB_PER_INODE = 16,
	INODES_MIN = 4096,
	LOOP_MAJOR = 7,
	ATTACH_TRIES = 200, /* others take the free device between the question and its use */
	FREE_MS = 10 * 1000,
};

/* ---- images ---- */

static int format(const struct site *site, const char *path, int64_t disk_mb, struct err *err)
{
	AUTO_BUF struct buf complaints = BUF_INIT(4096);
	char inodes[32];
	int64_t count = disk_mb * 1024 / KIB_PER_INODE;
	const char *argv[] = { "mkfs.ext4", "-q", "-F", "-m", "0", "-N", inodes, "-J", "size=8",
		"-O", "^resize_inode", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
		path, NULL };
	struct program program = {
		.path = site->mkfs, .argv = argv, .complaints = &complaints, .timeout_ms = FORMAT_MS
	};

	snprintf(inodes, sizeof inodes, "%lld",
		(long long)(count < INODES_MIN ? INODES_MIN : count));
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, disk_mb * MIB) < 0)
		return err_sys(err, "make %s", path);
	if (program_run(&program, err) < 0)
		return -1;
	return fsync(fd) < 0 ? err_sys(err, "write %s", path) : 0;
}

/* The formatted image of this size; made where it is not there yet. */
static int find_formatted(const struct site *site, int64_t disk_mb, char **out, struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	AUTO_FREE char *path = alloc_printf("%s/%lld.img", site->disks, (long long)disk_mb);
	AUTO_FREE char *draft = alloc_printf("%s.new", path);
	int result = 0;

	pthread_mutex_lock(&lock);
	if (access(path, F_OK) < 0) {
		result = format(site, draft, disk_mb, err);
		if (result == 0 && rename(draft, path) < 0)
			result = err_sys(err, "make %s", path);
	}
	pthread_mutex_unlock(&lock);
	if (result == 0)
		*out = steal_ptr(&path);
	return result;
}

static int copy_extent(int from, int to, off_t start, off_t end)
{
	off_t in = start, out = start;

	while (in < end) {
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - in), 0);
		if (n <= 0)
			return -1;
	}
	return 0;
}

static int copy_sparse(int from, int to)
{
	struct stat st;

	if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
		return -1;
	for (off_t end, start = lseek(from, 0, SEEK_DATA); start >= 0;
		start = lseek(from, end, SEEK_DATA)) {
		end = lseek(from, start, SEEK_HOLE);
		if (end < 0 || copy_extent(from, to, start, end) < 0)
			return -1;
	}
	return errno == ENXIO ? 0 : -1;
}

int disk_make(const struct site *site, const char *path, int64_t disk_mb, struct err *err)
{
	AUTO_FREE char *formatted = NULL;

	if (site->rootless)
		return tree_make_dir(path, 0700, 0, err);
	if (find_formatted(site, disk_mb, &formatted, err) < 0)
		return -1;
	AUTO_FREE char *draft = alloc_printf("%s.new", path);
	AUTO_CLOSE int from = open(formatted, O_RDONLY | O_CLOEXEC);
	AUTO_CLOSE int to = open(draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || copy_sparse(from, to) < 0 || rename(draft, path) < 0)
		return err_sys(err, "make %s", path);
	return 0;
}

/* ---- loop devices ---- */

/* Whether a loop device has the file; the kernel's list has its path. */
static bool is_attached(const char *path)
{
	AUTO_CLOSEDIR DIR *devices = opendir("/sys/block");
	struct dirent *entry;

	while (devices && (entry = readdir(devices))) {
		char name[300];
		if (strncmp(entry->d_name, "loop", 4) != 0)
			continue;
		snprintf(name, sizeof name, "/sys/block/%s/loop/backing_file", entry->d_name);
		AUTO_FREE char *file = slurp(name, 8192, NULL);
		if (file && strncmp(file, path, strlen(path)) == 0 && file[strlen(path)] == '\n')
			return true;
	}
	return false;
}

int disk_await_free(const char *path, struct err *err)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (is_attached(path)) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((now.tv_sec - start.tv_sec) * 1000 > FREE_MS)
			return err_set(err, ERR_TIMEOUT, "%s is still mounted", path);
		poll(NULL, 0, 3);
	}
	return 0;
}

/* Where /dev is not the kernel's own, a new device has no node there. */
static int open_device(int number, char device[32])
{
	snprintf(device, 32, "/dev/loop%d", number);
	int fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT &&
		mknod(device, S_IFBLK | 0600, makedev(LOOP_MAJOR, (unsigned)number)) == 0)
		fd = open(device, O_RDWR | O_CLOEXEC);
	return fd;
}

int disk_attach(const char *path, int *fd, char device[32], struct err *err)
{
	AUTO_CLOSE int image = open(path, O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (image < 0)
		return err_sys(err, "open %s", path);
	if (control < 0)
		return err_sys(err, "open /dev/loop-control (modprobe loop)");
	struct loop_config config = { .fd = (uint32_t)image, .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	for (int i = 0; i < ATTACH_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		AUTO_CLOSE int opened = number >= 0 ? open_device(number, device) : -1;
		if (opened >= 0 && ioctl(opened, LOOP_CONFIGURE, &config) == 0) {
			*fd = steal_fd(&opened);
			return 0;
		}
		if (opened >= 0 && errno != EBUSY && errno != EAGAIN && errno != EINTR)
			break;
		poll(NULL, 0, 1 + i / 20);
	}
	return err_sys(err, "attach %s to a loop device", path);
}
