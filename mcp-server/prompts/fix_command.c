#include "call.h"
#include "path.h"
#include "prompt.h"
#include "workspace.h"

static const struct prompt_arg args[] = {
	{
		.name = "command",
		.title = "Command",
		.description = "The command that fails, such as a build, a test or a linter.",
		.required = true,
	},
	{
		.name = "cwd",
		.title = "Directory",
		.description = "Where to run it; the workspace where it is left out.",
		.is_path = true,
	},
	{ 0 },
};

static enum tool_status run(struct call *call, json_t *given, json_t *messages, struct err *err)
{
	const char *command = prompt_arg(given, "command"), *cwd = prompt_arg(given, "cwd");

	(void)err;
	prompt_say(messages,
		"This command fails, in %s; make it succeed:\n\n%s\n\n"
		"1. Run it with run_command as it stands. If it succeeds, say so and stop.\n"
		"2. Find the first error and its cause: read the code it names with read_file, and "
		"search_text for what it mentions. Where the output was cut, the result says where "
		"the rest is.\n"
		"3. Make the smallest change that removes the cause. Do not change the command, and "
		"do not delete, skip or weaken tests or checks.\n"
		"4. Run it again, and go on until it succeeds. After three changes without progress, "
		"stop and look at your assumptions first.\n"
		"5. Report the cause, each file you changed and why, and the end of the last run's "
		"output. If it cannot be fixed from here, say what is missing.",
		*cwd ? cwd : path_root_name(call_workspace(call)->roots, 0), command);
	return TOOL_DONE;
}

const struct prompt prompt_fix_command = {
	.name = "fix_command",
	.title = "Fix a failing command",
	.description = "Has the agent run a failing command, find the cause and fix it until the "
		       "command succeeds.",
	.args = args,
	.run = run,
};
