/*
 * sandbox-keeper: started by sandbox-mcp, with a listening socket and its state directory as
 * descriptors 3 and 4. Nobody starts it by hand.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "err.h"
#include "keeper.h"

enum { LISTEN_FD = 3, STATE_FD = 4 };

int main(void)
{
	int listening = 0;
	socklen_t len = sizeof listening;
	struct stat state;
	struct err err;

	if (getsockopt(LISTEN_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
		fstat(STATE_FD, &state) < 0 || !S_ISDIR(state.st_mode)) {
		fputs("sandbox-keeper: this is started by sandbox-mcp, not by hand\n", stderr);
		return 2;
	}
	if (keeper_run(LISTEN_FD, STATE_FD, &err) < 0) {
		fprintf(stderr, "sandbox-keeper: %s\n", err.msg);
		return 1;
	}
	return 0;
}
