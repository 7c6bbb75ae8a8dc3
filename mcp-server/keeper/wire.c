#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"
#include "cleanup.h"
#include "err.h"

enum {
	READ_CHUNK = 16 * 1024,
	READS_PER_CALL = 8,  /* then other work has its turn */
	IN_KEEP = 64 * 1024, /* an empty buffer larger than this goes back */
};

/* Descriptors that leave together with the byte at `left` bytes from the front of `out`. */
struct wire_sent_fd {
	size_t left;
	int fds[WIRE_FDS_MAX];
	size_t len;
	struct wire_sent_fd *next;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_HELD_MAX)];
};

void wire_init(struct wire *wire, int fd, size_t out_max)
{
	*wire = (struct wire){ .fd = fd };
	buf_init(&wire->in, WIRE_MESSAGE_MAX + READ_CHUNK);
	buf_init(&wire->out, out_max);
}

static void close_all(const int *fds, size_t len)
{
	for (size_t i = 0; i < len; i++)
		cleanup_close(&fds[i]);
}

static void drop_first_sent(struct wire *wire)
{
	struct wire_sent_fd *first = wire->fds_out;

	wire->fds_out = first->next;
	close_all(first->fds, first->len);
	free(first);
}

void wire_release(struct wire *wire)
{
	while (wire->fds_out)
		drop_first_sent(wire);
	close_all(wire->fds_in, wire->fds_in_len);
	wire->fds_in_len = 0;
	buf_release(&wire->in);
	buf_release(&wire->out);
	cleanup_close(&wire->fd);
	wire->fd = -1;
}

/* ---- sending ---- */

static ssize_t send_bytes(int fd, struct iovec *iov, size_t iov_len, const int *fds, size_t fds_len)
{
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = iov_len };

	if (fds_len > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fds_len);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds_len);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fds_len);
	}

	ssize_t n;
	do
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno == EAGAIN ? 0 : n;
}

int wire_flush(struct wire *wire, struct err *err)
{
	while (wire->out.len > 0) {
		struct wire_sent_fd *first = wire->fds_out;
		bool with_fds = first && first->left == 0;
		const struct wire_sent_fd *next = with_fds ? first->next : first;
		struct iovec iov = { wire->out.data, next ? next->left : wire->out.len };

		ssize_t n = send_bytes(
			wire->fd, &iov, 1, with_fds ? first->fds : NULL, with_fds ? first->len : 0);
		if (n < 0)
			return err_sys(err, "send to the other side");
		if (n == 0)
			return 0;
		if (with_fds)
			drop_first_sent(wire);
		for (struct wire_sent_fd *sent = wire->fds_out; sent; sent = sent->next)
			sent->left -= (size_t)n;
		buf_consume(&wire->out, (size_t)n);
	}
	return 0;
}

/* Keeps the descriptors of a message whose first byte is the next one to be queued. */
static int queue_fds(struct wire *wire, const int *fds, size_t len, struct err *err)
{
	struct wire_sent_fd *sent = alloc_zero(sizeof *sent), **last = &wire->fds_out;

	sent->left = wire->out.len;
	for (; sent->len < len; sent->len++) {
		sent->fds[sent->len] = fcntl(fds[sent->len], F_DUPFD_CLOEXEC, 3);
		if (sent->fds[sent->len] >= 0)
			continue;
		err_sys(err, "keep a descriptor");
		close_all(sent->fds, sent->len);
		free(sent);
		return -1;
	}
	while (*last)
		last = &(*last)->next;
	*last = sent;
	return 0;
}

int wire_send(struct wire *wire, enum wire_type type, uint64_t number, const struct buf *body,
	const int *fds, size_t fds_len, struct err *err)
{
	size_t body_len = body ? body->len : 0, size = sizeof(struct wire_head) + body_len,
	       sent = 0;
	struct wire_head head = { (uint32_t)size, (uint16_t)type, (uint16_t)fds_len, number };

	if ((body && body->over) || size > WIRE_MESSAGE_MAX)
		return err_set(
			err, ERR_LIMIT, "too much for one message of %d bytes", WIRE_MESSAGE_MAX);
	if (wire->out.len == 0) {
		struct iovec iov[2] = { { &head, sizeof head },
			{ body_len ? body->data : NULL, body_len } };
		ssize_t n = send_bytes(wire->fd, iov, body_len ? 2 : 1, fds, fds_len);
		if (n < 0)
			return err_sys(err, "send to the other side");
		sent = (size_t)n;
	}
	if (sent == size)
		return 0;
	if (size - sent > wire->out.max - wire->out.len)
		return err_set(err, ERR_LIMIT, "too many messages wait to be taken");
	if (sent == 0 && fds_len > 0 && queue_fds(wire, fds, fds_len, err) < 0)
		return -1;
	if (sent < sizeof head)
		buf_add(&wire->out, (const char *)&head + sent, sizeof head - sent);
	size_t body_sent = sent > sizeof head ? sent - sizeof head : 0;
	if (body_len > body_sent)
		buf_add(&wire->out, body->data + body_sent, body_len - body_sent);
	return 0;
}

