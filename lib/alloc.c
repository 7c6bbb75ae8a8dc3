#include "alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL = 1024 };

static void *or_abort(void *p)
{
	if (!p)
		abort();
	return p;
}

/* Small pieces come from the thread's cache, which calloc() passes by before glibc 2.41. */
void *alloc_zero(size_t size)
{
	if (size > SMALL)
		return or_abort(calloc(1, size));
	return memset(alloc_grow(NULL, size), 0, size);
}

void *alloc_array(size_t count, size_t size)
{
	return or_abort(calloc(count ? count : 1, size));
}

void *alloc_grow(void *old, size_t size)
{
	return or_abort(realloc(old, size ? size : 1));
}

void *alloc_pages(size_t size)
{
	void *pages = NULL;

	return or_abort(posix_memalign(&pages, 4096, size) == 0 ? pages : NULL);
}

char *alloc_textn(const char *text, size_t len)
{
	char *copy = alloc_grow(NULL, len + 1);

	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *alloc_text(const char *text)
{
	return alloc_textn(text, strlen(text));
}

char *alloc_printf(const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	return text;
}
