#include "host_template.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "site.h"
#include "template.h"
#include "tree.h"
#include "usr_mask.h"

static const struct {
	const char *path;
	mode_t mode;
	uid_t owner;
} dirs[] = {
	{ "", 0755, 0 },
	{ "dev", 0755, 0 },
	{ "etc", 0755, 0 },
	{ "etc/pam.d", 0755, 0 },
	{ "etc/security", 0755, 0 },
	{ "etc/ssl", 0755, 0 },
	{ "etc/sudoers.d", 0755, 0 },
	{ "home", 0755, 0 },
	{ "home/user", 0755, USER_ID },
	{ "mnt", 0755, 0 },
	{ "opt", 0755, 0 },
	{ "proc", 0755, 0 },
	{ "root", 0700, 0 },
	{ "run", 0755, 0 },
	{ "srv", 0755, 0 },
	{ "sys", 0755, 0 },
	{ "tmp", 01777, 0 },
	{ "usr", 0755, 0 },
	{ "var", 0755, 0 },
	{ "var/cache", 0755, 0 },
	{ "var/lib", 0755, 0 },
	{ "var/log", 0755, 0 },
	{ "var/tmp", 01777, 0 },
	{ "workspace", 0755, USER_ID },
};

static const struct {
	const char *path;
	mode_t mode;
	const char *text;
} files[] = {
	{ "etc/passwd", 0644,
		"root:x:0:0:root:/root:/bin/bash\n"
		"daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
		"bin:x:2:2:bin:/bin:/usr/sbin/nologin\n"
		"sys:x:3:3:sys:/dev:/usr/sbin/nologin\n"
		"man:x:6:12:man:/var/cache/man:/usr/sbin/nologin\n"
		"mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n"
		"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n"
		"_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
		"user:x:1000:1000:user:/home/user:/bin/bash\n"
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n" },
	{ "etc/group", 0644,
		"root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\n"
		"mail:x:8:\nman:x:12:\nsudo:x:27:user\nwww-data:x:33:\nutmp:x:43:\n"
		"staff:x:50:\nusers:x:100:\nuser:x:1000:\nnogroup:x:65534:\n" },
	{ "etc/shadow", 0640, "root:*:19000:0:99999:7:::\nuser:*:19000:0:99999:7:::\n" },
	{ "etc/gshadow", 0640, "root:*::\nsudo:*::user\nuser:!::\n" },
	{ "etc/sudoers", 0440,
		"Defaults env_reset, !lecture, !fqdn\n"
		"Defaults secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
		"/sbin:/bin\"\n"
		"root ALL=(ALL:ALL) ALL\n"
		"user ALL=(ALL:ALL) NOPASSWD: ALL\n" },
	/* Whoever is here is to be root when he asks. */
	{ "etc/pam.d/sudo", 0644,
		"auth sufficient pam_permit.so\naccount sufficient pam_permit.so\n"
		"session sufficient pam_permit.so\n" },
	{ "etc/pam.d/su", 0644,
		"auth sufficient pam_rootok.so\nauth required pam_deny.so\n"
		"account sufficient pam_permit.so\nsession sufficient pam_permit.so\n" },
	{ "etc/pam.d/other", 0644,
		"auth required pam_deny.so\naccount required pam_deny.so\n"
		"password required pam_deny.so\nsession required pam_deny.so\n" },
	{ "etc/nsswitch.conf", 0644,
		"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
		"networks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n" },
	{ "etc/hosts", 0644, "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost\n" },
	{ "etc/hostname", 0644, "sandbox\n" },
	{ "etc/resolv.conf", 0644, "" },
	{ "etc/host.conf", 0644, "multi on\n" },
	{ "etc/shells", 0644, "/bin/sh\n/bin/bash\n/usr/bin/bash\n" },
	{ "etc/environment", 0644, "" },
	{ "etc/profile", 0644,
		"if [ \"$(id -u)\" = 0 ]; then\n"
		"\tPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
		"fi\n"
		"export PATH\n"
		"if [ -n \"$BASH\" ] && [ \"$BASH\" != /bin/sh ] && [ -f /etc/bash.bashrc ]; then\n"
		"\t. /etc/bash.bashrc\n"
		"fi\n" },
	{ "home/user/.bashrc", 0644,
		"case $- in *i*) ;; *) return ;; esac\n"
		"PS1='\\u@\\h:\\w\\$ '\n" },
	{ "home/user/.profile", 0644, "[ -f ~/.bashrc ] && . ~/.bashrc\n" },
};

/* Of the host's /etc, what everybody may read and programs of its /usr expect. */
static const char *const copied[] = {
	"etc/alternatives",
	"etc/bash.bashrc",
	"etc/ca-certificates",
	"etc/ca-certificates.conf",
	"etc/debian_version",
	"etc/fonts",
	"etc/inputrc",
	"etc/java",
	"etc/ld.so.cache",
	"etc/ld.so.conf",
	"etc/ld.so.conf.d",
	"etc/localtime",
	"etc/login.defs",
	"etc/magic",
	"etc/magic.mime",
	"etc/mime.types",
	"etc/nanorc",
	"etc/os-release",
	"etc/perl",
	"etc/protocols",
	"etc/python3",
	"etc/python3.11",
	"etc/rpc",
	"etc/services",
	"etc/skel",
	"etc/ssl/certs",
	"etc/ssl/openssl.cnf",
	"etc/terminfo",
	"etc/timezone",
	"etc/vim",
	"etc/wgetrc",
};

static const char *const links[] = { "bin", "lib", "lib32", "lib64", "libx32", "sbin" };

static char *join(const char *dir, const char *name)
{
	return alloc_printf("%s/%s", dir, name);
}

/* /bin and its like, where they are links into /usr as on every merged system. */
static int make_links(const char *dir, struct err *err)
{
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		struct stat st;
		AUTO_FREE char *from = join("", links[i]);
		AUTO_FREE char *to = join(dir, links[i]);
		if (lstat(from, &st) < 0)
			continue;
		if (!S_ISLNK(st.st_mode))
			return err_set(err, ERR_CONFLICT,
				"the template 'host' needs a merged /usr, and here %s is a "
				"directory of its own: build another template",
				from);
		if (tree_copy_public(from, to, err) < 0)
			return -1;
	}
	return 0;
}