/* ---- receiving ---- */

static int take_fds(struct wire *wire, struct msghdr *msg, struct err *err)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof fd, sizeof fd);
			if (wire->fds_in_len < WIRE_FDS_HELD_MAX)
				wire->fds_in[wire->fds_in_len++] = fd;
			else
				close(fd);
		}
	}
	if (msg->msg_flags & MSG_CTRUNC)
		return err_set(err, ERR_LIMIT, "descriptors were lost: too many are open");
	return 0;
}

static ssize_t receive_bytes(struct wire *wire, struct err *err)
{
	union control control;
	char *room = buf_reserve(&wire->in, READ_CHUNK);
	struct iovec iov = { room, READ_CHUNK };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};

	if (!room)
		return err_set(err, ERR_LIMIT, "a message is too long");
	ssize_t n;
	do
		n = recvmsg(wire->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "receive from the other side");
	buf_commit(&wire->in, (size_t)n);
	return take_fds(wire, &msg, err) < 0 ? -1 : n;
}

static int call_one(struct wire *wire, size_t at, const struct wire_head *head, wire_fn *fn,
	void *data, struct err *err)
{
	struct wire_message message = {
		.head = *head,
		.body = wire->in.data + at + sizeof *head,
		.len = head->size - sizeof *head,
		.fds_len = head->fds,
	};

	if (message.fds_len > WIRE_FDS_MAX || message.fds_len > wire->fds_in_len)
		return err_set(err, ERR_INVALID, "a message without its descriptors");
	memcpy(message.fds, wire->fds_in, message.fds_len * sizeof(int));
	wire->fds_in_len -= message.fds_len;
	memmove(wire->fds_in, wire->fds_in + message.fds_len, wire->fds_in_len * sizeof(int));
	int result = fn(&message, data, err);
	close_all(message.fds, message.fds_len);
	return result;
}

static int call_whole(struct wire *wire, wire_fn *fn, void *data, struct err *err)
{
	size_t at = 0;
	int result = 0;

	while (result == 0 && wire->in.len - at >= sizeof(struct wire_head)) {
		struct wire_head head;
		memcpy(&head, wire->in.data + at, sizeof head);
		if (head.size < sizeof head || head.size > WIRE_MESSAGE_MAX)
			return err_set(err, ERR_INVALID, "a message of %u bytes", head.size);
		if (wire->in.len - at < head.size)
			break;
		result = call_one(wire, at, &head, fn, data, err);
		at += head.size;
	}
	buf_consume(&wire->in, at);
	if (wire->in.len == 0 && wire->in.cap > IN_KEEP)
		buf_release(&wire->in);
	return result;
}

int wire_receive(struct wire *wire, wire_fn *fn, void *data, struct err *err)
{
	for (int i = 0; i < READS_PER_CALL; i++) {
		struct err local = { 0 };
		ssize_t n = receive_bytes(wire, &local);
		if (n < 0 && local.sysno == EAGAIN)
			return 0;
		if (n < 0) {
			if (err)
				*err = local;
			return -1;
		}
		if (n == 0)
			return 1;
		if (call_whole(wire, fn, data, err) < 0)
			return -1;
		if (n < READ_CHUNK)
			return 0; /* the loop tells should there be more */
	}
	return 0;
}

int wire_body(const struct wire_message *message, void *body, size_t size, struct wire_texts *texts,
	struct err *err)
{
	if (message->len < size)
		return err_set(
			err, ERR_INVALID, "a message of type %u is too short", message->head.type);
	memcpy(body, message->body, size);
	if (texts)
		*texts = (struct wire_texts){ (const char *)message->body + size,
			(const char *)message->body + message->len };
	return 0;
}

const char *wire_text(struct wire_texts *texts)
{
	const char *text = texts->at;
	const char *nul = memchr(text, '\0', (size_t)(texts->end - text));

	if (!nul)
		return NULL;
	texts->at = nul + 1;
	return text;
}

/* ---- names ---- */

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz"; /* base 32 after Crockford */

void wire_id(uint64_t number, char id[WIRE_ID_LEN + 1])
{
	for (int i = WIRE_ID_LEN - 1; i >= 0; i--, number >>= 5)
		id[i] = digits[number & 31];
	id[WIRE_ID_LEN] = '\0';
}

uint64_t wire_number(const char *id)
{
	uint64_t number = 0;

	if (strlen(id) != WIRE_ID_LEN)
		return 0;
	for (; *id; id++) {
		const char *digit = strchr(digits, *id);
		if (!digit)
			return 0;
		number = number << 5 | (uint64_t)(digit - digits);
	}
	return number;
}
