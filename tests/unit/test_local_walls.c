/* What a local sandbox cannot do, as root inside, and what it cannot use up. */
#include "local_talk.h"
#include "program.h"
#include "scratch.h"
#include "test.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>

static struct scratch scratch;
static struct kit kit;
static struct kit_calls calls;
static const char *id, *neighbour; /* made by the first case, removed by the last */

static const char *make(struct provider_spec spec)
{
	struct kit_call *call = kit_make_from(&kit, &calls, &spec);

	kit_await(&kit, &calls);
	CHECK_INT(call->err.code, 0);
	return call->id;
}

static void drop(const char *which)
{
	struct kit_call *call = kit_remove(&kit, &calls, which);

	kit_await(&kit, &calls);
	CHECK_INT(call->err.code, 0);
}

/* Runs a program of Python, as root inside, whose exit code says what came of it. */
static int python(const char *program)
{
	char command[8192];

	snprintf(command, sizeof command, "sudo python3 - <<'END'\n%s\nEND", program);
	return talk_code(&kit, id, command);
}

static void opens(void)
{
	if (geteuid() != 0) {
		printf("Bail out! sandboxes are made by root: run this test as root\n");
		exit(99);
	}
	scratch = scratch_enter();
	MUST(kit_open(&kit, scratch.dir, 0));
	const struct sandbox_limits limits = { .memory_mb = 128, .disk_mb = 64, .pids = 64 };
	id = make((struct provider_spec){ .limits = limits });
	neighbour = make((struct provider_spec){ .limits = limits });
}

static void shows_no_file_of_the_host(void)
{
	char command[256];

	scratch_text("secret", "x");
	MUST(chmod("secret", 0644));
	snprintf(command, sizeof command, "sudo test -e %s/secret -o -e %s", scratch.dir,
		scratch.dir);
	CHECK_INT(talk_code(&kit, id, command), 1);
	CHECK_INT(talk_code(&kit, id, "test -n \"$(sudo ls -A /root /mnt /srv /opt | grep -v :)\""),
		1);
	CHECK_INT(talk_code(&kit, id, "sudo ls /usr/local/* | grep -v -e '^/' -e '^$'"), 1);
	/* What others may not read on the host is not there for root inside either. */
	CHECK_INT(talk_code(&kit, id,
			  "sudo find /usr -xdev ! -type l ! -perm -o=r 2>/dev/null | grep ."),
		1);
	/* The kernel's own list of our processes' mounts names no directory of the host. */
	snprintf(command, sizeof command, "sudo grep -F %s /proc/1/mounts", scratch.dir);
	CHECK_INT(talk_code(&kit, id, command), 1);
}

static void makes_root_inside_nobody_outside(void)
{
	char out[64];
	struct stat st;
	char path[64];

	CHECK_INT(talk_code(&kit, id, "sudo sleep 1000 > /dev/null 2>&1 & :"), 0);
	CHECK_INT(
		talk_output(&kit, id, "cat /proc/self/uid_map | awk '{print $2}'", out, sizeof out),
		0);
	long first = atol(out);
	CHECK(first >= 0x70000000);
	json_t *info = kit.provider->info(kit.provider, id);
	json_t *isolation = json_object_get(info, "isolation");
	CHECK_INT(json_integer_value(json_object_get(isolation, "first_id")), first);
	json_decref(info);
	/* One of its processes is root inside: outside, the first id of its range. */
	int seen = 0;
	for (int pid = 2; pid < 4 * 1024 * 1024 && seen == 0; pid++) {
		snprintf(path, sizeof path, "/proc/%d", pid);
		seen += stat(path, &st) == 0 && st.st_uid == (uid_t)first;
	}
	CHECK_INT(seen, 1);
}

