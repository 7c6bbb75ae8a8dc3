#include "account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum { ENTRY_FIRST = 1024, ENTRY_MAX = 1024 * 1024, GROUPS_FIRST = 64, GROUPS_MAX = 65536 };

static int find_entry(const char *name, struct passwd *entry, char **texts, struct err *err)
{
	struct passwd *found = NULL;
	int sysno = ERANGE;

	for (size_t size = ENTRY_FIRST; sysno == ERANGE && size <= ENTRY_MAX; size *= 2) {
		*texts = alloc_grow(*texts, size);
		sysno = getpwnam_r(name, entry, *texts, size, &found);
	}
	if (found)
		return 0;
	errno = sysno;
	if (sysno == ERANGE || sysno == EIO || sysno == EMFILE || sysno == ENFILE)
		return err_sys(err, "look up the user %.64s", name);
	return err_set(err, ERR_INVALID, "there is no user %.64s", name);
}

static int find_groups(struct account *account, struct err *err)
{
	for (int max = GROUPS_FIRST; max <= GROUPS_MAX; max *= 2) {
		int count = max;
		account->groups = alloc_grow(account->groups, (size_t)max * sizeof(gid_t));
		if (getgrouplist(account->name, account->gid, account->groups, &count) >= 0) {
			account->groups_len = (size_t)count;
			return 0;
		}
	}
	return err_set(err, ERR_LIMIT, "the user %.64s is in more than %d groups", account->name,
		GROUPS_MAX);
}

int account_find(const char *name, struct account **out, struct err *err)
{
	AUTO_FREE char *texts = NULL;
	struct passwd entry;

	if (find_entry(name, &entry, &texts, err) < 0)
		return -1;
	struct account *account = alloc_zero(sizeof *account);
	*account = (struct account){
		.uid = entry.pw_uid,
		.gid = entry.pw_gid,
		.name = alloc_text(entry.pw_name),
		.home = alloc_text(*entry.pw_dir ? entry.pw_dir : "/"),
		.shell = alloc_text(*entry.pw_shell ? entry.pw_shell : "/bin/sh"),
	};
	if (find_groups(account, err) < 0) {
		account_free(account);
		return -1;
	}
	*out = account;
	return 0;
}

void account_free(struct account *account)
{
	if (!account)
		return;
	free(account->groups);
	free(account->name);
	free(account->home);
	free(account->shell);
	free(account);
}
