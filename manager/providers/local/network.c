#include "network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "program.h"
#include "err.h"
#include "record.h"
#include "site.h"
#include "slurp.h"

enum {
	RULES_MAX = 512 * 1024,
	NFT_MS = 10 * 1000,
	READY_MS = 10 * 1000,
	GONE_MS = 5000,
	READY_FD = 3, /* the first that a command keeps */
};

/* Before the id in the helper's name, by which another manager finds it. */
static const char helper_prefix[] = "slirp4netns:";

/* Addresses that are nobody's on the internet: the host's networks and the neighbours are here. */
static const char private_networks[] =
	"0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, "
	"192.0.0.0/24, 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/4, 240.0.0.0/4";

const char *network_resolv(const struct record *record)
{
	return record->network == NETWORK_NONE ? "" : "nameserver 10.0.2.3\n";
}

/* ---- rules ---- */

/* The host's addresses and the networks that it is in. */
static void add_own_networks(struct buf *rules)
{
	struct ifaddrs *list = NULL;
	char text[INET_ADDRSTRLEN];

	if (getifaddrs(&list) < 0)
		return;
	for (struct ifaddrs *at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !at->ifa_netmask)
			continue;
		struct in_addr network = ((const struct sockaddr_in *)at->ifa_addr)->sin_addr;
		in_addr_t mask = ((const struct sockaddr_in *)at->ifa_netmask)->sin_addr.s_addr;
		network.s_addr &= mask;
		if (inet_ntop(AF_INET, &network, text, sizeof text))
			buf_addf(
				rules, "  ip daddr %s/%d reject\n", text, __builtin_popcount(mask));
	}
	freeifaddrs(list);
}

static bool is_cidr(const char *text)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr parsed;
	size_t len = strcspn(text, "/");

	if (len >= sizeof address)
		return false;
	snprintf(address, sizeof address, "%.*s", (int)len, text);
	if (inet_pton(AF_INET, address, &parsed) != 1)
		return false;
	if (!text[len])
		return true;
	char *end;
	long bits = strtol(text + len + 1, &end, 10);
	return text[len + 1] && !*end && bits >= 0 && bits <= 32;
}

static void add_allowed(struct buf *rules, const json_t *allow)
{
	size_t i;
	const json_t *value;

	json_array_foreach(allow, i, value)
		if (json_is_string(value) && is_cidr(json_string_value(value)))
			buf_addf(rules, "  ip daddr %s accept\n", json_string_value(value));
	buf_add_text(rules, "  ip daddr @pinned accept\n  reject\n");
}

static int enter(void *data)
{
	const int *pidfd = data;

	return setns(*pidfd, CLONE_NEWNET);
}

static int set_rules(
	const struct site *site, const struct record *record, int pidfd, struct err *err)
{
	AUTO_BUF struct buf rules = BUF_INIT(RULES_MAX);
	AUTO_BUF struct buf complaints = BUF_INIT(4096);
	const char *argv[] = { "nft", "-f", "-", NULL };

	buf_add_text(&rules, "table inet sandbox {\n"
			     " set pinned { type ipv4_addr; flags timeout; }\n"
			     " chain out {\n"
			     "  type filter hook output priority filter; policy accept;\n"
			     "  oif lo accept\n"
			     "  meta nfproto ipv6 reject\n"
			     "  ip daddr 10.0.2.3 udp dport 53 accept\n"
			     "  ip daddr 10.0.2.3 tcp dport 53 accept\n");
	buf_addf(&rules, "  ip daddr { %s } reject\n", private_networks);
	add_own_networks(&rules);
	if (record->network == NETWORK_ALLOW)
		add_allowed(&rules, record->allow);
	buf_add_text(&rules, " }\n}\n");
	if (rules.over)
		return err_set(err, ERR_LIMIT, "the list of allowed networks is too long");
	struct program program = { .path = site->nft,
		.argv = argv,
		.input = rules.data,
		.complaints = &complaints,
		.before = enter,
		.before_data = &pidfd,
		.timeout_ms = NFT_MS };
	return program_run(&program, err);
}

/* ---- the helper ---- */

static int start_helper(const struct site *site, const char *id, pid_t target, int ready_fd,
	int *helper, struct err *err)
{
	char name[64], pid[16], ready[8];
	const char *argv[] = { name, "--configure", "--mtu=65520", "--disable-host-loopback",
		"--enable-sandbox", "--enable-seccomp", "--ready-fd", ready, pid, "tap0", NULL };
	struct program program = { .path = site->slirp, .argv = argv, .keep = { ready_fd } };
	pid_t started;

	snprintf(name, sizeof name, "%s%s", helper_prefix, id);
	snprintf(pid, sizeof pid, "%d", (int)target);
	snprintf(ready, sizeof ready, "%d", READY_FD);
	return program_start(&program, helper, &started, err);
}

static int await_ready(int ready_fd, struct err *err)
{
	struct pollfd ready = { .fd = ready_fd, .events = POLLIN };
	char byte;

	if (poll(&ready, 1, READY_MS) <= 0 || read(ready_fd, &byte, 1) != 1)
		return err_set(err, ERR_IO,
			"slirp4netns did not start: it needs /dev/net/tun (modprobe tun)");
	return 0;
}

int network_start(const struct site *site, const struct record *record, pid_t pid, int pidfd,
	int *helper, struct err *err)
{
	int ends[2];

	if (record->network == NETWORK_NONE) {
		*helper = -1;
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	AUTO_CLOSE int ready = ends[0];
	int started = -1;
	int result = start_helper(site, record->id, pid, ends[1], &started, err);
	close(ends[1]);
	if (result == 0)
		result = set_rules(site, record, pidfd, err);
	if (result == 0)
		result = await_ready(ready, err);
	if (result < 0)
		network_stop(started);
	else
		*helper = started;
	return result;
}

void network_stop(int helper)
{
	struct pollfd gone = { .fd = helper, .events = POLLIN };
	siginfo_t info;

	if (helper < 0)
		return;
	pidfd_send_signal(helper, SIGKILL, NULL, 0);
	poll(&gone, 1, GONE_MS);
	waitid((idtype_t)P_PIDFD, (id_t)helper, &info, WEXITED | WNOHANG);
	close(helper);
}

/* Whether /proc/<pid>/cmdline begins with the helper's name. */
static bool is_helper(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	AUTO_FREE char *line = slurp(path, 64 * 1024, NULL);
	return line && strcmp(line, name) == 0;
}

int network_find_helper(const char *id)
{
	AUTO_FREE char *name = alloc_printf("%s%s", helper_prefix, id);
	AUTO_CLOSEDIR DIR *processes = opendir("/proc");
	struct dirent *entry;

	while (processes && (entry = readdir(processes))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end || pid <= 1 || !is_helper((pid_t)pid, name))
			continue;
		int fd = pidfd_open((pid_t)pid, 0);
		if (fd >= 0 && is_helper((pid_t)pid, name))
			return fd;
		cleanup_close(&fd);
	}
	return -1;
}