static void refuses_kernel_interfaces(void)
{
	static const char *const commands[] = {
		"mount -t tmpfs none /mnt",
		"mount --bind /usr /mnt",
		"umount /proc/sys",
		"unshare -U true",
		"unshare -m true",
		"unshare -n true",
		"nsenter -t 1 -n true",
		"mknod /tmp/disk b 7 0",
		"mknod /tmp/mem c 1 1",
		"dmesg",
		"chroot / mount -t proc none /mnt",
		"sh -c 'echo 1 > /proc/sys/kernel/panic'",
		"sh -c 'echo h > /proc/sysrq-trigger'",
		"sh -c 'echo 1 > /sys/module/loop/parameters/max_loop'",
		"sh -c 'head -c 1 /proc/kcore | grep -q .'",
		"sh -c 'ls /sys/kernel | grep -q .'",
		"ip link add dummy0 type dummy",
		"ip addr add 10.9.9.9/8 dev lo",
		"nft flush ruleset",
		"hostname other",
		"date -s 2001-01-01",
		"sh -c 'touch /.sandbox/x'",
		"sh -c 'echo x > /run/sandbox/token'",
	};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		char command[256];
		snprintf(command, sizeof command, "sudo %s 2>/dev/null", commands[i]);
		if (talk_code(&kit, id, command) == 0) {
			printf("# not refused: %s\n", commands[i]);
			test_failures++;
		}
	}
	CHECK_INT(talk_code(&kit, id, "sudo true"), 0); /* what was refused was not sudo */
}

/* The numbers are the same on every architecture but for the first ones of x86-64. */
static void refuses_system_calls(void)
{
	CHECK_INT(
		python("import ctypes, sys\n"
		       "libc = ctypes.CDLL(None, use_errno=True)\n"
		       "EPERM, ENOSYS = 1, 38\n"
		       "x86 = dict(bpf=321, perf_event_open=298, userfaultfd=323, keyctl=250,\n"
		       "  add_key=248, request_key=249, init_module=175, finit_module=313,\n"
		       "  open_by_handle_at=304, kexec_load=246, setns=308, pivot_root=155,\n"
		       "  open_tree=428, move_mount=429, fsopen=430, mount_setattr=442,\n"
		       "  swapon=167, reboot=169, iopl=172, quotactl=179, syslog=103)\n"
		       "arm = dict(bpf=280, perf_event_open=241, userfaultfd=282, keyctl=219,\n"
		       "  open_tree=428, move_mount=429, fsopen=430, mount_setattr=442)\n"
		       "import platform\n"
		       "calls = x86 if platform.machine() == 'x86_64' else arm\n"
		       "def errno_of(n, *args):\n"
		       "  ctypes.set_errno(0)\n"
		       "  r = libc.syscall(n, *(list(args) + [0] * (6 - len(args))))\n"
		       "  return ctypes.get_errno() if r == -1 else 0\n"
		       "bad = [n for n, c in calls.items() if errno_of(c) != EPERM]\n"
		       "bad += [n for n in (425, 426, 427, 435) if errno_of(n) != ENOSYS]\n"
		       "bad += ['ioctl'] * (errno_of(16 if calls is x86 else 29, 0, 0x5412) != EPERM)\n"
		       "clone = 56 if calls is x86 else 220\n"
		       "bad += ['clone'] * (errno_of(clone, 0x10000000 | 17) != EPERM)\n"
		       "print(bad)\n"
		       "sys.exit(len(bad))"),
		0);
	CHECK_INT(python("import socket, sys\n"
			 "left = []\n"
			 "for f in (3, 4, 5, 9, 11, 17, 21, 29, 31, 38, 39, 40, 44):\n"
			 "  for kind in (1, 2, 3, 5):\n"
			 "    try:\n"
			 "      socket.socket(f, kind, 0).close(); left.append((f, kind))\n"
			 "    except OSError: pass\n"
			 "print(left)\n"
			 "sys.exit(len(left))"),
		0);
}

/* ---- the network ---- */

static int listen_everywhere(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(bind(fd, (struct sockaddr *)&address, sizeof address));
	MUST(listen(fd, 16));
	MUST(getsockname(fd, (struct sockaddr *)&address, &len));
	*port = ntohs(address.sin_port);
	return fd;
}

static int connects(const char *from, const char *address, uint16_t port)
{
	char command[256];

	snprintf(command, sizeof command, "timeout 5 bash -c '</dev/tcp/%s/%u' 2>/dev/null",
		address, port);
	return talk_code(&kit, from, command) == 0;
}

static void keeps_the_host_and_its_networks_out_of_reach(void)
{
	static const char *const others[] = { "10.0.2.2", "10.0.2.4", "127.83.0.2",
		"169.254.169.254", "100.64.0.1", "192.168.0.1", "172.17.0.1" };
	struct ifaddrs *list;
	char text[INET_ADDRSTRLEN];
	uint16_t port;
	int fd = listen_everywhere(&port), seen = 0;

	MUST(getifaddrs(&list));
	for (struct ifaddrs *at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET)
			continue;
		inet_ntop(AF_INET, &((struct sockaddr_in *)at->ifa_addr)->sin_addr, text,
			sizeof text);
		CHECK(!connects(id, text, port));
		seen++;
	}
	freeifaddrs(list);
	CHECK(seen > 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		CHECK(!connects(id, others[i], port) && !connects(id, others[i], 53));
	CHECK(connects(id, "127.0.0.1", KIT_PORT)); /* it can connect at all */
	/* Nobody got through to the listener by another way. */
	struct pollfd came = { .fd = fd, .events = POLLIN };
	CHECK_INT(poll(&came, 1, 0), 0);
	close(fd);
}

