#include "http_form.h"

#include <stdlib.h>

#include "alloc.h"
#include "cleanup.h"
#include "http_impl.h"

enum { BUFFER_BYTES = 64 * 1024 }; /* a part's head has to fit, a part's bytes come in such pieces */

struct http_form {
	struct MHD_PostProcessor *processor;
	http_form_fn *fn;
	void *data;
};

static enum MHD_Result on_part(void *data, enum MHD_ValueKind kind, const char *name,
	const char *filename, const char *type, const char *encoding, const char *bytes,
	uint64_t offset, size_t len)
{
	struct http_form *form = data;

	(void)kind, (void)filename, (void)type, (void)encoding;
	return form->fn(name ? name : "", bytes, len, offset, form->data) < 0 ? MHD_NO : MHD_YES;
}

struct http_form *http_form_new(struct http_request *request, http_form_fn *fn, void *data)
{
	struct http_form *form = alloc_zero(sizeof *form);

	form->fn = fn;
	form->data = data;
	form->processor = MHD_create_post_processor(request->mhd, BUFFER_BYTES, on_part, form);
	if (form->processor)
		return form;
	free(form);
	return NULL;
}

int http_form_end(struct http_form *form)
{
	struct MHD_PostProcessor *processor = steal_ptr(&form->processor);

	return processor && MHD_destroy_post_processor(processor) == MHD_YES ? 0 : -1;
}

void http_form_free(struct http_form *form)
{
	if (!form)
		return;
	if (form->processor)
		MHD_destroy_post_processor(form->processor);
	free(form);
}

int http_form_feed(struct http_form *form, const char *bytes, size_t len)
{
	return MHD_post_process(form->processor, bytes, len) == MHD_YES ? 0 : -1;
}
