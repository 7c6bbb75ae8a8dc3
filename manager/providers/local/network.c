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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "allow.h"
#include "buf.h"
#include "cleanup.h"
#include "program.h"
#include "err.h"
#include "record.h"
#include "site.h"
#include "slurp.h"
#include "tree.h"

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

static char *hosts_path(const struct site *site, const struct record *record)
{
	return alloc_printf("%s/%s/hosts", site->boxes, record->id);
}

int network_write_files(const struct record *record, const char *dir, struct err *err)
{
	AUTO_FREE char *resolv = alloc_printf("%s/resolv", dir);
	AUTO_FREE char *hosts = alloc_printf("%s/hosts", dir);
	AUTO_BUF struct buf text = BUF_INIT(HOSTS_MAX);
	const char *resolver = record->network == NETWORK_INTERNET ? "nameserver 10.0.2.3\n" : "";

	if (tree_write(resolv, resolver, 0644, 0, err) < 0)
		return -1;
	if (record->network != NETWORK_ALLOW)
		return 0;
	allow_hosts(record->allow, &text);
	return tree_write(hosts, text.data, 0644, 0, err);
}

/* ---- rules ---- */

/* The elements of the set `own`: the host's addresses, with the networks that it is in. */
static int own_networks(struct buf *elements, struct err *err)
{
	struct ifaddrs *list = NULL;
	char text[INET_ADDRSTRLEN];

	if (getifaddrs(&list) < 0)
		return err_sys(err, "list the addresses of this machine");
	for (struct ifaddrs *at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !at->ifa_netmask)
			continue;
		struct in_addr network = ((const struct sockaddr_in *)at->ifa_addr)->sin_addr;
		in_addr_t mask = ((const struct sockaddr_in *)at->ifa_netmask)->sin_addr.s_addr;
		network.s_addr &= mask;
		if (inet_ntop(AF_INET, &network, text, sizeof text))
			buf_addf(elements, "%s%s/%d", elements->len ? ", " : "", text,
				__builtin_popcount(mask));
	}
	freeifaddrs(list);
	return 0;
}

static int enter(void *data)
{
	const int *pidfd = data;

	return setns(*pidfd, CLONE_NEWNET);
}

static int run_nft(const struct site *site, const char *text, int pidfd, struct err *err)
{
	AUTO_BUF struct buf complaints = BUF_INIT(4096);
	const char *argv[] = { "nft", "-f", "-", NULL };
	const struct program program = { .path = site->nft,
		.argv = argv,
		.input = text,
		.complaints = &complaints,
		.before = enter,
		.before_data = &pidfd,
		.timeout_ms = NFT_MS };

	return program_run(&program, err);
}

static void add_set(struct buf *rules, const char *name, const struct buf *elements)
{
	buf_addf(rules, " set %s { type ipv4_addr; flags interval; auto-merge;", name);
	if (elements->len)
		buf_addf(rules, " elements = { %s }", elements->data);
	buf_add_text(rules, " }\n");
}

static void add_allowed(struct buf *rules, const struct record *record, const char *hosts)
{
	AUTO_BUF struct buf networks = BUF_INIT(RULES_MAX);
	AUTO_BUF struct buf addresses = BUF_INIT(RULES_MAX);

	if (record->network != NETWORK_ALLOW)
		return;
	allow_networks(record->allow, &networks);
	allow_addresses(hosts ? hosts : "", &addresses);
	add_set(rules, "networks", &networks);
	add_set(rules, "hosts", &addresses);
}

