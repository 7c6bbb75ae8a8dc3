#include "file_uri.h"

#include "buf.h"
#include "err.h"

#include "test.h"

static const char *path_of(const char *uri)
{
	static char text[64];
	AUTO_BUF struct buf path = BUF_INIT(40);

	if (file_uri_path(uri, strlen(uri), &path, NULL) < 0)
		return path.len == 0 ? NULL : "refused, but something was appended";
	snprintf(text, sizeof text, "%s", path.data);
	return text;
}

static const char *uri_of(const char *path)
{
	static char text[128];
	AUTO_BUF struct buf uri = BUF_INIT(100);

	CHECK(file_uri_add(&uri, path, strlen(path)) == 0);
	snprintf(text, sizeof text, "%s", uri.data);
	return text;
}

static void takes_every_form_of_a_local_file(void)
{
	CHECK_TEXT(path_of("file:///w/a.txt"), "/w/a.txt");
	CHECK_TEXT(path_of("file://localhost/w/a.txt"), "/w/a.txt");
	CHECK_TEXT(path_of("file://LocalHost/w"), "/w");
	CHECK_TEXT(path_of("file:/w/a.txt"), "/w/a.txt");
	CHECK_TEXT(path_of("FILE:///w"), "/w");
	CHECK_TEXT(path_of("file:///"), "/");
}

static void decodes_escapes_once(void)
{
	CHECK_TEXT(path_of("file:///a%20b"), "/a b");
	CHECK_TEXT(path_of("file:///%c3%A4"), "/ä");
	CHECK_TEXT(path_of("file:///ä b"), "/ä b");
	CHECK_TEXT(path_of("file:///a%2520"), "/a%20");
	CHECK_TEXT(path_of("file:///a%3Fb%23c"), "/a?b#c");
	CHECK_TEXT(path_of("file:///a%FF"), "/a\xFF");
	CHECK_TEXT(path_of("file:///w/%2e%2e/x"), "/w/../x"); /* path.h says no to it */
}

static void refuses_what_is_no_local_file(void)
{
	CHECK(!path_of(""));
	CHECK(!path_of("file:"));
	CHECK(!path_of("file://"));
	CHECK(!path_of("file:a"));
	CHECK(!path_of("file://w/a"));
	CHECK(!path_of("file://localhost"));
	CHECK(!path_of("file://localhos/a"));
	CHECK(!path_of("file://user@localhost/a"));
	CHECK(!path_of("http://w/a"));
	CHECK(!path_of("/w/a"));
}

static void refuses_what_is_malformed(void)
{
	CHECK(!path_of("file:///a%"));
	CHECK(!path_of("file:///a%4"));
	CHECK(!path_of("file:///a%4g"));
	CHECK(!path_of("file:///a%%41"));
	CHECK(!path_of("file:///a%00"));
	CHECK(!path_of("file:///a%2Fb"));
	CHECK(!path_of("file:///a%2fb"));
	CHECK(!path_of("file:///a?b"));
	CHECK(!path_of("file:///a#b"));
	CHECK(!path_of("file:///a\nb"));
	CHECK(!path_of("file:///a\x7F"));
	AUTO_BUF struct buf path = BUF_INIT(40);
	CHECK(file_uri_path("file:///a\0b", 11, &path, NULL) < 0);
}

static void refuses_a_path_past_the_limit(void)
{
	struct err err = { 0 };
	AUTO_BUF struct buf path = BUF_INIT(4);

	CHECK(file_uri_path("file:///abc", 11, &path, &err) == 0);
	buf_clear(&path);
	CHECK(file_uri_path("file:///abcd", 12, &path, &err) < 0);
	CHECK_INT(err.code, ERR_LIMIT);
	CHECK_INT(path.len, 0);
}

static void escapes_no_more_than_needed(void)
{
	CHECK_TEXT(uri_of("/w/a.txt"), "file:///w/a.txt");
	CHECK_TEXT(uri_of("/a b/ä%"), "file:///a%20b/%C3%A4%25");
	CHECK_TEXT(uri_of("/a?b#c"), "file:///a%3Fb%23c");
	CHECK_TEXT(uri_of("/-._~!$&'()*+,;=:@"), "file:///-._~!$&'()*+,;=:@");
	CHECK_TEXT(uri_of("/\x01\xFF\"<>\\^`{|}[]"),
		"file:///%01%FF%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D");
}

TESTS(CASE(takes_every_form_of_a_local_file), CASE(decodes_escapes_once),
	CASE(refuses_what_is_no_local_file), CASE(refuses_what_is_malformed),
	CASE(refuses_a_path_past_the_limit), CASE(escapes_no_more_than_needed))
