/*
 * The first byte chooses: a whole token, which is never accepted; a header, a line end and a
 * payload that are signed rightly, whose claims are in bounds where they are accepted; a key set.
 */
#include "jwt.h"

#include "jwks.h"

#include "jwt_kit.h"

enum { NOW = 1000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct jwt_key *secret;

static enum jwt_verdict check(const char *token, struct jwt_claims *claims)
{
	struct jwt_rules rules = { .secret = secret, .now_s = NOW };

	return jwt_check(token, &rules, claims, NULL);
}

static void check_signed(char *text)
{
	char *end = strchr(text, '\n');
	struct jwt_claims claims;

	if (!end)
		return;
	*end = '\0';
	if (check(kit_token(text, end + 1, NULL), &claims) != JWT_FINE)
		return;
	KIT_MUST(claims.subject[0] && memchr(claims.subject, '\0', sizeof claims.subject));
	KIT_MUST(claims.expires_s + JWT_LEEWAY_S > NOW);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jwt_claims claims;
	struct jwks *set = NULL;

	if (!secret)
		KIT_MUST(jwt_key_secret(KIT_SECRET, strlen(KIT_SECRET), &secret, NULL) == 0);
	if (size == 0 || size > 2 * JWT_MAX)
		return 0;
	AUTO_BUF struct buf text = BUF_INIT(2 * JWT_MAX);
	buf_add(&text, data + 1, size - 1);
	if (text.len == 0)
		return 0;
	if (data[0] == 's')
		check_signed(text.data);
	else if (data[0] == 'k' && jwks_parse(text.data, text.len, &set, NULL) == 0)
		KIT_MUST(jwks_count(set) > 0 && jwks_count(set) <= JWKS_MAX);
	else if (data[0] != 'k')
		KIT_MUST(check(text.data, &claims) != JWT_FINE);
	jwks_free(set);
	return 0;
}
