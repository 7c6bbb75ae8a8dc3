#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum { TOKEN_MIN = 16, TOKEN_MAX = 1024 };

struct secret {
	const char *file;
	char token[TOKEN_MAX + 1];
	size_t len; /* 0: none (yet) */
	bool guarded;
	unsigned generation;
	struct timespec mtime; /* of the file that was read */
	ino_t inode;
	off_t size;
};

static bool is_token_char(char c)
{
	return c > ' ' && c < 0x7F;
}

static int check_token(const char *token, struct err *err)
{
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++) {
		if (!is_token_char(token[i]))
			return err_set(err, ERR_INVALID,
				"--token may hold visible ASCII characters only");
	}
	if (len < TOKEN_MIN || len > TOKEN_MAX)
		return err_set(err, ERR_INVALID,
			"--token has to be %d to %d characters long; a good one: openssl rand "
			"-base64 32",
			TOKEN_MIN, TOKEN_MAX);
	return 0;
}

/* The random key of a server without a token, made at its first start. */
static int load_key(struct secret *secret, int state_fd, struct err *err)
{
	unsigned char key[KEY_BYTES];
	AUTO_CLOSE int fd = openat(state_fd, "key", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && read(fd, key, sizeof key) == sizeof key) {
		memcpy(secret->token, key, sizeof key);
		secret->len = sizeof key;
		return 0;
	}
	if (getrandom(key, sizeof key, 0) != sizeof key)
		return err_sys(err, "get random bytes");
	AUTO_CLOSE int out =
		openat(state_fd, "key", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0 || write(out, key, sizeof key) != sizeof key)
		return err_sys(err, "write the file 'key' in the state directory");
	memcpy(secret->token, key, sizeof key);
	secret->len = sizeof key;
	return 0;
}

int secret_new(const char *token, const char *token_file, int state_fd, struct secret **out,
	struct err *err)
{
	AUTO_FREE struct secret *secret = alloc_zero(sizeof *secret);

	secret->guarded = token || token_file;
	secret->file = token_file;
	if (token && token_file)
		return err_set(err, ERR_INVALID, "give --token or --token-file, not both");
	if (token && check_token(token, err) < 0)
		return -1;
	if (token) {
		secret->len = strlen(token);
		memcpy(secret->token, token, secret->len);
	} else if (!token_file && load_key(secret, state_fd, err) < 0) {
		return -1;
	}
	*out = steal_ptr(&secret);
	return 0;
}

void secret_free(struct secret *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret, sizeof *secret);
	free(secret);
}

bool secret_guarded(const struct secret *secret)
{
	return secret->guarded;
}

unsigned secret_generation(const struct secret *secret)
{
	return secret->generation;
}

/* 43 base64url characters (256 bits) and a newline; anything else is a token half written. */
static bool whole(const char *text, ssize_t n)
{
	if (n != TOKEN_FILE_CHARS + 1 || text[TOKEN_FILE_CHARS] != '\n')
		return false;
	for (size_t i = 0; i < TOKEN_FILE_CHARS; i++) {
		char c = text[i];
		bool good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '_';
		if (!good)
			return false;
	}
	return true;
}

static void read_file(struct secret *secret)
{
	char text[TOKEN_FILE_CHARS + 2];
	AUTO_CLOSE int fd = open(secret->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (!whole(text, n)) {
		secret->len = 0;
		return;
	}
	if (secret->len != TOKEN_FILE_CHARS || memcmp(secret->token, text, secret->len) != 0)
		secret->generation++;
	memcpy(secret->token, text, TOKEN_FILE_CHARS);
	secret->len = TOKEN_FILE_CHARS;
}

bool secret_ready(struct secret *secret)
{
	struct stat st;

	if (!secret->file)
		return true;
	if (stat(secret->file, &st) < 0) {
		secret->len = 0;
		return false;
	}
	bool same = st.st_ino == secret->inode && st.st_size == secret->size &&
		    st.st_mtim.tv_sec == secret->mtime.tv_sec &&
		    st.st_mtim.tv_nsec == secret->mtime.tv_nsec;
	if (!same || secret->len == 0) {
		read_file(secret);
		secret->inode = st.st_ino;
		secret->size = st.st_size;
		secret->mtime = st.st_mtim;
	}
	return secret->len > 0;
}

bool secret_matches(const struct secret *secret, const char *token)
{
	return secret->len > 0 && strlen(token) == secret->len &&
	       memeql_sec(token, secret->token, secret->len);
}

void secret_mac(const struct secret *secret, const char *label, const void *bytes, size_t len,
	unsigned char mac[KEY_BYTES])
{
	static const uint8_t no_salt[KEY_BYTES];
	struct hmac_sha256_ctx ctx;
	uint8_t extracted[KEY_BYTES], key[KEY_BYTES];

	/* HKDF, RFC 5869: extract with a salt of zeroes, expand with the label. */
	hmac_sha256_set_key(&ctx, sizeof no_salt, no_salt);
	hkdf_extract(&ctx, (nettle_hash_update_func *)hmac_sha256_update,
		(nettle_hash_digest_func *)hmac_sha256_digest, sizeof extracted, secret->len,
		(const uint8_t *)secret->token, extracted);
	hmac_sha256_set_key(&ctx, sizeof extracted, extracted);
	hkdf_expand(&ctx, (nettle_hash_update_func *)hmac_sha256_update,
		(nettle_hash_digest_func *)hmac_sha256_digest, KEY_BYTES, strlen(label),
		(const uint8_t *)label, sizeof key, key);
	hmac_sha256_set_key(&ctx, sizeof key, key);
	hmac_sha256_update(&ctx, len, bytes);
	hmac_sha256_digest(&ctx, KEY_BYTES, mac);
	explicit_bzero(extracted, sizeof extracted);
	explicit_bzero(key, sizeof key);
	explicit_bzero(&ctx, sizeof ctx);
}
