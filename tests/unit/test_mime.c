#include "mime.h"

#include "test.h"

static void knows_files_by_their_first_bytes(void)
{
	char tar[512] = "a.txt";

	memcpy(tar + 257, "ustar", 6);
	CHECK_TEXT(mime_by_content("\x89PNG\r\n\x1A\n....", 12), "image/png");
	CHECK_TEXT(mime_by_content("\xFF\xD8\xFF\xE0", 4), "image/jpeg");
	CHECK_TEXT(mime_by_content("GIF89a..", 8), "image/gif");
	CHECK_TEXT(mime_by_content("RIFF\0\0\0\0WEBPVP8L", 16), "image/webp");
	CHECK_TEXT(mime_by_content("RIFF\0\0\0\0WAVEfmt ", 16), "audio/wav");
	CHECK_TEXT(mime_by_content("%PDF-1.7\n", 9), "application/pdf");
	CHECK_TEXT(mime_by_content("\xFD"
				   "7zXZ\0",
			   6),
		"application/x-xz");
	CHECK_TEXT(mime_by_content("\x7F"
				   "ELF\2",
			   5),
		"application/x-executable");
	CHECK_TEXT(mime_by_content(tar, sizeof tar), "application/x-tar");
}

static void does_not_guess(void)
{
	CHECK(!mime_by_content("", 0));
	CHECK(!mime_by_content("\x89PNG\r\n", 6));
	CHECK(!mime_by_content("NOPE....WEBPVP8L", 16));
	CHECK(!mime_by_content("plain text", 10));
	CHECK(!mime_by_name("Makefile", 8));
	CHECK(!mime_by_name("dir.py/file", 11));
	CHECK(!mime_by_name("file.", 5));
	CHECK(!mime_by_name(".py", 3));
	CHECK(!mime_by_name("dir/.py", 7));
	CHECK(!mime_by_name("a.averyveryverylongextension", 28));
	CHECK(!mime_by_name("", 0));
}

static void knows_files_by_their_extension(void)
{
	static const char *const pairs[][2] = {
		{ "a.7z", "application/x-7z-compressed" },
		{ "b.zst", "application/zstd" },
		{ "src/main.py", "text/x-python" },
		{ "NOTES.MD", "text/markdown" },
		{ "archive.tar.gz", "application/gzip" },
		{ "c.c", "text/x-c" },
	};

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		CHECK_TEXT(mime_by_name(pairs[i][0], strlen(pairs[i][0])), pairs[i][1]);
}

TESTS(CASE(knows_files_by_their_first_bytes), CASE(does_not_guess),
	CASE(knows_files_by_their_extension))
