#include "api.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "command.h"
#include "err.h"
#include "json_reader.h"

enum {
	ANSWER_MAX_BYTES = 64 * 1024 * 1024,
	REFUSAL_MAX_BYTES = 64 * 1024,
	ID_LEN = 20,
	CONNECT_S = 10,
};

static const struct json_limits limits = { .depth = 32, .string = ANSWER_MAX_BYTES, .number = 64 };

struct exchange {
	const struct api_request *request;
	CURL *easy;
	struct buf refusal;
	bool stopped; /* `take` did not want more */
};

static void close_easy(CURL **easy)
{
	curl_easy_cleanup(*easy);
}

static void free_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void free_mime(curl_mime **mime)
{
	curl_mime_free(*mime);
}

static long status_of(CURL *easy)
{
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_piece(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	size_t len = size * count;

	if (status_of(exchange->easy) != 200)
		return buf_add(&exchange->refusal, bytes, len) < 0 ? 0 : len;
	if (exchange->request->take(bytes, len, exchange->request->data))
		return len;
	exchange->stopped = true;
	return 0;
}

/* A page of something else is no sentence of the manager's. */
static int refusal(
	const struct exchange *exchange, const struct settings *settings, struct err *err)
{
	long status = status_of(exchange->easy);
	json_auto_t *body =
		exchange->refusal.len > 0
			? json_read(exchange->refusal.data, exchange->refusal.len, &limits, NULL)
			: NULL;
	const char *detail = json_string_value(json_object_get(body, "detail"));

	if (status == 401 && !settings->key)
		return err_set(
			err, ERR_DENIED, "the manager wants to know who asks: set SANDBOX_API_KEY");
	if (detail)
		return err_set(err, ERR_INVALID, "%s", detail);
	return err_set(err, ERR_IO, "%s answers with status %ld, as a sandbox-manager does not",
		settings->url, status);
}

static int outcome(const struct exchange *exchange, const struct settings *settings, CURLcode code,
	const char *problem, struct err *err)
{
	if (exchange->stopped)
		return -1; /* `take` knows why */
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		return err_set(err, ERR_IO,
			"no manager at %s: start sandbox-manager, or set SANDBOX_MANAGER_URL",
			settings->url);
	if (code != CURLE_OK)
		return err_set(err, ERR_IO, "%s: %s", settings->url,
			*problem ? problem : curl_easy_strerror(code));
	if (status_of(exchange->easy) != 200)
		return refusal(exchange, settings, err);
	return 0;
}

/* ---- what goes up ---- */

static size_t read_upload(char *out, size_t size, size_t count, void *data)
{
	const struct api_upload *upload = data;
	ssize_t n = read(upload->fd, out, size * count);

	return n < 0 ? CURL_READFUNC_ABORT : (size_t)n;
}

static void add_text(curl_mime *mime, const char *name, const char *text)
{
	curl_mimepart *part = curl_mime_addpart(mime);

	curl_mime_name(part, name);
	curl_mime_data(part, text, CURL_ZERO_TERMINATED);
}

static curl_mime *form_of(CURL *easy, const struct api_upload *upload)
{
	curl_mime *mime = curl_mime_init(easy);

	add_text(mime, "sandbox_id", upload->sandbox_id);
	add_text(mime, "path", upload->path);
	curl_mimepart *part = curl_mime_addpart(mime);
	curl_mime_name(part, "file");
	curl_mime_filename(part, "file");
	curl_mime_data_cb(part, -1, read_upload, NULL, NULL, (void *)(uintptr_t)upload);
	return mime;
}

/* ---- the call ---- */

static struct curl_slist *headers_of(
	const struct settings *settings, const struct api_request *request)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");

	if (settings->key) {
		AUTO_FREE char *line = alloc_printf("Authorization: Bearer %s", settings->key);
		headers = curl_slist_append(headers, line);
	}
	if (request->body)
		headers = curl_slist_append(headers, "Content-Type: application/json");
	if (request->header)
		headers = curl_slist_append(headers, request->header);
	return headers;
}

/* http alone or https: no file or mail, wherever an address may come from. */
static int set_address(CURL *easy, const char *address, struct err *err)
{
	if (strncmp(address, "http://", 7) != 0 && strncmp(address, "https://", 8) != 0)
		return err_set(err, ERR_INVALID,
			"--url takes an address such as http://127.0.0.1:8080, not '%s'", address);
	curl_easy_setopt(easy, CURLOPT_URL, address);
	return 0;
}

int api_send(const struct settings *settings, const struct api_request *request, struct err *err)
{
	char problem[CURL_ERROR_SIZE] = "";
	__attribute__((cleanup(close_easy))) CURL *easy = curl_easy_init();
	__attribute__((cleanup(free_list))) struct curl_slist *headers =
		headers_of(settings, request);
	__attribute__((cleanup(free_mime))) curl_mime *form =
		request->upload ? form_of(easy, request->upload) : NULL;
	struct exchange exchange = { .request = request, .easy = easy };
	AUTO_FREE char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
	size_t base = strcspn(settings->url, "?#");

	while (base > 0 && settings->url[base - 1] == '/')
		base--;
	AUTO_FREE char *address = alloc_printf("%.*s%s", (int)base, settings->url, request->path);
	if (set_address(easy, address, err) < 0)
		return -1;
	buf_init(&exchange.refusal, REFUSAL_MAX_BYTES);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (body)
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	if (form)
		curl_easy_setopt(easy, CURLOPT_MIMEPOST, form);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_piece);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, problem);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	CURLcode code = curl_easy_perform(easy);
	int failed = outcome(&exchange, settings, code, problem, err);
	buf_release(&exchange.refusal);
	return failed;
}

static bool keep(const char *bytes, size_t len, void *data)
{
	return buf_add(data, bytes, len) == 0;
}

json_t *api_call(const struct settings *settings, const char *method, const char *path,
	const json_t *body, const char *header, struct err *err)
{
	AUTO_BUF struct buf answer = BUF_INIT(ANSWER_MAX_BYTES);
	struct api_request request = { method, path, body, header, NULL, keep, &answer };

	if (api_send(settings, &request, err) < 0) {
		if (answer.over)
			err_set(err, ERR_LIMIT, "the answer has more than %d bytes",
				ANSWER_MAX_BYTES);
		return NULL;
	}
	json_t *object = json_read(answer.data ? answer.data : "", answer.len, &limits, err);
	if (!object)
		err_wrap(err, "%s: the answer is no JSON", settings->url);
	return object;
}

bool api_is_id(const char *text, size_t len)
{
	return len == ID_LEN && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") >= len;
}

int api_path(char path[PATH_MAX_BYTES], const char *id, const char *leaf, struct err *err)
{
	if (!api_is_id(id, strlen(id)))
		return err_set(
			err, ERR_INVALID, "'%.64s' is no sandbox's id: see sandboxctl ls", id);
	snprintf(path, PATH_MAX_BYTES, "/sandboxes/%s%s", id, leaf);
	return 0;
}
