#ifndef COMMAND_OUTPUT_H
#define COMMAND_OUTPUT_H

/*
 * What a result shows of a command's output: all of it where it is short, else the beginning
 * and the end of each stream, and between them a line that says what is left out and where it
 * can be read. Loop thread only.
 */
#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "commands.h"

enum { COMMAND_OUTPUT_SHOWN = 30 * 1000 }; /* bytes of both streams */

struct command_output_texts {
	struct buf streams[2];
	bool truncated;
};

/* Reads the logs. To be released with command_output_release(). */
void command_output_read(struct command *command, const struct command_log logs[2],
	struct command_output_texts *texts);

void command_output_release(struct command_output_texts *texts);

/* The last line with something in it that was written so far, cut to `size`; false: none. */
bool command_output_last_line(struct command *command, char *line, size_t size);

#endif
