#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"

void output_init(struct output *output)
{
	*output = (struct output){ 0 };
	buf_init(&output->head, OUTPUT_HEAD_BYTES);
}

void output_release(struct output *output)
{
	buf_release(&output->head);
	free(output->tail);
}

void output_add(struct output *output, const char *bytes, size_t len)
{
	size_t room = OUTPUT_HEAD_BYTES - output->head.len;
	size_t first = len < room ? len : room;

	buf_add(&output->head, bytes, first);
	bytes += first;
	len -= first;
	if (len > 0 && !output->tail)
		output->tail = alloc_pages(OUTPUT_TAIL_BYTES);
	while (len > 0) {
		size_t at = (size_t)(output->behind % OUTPUT_TAIL_BYTES);
		size_t part = OUTPUT_TAIL_BYTES - at < len ? OUTPUT_TAIL_BYTES - at : len;

		memcpy(output->tail + at, bytes, part);
		output->behind += part;
		bytes += part;
		len -= part;
	}
}

int output_truncated(const struct output *output)
{
	return output->behind > OUTPUT_TAIL_BYTES;
}

void output_text(const struct output *output, struct buf *out)
{
	size_t at = (size_t)(output->behind % OUTPUT_TAIL_BYTES);

	buf_add(out, output->head.data, output->head.len);
	if (output_truncated(output))
		buf_addf(out, "\n[%" PRIu64 " bytes are left out here]\n",
			output->behind - OUTPUT_TAIL_BYTES);
	if (output->behind >= OUTPUT_TAIL_BYTES) /* the ring is full: its older part first */
		buf_add(out, output->tail + at, OUTPUT_TAIL_BYTES - at);
	if (output->tail)
		buf_add(out, output->tail, at);
}
