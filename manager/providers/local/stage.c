#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "site.h"

/* Runs between clone and exec, in memory that a whole process shares: system calls only. */
#define IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

enum { OPTIONS_MAX = 512, SPARES = 8 };

struct dir_spec {
	const char *path;
	mode_t mode;
	uint32_t id; /* inside */
};

/* What each sandbox has, whatever its template. */
static const struct dir_spec dirs[] = {
	{ "fresh", 0755, 0 },
	{ "fresh/home", 0755, 0 },
	{ "fresh/home/user", 0755, USER_ID },
	{ "fresh/tmp", 01777, 0 },
	{ "fresh/var", 0755, 0 },
	{ "fresh/var/lib", 0755, 0 },
	{ "fresh/var/lib/sandbox", 0700, USER_ID },
	{ "fresh/workspace", 0755, USER_ID },
};

IN_CHILD static int fail(struct stage *stage, const char *step)
{
	stage->failed = step;
	return -1;
}

IN_CHILD static int own_namespace(struct stage *stage)
{
	if (unshare(CLONE_NEWNS) < 0)
		return fail(stage, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return fail(stage, "make its mounts private");
	if (mount("stage", stage->dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256k") < 0 ||
		chdir(stage->dir) < 0)
		return fail(stage, "mount the stage");
	return 0;
}

IN_CHILD static int make_dir(const struct dir_spec *dir, uint32_t first)
{
	if (mkdir(dir->path, dir->mode) < 0 && errno != EEXIST)
		return -1;
	if (chown(dir->path, first + dir->id, first + dir->id) < 0)
		return -1;
	return chmod(dir->path, dir->mode);
}

/*
 * An upper layer is filled under another name: once it has its own, the sandbox may have
 * written it, and nothing here touches what is below.
 */
IN_CHILD static int fill_disk(const struct stage *stage)
{
	if (chdir("disk") < 0)
		return -1;
	if (access("upper", F_OK) < 0) {
		for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
			if (make_dir(&dirs[i], stage->first) < 0)
				return -1;
		const struct dir_spec usr = { "usr", 0755, 0 };
		if ((mkdir("work", 0700) < 0 && errno != EEXIST) ||
			(mkdir("usr-work", 0700) < 0 && errno != EEXIST) ||
			make_dir(&usr, stage->first) < 0 || rename("fresh", "upper") < 0)
			return -1;
	}
	return chdir("..");
}

/*
 * Mounting an overlay takes inodes and blocks for a moment. They are kept while the sandbox runs,
 * lest one that filled its disk could never be started again.
 */
IN_CHILD static int keep_spare(bool keep)
{
	static const char block[4096];
	char name[] = "disk/spare-a";

	for (int i = 0; i < SPARES; i++) {
		name[sizeof name - 2] = (char)('a' + i);
		if (!keep) {
			if (unlink(name) < 0 && errno != ENOENT)
				return -1;
			continue;
		}
		int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, block, sizeof block) != sizeof block || close(fd) < 0)
			return -1;
	}
	return 0;
}

IN_CHILD static int mount_disk(struct stage *stage)
{
	if (mkdir("disk", 0700) < 0)
		return fail(stage, "mount the disk");
	int mounted = stage->device ? mount(stage->device, "disk", "ext4", MS_NODEV | MS_NOATIME,
					      "noinit_itable,discard")
				    : mount(stage->disk, "disk", NULL, MS_BIND, NULL);
	if (mounted < 0)
		return fail(stage, "mount the disk");
	return fill_disk(stage) < 0 || keep_spare(false) < 0 ? fail(stage, "fill the disk") : 0;
}

/* Puts `path` at `at`, read-only, with the ids of the sandbox where they can be shifted. */
IN_CHILD static int mount_shifted(const struct stage *stage, const char *path, const char *at)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	if (stage->device) {
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)stage->idmap;
	}
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || mkdir(at, 0755) < 0)
		return -1;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0 ||
		syscall(SYS_move_mount, fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	return close(fd);
}

/* Appends to a text of OPTIONS_MAX bytes; snprintf() is no system call, so by hand. */
IN_CHILD static void append(char *text, size_t *len, const char *more)
{
	while (*more && *len < OPTIONS_MAX - 1)
		text[(*len)++] = *more++;
	text[*len] = '\0';
}

IN_CHILD static int mount_root(struct stage *stage)
{
	char options[OPTIONS_MAX], name[] = "layer-a";
	size_t len = 0;

	append(options, &len, "lowerdir=");
	for (int i = 0; i < stage->layers_len; i++) {
		name[sizeof name - 2] = (char)('a' + i);
		if (mount_shifted(stage, stage->layers[i], name) < 0)
			return fail(stage, "mount the template with other ids");
		append(options, &len, i ? ":" : "");
		append(options, &len, name);
	}
	append(options, &len, ",upperdir=disk/upper,workdir=disk/work");
	append(options, &len, stage->device ? ",redirect_dir=on" : ",userxattr");
	if (mkdir("rootfs", 0755) < 0 ||
		mount("overlay", "rootfs", "overlay", MS_NODEV | MS_NOATIME, options) < 0)
		return fail(stage, "mount the overlay");
	return 0;
}

IN_CHILD static int mount_usr(struct stage *stage)
{
	if (!stage->usr_mask)
		return 0;
	if (mount_shifted(stage, stage->usr_mask, "mask") < 0 ||
		mount_shifted(stage, "/usr", "host-usr") < 0)
		return fail(stage, "mount the host's /usr with other ids");
	if (mount("overlay", "rootfs/usr", "overlay", MS_NODEV | MS_NOATIME,
		    stage->device ? "lowerdir=mask:host-usr,upperdir=disk/usr,"
				    "workdir=disk/usr-work,redirect_dir=on"
				  : "lowerdir=mask:host-usr,upperdir=disk/usr,"
				    "workdir=disk/usr-work,userxattr") < 0)
		return fail(stage, "mount the overlay of /usr");
	return 0;
}

IN_CHILD static int bind_file(const char *path, const char *at)
{
	int fd = open(at, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);

	if (fd < 0 || close(fd) < 0)
		return -1;
	return mount(path, at, NULL, MS_BIND, NULL);
}

int stage_set(void *data)
{
	struct stage *stage = data;

	if (own_namespace(stage) < 0 || mount_disk(stage) < 0 || mount_root(stage) < 0 ||
		mount_usr(stage) < 0)
		return -1;
	if (stage->device)
		keep_spare(true); /* where there is room */
	if (mkdir("tools", 0755) < 0 || mount(stage->tools, "tools", NULL, MS_BIND, NULL) < 0)
		return fail(stage, "mount the tools");
	if (bind_file(stage->token, "token") < 0 || bind_file(stage->resolv, "resolv") < 0 ||
		(stage->hosts && bind_file(stage->hosts, "hosts") < 0))
		return fail(stage, "mount the token");
	return 0;
}
