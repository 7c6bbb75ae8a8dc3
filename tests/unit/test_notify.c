#include "notify.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "scratch.h"
#include "test.h"

static void tell(const char *name, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char text[64] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	MUST(bind(fd, (struct sockaddr *)&address,
		(socklen_t)(sizeof address.sun_family + len)));
	setenv("NOTIFY_SOCKET", name, 1);
	notify_state("READY=1");
	CHECK_INT(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 7);
	CHECK_TEXT(text, "READY=1");
	close(fd);
}

static void reaches_a_socket_by_its_path(void)
{
	AUTO_SCRATCH struct scratch scratch = scratch_enter();
	char name[64];

	snprintf(name, sizeof name, "%s/notify", scratch.dir);
	tell(name, strlen(name));
}

static void reaches_an_abstract_socket(void)
{
	char name[64];

	snprintf(name, sizeof name, "@sandbox-test-%d", (int)getpid());
	tell(name, strlen(name));
}

static void does_nothing_without_one(void)
{
	unsetenv("NOTIFY_SOCKET");
	notify_state("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_state("READY=1");
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	notify_state("READY=1");
	CHECK_TEXT(getenv("NOTIFY_SOCKET"), "/nowhere/at/all");
}

TESTS(CASE(reaches_a_socket_by_its_path), CASE(reaches_an_abstract_socket),
	CASE(does_nothing_without_one))
