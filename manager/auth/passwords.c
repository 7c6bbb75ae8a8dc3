#include "passwords.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

#define METHOD "$y$"

/* Nobody's, of the cost that new ones get. */
#define NOBODY "$y$j9T$OmBCUQ/fBXAq0XTpNHT/J.$Bq8WsyLEZfZrOJPGoQIJvll.QruKa19OMvQKfeCELy."

_Static_assert(PASSWORD_MAX < CRYPT_MAX_PASSPHRASE_SIZE, "libcrypt takes every password");

/* What crypt(3) makes of both, which the caller frees; NULL where it cannot. */
static char *crypt_text(const char *password, const char *setting)
{
	struct crypt_data *data = alloc_zero(sizeof *data);
	const char *hash = crypt_rn(password, setting, data, sizeof *data);
	char *copy = hash ? alloc_text(hash) : NULL;

	explicit_bzero(data, sizeof *data);
	free(data);
	return copy;
}

int password_hash(const char *password, char **hash, struct err *err)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	size_t len = strlen(password);

	if (len == 0 || len > PASSWORD_MAX || strpbrk(password, "\r\n"))
		return err_set(
			err, ERR_INVALID, "a password is one line of 1 to %d bytes", PASSWORD_MAX);
	if (!crypt_gensalt_rn(METHOD, 0, NULL, 0, setting, sizeof setting))
		return err_sys(err, "make a salt for yescrypt");
	char *made = crypt_text(password, setting);
	if (!made)
		return err_sys(err, "hash the password");
	*hash = made;
	return 0;
}

bool password_check(const char *password, const char *hash)
{
	if (strlen(password) > PASSWORD_MAX)
		return false;
	AUTO_FREE char *made = crypt_text(password, hash ? hash : NOBODY);
	size_t len = made ? strlen(made) : 0;

	return made && hash && len == strlen(hash) && CRYPTO_memcmp(made, hash, len) == 0;
}