static int fill(const char *dir, struct err *err)
{
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		AUTO_FREE char *path = join(dir, dirs[i].path);
		if (tree_make_dir(path, dirs[i].mode, dirs[i].owner, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		AUTO_FREE char *path = join(dir, files[i].path);
		uid_t owner = strncmp(files[i].path, "home/", 5) == 0 ? USER_ID : 0;
		if (tree_write(path, files[i].text, files[i].mode, owner, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
		AUTO_FREE char *from = join("", copied[i]);
		AUTO_FREE char *to = join(dir, copied[i]);
		if (tree_copy_public(from, to, err) < 0)
			return -1;
	}
	return make_links(dir, err);
}

/* A name for the state of the machine's packages. */
static void version_of(char out[64])
{
	struct stat dpkg = { .st_size = 0 }, usr = { .st_size = 0 }, bin = { .st_size = 0 };

	stat("/var/lib/dpkg/status", &dpkg);
	stat("/usr", &usr);
	stat("/usr/bin", &bin);
	snprintf(out, 64, "%llx-%llx-%llx", (long long)dpkg.st_mtim.tv_sec,
		(long long)usr.st_mtim.tv_sec, (long long)bin.st_mtim.tv_sec);
}

/*
 * Where ids cannot be shifted, files of the host's root are nobody's inside, and sudo, which must
 * be root's, needs copies of its own.
 */
static int copy_sudo(const char *mask, struct err *err)
{
	static const char *const parts[] = { "bin", "bin/sudo", "libexec", "libexec/sudo", "lib",
		"lib/sudo" };

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i += 2) {
		AUTO_FREE char *parent = join(mask, parts[i]);
		AUTO_FREE char *from = join("/usr", parts[i + 1]);
		AUTO_FREE char *to = join(mask, parts[i + 1]);
		if (access(from, R_OK) == 0 && (tree_make_dir(parent, 0755, 0, err) < 0 ||
						       tree_copy_public(from, to, err) < 0))
			return -1;
	}
	return 0;
}

/* All of it is to be root's inside. */
static int hand_over(const struct site *site, const char *draft, const char *mask, struct err *err)
{
	AUTO_FREE char *sudo = join(mask, "bin/sudo");

	if (copy_sudo(mask, err) < 0 || tree_shift(draft, site_first_id(site, 0), err) < 0)
		return -1;
	if (chmod(sudo, 04755) < 0 && errno != ENOENT)
		return err_sys(err, "make %s", sudo);
	return 0;
}

static int make(const struct site *site, const char *dir, struct err *err)
{
	AUTO_FREE char *draft = alloc_printf("%s.new", dir);
	AUTO_FREE char *skeleton = join(draft, "skeleton");
	AUTO_FREE char *mask = join(draft, "usr");

	if (tree_remove(draft, err) < 0 || tree_make_dir(draft, 0755, 0, err) < 0 ||
		fill(skeleton, err) < 0 || usr_mask_make("/usr", mask, err) < 0)
		return -1;
	if (site->rootless && hand_over(site, draft, mask, err) < 0)
		return -1;
	return rename(draft, dir) < 0 ? err_sys(err, "make %s", dir) : 0;
}

int host_template_find(const struct site *site, struct template *out, struct err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	AUTO_FREE char *base = join(site->templates, "host");
	char version[64];
	int result = 0;

	version_of(version);
	AUTO_FREE char *dir = join(base, version);
	pthread_mutex_lock(&lock);
	if (access(dir, F_OK) < 0) {
		result = tree_make_dir(base, 0755, 0, err);
		if (result == 0)
			result = make(site, dir, err);
	}
	pthread_mutex_unlock(&lock);
	if (result < 0)
		return err_wrap(err, "template host");
	out->layers[out->layers_len++] = join(dir, "skeleton");
	out->usr_mask = join(dir, "usr");
	return 0;
}
