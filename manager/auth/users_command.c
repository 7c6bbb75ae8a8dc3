#include "users_command.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"
#include "passwords.h"
#include "prompt.h"
#include "store.h"
#include "user_name.h"

#define USAGE                                                                                \
	"usage: sandbox-manager user add NAME [--admin] [--password-file FILE] | user ls | " \
	"user rm NAME"
#define AUTO_STORE __attribute__((cleanup(close_store)))

struct request {
	char *name;
	const char *password_file; /* or NULL: ask */
	bool admin;
};

static void close_store(struct store **store)
{
	store_close(*store);
}

static int usage(struct err *err)
{
	return err_set(err, ERR_INVALID, USAGE);
}

/* ---- The password ---- */

/* Its one line, with or without an end. */
static int read_password(int fd, char *out, size_t size, struct err *err)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = read(fd, out + len, size - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return err_sys(err, "read the password file");
		len += n > 0 ? (size_t)n : 0;
	}
	if (len > 0 && out[len - 1] == '\n')
		len--;
	if (len > 0 && out[len - 1] == '\r')
		len--;
	if (len >= size - 1 || memchr(out, '\0', len))
		return err_set(err, ERR_INVALID,
			"the password file has to hold one line of 1 to %d bytes", PASSWORD_MAX);
	out[len] = '\0';
	return 0;
}

static int read_password_file(const char *path, char *out, size_t size, struct err *err)
{
	if (strcmp(path, "-") == 0)
		return read_password(STDIN_FILENO, out, size, err);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? err_sys(err, "open the password file %s", path)
		      : read_password(fd, out, size, err);
}

static int ask_password(const char *name, char *out, size_t size, struct err *err)
{
	AUTO_FREE char *question = alloc_printf("Password for %s: ", name);
	char again[PASSWORD_MAX + 1];

	if (prompt_secret(question, out, size, err) < 0 ||
		prompt_secret("The same again: ", again, sizeof again, err) < 0)
		return -1;
	bool same = strcmp(out, again) == 0;
	explicit_bzero(again, sizeof again);
	return same ? 0 : err_set(err, ERR_INVALID, "the two passwords differ: try again");
}

static int get_hash(const struct request *request, char **hash, struct err *err)
{
	char password[PASSWORD_MAX + 3]; /* the line's end, and one that is too many */
	int failed =
		request->password_file
			? read_password_file(request->password_file, password, sizeof password, err)
			: ask_password(request->name, password, PASSWORD_MAX + 1, err);

	if (!failed)
		failed = password_hash(password, hash, err);
	explicit_bzero(password, sizeof password);
	return failed;
}

/* ---- The commands ---- */

static int parse_add(int argc, char **argv, struct request *out, struct err *err)
{
	for (int i = 0; i < argc; i++) {
		static const char file[] = "--password-file";
		size_t n = sizeof file - 1;

		if (strcmp(argv[i], "--admin") == 0)
			out->admin = true;
		else if (strcmp(argv[i], file) == 0 && i + 1 < argc)
			out->password_file = argv[++i];
		else if (strncmp(argv[i], file, n) == 0 && argv[i][n] == '=')
			out->password_file = argv[i] + n + 1;
		else if (argv[i][0] == '-' || out->name)
			return usage(err);
		else
			out->name = argv[i];
	}
	return out->name ? user_name_check(out->name, err) : usage(err);
}

static int add(int argc, char **argv, const char *url, struct err *err)
{
	AUTO_STORE struct store *store = NULL;
	AUTO_FREE char *hash = NULL;
	struct request request = { 0 };
	struct user old = { 0 };

	if (parse_add(argc, argv, &request, err) < 0 || store_open(NULL, url, &store, err) < 0 ||
		get_hash(&request, &hash, err) < 0)
		return -1;
	bool known = store_user(store, request.name, &old, NULL) == 0;
	user_release(&old);
	if (store_put_user(store, &(struct user){ request.name, hash, request.admin }, err) < 0)
		return -1;
	printf("%s %s%s\n", known ? "changed" : "added", request.name,
		request.admin ? " (admin)" : "");
	return 0;
}

static void print_user(struct user *user, void *data)
{
	(void)data;
	printf("%s%s\n", user->name, user->admin ? " (admin)" : "");
}

static int list(const char *url, struct err *err)
{
	AUTO_STORE struct store *store = NULL;

	if (store_open(NULL, url, &store, err) < 0)
		return -1;
	return store_users(store, print_user, NULL, err);
}

static int forget(const char *name, const char *url, struct err *err)
{
	AUTO_STORE struct store *store = NULL;

	if (store_open(NULL, url, &store, err) < 0 || store_remove_user(store, name, err) < 0)
		return -1;
	printf("removed %s\n", name);
	return 0;
}

int users_command(int argc, char **argv, const char *database_url, struct err *err)
{
	const char *verb = argc > 0 ? argv[0] : "";

	if (strcmp(verb, "add") == 0)
		return add(argc - 1, argv + 1, database_url, err);
	if (strcmp(verb, "ls") == 0 && argc == 1)
		return list(database_url, err);
	if (strcmp(verb, "rm") == 0 && argc == 2)
		return forget(argv[1], database_url, err);
	return usage(err);
}
