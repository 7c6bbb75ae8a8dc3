#include "credentials.h"

#include "cleanup.h"
#include "err.h"
#include "jwt_secret.h"
#include "login.h"
#include "passwords.h"
#include "store.h"

#include "jwt_kit.h"
#include "scratch.h"
#include "test.h"

#define NOW 1000000
#define HS256 "{\"alg\":\"HS256\"}"
#define FINE "{\"sub\":\"eve\",\"exp\":1000100}"

static struct err err;
static struct identity who;

static struct credentials *open_with(struct credentials_setup setup)
{
	struct credentials *credentials = NULL;

	setup.data_dir = ".";
	if (credentials_new(&setup, &credentials, &err) < 0) {
		printf("Bail out! %s\n", err.msg);
		exit(99);
	}
	return credentials;
}

static enum credentials_verdict ask(
	const struct credentials *credentials, const char *authorization, const char *api_key)
{
	struct credentials_request request = { authorization, api_key, false, NOW };

	who = (struct identity){ 0 };
	err.msg[0] = '\0';
	return credentials_check(credentials, &request, &who, &err);
}

/* "Bearer TOKEN", valid until the next call. */
static const char *bearer(const char *token)
{
	static char text[JWT_MAX + 16];

	snprintf(text, sizeof text, "Bearer %s", token);
	return text;
}

