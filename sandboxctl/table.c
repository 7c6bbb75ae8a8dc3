#include "table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "cleanup.h"

/* The caller frees it. */
static char *text_of(const json_t *value)
{
	char *text = json_is_string(value) ? alloc_text(json_string_value(value))
		     : !value || json_is_null(value)
			     ? alloc_text("-")
			     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	}
	/* U+0080 to U+009F, which some terminals take as such, too. */
	for (char *c = text; (c = strchr(c, '\xC2')); c++) {
		if ((unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xA0)
			c[0] = c[1] = '?';
	}
	return text;
}

/* Characters, each one column wide: near enough for ids, times and names. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xC0) != 0x80;
	return width;
}

static void print_padded(const char *text, int width)
{
	printf("%s%*s", text, width > width_of(text) ? width - width_of(text) : 0, "");
}

void table_print_object(json_t *object)
{
	const char *name;
	json_t *value;
	int width = 0;

	json_object_foreach(object, name, value) {
		int own = width_of(name);
		width = own > width ? own : width;
	}
	json_object_foreach(object, name, value) {
		AUTO_FREE char *text = text_of(value);
		if (strcmp(name, "success") == 0)
			continue;
		print_padded(name, width + 2);
		puts(text);
	}
}

static int column_width(const json_t *rows, const char *column)
{
	int width = width_of(column);
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		AUTO_FREE char *text = text_of(json_object_get(row, column));
		int own = width_of(text);
		width = own > width ? own : width;
	}
	return width + 2;
}

void table_print_rows(const json_t *rows, const char *const *columns)
{
	size_t count = 0, i;
	json_t *row;

	while (columns[count])
		count++;
	AUTO_FREE int *widths = alloc_array(count, sizeof *widths);
	for (size_t at = 0; at < count; at++) {
		AUTO_FREE char *heading = alloc_text(columns[at]);
		widths[at] = at + 1 < count ? column_width(rows, columns[at]) : 0;
		for (char *c = heading; *c; c++)
			*c = *c == '_' ? ' ' : (char)toupper((unsigned char)*c);
		print_padded(heading, widths[at]);
	}
	putchar('\n');
	json_array_foreach(rows, i, row) {
		for (size_t at = 0; at < count; at++) {
			AUTO_FREE char *text = text_of(json_object_get(row, columns[at]));
			print_padded(text, widths[at]);
		}
		putchar('\n');
	}
}

void table_print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	putchar('\n');
}