static void has_no_way_out_without_a_network(void)
{
	char out[256];
	const char *lonely = make((struct provider_spec){ .network = NETWORK_NONE });

	CHECK_INT(talk_output(
			  &kit, lonely, "ls /sys/class/net; cat /etc/resolv.conf", out, sizeof out),
		0);
	CHECK_TEXT(out, "lo\n");
	CHECK(!connects(lonely, "10.0.2.3", 53));
	CHECK(connects(lonely, "127.0.0.1", KIT_PORT));
	drop(lonely);
}

static void reaches_with_a_list_only_what_is_on_it(void)
{
	char out[1024], name[256], line[300];
	json_auto_t *allow = json_pack("[s, s]", "localhost", "198.51.100.0/24");
	const char *listed =
		make((struct provider_spec){ .network = NETWORK_ALLOW, .allow = allow });

	CHECK_INT(talk_output(&kit, listed, "cat /etc/hosts /etc/resolv.conf", out, sizeof out), 0);
	CHECK_TEXT(out, "127.0.0.1 localhost sandbox\n127.0.0.1 localhost\n");
	/* No resolver, and no address that is not on the list: refused at once, not lost. */
	CHECK(!connects(listed, "10.0.2.3", 53));
	CHECK_INT(talk_code(&kit, listed,
			  "timeout 5 bash -c '</dev/tcp/192.88.98.1/80' 2>/dev/null; test $? = 1"),
		0);
	CHECK(talk_code(&kit, listed, "sudo sh -c 'echo 1.2.3.4 x >> /etc/hosts' 2>/dev/null") !=
		0);
	MUST(gethostname(name, sizeof name));
	snprintf(line, sizeof line, "getent hosts %s.invalid", name);
	CHECK(talk_code(&kit, listed, line) != 0);
	CHECK(connects(listed, "127.0.0.1", KIT_PORT));
	drop(listed);

	json_auto_t *wrong = json_pack("[s]", "*.example.org");
	struct kit_call *refused = kit_make_from(
		&kit, &calls, &(struct provider_spec){ .network = NETWORK_ALLOW, .allow = wrong });
	kit_await(&kit, &calls);
	CHECK_INT(refused->err.code, ERR_INVALID);
}

/* ---- what is limited ---- */

static void is_limited_in_memory(void)
{
	int code = talk_code(&kit, id, "python3 -c 'x = bytearray(400 << 20)'");
	CHECK(code != 0);
	/* Also where it is shared memory or a file in memory. */
	talk_code(&kit, id,
		"head -c 400M /dev/zero > /dev/shm/x; sudo sh -c "
		"'head -c 400M /dev/zero > /run/x'");
	CHECK_INT(talk_code(&kit, neighbour, "true"), 0);
	for (int tries = 0; tries < 100 && talk_code(&kit, id, "true") != 0; tries++)
		poll(NULL, 0, 100);
	CHECK_INT(talk_code(&kit, id, "rm -f /dev/shm/x; sudo rm -f /run/x"), 0);
}

static void is_limited_in_processes(void)
{
	CHECK_INT(python("import os, signal, sys\n"
			 "children = []\n"
			 "try:\n"
			 "  for i in range(1000):\n"
			 "    pid = os.fork()\n"
			 "    if pid == 0: signal.pause()\n"
			 "    children.append(pid)\n"
			 "except OSError as e: pass\n"
			 "for c in children: os.kill(c, 9); os.waitpid(c, 0)\n"
			 "sys.exit(len(children) < 64 and 7)"),
		7);
	CHECK_INT(talk_code(&kit, neighbour, "true"), 0);
	CHECK_INT(talk_code(&kit, id, "true"), 0);
}

static void is_limited_on_disk(void)
{
	CHECK(talk_code(&kit, id, "head -c 200M /dev/zero > /workspace/big 2>/dev/null") != 0);
	CHECK_INT(talk_code(&kit, neighbour, "head -c 1M /dev/zero > /workspace/small"), 0);
	CHECK_INT(talk_code(&kit, id, "rm /workspace/big && echo > /workspace/x"), 0);
}

