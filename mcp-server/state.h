#ifndef STATE_H
#define STATE_H

/*
 * The state directory: commands' output, ended sessions, the key of a server without a token.
 * One server at a time has it (a lock that dies with the server); it outlives the server.
 */

struct err;

struct state {
	char *path; /* absolute */
	int fd, lock_fd;
};

/*
 * Opens `dir`, made where it is missing (mode 0700). NULL: a directory of the user's that
 * belongs to `workspace`; where another server has that one, the next free one beside it.
 */
int state_open(struct state *state, const char *dir, const char *workspace, struct err *err);
void state_close(struct state *state);

#endif
