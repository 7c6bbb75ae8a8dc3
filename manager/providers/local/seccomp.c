#include "seccomp.h"

#include <stdint.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Kernel interfaces with no use in a sandbox, or with none but harm. */
static const char *const refused[] = {
	"_sysctl",
	"acct",
	"add_key",
	"bpf",
	"clock_adjtime",
	"clock_settime",
	"clock_settime64",
	"create_module",
	"delete_module",
	"fanotify_init",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"get_kernel_syms",
	"init_module",
	"ioperm",
	"iopl",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"lookup_dcookie",
	"mount",
	"mount_setattr",
	"move_mount",
	"nfsservctl",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pivot_root",
	"query_module",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"setns",
	"settimeofday",
	"stime",
	"swapoff",
	"swapon",
	"sysfs",
	"syslog",
	"umount",
	"umount2",
	"uselib",
	"userfaultfd",
	"ustat",
	"vhangup",
	"vm86",
	"vm86old",
};

/*
 * For these a program has another way, which it takes when it hears that there is none: clone3,
 * whose flags no filter can read; io_uring; sockets by socketcall, whose family it cannot read.
 */
static const char *const unknown[] = {
	"clone3",
	"io_uring_enter",
	"io_uring_register",
	"io_uring_setup",
	"socketcall",
};

static json_t *rule(json_t *names, int sysno, json_t *args)
{
	return json_pack("{s:o, s:s, s:i, s:o*}", "names", names, "action", "SCMP_ACT_ERRNO",
		"errnoRet", sysno, "args", args);
}

static json_t *list(const char *const *names, size_t len)
{
	json_t *array = json_array();

	for (size_t i = 0; i < len; i++)
		json_array_append_new(array, json_string(names[i]));
	return array;
}

/* Refuses `name` where its argument `index` is `value` in the bits of `mask`: the kernel may look at
 * less of it than the filter does. */
static json_t *refuse_masked(const char *name, int index, json_int_t mask, json_int_t value)
{
	return rule(json_pack("[s]", name), EPERM,
		json_pack("[{s:i, s:I, s:I, s:s}]", "index", index, "value", mask, "valueTwo",
			value, "op", "SCMP_CMP_MASKED_EQ"));
}

static json_t *refuse_bits(const char *name, int index, json_int_t bits)
{
	return refuse_masked(name, index, bits, bits);
}

static json_t *refuse_value(
	const char *name, int index, json_int_t value, const char *op, int sysno)
{
	return rule(json_pack("[s]", name), sysno,
		json_pack("[{s:i, s:I, s:s}]", "index", index, "value", value, "op", op));
}

/* Local, inet, inet6, netlink and packet (which needs a right that nobody has) are left. */
static void add_families(json_t *rules)
{
	for (int family = AF_INET + 1; family < AF_NETLINK; family++)
		if (family != AF_INET6)
			json_array_append_new(rules,
				refuse_value("socket", 0, family, "SCMP_CMP_EQ", EAFNOSUPPORT));
	json_array_append_new(
		rules, refuse_value("socket", 0, AF_PACKET, "SCMP_CMP_GT", EAFNOSUPPORT));
}

json_t *seccomp_profile(void)
{
	json_t *rules = json_array();

	json_array_append_new(
		rules, rule(list(refused, sizeof refused / sizeof *refused), EPERM, NULL));
	json_array_append_new(
		rules, rule(list(unknown, sizeof unknown / sizeof *unknown), ENOSYS, NULL));
	json_array_append_new(rules, refuse_bits("clone", 0, CLONE_NEWUSER));
	json_array_append_new(rules, refuse_bits("unshare", 0, CLONE_NEWUSER));
	json_array_append_new(rules, refuse_masked("ioctl", 1, UINT32_MAX, TIOCSTI));
	json_array_append_new(rules, refuse_masked("ioctl", 1, UINT32_MAX, TIOCLINUX));
	add_families(rules);
#if defined(__x86_64__)
	json_t *arches = json_pack("[s, s]", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86");
#elif defined(__aarch64__)
	json_t *arches = json_pack("[s, s]", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM");
#else
#error "name the architectures whose system calls the profile filters"
#endif
	return json_pack("{s:s, s:o, s:o}", "defaultAction", "SCMP_ACT_ALLOW", "architectures",
		arches, "syscalls", rules);
}
