#include "bundle.h"

#include <jansson.h>
#include <string.h>
#include <sys/resource.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "record.h"
#include "seccomp.h"
#include "site.h"
#include "tree.h"

enum {
	CPU_PERIOD_US = 100000,
	MIB = 1024 * 1024,
	FILES_SOFT = 16384,
	FILES_HARD = 65536,
	MAIN_MODE = 0600,
	CORE_NONE = 1, /* with 0 the kernel still hands a dump to a program of the host's (core(5)) */
};

/* What root inside may be given by setuid programs; nobody starts with any of it. */
static const char *const bounding[] = { "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP", "CAP_SETPCAP",
	"CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE" };

static const char *const masked[] = { "/proc/acpi", "/proc/asound", "/proc/interrupts",
	"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/proc/cmdline", "/proc/partitions",
	"/proc/diskstats", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
	"/sys/kernel", "/sys/module",
	/* The files behind the disks name every sandbox. */
	"/sys/block", "/sys/class/block", "/sys/dev/block", "/sys/devices/virtual/block",
	"/sys/fs/ext4", "/sys/class/dmi", "/sys/devices/virtual/dmi" };

static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
	"/proc/sysrq-trigger" };

static const char *const environment[][2] = {
	{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
	{ "HOME", "/home/user" },
	{ "USER", "user" },
	{ "LOGNAME", "user" },
	{ "SHELL", "/bin/bash" },
	{ "LANG", "C.UTF-8" },
};

#define LEN(array) (sizeof(array) / sizeof *(array))

static json_t *texts(const char *const *list, size_t len)
{
	json_t *array = json_array();

	for (size_t i = 0; i < len; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

/* ---- the first process ---- */

static json_t *arguments(const struct site *site)
{
	char loader[256], port[16];
	const char *const argv[] = { "/.sandbox/sandbox-init", loader, "--argv0", "sandbox-mcp",
		"--library-path", "/.sandbox", "/.sandbox/sandbox-mcp", "--workspace", "/workspace",
		"--root", "/home/user", "--root", "/tmp", "--host", "127.0.0.1", "--port", port,
		"--token-file", "/run/sandbox/token", "--state-dir", "/var/lib/sandbox" };

	snprintf(loader, sizeof loader, "/.sandbox/%s", site->loader);
	snprintf(port, sizeof port, "%u", site->port);
	return texts(argv, LEN(argv));
}

static json_t *variables(const json_t *envs)
{
	json_t *all = json_object(), *array = json_array();
	const char *name;
	json_t *value;

	for (size_t i = 0; i < LEN(environment); i++)
		json_object_set_new(all, environment[i][0], json_string(environment[i][1]));
	if (envs)
		json_object_update(all, (json_t *)(uintptr_t)envs);
	json_object_foreach(all, name, value)
		json_array_append_new(array, json_sprintf("%s=%s", name, json_string_value(value)));
	json_decref(all);
	return array;
}

/* A limit can be kept or lowered, never raised: that takes a right which the engine may lack. */
static json_t *limit(const char *name, __rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
	struct rlimit own = { hard, hard };

	getrlimit(resource, &own);
	if (hard > own.rlim_max)
		hard = own.rlim_max;
	if (soft > hard)
		soft = hard;
	return json_pack("{s:s, s:I, s:I}", "type", name, "soft", (json_int_t)soft, "hard",
		(json_int_t)hard);
}

/*
 * The directory is one that no sandbox can replace: what it leaves on its disk for the next start
 * must not lead the runtime anywhere.
 */
static json_t *process(const struct site *site, const struct record *record)
{
	return json_pack("{s:b, s:{s:i, s:i, s:i}, s:o, s:o, s:s, s:{s:o, s:[], s:[], s:[], s:[]},"
			 " s:[o, o], s:b}",
		"terminal", 0, "user", "uid", USER_ID, "gid", USER_ID, "umask", 022, "args",
		arguments(site), "env", variables(record->envs), "cwd", "/", "capabilities",
		"bounding", texts(bounding, LEN(bounding)), "effective", "permitted", "inheritable",
		"ambient", "rlimits", limit("RLIMIT_NOFILE", RLIMIT_NOFILE, FILES_SOFT, FILES_HARD),
		limit("RLIMIT_CORE", RLIMIT_CORE, CORE_NONE, CORE_NONE), "noNewPrivileges", 0);
}

/* ---- mounts ---- */

static void add_mount(
	json_t *mounts, const char *at, const char *type, const char *source, const char *options)
{
	json_t *list = json_array();

	for (const char *from = options; *from;) {
		size_t len = strcspn(from, ",");
		json_array_append_new(list, json_stringn(from, len));
		from += len + (from[len] == ',');
	}
	json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", at, "type",
					      type, "source", source, "options", list));
}

static void add_staged(json_t *mounts, const struct site *site, const char *name, const char *at,
	const char *options)
{
	AUTO_FREE char *source = alloc_printf("%s/%s", site->stage, name);

	add_mount(mounts, at, "bind", source, options);
}

static json_t *mounts_of(const struct site *site, const struct record *record)
{
	json_t *mounts = json_array();
	char shm[96];

	snprintf(shm, sizeof shm, "nosuid,nodev,mode=1777,size=%lldm",
		(long long)(record->limits.memory_mb / 2 + 1));
	add_mount(mounts, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	add_mount(mounts, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=64k");
	add_mount(mounts, "/dev/pts", "devpts", "devpts",
		"nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5,max=256");
	add_mount(mounts, "/dev/shm", "tmpfs", "shm", shm);
	add_mount(mounts, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	add_mount(mounts, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
	add_mount(mounts, "/run", "tmpfs", "tmpfs", "nosuid,nodev,mode=755,size=32m");
	add_staged(mounts, site, "tools", "/.sandbox", "bind,ro,nosuid,nodev");
	add_staged(mounts, site, "token", "/run/sandbox/token", "bind,ro,nosuid,nodev,noexec");
	add_staged(mounts, site, "resolv", "/etc/resolv.conf", "bind,ro,nosuid,nodev,noexec");
	if (record->network == NETWORK_ALLOW)
		add_staged(mounts, site, "hosts", "/etc/hosts", "bind,ro,nosuid,nodev,noexec");
	return mounts;
}

/* ---- the kernel's part ---- */

static json_t *memory_of(const struct site *site, int64_t memory_mb)
{
	json_t *memory = json_pack("{s:I}", "limit", (json_int_t)memory_mb * MIB);

	if (site->cgroups.swap)
		json_object_set_new(memory, "swap", json_integer((json_int_t)memory_mb * MIB));
	return memory;
}

static json_t *resources(const struct site *site, const struct record *record)
{
	const struct sandbox_limits *limits = &record->limits;
	json_t *all = json_object();

	if (site->cgroups.devices)
		json_object_set_new(
			all, "devices", json_pack("[{s:b, s:s}]", "allow", 0, "access", "rwm"));
	if (site->cgroups.memory && limits->memory_mb > 0)
		json_object_set_new(all, "memory", memory_of(site, limits->memory_mb));
	if (site->cgroups.pids && limits->pids > 0)
		json_object_set_new(
			all, "pids", json_pack("{s:I}", "limit", (json_int_t)limits->pids));
	if (site->cgroups.cpu && limits->cpu_millis > 0)
		json_object_set_new(all, "cpu",
			json_pack("{s:I, s:i}", "quota",
				(json_int_t)limits->cpu_millis * CPU_PERIOD_US / 1000, "period",
				CPU_PERIOD_US));
	return all;
}

static json_t *namespaces(const struct site *site)
{
	static const char *const types[] = { "user", "pid", "network", "ipc", "uts", "mount",
		"cgroup" };
	json_t *array = json_array();
	size_t len = site->cgroups.kind == CGROUP_NONE ? LEN(types) - 1 : LEN(types);

	for (size_t i = 0; i < len; i++)
		json_array_append_new(array, json_pack("{s:s}", "type", types[i]));
	return array;
}

static json_t *mapping(const struct site *site, unsigned slot)
{
	return json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID",
		(json_int_t)site_first_id(site, slot), "size", ID_RANGE);
}

static json_t *linux_of(const struct site *site, const struct record *record)
{
	json_t *all = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "namespaces",
		namespaces(site), "uidMappings", mapping(site, record->slot), "gidMappings",
		mapping(site, record->slot), "resources", resources(site, record), "seccomp",
		seccomp_profile(), "maskedPaths", texts(masked, LEN(masked)), "readonlyPaths",
		texts(read_only, LEN(read_only)));

	if (site->cgroups.kind != CGROUP_NONE)
		json_object_set_new(all, "cgroupsPath", json_sprintf("/sandbox/%s", record->id));
	return all;
}

int bundle_write(
	const struct site *site, const struct record *record, const char *dir, struct err *err)
{
	AUTO_FREE char *rootfs = alloc_printf("%s/rootfs", site->stage);
	AUTO_FREE char *path = alloc_printf("%s/config.json", dir);
	json_auto_t *config = json_pack("{s:s, s:{s:s}, s:s, s:o, s:o, s:o}", "ociVersion", "1.0.2",
		"root", "path", rootfs, "hostname", "sandbox", "process", process(site, record),
		"mounts", mounts_of(site, record), "linux", linux_of(site, record));
	AUTO_FREE char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;

	if (!text)
		return err_set(err, ERR_INTERNAL, "sandbox %s has no configuration", record->id);
	return tree_write(path, text, MAIN_MODE, 0, err);
}
