#ifndef USERS_COMMAND_H
#define USERS_COMMAND_H

/*
 * sandbox-manager user add NAME [--admin] [--password-file FILE] | user ls | user rm NAME: who may
 * log in. Works beside a running manager, which sees the change at the next login.
 */
struct err;

/* `argv` begins behind the word "user". Prints to standard output; where the call itself is wrong
 * the message says how to call it. */
int users_command(int argc, char **argv, const char *database_url, struct err *err);

#endif
