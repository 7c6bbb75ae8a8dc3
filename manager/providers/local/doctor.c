#include "doctor.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "cgroup.h"
#include "cleanup.h"
#include "err.h"
#include "idmap.h"
#include "program.h"
#include "rootless.h"
#include "runtime.h"
#include "site.h"
#include "slurp.h"

enum { FILE_MAX = 64 * 1024 };

struct doctor {
	FILE *out;
	int needs; /* not met */
};

enum weight { NEEDED, WANTED };

/* One line: what, and what was found or what mends it. */
static void report(struct doctor *doctor, enum weight weight, bool good, const char *what,
	const char *found, const char *mend)
{
	const char *mark = good ? "ok" : weight == NEEDED ? "NO" : "no";

	fprintf(doctor->out, "%-3s %-34s %s\n", mark, what, good ? found : mend);
	doctor->needs += !good && weight == NEEDED;
}

/* ---- programs ---- */

static void check_program(
	struct doctor *doctor, enum weight weight, const char *name, const char *package)
{
	AUTO_FREE char *path = program_find(name);
	AUTO_FREE char *mend = alloc_printf("apt-get install %s", package);

	report(doctor, weight, path, name, path, mend);
}

static void check_runtime(struct doctor *doctor, const char *named, const struct cgroups *cgroups)
{
	AUTO_FREE char *runc = program_find(named ? named : "runc");
	AUTO_FREE char *crun = !named && cgroups->kind == CGROUP_V2 ? program_find("crun") : NULL;
	const char *found = crun ? crun : runc;
	const char *unfit = found ? runtime_unfit(found, cgroups) : NULL;
	const char *missing = named ? "there is no such program" : "apt-get install runc";

	report(doctor, NEEDED, found && !unfit, "OCI runtime", found, unfit ? unfit : missing);
}

/* In the template `host`, what this machine has is what its sandboxes have. */
static void check_host_template(struct doctor *doctor)
{
	static const char *const programs[][2] = {
		{ "/usr/bin/bash", "bash" },
		{ "/usr/bin/curl", "curl" },
		{ "/usr/bin/git", "git" },
		{ "/usr/bin/python3", "python3" },
		{ "/usr/bin/rg", "ripgrep" },
		{ "/usr/bin/sudo", "sudo" },
		{ "/usr/bin/tmux", "tmux" },
	};
	struct stat st;

	report(doctor, WANTED, lstat("/bin", &st) == 0 && S_ISLNK(st.st_mode), "template host",
		"/usr is merged", "apt-get install usrmerge, or take another template");
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		check_program(doctor, WANTED, programs[i][0], programs[i][1]);
}

/* ---- the kernel ---- */

static void check_cgroups(struct doctor *doctor, const struct cgroups *cgroups)
{
	static const char *const kinds[] = { "none", "v1", "v2" };
	const struct {
		const char *what;
		bool there;
	} limits[] = {
		{ "limit of memory", cgroups->memory },
		{ "limit of swap", cgroups->swap },
		{ "limit of processors", cgroups->cpu },
		{ "limit of processes", cgroups->pids },
		{ "list of devices", cgroups->devices },
		{ "freezer", cgroups->freezer },
	};

	const char *mend = geteuid() == 0 ? "boot with cgroup_enable=memory swapaccount=1, or "
					    "systemd.unified_cgroup_hierarchy=1"
					  : "run the manager as root";

	report(doctor, WANTED, cgroups->kind != CGROUP_NONE, "control groups", kinds[cgroups->kind],
		"run as root; mount -t cgroup2 none /sys/fs/cgroup");
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		report(doctor, WANTED, limits[i].there, limits[i].what, "", mend);
}

static void check_device(struct doctor *doctor, const char *path, const char *mend)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	report(doctor, NEEDED, fd >= 0, path, "", mend);
}

/* Shifts the ids of a mount that is never put anywhere. */
static bool can_shift(const char *path, int idmap)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)idmap };
	AUTO_CLOSE int fd =
		(int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return fd >= 0 &&
	       syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0;
}

static void check_ids(struct doctor *doctor, const char *data_dir)
{
	struct err err = { .msg = "" };
	AUTO_CLOSE int idmap = -1;
	bool can = idmap_open(ID_BASE, ID_RANGE, &idmap, &err) == 0;

	report(doctor, NEEDED, can, "user namespaces", "ids from 1879048192 up",
		"run as root; sysctl user.max_user_namespaces=65536");
	AUTO_FREE char *data = alloc_printf("id-mapped mount of %s", data_dir);
	report(doctor, NEEDED, can && can_shift(data_dir, idmap), data, "",
		"keep the data directory on ext4, xfs, btrfs or tmpfs");
	report(doctor, WANTED, can && can_shift("/usr", idmap), "id-mapped mount of /usr", "",
		"template host needs /usr on ext4, xfs, btrfs or tmpfs: take another one");
}

static void check_filesystem(struct doctor *doctor, const char *name, const char *mend)
{
	AUTO_FREE char *list = slurp("/proc/filesystems", FILE_MAX, NULL);
	AUTO_FREE char *line = alloc_printf("\t%s\n", name);

	report(doctor, NEEDED, list && strstr(list, line), name, "", mend);
}

/* ---- who runs the manager ---- */

static void check_root(struct doctor *doctor, const char *data_dir)
{
	report(doctor, NEEDED, true, "user", "root", "");
	check_program(doctor, NEEDED, "mkfs.ext4", "e2fsprogs");
	check_device(doctor, "/dev/loop-control", "modprobe loop");
	check_filesystem(doctor, "ext4", "modprobe ext4");
	check_ids(doctor, data_dir);
}

static void check_range(struct doctor *doctor, const char *file)
{
	AUTO_FREE char *what = alloc_printf("65536 ids in %s", file);
	AUTO_FREE char *found = alloc_printf("from %u up", rootless_range(file));

	report(doctor, NEEDED, rootless_range(file) != 0, what, found,
		"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, with a range "
		"of its own");
}

static bool may_make_namespace(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 && unshare(CLONE_NEWNS) == 0 ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void check_ordinary(struct doctor *doctor)
{
	report(doctor, WANTED, false, "user", "",
		"ordinary: sandboxes share one range of ids and have no limits; run as root");
	check_program(doctor, NEEDED, "newuidmap", "uidmap");
	check_program(doctor, NEEDED, "newgidmap", "uidmap");
	check_range(doctor, "/etc/subuid");
	check_range(doctor, "/etc/subgid");
	report(doctor, NEEDED, may_make_namespace(), "user namespaces", "",
		"as root: sysctl user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1");
}

int local_doctor(const char *data_dir, const char *oci_runtime, FILE *out)
{
	struct doctor doctor = { .out = out };
	struct cgroups cgroups;

	cgroups_probe(&cgroups);
	if (geteuid() == 0)
		check_root(&doctor, data_dir);
	else
		check_ordinary(&doctor);
	check_runtime(&doctor, oci_runtime, &cgroups);
	check_program(&doctor, NEEDED, "slirp4netns", "slirp4netns");
	check_program(&doctor, NEEDED, "nft", "nftables");
	check_device(&doctor, "/dev/net/tun", "as root: modprobe tun; chmod 666 /dev/net/tun");
	check_filesystem(&doctor, "overlay", "modprobe overlay");
	check_cgroups(&doctor, &cgroups);
	check_host_template(&doctor);
	return doctor.needs;
}
