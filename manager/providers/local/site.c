#include "site.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "program.h"
#include "err.h"
#include "runtime.h"
#include "slurp.h"
#include "tools.h"
#include "tree.h"

static int need(const char *program, const char *package, char **out, struct err *err)
{
	*out = program_find(program);
	if (*out)
		return 0;
	return err_set(err, ERR_NOT_FOUND, "%s is not here; install it: apt-get install %s",
		program, package);
}

static int find_named(struct site *site, const char *named, struct err *err)
{
	if (need(named, named, &site->runtime, err) < 0)
		return -1;
	const char *why = runtime_unfit(site->runtime, &site->cgroups);
	return why ? err_set(err, ERR_CONFLICT, "%s", why) : 0;
}

/* crun wants the unified hierarchy alone; runc takes any. */
static int find_runtime(struct site *site, const char *named, struct err *err)
{
	const char *const both[] = { "crun", "runc" };

	if (named)
		return find_named(site, named, err);
	for (size_t i = site->cgroups.kind == CGROUP_V2 ? 0 : 1; i < 2; i++) {
		site->runtime = program_find(both[i]);
		if (site->runtime)
			return 0;
	}
	return err_set(
		err, ERR_NOT_FOUND, "there is no OCI runtime; install one: apt-get install runc");
}

static int find_programs(struct site *site, const char *runtime, struct err *err)
{
	if (find_runtime(site, runtime, err) < 0 ||
		need("slirp4netns", "slirp4netns", &site->slirp, err) < 0 ||
		need("nft", "nftables", &site->nft, err) < 0)
		return -1;
	if (!site->rootless && need("mkfs.ext4", "e2fsprogs", &site->mkfs, err) < 0)
		return -1;
	return 0;
}

static int make_dirs(struct site *site, struct err *err)
{
	char *const dirs[] = { site->boxes, site->state, site->disks, site->templates };

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		if (tree_make_dir(dirs[i], 0700, 0, err) < 0)
			return -1;
	return site->rootless ? 0 : tree_make_dir(site->stage, 0755, 0, err);
}

/* How many ids there are for this process: all, or in a user namespace fewer. */
static uint64_t count_ids(void)
{
	AUTO_FREE char *map = slurp("/proc/self/uid_map", 4096, NULL);
	uint64_t all = 0;
	unsigned count;

	for (const char *at = map; at && *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (sscanf(at, "%*u %*u %u", &count) == 1)
			all += count;
	return all;
}

/* Whether this is root, and of enough: one id is the manager's, the rest the sandboxes'. */
static int check_ids(uint64_t ids, struct err *err)
{
	if (geteuid() != 0)
		return err_set(err, ERR_DENIED,
			"sandboxes of this machine are made by root, or in a user namespace");
	if (ids <= ID_RANGE)
		return err_set(err, ERR_DENIED,
			"this user namespace has %llu ids, and sandboxes need %d and one: start the "
			"manager outside of it, or map more",
			(unsigned long long)ids, ID_RANGE);
	return 0;
}

int site_open(const struct site_options *options, struct site *out, struct err *err)
{
	const char *data = options->data_dir;
	uint64_t ids = count_ids();
	struct site site = { .data = alloc_text(data),
		.boxes = alloc_printf("%s/sandboxes", data),
		.state = alloc_printf("%s/oci", data),
		.disks = alloc_printf("%s/disks", data),
		.templates = alloc_printf("%s/templates", data),
		.rootless = ids < UINT32_MAX,
		.port = options->port };
	AUTO_FREE char *runtime = alloc_printf("%s/runtime", data);

	/* Covered in the mount namespaces of sandboxes that start, and nowhere else. */
	const char *empty = strncmp(data, "/media/", 7) == 0 ? "/mnt" : "/media";
	site.stage = alloc_text(site.rootless ? empty : "/run/sandbox-stage");
	cgroups_probe(&site.cgroups);
	if (check_ids(ids, err) < 0 || make_dirs(&site, err) < 0 ||
		find_programs(&site, options->oci_runtime, err) < 0 ||
		tree_make_dir(runtime, 0700, 0, err) < 0 ||
		tools_install(runtime, &site.tools, &site.loader, err) < 0) {
		site_close(&site);
		return -1;
	}
	*out = site;
	return 0;
}

void site_close(struct site *site)
{
	char *const texts[] = { site->data, site->boxes, site->state, site->disks, site->templates,
		site->tools, site->loader, site->stage, site->runtime, site->slirp, site->nft,
		site->mkfs };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	*site = (struct site){ .port = 0 };
}
