#include "prompt.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cleanup.h"
#include "err.h"

enum { INTERRUPT = 3 }; /* ^C */

static void say(int terminal, const char *text)
{
	/* A terminal that takes no text takes no password either: read() will tell. */
	if (write(terminal, text, strlen(text)) < 0)
		return;
}

static int read_line(int terminal, char *out, size_t size, struct err *err)
{
	size_t len = 0;
	char c;

	for (;;) {
		ssize_t n = read(terminal, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || c == INTERRUPT)
			return err_set(err, ERR_CANCELLED, "nothing was typed in");
		if (c == '\n')
			break;
		if (len < size)
			out[len++] = c;
	}
	if (len == size)
		return err_set(err, ERR_LIMIT, "the line is longer than %zu bytes", size - 1);
	out[len] = '\0';
	return 0;
}

int prompt_secret(const char *question, char *out, size_t size, struct err *err)
{
	AUTO_CLOSE int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios old, silent;
	sigset_t all, mask;

	if (terminal < 0 || tcgetattr(terminal, &old) < 0)
		return err_set(err, ERR_INVALID,
			"there is no terminal to ask for the password: use --password-file FILE "
			"(- is the standard input)");
	/* A signal in between would leave the terminal silent: they come when the line has been
	 * read. ^C ends the line meanwhile. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &mask);
	silent = old;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	silent.c_cc[VEOL] = INTERRUPT;
	int failed = tcsetattr(terminal, TCSAFLUSH, &silent);
	if (failed) {
		err_sys(err, "silence the terminal");
	} else {
		/* Not earlier: what is typed before the flush is lost. */
		say(terminal, question);
		failed = read_line(terminal, out, size, err);
	}
	tcsetattr(terminal, TCSAFLUSH, &old);
	say(terminal, "\n");
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return failed;
}
