#include "topics.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "buf.h"
#include "cleanup.h"
#include "err.h"
#include "path.h"
#include "resources.h"
#include "watch.h"

enum { BUCKETS = 1024 };

struct topic {
	struct topics *topics;
	char *uri;
	struct watch *watch; /* NULL: its provider says when it changes */
	bool ready;
	struct interest *interests;
	struct topic *next, **link; /* in its bucket */
};

struct interest {
	struct topic *topic;
	const struct interest_events *events;
	void *data;
	struct interest *next, **link; /* in its topic */
};

struct topics {
	struct watcher *watcher;
	size_t count;
	struct topic *buckets[BUCKETS];
};

struct topics *topics_new(struct watcher *watcher)
{
	struct topics *topics = alloc_zero(sizeof *topics);

	topics->watcher = watcher;
	return topics;
}

void topics_free(struct topics *topics)
{
	free(topics);
}

/* ---- topics ---- */

/* FNV-1a. */
static struct topic **bucket_of(struct topics *topics, const char *uri)
{
	uint32_t hash = 0x811c9dc5;

	for (; *uri; uri++)
		hash = (hash ^ (unsigned char)*uri) * 0x01000193;
	return &topics->buckets[hash % BUCKETS];
}

static struct topic *find(struct topics *topics, const char *uri)
{
	struct topic *topic = *bucket_of(topics, uri);

	while (topic && strcmp(topic->uri, uri) != 0)
		topic = topic->next;
	return topic;
}

static void topic_free(struct topic *topic)
{
	*topic->link = topic->next;
	if (topic->next)
		topic->next->link = topic->link;
	topic->topics->count--;
	watch_free(topic->watch);
	free(topic->uri);
	free(topic);
}

static void on_ready(void *data, const struct err *err)
{
	struct topic *topic = data;
	struct interest *next;

	topic->ready = !err;
	for (struct interest *interest = topic->interests; interest; interest = next) {
		next = interest->next;
		interest->events->ready(interest, err, interest->data);
	}
}

static void tell(struct topic *topic)
{
	for (struct interest *i = topic->interests; i; i = i->next)
		i->events->updated(i, i->data);
}

static void on_changed(void *data)
{
	tell(data);
}

static const struct watch_events watch_events = { on_ready, on_changed };

static int start_watch(
	struct topic *topic, const struct resource_provider *provider, struct err *err)
{
	AUTO_BUF struct buf path = BUF_INIT(PATH_MAX_BYTES - 1);

	if (!provider->file) {
		topic->ready = true;
		return 0;
	}
	if (provider->file(topic->uri, strlen(topic->uri), &path, err) < 0)
		return -1;
	return watch_file(topic->topics->watcher, path.data, path.len, &watch_events, topic,
		&topic->watch, err);
}

static int topic_new(struct topics *topics, const char *uri, struct topic **out, struct err *err)
{
	const struct resource_provider *provider = resource_provider_find(uri, strlen(uri));

	if (!provider)
		return err_set(err, ERR_NOT_FOUND, "no resource here has a URI like that");
	if (topics->count >= TOPICS_MAX)
		return err_set(err, ERR_LIMIT,
			"%d resources are watched already: unsubscribe from some", TOPICS_MAX);
	struct topic *topic = alloc_zero(sizeof *topic);
	struct topic **bucket = bucket_of(topics, uri);
	*topic = (struct topic){
		.topics = topics,
		.uri = alloc_text(uri),
		.next = *bucket,
		.link = bucket,
	};
	if (topic->next)
		topic->next->link = &topic->next;
	*bucket = topic;
	topics->count++;
	if (start_watch(topic, provider, err) < 0) {
		topic_free(topic);
		return -1;
	}
	*out = topic;
	return 0;
}

void topics_updated(struct topics *topics, const char *uri)
{
	struct topic *topic = find(topics, uri);

	if (topic)
		tell(topic);
}

/* ---- interests ---- */

int interest_new(struct topics *topics, const char *uri, size_t len,
	const struct interest_events *events, void *data, struct interest **out, struct err *err)
{
	if (len > RESOURCE_URI_MAX || memchr(uri, '\0', len))
		return err_set(err, ERR_INVALID,
			"a URI has at most %d bytes, and no NUL among them", RESOURCE_URI_MAX);
	AUTO_FREE char *text = alloc_textn(uri, len);
	struct topic *topic = find(topics, text);
	if (!topic && topic_new(topics, text, &topic, err) < 0)
		return -1;

	struct interest *interest = alloc_zero(sizeof *interest);
	*interest = (struct interest){
		.topic = topic,
		.events = events,
		.data = data,
		.next = topic->interests,
		.link = &topic->interests,
	};
	if (interest->next)
		interest->next->link = &interest->next;
	topic->interests = interest;
	*out = interest;
	return 0;
}

void interest_free(struct interest *interest)
{
	if (!interest)
		return;
	*interest->link = interest->next;
	if (interest->next)
		interest->next->link = interest->link;
	if (!interest->topic->interests)
		topic_free(interest->topic);
	free(interest);
}

const char *interest_uri(const struct interest *interest)
{
	return interest->topic->uri;
}

bool interest_ready(const struct interest *interest)
{
	return interest->topic->ready;
}
