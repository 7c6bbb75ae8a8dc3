#include "login.h"

#include <stdio.h>

#include "err.h"
#include "passwords.h"
#include "store.h"
#include "user_name.h"

int login_check(struct store *store, const char *name, const char *password, struct identity *out,
	struct err *err)
{
	struct user user = { 0 };
	struct err why;

	if (user_name_check(name, NULL) == 0 && store_user(store, name, &user, &why) < 0 &&
		why.code != ERR_NOT_FOUND) {
		*err = why;
		return -1;
	}
	bool right = password_check(password, user.password);
	if (right) {
		snprintf(out->owner, sizeof out->owner, "%s", user.name);
		out->admin = user.admin;
	}
	user_release(&user);
	return right ? 0
		     : err_set(err, ERR_DENIED,
			       "Wrong user name or password. Users are made by: sandbox-manager "
			       "user add NAME");
}
