#include "mime.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct magic {
	const char *bytes;
	unsigned char len, at;
	const char *type;
};

/* clang-format off */
#define MAGIC(at, bytes, type) { bytes, sizeof(bytes) - 1, at, type }
/* clang-format on */

/* Registered types where there are some, else those that file(1) has. */
static const struct magic magics[] = {
	MAGIC(0, "\x89PNG\r\n\x1A\n", "image/png"),
	MAGIC(0, "\xFF\xD8\xFF", "image/jpeg"),
	MAGIC(0, "GIF87a", "image/gif"),
	MAGIC(0, "GIF89a", "image/gif"),
	MAGIC(8, "WEBPVP8", "image/webp"),
	MAGIC(0, "II*\0", "image/tiff"),
	MAGIC(0, "MM\0*", "image/tiff"),
	MAGIC(0, "\0\0\1\0", "image/vnd.microsoft.icon"),
	MAGIC(4, "ftypavif", "image/avif"),
	MAGIC(4, "ftypheic", "image/heic"),
	MAGIC(4, "ftypqt", "video/quicktime"),
	MAGIC(4, "ftyp", "video/mp4"),
	MAGIC(0, "\x1A\x45\xDF\xA3", "video/webm"),
	MAGIC(8, "AVI ", "video/vnd.avi"),
	MAGIC(8, "WAVE", "audio/wav"),
	MAGIC(0, "ID3", "audio/mpeg"),
	MAGIC(0, "OggS", "audio/ogg"),
	MAGIC(0, "fLaC", "audio/flac"),
	MAGIC(0, "%PDF-", "application/pdf"),
	MAGIC(0, "PK\3\4", "application/zip"),
	MAGIC(0, "PK\5\6", "application/zip"),
	MAGIC(0, "\x1F\x8B", "application/gzip"),
	MAGIC(0, "BZh", "application/x-bzip2"),
	MAGIC(0, "\3757zXZ\0", "application/x-xz"),
	MAGIC(0, "\x28\xB5\x2F\xFD", "application/zstd"),
	MAGIC(0, "7z\xBC\xAF\x27\x1C", "application/x-7z-compressed"),
	MAGIC(0, "Rar!\x1A\x07", "application/vnd.rar"),
	MAGIC(0, "\177ELF", "application/x-executable"),
	MAGIC(0, "MZ\x90\0", "application/vnd.microsoft.portable-executable"),
	MAGIC(0, "\xCF\xFA\xED\xFE", "application/x-mach-binary"),
	MAGIC(0, "\xCA\xFE\xBA\xBE", "application/java-vm"),
	MAGIC(0, "\0asm", "application/wasm"),
	MAGIC(0, "SQLite format 3\0", "application/vnd.sqlite3"),
	MAGIC(0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "application/x-ole-storage"),
	MAGIC(0, "!<arch>\n", "application/x-archive"),
	MAGIC(0, "wOFF", "font/woff"),
	MAGIC(0, "wOF2", "font/woff2"),
	MAGIC(0, "\0\1\0\0\0", "font/ttf"),
	MAGIC(0, "OTTO\0", "font/otf"),
	MAGIC(0, "PAR1", "application/vnd.apache.parquet"),
	MAGIC(0, "\x93NUMPY", "application/x-npy"),
	MAGIC(0, "\x89HDF\r\n\x1A\n", "application/x-hdf5"),
};

