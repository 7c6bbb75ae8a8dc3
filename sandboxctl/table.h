#ifndef TABLE_H
#define TABLE_H

/* What people read. Text from outside is printed without control characters. */
#include <jansson.h>

/* One line a member, "name  value"; texts, numbers and flags; objects as JSON. */
void table_print_object(json_t *object);

/* One line an object under a line of headings; `columns` are members' names up to NULL. */
void table_print_rows(const json_t *rows, const char *const *columns);

/* As JSON, indented. */
void table_print_json(const json_t *value);

#endif
