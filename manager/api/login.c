/* POST /api/v1/auth/login/swagger: a name and a password for a token. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "api.h"
#include "auth/credentials.h"
#include "auth/login.h"
#include "auth/throttle.h"
#include "cleanup.h"
#include "err.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "manager.h"
#include "worker.h"

enum { TOKEN_S = 12 * 3600 };

struct attempt {
	struct api_call *call;
	char *name, *password;
	struct identity who;
	struct err err;
	int failed;
};

static void attempt_free(struct attempt *attempt)
{
	explicit_bzero(attempt->password, strlen(attempt->password));
	free(attempt->password);
	free(attempt->name);
	free(attempt);
}

static void check(void *data)
{
	struct attempt *attempt = data;

	attempt->failed = login_check(attempt->call->manager->store, attempt->name,
		attempt->password, &attempt->who, &attempt->err);
}

/* OAuth's form (RFC 6750), as the client of the documents reads it: with no envelope around it. */
static void issue(struct attempt *attempt)
{
	struct api_call *call = attempt->call;
	AUTO_FREE char *token = credentials_issue(call->manager->credentials, &attempt->who,
		manager_now_ms() / 1000, TOKEN_S);

	throttle_clear(call->manager->throttle, attempt->name, http_client(call->request));
	log_event(LOG_INFO, "login", "user", attempt->name, NULL);
	api_reply(call,
		json_pack("{s:s, s:s, s:i}", "access_token", token, "token_type", "bearer",
			"expires_in", TOKEN_S),
		NULL);
}

static void checked(void *data)
{
	struct attempt *attempt = data;

	if (!attempt->failed)
		issue(attempt);
	else if (attempt->err.code == ERR_DENIED)
		api_refuse(attempt->call, 401, "unauthorized", "%s", attempt->err.msg);
	else
		api_fail(attempt->call, &attempt->err);
	attempt_free(attempt);
}

void api_login(struct api_call *call)
{
	const char *name = call_text(call, "username");
	int64_t wait = throttle_try(call->manager->throttle, name, http_client(call->request),
		loop_now_ms(call->manager->loop));
	char seconds[24];
	struct err err;

	if (wait > 0) {
		snprintf(seconds, sizeof seconds, "%" PRId64, wait);
		http_set_header(call->request, "Retry-After", seconds);
		api_refuse(call, 429, "too_many_tries",
			"Too many tries for this user, or from this address: wait %s seconds",
			seconds);
		return;
	}
	struct attempt *attempt = alloc_zero(sizeof *attempt);
	*attempt = (struct attempt){
		.call = call,
		.name = alloc_text(name),
		.password = alloc_text(call_text(call, "password")),
	};
	/* Until it was looked at: what the end of the manager drops was not. */
	attempt->failed = err_set(&attempt->err, ERR_CANCELLED, "the manager is stopping");
	if (worker_submit(call->manager->logins, check, checked, attempt, &err) < 0) {
		api_fail(call, &err);
		attempt_free(attempt);
	}
}