/* Sorted by extension. */
static const struct {
	const char *extension, *type;
} names[] = {
	{ "7z", "application/x-7z-compressed" },
	{ "avif", "image/avif" },
	{ "bash", "text/x-shellscript" },
	{ "bmp", "image/bmp" },
	{ "bz2", "application/x-bzip2" },
	{ "c", "text/x-c" },
	{ "cc", "text/x-c++" },
	{ "conf", "text/plain" },
	{ "cpp", "text/x-c++" },
	{ "cs", "text/x-csharp" },
	{ "css", "text/css" },
	{ "csv", "text/csv" },
	{ "diff", "text/x-diff" },
	{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ "flac", "audio/flac" },
	{ "gif", "image/gif" },
	{ "go", "text/x-go" },
	{ "gz", "application/gzip" },
	{ "h", "text/x-c" },
	{ "hpp", "text/x-c++" },
	{ "htm", "text/html" },
	{ "html", "text/html" },
	{ "ico", "image/vnd.microsoft.icon" },
	{ "ini", "text/plain" },
	{ "ipynb", "application/x-ipynb+json" },
	{ "jar", "application/java-archive" },
	{ "java", "text/x-java" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript" },
	{ "json", "application/json" },
	{ "jsonl", "application/jsonl" },
	{ "jsx", "text/jsx" },
	{ "kt", "text/x-kotlin" },
	{ "log", "text/plain" },
	{ "lua", "text/x-lua" },
	{ "md", "text/markdown" },
	{ "mjs", "text/javascript" },
	{ "mp3", "audio/mpeg" },
	{ "mp4", "video/mp4" },
	{ "odt", "application/vnd.oasis.opendocument.text" },
	{ "ogg", "audio/ogg" },
	{ "otf", "font/otf" },
	{ "parquet", "application/vnd.apache.parquet" },
	{ "patch", "text/x-diff" },
	{ "pdf", "application/pdf" },
	{ "php", "text/x-php" },
	{ "pl", "text/x-perl" },
	{ "png", "image/png" },
	{ "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
	{ "py", "text/x-python" },
	{ "pyc", "application/x-python-code" },
	{ "rb", "text/x-ruby" },
	{ "rs", "text/rust" },
	{ "rst", "text/x-rst" },
	{ "sh", "text/x-shellscript" },
	{ "sql", "application/sql" },
	{ "sqlite", "application/vnd.sqlite3" },
	{ "svg", "image/svg+xml" },
	{ "swift", "text/x-swift" },
	{ "tar", "application/x-tar" },
	{ "tex", "text/x-tex" },
	{ "tif", "image/tiff" },
	{ "tiff", "image/tiff" },
	{ "toml", "application/toml" },
	{ "ts", "text/x-typescript" },
	{ "tsv", "text/tab-separated-values" },
	{ "tsx", "text/tsx" },
	{ "ttf", "font/ttf" },
	{ "txt", "text/plain" },
	{ "wasm", "application/wasm" },
	{ "wav", "audio/wav" },
	{ "webm", "video/webm" },
	{ "webp", "image/webp" },
	{ "woff", "font/woff" },
	{ "woff2", "font/woff2" },
	{ "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
	{ "xml", "application/xml" },
	{ "xz", "application/x-xz" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "zip", "application/zip" },
	{ "zst", "application/zstd" },
};

const char *mime_by_content(const char *head, size_t len)
{
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
		const struct magic *magic = &magics[i];
		bool riff = magic->at != 8 || (len > 4 && memcmp(head, "RIFF", 4) == 0);
		if (riff && len >= (size_t)magic->at + magic->len &&
			memcmp(head + magic->at, magic->bytes, magic->len) == 0)
			return magic->type;
	}
	if (len >= 262 && memcmp(head + 257, "ustar", 5) == 0)
		return "application/x-tar";
	return NULL;
}

const char *mime_by_name(const char *path, size_t len)
{
	char extension[16];
	const char *dot = memrchr(path, '.', len);
	size_t n = dot ? (size_t)(path + len - dot) - 1 : 0;

	if (n == 0 || n >= sizeof extension || dot == path || dot[-1] == '/')
		return NULL;
	memcpy(extension, dot + 1, n);
	extension[n] = '\0';
	for (size_t low = 0, high = sizeof names / sizeof *names; low < high;) {
		size_t middle = (low + high) / 2;
		int order = strcasecmp(extension, names[middle].extension);
		if (order == 0)
			return names[middle].type;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
