#include "jwt_secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base64.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "slurp.h"

#define NAME "jwt.secret"
#define DRAFT "jwt.secret.new"

enum { SECRET_BYTES = 32, SECRET_TEXT = 43 };

static int read_secret(int fd, struct jwt_key **out, struct err *err)
{
	struct stat st;
	size_t len;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "read " NAME);
	if ((st.st_mode & 077) != 0)
		return err_set(err, ERR_DENIED,
			"others may read " NAME
			", which signs every token: chmod 600 it, or delete "
			"it to get a new one");
	AUTO_FREE char *text = slurp_fd(fd, JWT_SECRET_MAX + 1, &len);
	if (!text)
		return err_set(err, ERR_IO, NAME " cannot be read: delete it to get a new one");
	int failed = jwt_key_secret(text, strcspn(text, "\r\n"), out, err);
	explicit_bzero(text, len);
	return failed ? err_wrap(err, NAME) : 0;
}

static int write_draft(int dir, const char *text, size_t len, struct err *err)
{
	AUTO_CLOSE int fd =
		openat(dir, DRAFT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0)
		return err_sys(err, "write " DRAFT);
	return 0;
}

/* Under another name first, so that what bears the name is whole. */
static int make_secret(int dir, struct err *err)
{
	unsigned char random[SECRET_BYTES];
	AUTO_BUF struct buf text = BUF_INIT(SECRET_TEXT + 1);

	if (getrandom(random, sizeof random, 0) != sizeof random)
		return err_sys(err, "get random bytes");
	base64url_add(&text, random, sizeof random);
	buf_add_char(&text, '\n');
	int failed = write_draft(dir, text.data, text.len, err);
	if (!failed && (renameat(dir, DRAFT, dir, NAME) < 0 || fsync(dir) < 0))
		failed = err_sys(err, "make " NAME);
	explicit_bzero(random, sizeof random);
	explicit_bzero(text.data, text.len);
	return failed;
}

static int load(int dir, struct jwt_key **out, struct err *err)
{
	for (bool made = false;; made = true) {
		AUTO_CLOSE int fd =
			openat(dir, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd >= 0)
			return read_secret(fd, out, err);
		if (made || errno != ENOENT)
			return err_sys(err, "open " NAME);
		if (make_secret(dir, err) < 0)
			return -1;
	}
}

int jwt_secret_load(const char *data_dir, struct jwt_key **out, struct err *err)
{
	AUTO_CLOSE int dir = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(err, "open the data directory %s", data_dir);
	return load(dir, out, err) < 0 ? err_wrap(err, "%s", data_dir) : 0;
}