static void a_key_is_taken_from_either_header(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials *c = open_with(
		(struct credentials_setup){ .api_keys = "eve:key-one,bob:looks.like.a-token" });

	CHECK(!credentials_open(c));
	CHECK_INT(ask(c, "Bearer key-one", NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "eve");
	CHECK(!who.admin);
	CHECK_INT(ask(c, "bearer   looks.like.a-token", NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "bob");
	CHECK_INT(ask(c, NULL, "key-one"), CREDENTIALS_FINE);
	CHECK_INT(ask(c, "Basic eDp5", "key-one"), CREDENTIALS_FINE);
	CHECK_INT(ask(c, "Bearer key-one", ""), CREDENTIALS_FINE);
	credentials_free(c);
}

static void what_is_wrong_is_refused_with_what_to_do(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials *c = open_with((struct credentials_setup){ .api_keys = "eve:key-one" });
	static const struct {
		const char *authorization, *api_key, *says;
	} cases[] = {
		{ NULL, NULL, "A credential is needed" },
		{ "", "", "A credential is needed" },
		{ NULL, "key-two", "API key is not known" },
		{ "Bearer key-one", "key-two", "API key is not known" },
		{ "Bearer key-two", NULL, "neither a JWT nor a known API key" },
		{ "Bearer", NULL, "has to be 'Bearer'" },
		{ "Bearer ", NULL, "has to be 'Bearer'" },
		{ "Bearerkey-one", NULL, "has to be 'Bearer'" },
		{ "key-one", NULL, "has to be 'Bearer'" },
		{ "Basic a2V5LW9uZQ==", NULL, "has to be 'Bearer'" },
		{ "Bearer a.b.c", NULL, "malformed" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CHECK_INT(ask(c, cases[i].authorization, cases[i].api_key), CREDENTIALS_REFUSED);
		CHECK_INT(err.code, ERR_DENIED);
		CHECK_TEXT(who.owner, "");
		CHECK(!strstr(err.msg, "key-"));
		if (!strstr(err.msg, cases[i].says))
			CHECK_TEXT(err.msg, cases[i].says);
	}
	credentials_free(c);
}

static void with_nothing_configured_there_is_one_owner(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials *c = open_with((struct credentials_setup){ 0 });
	struct credentials_request request = { .always = true, .now_s = NOW };

	CHECK(credentials_open(c));
	CHECK_INT(ask(c, NULL, NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "local");
	CHECK_INT(ask(c, "Bearer whatever", NULL), CREDENTIALS_REFUSED);
	CHECK_INT(ask(c, NULL, "whatever"), CREDENTIALS_REFUSED);
	/* Whoever has logged in is himself, and where that is asked for it is needed. */
	AUTO_FREE char *token =
		credentials_issue(c, &(struct identity){ "sandbox_test", false }, NOW, 60);
	CHECK_INT(ask(c, bearer(token), NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "sandbox_test");
	CHECK_INT(credentials_check(c, &request, &who, &err), CREDENTIALS_REFUSED);
	request.authorization = bearer(token);
	CHECK_INT(credentials_check(c, &request, &who, &err), CREDENTIALS_FINE);
	credentials_free(c);
}

static void each_kind_of_credential_closes_the_door(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials *closed[] = {
		open_with((struct credentials_setup){ .api_keys = "eve:key-one" }),
		open_with((struct credentials_setup){ .api_keys = "" }),
		open_with((struct credentials_setup){ .jwt_secret = KIT_SECRET }),
		open_with((struct credentials_setup){ .key_set = true, .audience = "sandbox" }),
	};

	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
		CHECK(!credentials_open(closed[i]));
		CHECK_INT(ask(closed[i], NULL, NULL), CREDENTIALS_REFUSED);
		credentials_free(closed[i]);
	}
}

static void a_configured_secret_signs_tokens(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials *c = open_with((struct credentials_setup){ .jwt_secret = KIT_SECRET });

	CHECK_INT(ask(c, bearer(kit_token(HS256, FINE, NULL)), NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "eve");
	CHECK_INT(ask(c,
			  bearer(kit_token(
				  HS256, "{\"sub\":\"r\",\"exp\":1000100,\"admin\":true}", NULL)),
			  NULL),
		CREDENTIALS_FINE);
	CHECK(who.admin);
	CHECK_INT(access("jwt.secret", F_OK), -1);
	/* A token is none of the keys. */
	CHECK_INT(ask(c, NULL, kit_token(HS256, FINE, NULL)), CREDENTIALS_REFUSED);
	credentials_free(c);
}

static void wrong_options_are_named(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials_setup setup = { .jwt_secret = "too short", .data_dir = "." };
	struct credentials *none = NULL;

	CHECK_INT(credentials_new(&setup, &none, &err), -1);
	CHECK(strstr(err.msg, "SANDBOX_JWT_SECRET: a secret for HS256 has 32"));
	CHECK(!strstr(err.msg, "too short"));
	setup = (struct credentials_setup){ .api_keys = "eve", .data_dir = "." };
	CHECK_INT(credentials_new(&setup, &none, &err), -1);
	CHECK(strstr(err.msg, "SANDBOX_API_KEYS"));
	setup = (struct credentials_setup){ .key_set = true, .data_dir = "." };
	CHECK_INT(credentials_new(&setup, &none, &err), -1);
	CHECK(strstr(err.msg, "SANDBOX_JWT_AUDIENCE"));
	setup = (struct credentials_setup){ .data_dir = "nowhere" };
	CHECK_INT(credentials_new(&setup, &none, &err), -1);
	CHECK(strstr(err.msg, "nowhere"));
	CHECK(!none);
}

static void set_keys(struct credentials *c, const EVP_PKEY *key, const char *kid)
{
	AUTO_BUF struct buf text = BUF_INIT(8192);

	buf_add_text(&text, "{\"keys\":[");
	kit_add_jwk(&text, key, kid);
	buf_add_text(&text, "]}");
	CHECK_INT(credentials_set_keys(c, text.data, text.len, &err), 0);
}

static void a_token_by_an_unknown_key_asks_for_a_newer_set(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	struct credentials *c =
		open_with((struct credentials_setup){ .key_set = true, .audience = "sandbox" });
	EVP_PKEY *key = kit_ec("P-256");
	AUTO_FREE char *text = NULL;
	const char *header = "{\"alg\":\"ES256\",\"kid\":\"b\"}";
	const char *fine = "{\"sub\":\"eve\",\"exp\":1000100,\"aud\":\"sandbox\"}";

	CHECK_INT(asprintf(&text, "Bearer %s", kit_token(header, fine, key)) > 0, 1);
	CHECK_INT(ask(c, text, NULL), CREDENTIALS_STALE);
	set_keys(c, key, ",\"kid\":\"a\"");
	CHECK_INT(ask(c, text, NULL), CREDENTIALS_STALE);
	set_keys(c, key, ",\"kid\":\"b\"");
	CHECK_INT(ask(c, text, NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "eve");
	/* A set that cannot be read leaves the old one. */
	CHECK_INT(credentials_set_keys(c, "{}", 2, &err), -1);
	CHECK_INT(ask(c, text, NULL), CREDENTIALS_FINE);
	CHECK_INT(ask(c, bearer(kit_token(header, "{\"sub\":\"eve\",\"exp\":1}", key)), NULL),
		CREDENTIALS_REFUSED);
	credentials_free(c);
	c = open_with((struct credentials_setup){ .jwt_secret = KIT_SECRET });
	CHECK_INT(ask(c, text, NULL), CREDENTIALS_REFUSED);
	credentials_free(c);
	EVP_PKEY_free(key);
}

/* ---- The secret that is made ---- */

static void a_secret_is_made_once(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	mode_t mask = umask(0);
	struct stat st;
	char text[64];

	struct credentials *c = open_with((struct credentials_setup){ 0 });
	AUTO_FREE char *token = credentials_issue(c, &(struct identity){ "eve", true }, NOW, 60);
	credentials_free(c);
	MUST(stat("jwt.secret", &st));
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_INT(strlen(scratch_read("jwt.secret", text, sizeof text)), 44);
	CHECK_INT(access("jwt.secret.new", F_OK), -1);
	c = open_with((struct credentials_setup){ 0 });
	CHECK_INT(ask(c, bearer(token), NULL), CREDENTIALS_FINE);
	CHECK_TEXT(who.owner, "eve");
	CHECK(who.admin);
	credentials_free(c);
	MUST(unlink("jwt.secret"));
	c = open_with((struct credentials_setup){ .api_keys = "bob:x" });
	CHECK_INT(ask(c, bearer(token), NULL), CREDENTIALS_REFUSED);
	credentials_free(c);
	umask(mask);
}

static void check_secret_refused(const char *says)
{
	struct jwt_key *key = NULL;

	CHECK_INT(jwt_secret_load(".", &key, &err), -1);
	CHECK(!key);
	if (!strstr(err.msg, says))
		CHECK_TEXT(err.msg, says);
}

static void a_secret_that_is_none_is_refused(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();

	scratch_text("jwt.secret", KIT_SECRET "\n");
	MUST(chmod("jwt.secret", 0640));
	check_secret_refused("others may read");
	MUST(chmod("jwt.secret", 0600));
	scratch_text("jwt.secret", "short\n");
	check_secret_refused("32 to 1024 bytes");
	scratch_text("jwt.secret", "");
	check_secret_refused("32 to 1024 bytes");
	MUST(unlink("jwt.secret"));
	MUST(symlink("/etc/hostname", "jwt.secret"));
	check_secret_refused("jwt.secret");
	MUST(unlink("jwt.secret"));
	MUST(mkdir("jwt.secret", 0700));
	check_secret_refused("cannot be read");
}

/* ---- The login ---- */

static void a_login_needs_the_right_password(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char name[] = "eve";
	struct store *store;
	struct user user = { .name = name, .admin = true };

	CHECK_INT(store_open(NULL, "sqlite:///x.db", &store, &err), 0);
	CHECK_INT(password_hash("right", &user.password, &err), 0);
	CHECK_INT(store_put_user(store, &user, &err), 0);
	free(user.password);
	CHECK_INT(login_check(store, "eve", "right", &who, &err), 0);
	CHECK_TEXT(who.owner, "eve");
	CHECK(who.admin);
	static const char *const wrong[][2] = { { "eve", "wrong" }, { "eve", "" },
		{ "bob", "right" }, { "", "" }, { "EVE", "right" }, { "e v e", "right" } };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		CHECK_INT(login_check(store, wrong[i][0], wrong[i][1], &who, &err), -1);
		CHECK_INT(err.code, ERR_DENIED);
		CHECK(strstr(err.msg, "Wrong user name or password"));
	}
	store_close(store);
}

TESTS(CASE(a_key_is_taken_from_either_header), CASE(what_is_wrong_is_refused_with_what_to_do),
	CASE(with_nothing_configured_there_is_one_owner),
	CASE(each_kind_of_credential_closes_the_door), CASE(a_configured_secret_signs_tokens),
	CASE(wrong_options_are_named), CASE(a_token_by_an_unknown_key_asks_for_a_newer_set),
	CASE(a_secret_is_made_once), CASE(a_secret_that_is_none_is_refused),
	CASE(a_login_needs_the_right_password))