int network_set_rules(
	const struct site *site, const struct record *record, int init, struct err *err)
{
	AUTO_BUF struct buf rules = BUF_INIT(RULES_MAX);
	AUTO_BUF struct buf own = BUF_INIT(RULES_MAX);
	AUTO_FREE char *path = hosts_path(site, record);
	AUTO_FREE char *hosts = slurp(path, HOSTS_MAX, NULL);

	if (record->network == NETWORK_NONE)
		return 0;
	if (own_networks(&own, err) < 0)
		return -1;
	buf_add_text(&rules, "table inet sandbox {\n");
	add_set(&rules, "own", &own);
	add_allowed(&rules, record, hosts);
	buf_add_text(&rules, " chain out {\n"
			     "  type filter hook output priority filter; policy accept;\n"
			     "  oif lo accept\n"
			     "  meta nfproto ipv6 reject\n");
	if (record->network == NETWORK_INTERNET)
		buf_add_text(&rules, "  ip daddr 10.0.2.3 udp dport 53 accept\n"
				     "  ip daddr 10.0.2.3 tcp dport 53 accept\n");
	buf_addf(&rules, "  ip daddr { %s } reject\n", private_networks);
	buf_add_text(&rules, "  ip daddr @own reject\n");
	if (record->network == NETWORK_ALLOW)
		buf_add_text(&rules, "  ip daddr @networks accept\n"
				     "  ip daddr @hosts accept\n"
				     "  reject\n");
	buf_add_text(&rules, " }\n}\n");
	if (own.over)
		return err_set(err, ERR_LIMIT, "this machine has too many addresses");
	if (rules.over)
		return err_set(err, ERR_LIMIT, "the list of allowed networks is too long");
	return run_nft(site, rules.data, init, err);
}

int network_refresh_own(const struct site *site, int init, struct err *err)
{
	AUTO_BUF struct buf own = BUF_INIT(RULES_MAX);
	AUTO_BUF struct buf rules = BUF_INIT(RULES_MAX);

	if (own_networks(&own, err) < 0)
		return -1;
	buf_add_text(&rules, "flush set inet sandbox own\n");
	if (own.len)
		buf_addf(&rules, "add element inet sandbox own { %s }\n", own.data);
	if (own.over || rules.over)
		return err_set(err, ERR_LIMIT, "this machine has too many addresses");
	return run_nft(site, rules.data, init, err);
}

/* In place: the sandbox has this very file mounted. */
static int rewrite(const char *path, const struct buf *text, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, text->data, text->len, 0) != (ssize_t)text->len ||
		ftruncate(fd, (off_t)text->len) < 0)
		return err_sys(err, "write %s", path);
	return 0;
}

int network_refresh(const struct site *site, const struct record *record, int init, struct err *err)
{
	AUTO_FREE char *path = hosts_path(site, record);
	AUTO_BUF struct buf hosts = BUF_INIT(HOSTS_MAX);
	AUTO_BUF struct buf addresses = BUF_INIT(RULES_MAX);
	AUTO_BUF struct buf rules = BUF_INIT(RULES_MAX);

	allow_hosts(record->allow, &hosts);
	allow_addresses(hosts.data, &addresses);
	if (addresses.len == 0)
		return 0;
	/* Older answers stay let in: connections to them may be open. */
	buf_addf(&rules, "add element inet sandbox hosts { %s }\n", addresses.data);
	if (run_nft(site, rules.data, init, err) < 0)
		return -1;
	return rewrite(path, &hosts, err);
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

int network_start(const struct site *site, const struct record *record, pid_t pid, int *helper,
	int *ready, struct err *err)
{
	int ends[2];

	*helper = *ready = -1;
	if (record->network == NETWORK_NONE)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "make a pipe");
	int result = start_helper(site, record->id, pid, ends[1], helper, err);
	close(ends[1]);
	if (result < 0)
		close(ends[0]);
	else
		*ready = ends[0];
	return result;
}

int network_await(int ready, struct err *err)
{
	AUTO_CLOSE int fd = ready;
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	char byte;

	if (fd < 0)
		return 0;
	if (poll(&readable, 1, READY_MS) <= 0 || read(fd, &byte, 1) != 1)
		return err_set(err, ERR_IO,
			"slirp4netns did not start: it needs /dev/net/tun (modprobe tun; chmod 666 "
			"/dev/net/tun where the manager is not root)");
	return 0;
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

/* Whether a process is of our user and our pid namespace: one inside a sandbox may call itself
 * whatever it likes. */
static bool is_ours(pid_t pid)
{
	struct stat self, other;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	if (stat(path, &other) < 0 || other.st_uid != geteuid())
		return false;
	snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
	return stat(path, &other) == 0 && stat("/proc/self/ns/pid", &self) == 0 &&
	       self.st_ino == other.st_ino && self.st_dev == other.st_dev;
}

/* Whether /proc/<pid>/cmdline begins with the helper's name. */
static bool is_helper(pid_t pid, const char *name)
{
	char path[64];

	if (!is_ours(pid))
		return false;
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