static void is_limited_in_files(void)
{
	CHECK_INT(python("import os, sys\n"
			 "made, code = 0, 0\n"
			 "try:\n"
			 "  for made in range(100000): open('/tmp/f%d' % made, 'w').close()\n"
			 "except OSError as e: code = e.errno == 28 and 7\n"
			 "for i in range(made): os.unlink('/tmp/f%d' % i)\n"
			 "sys.exit(code)"),
		7);
	CHECK_INT(talk_code(&kit, neighbour, "touch /tmp/x"), 0);
	CHECK_INT(talk_code(&kit, id, "touch /tmp/x"), 0);
}

/* Whoever filled the disk with files must still be able to remove them, after a restart, too. */
static void runs_commands_without_an_inode_left(void)
{
	const struct sandbox_limits limits = { .memory_mb = 128, .disk_mb = 64, .pids = 64 };
	const char *full = make((struct provider_spec){ .limits = limits });
	struct kit_call *call;
	char out[64];

	talk_code(&kit, full,
		"python3 -c 'for i in range(100000): open(\"/tmp/f%d\" % i, \"w\").close()' "
		"2>/dev/null");
	CHECK_INT(talk_output(&kit, full, "df --output=iavail /tmp | tail -n 1 | tr -d ' '", out,
			  sizeof out),
		0);
	CHECK(atol(out) < 8);
	call = kit_call(&kit, &calls, full);
	kit.provider->pause(kit.provider, full, true, kit_done, call);
	kit_await(&kit, &calls);
	call = kit_call(&kit, &calls, full);
	kit.provider->resume(kit.provider, full, kit_done, call);
	kit_await(&kit, &calls);
	CHECK_INT(call->err.code, 0);
	CHECK_INT(talk_code(&kit, full, "find /tmp -name 'f*' -delete && touch /tmp/x"), 0);
	drop(full);
}

static void closes(void)
{
	drop(id);
	drop(neighbour);
	kit_close(&kit);
	scratch_leave(&scratch);
}

static int on_host(const char *command)
{
	const char *argv[] = { "sh", "-c", command, NULL };
	const struct program program = { .path = "/bin/sh", .argv = argv, .timeout_ms = 10 * 1000 };

	return program_run(&program, NULL);
}

/* Until it is as wanted, or too late. */
static bool comes_to(bool wanted, const char *from, const char *address, uint16_t port)
{
	for (int turn = 0; turn < 100; turn++) {
		if (connects(from, address, port) == wanted)
			return true;
		kit_run_for(&kit, 50);
	}
	return false;
}

/* On a network of its own, with a neighbour that is there all the time. */
static void keeps_new_addresses_of_the_host_out_of_reach(void)
{
	uint16_t port;

	MUST(unshare(CLONE_NEWNET));
	CHECK_INT(on_host("ip link set lo up && ip route add local 198.51.100.0/24 dev lo"), 0);
	scratch = scratch_enter();
	MUST(kit_open(&kit, scratch.dir, 0));
	int fd = listen_everywhere(&port);
	const char *running = make((struct provider_spec){ .template_id = NULL });
	CHECK(connects(running, "198.51.100.7", port));
	CHECK_INT(on_host("ip address add 198.51.100.1/24 dev lo"), 0);
	CHECK(comes_to(false, running, "198.51.100.7", port));
	CHECK(!connects(running, "198.51.100.1", port));
	CHECK_INT(on_host("ip address del 198.51.100.1/24 dev lo && "
			  "ip route replace local 198.51.100.0/24 dev lo"),
		0);
	CHECK(comes_to(true, running, "198.51.100.7", port));
	drop(running);
	close(fd);
	kit_close(&kit);
	scratch_leave(&scratch);
}

TESTS(CASE(opens), CASE(shows_no_file_of_the_host), CASE(makes_root_inside_nobody_outside),
	CASE(refuses_kernel_interfaces), CASE(refuses_system_calls),
	CASE(keeps_the_host_and_its_networks_out_of_reach), CASE(has_no_way_out_without_a_network),
	CASE(reaches_with_a_list_only_what_is_on_it), CASE(is_limited_in_memory),
	CASE(is_limited_in_processes), CASE(is_limited_on_disk), CASE(is_limited_in_files),
	CASE(runs_commands_without_an_inode_left), CASE(closes),
	CASE(keeps_new_addresses_of_the_host_out_of_reach))
