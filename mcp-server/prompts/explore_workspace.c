#include "call.h"
#include "path.h"
#include "prompt.h"
#include "workspace.h"

static const char *const topics[] = { "architecture", "build", "dependencies", "performance",
	"security", "tests", NULL };

static const struct prompt_arg args[] = {
	{
		.name = "path",
		.title = "Directory",
		.description = "Where to look; the whole workspace where it is left out.",
		.is_path = true,
	},
	{
		.name = "focus",
		.title = "Focus",
		.description = "What matters most: architecture, build, dependencies, performance, "
			       "security, tests, or anything else.",
		.choices = topics,
	},
	{ 0 },
};

static enum tool_status run(struct call *call, json_t *given, json_t *messages, struct err *err)
{
	const char *path = prompt_arg(given, "path"), *focus = prompt_arg(given, "focus");

	(void)err;
	prompt_say(messages,
		"Get to know the project in %s, without changing anything.\n\n"
		"1. list_directory with a depth of 2, then read what explains the project: README, "
		"CONTRIBUTING, AGENTS or CLAUDE files, and the manifests of its build "
		"(package.json, pyproject.toml, CMakeLists.txt, Cargo.toml, go.mod, Makefile).\n"
		"2. Find where it starts and its main parts with search_files and search_text; read "
		"only the parts of files that matter.\n"
		"3. If it is a git repository, see what happened last: run_command with "
		"`git log --oneline -15` and `git status --short`.\n\n"
		"Then report, in at most a page: what it is for; how it is laid out, as a short "
		"annotated tree; how to build, run and test it, with exact commands; its conventions; "
		"and what is unclear or looks wrong. Name files with their line numbers, and say what "
		"you did not look at.%s%s%s",
		*path ? path : path_root_name(call_workspace(call)->roots, 0),
		*focus ? "\n\nPay special attention to: " : "", focus, *focus ? "." : "");
	return TOOL_DONE;
}

const struct prompt prompt_explore_workspace = {
	.name = "explore_workspace",
	.title = "Explore the workspace",
	.description = "Has the agent find out what a project is, how it is built and tested, and "
		       "where things are, without changing it.",
	.args = args,
	.run = run,
};
