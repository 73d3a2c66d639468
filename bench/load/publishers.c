#define _GNU_SOURCE
#include "publishers.h"
#include "body.h"
#include "loop.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  Source source;
  int fd;
  uint32_t nth;
  Buffer out, in;
  uint32_t *flight; // numbers in flight, a ring of `window`
  uint32_t first, count;
} Publisher;

static const Options *options;
static Tally *tally;
static Publisher *publishers;
static uint32_t next_publisher, dialled;
static char *data;
static Publishing result;
static int64_t publishing_ends;

static void publisher_ready(Source *, uint32_t events);

static void open_connection(Publisher *p) {
  p->fd = dial(options->host, options->publish_port, options->streams + dialled++);
  p->out.length = p->in.length = 0;
  loop_watch(&p->source, p->fd, EPOLLIN, false);
}

void publishers_init(const Options *o, Tally *t) {
  options = o;
  tally = t;
  histogram_init(&result.latency);
  data = allocate(o->size + 1, 1);
  memset(data, 'x', o->size);
  data[0] = '~';
  publishers = allocate(o->publishers, sizeof *publishers);
  for (uint32_t i = 0; i < o->publishers; i++) {
    publishers[i] = (Publisher){.source = {publisher_ready}, .nth = i};
    publishers[i].flight = allocate(o->window, sizeof(uint32_t));
    open_connection(&publishers[i]);
  }
}

static void add_request(Buffer *out, uint32_t number) {
  static Buffer body;
  char mark[MARK_DIGITS + 2];
  snprintf(mark, sizeof mark, "~%08x", number);
  memcpy(data, mark, MARK_DIGITS + 1);
  uint32_t channel = number % options->channels;
  body.length = 0;
  if (strcmp(options->method, "GET")) buffer_expand(&body, options->publish_body, channel, data, options->size);
  buffer_print(out, "%s ", options->method);
  buffer_expand(out, options->publish_path, channel, data, options->size);
  buffer_text(out, " HTTP/1.1\r\nHost: localhost\r\n");
  for (const char **h = (const char **)options->publish_headers; *h; h++) buffer_print(out, "%s\r\n", *h);
  if (body.length) buffer_print(out, "Content-Length: %zu\r\n", body.length);
  buffer_text(out, "\r\n");
  buffer_add(out, body.bytes ? body.bytes : "", body.length);
}

static void write_out(Publisher *p) {
  while (p->out.length) {
    ssize_t wrote = send(p->fd, p->out.bytes, p->out.length, MSG_NOSIGNAL);
    if (wrote <= 0) break; // a broken connection shows when it is read
    buffer_drop(&p->out, (size_t)wrote);
  }
  loop_watch(&p->source, p->fd, p->out.length ? EPOLLIN | EPOLLOUT : EPOLLIN, true);
}

static void publish(Publisher *p, int64_t at) {
  uint32_t number = result.sent++;
  if (!number) result.started_at = at;
  tally_sent(tally, number, at);
  p->flight[(p->first + p->count++) % options->window] = number;
  bool idle = p->out.length == 0;
  add_request(&p->out, number);
  if (idle) {
    ssize_t wrote = send(p->fd, p->out.bytes, p->out.length, MSG_NOSIGNAL);
    if (wrote > 0) buffer_drop(&p->out, (size_t)wrote);
    if (p->out.length) write_out(p);
  }
}

static Publisher *free_publisher(void) {
  for (uint32_t i = 0; i < options->publishers; i++) {
    Publisher *p = &publishers[(next_publisher + i) % options->publishers];
    if (p->count == options->window) continue;
    next_publisher = (p->nth + 1) % options->publishers;
    return p;
  }
  return NULL;
}

static bool all_delivered(void) { return tally->received >= tally->expected; }

static bool all_published(void) {
  return result.sent >= options->messages || (publishing_ends && now_ns() >= publishing_ends);
}

static int64_t due_at(uint32_t number) { return result.started_at + (int64_t)(number * 1e9 / options->rate); }

static void publish_some(void) {
  while (!all_published()) {
    if (options->lockstep && (result.answered < result.sent || !all_delivered())) return;
    int64_t now = now_ns(), at = now;
    if (options->rate > 0 && result.sent) {
      int64_t due = due_at(result.sent);
      if (due > now) {
        loop_wake_at(due);
        return;
      }
      if (!options->lockstep) at = due; // waiting for a turn is part of what the publisher sees
    }
    Publisher *p = free_publisher();
    if (!p) return;
    publish(p, at);
  }
}

static void take_answer(Publisher *p, bool accepted) {
  uint32_t number = p->flight[p->first];
  p->first = (p->first + 1) % options->window;
  p->count--;
  result.answered++;
  result.answered_at = now_ns();
  histogram_add(&result.latency, result.answered_at - tally->sent_at[number]);
  if (accepted) return;
  if (!result.failed++) snprintf(result.first_failure, sizeof result.first_failure, "%s", p->in.bytes ? p->in.bytes : "");
  tally_refused(tally, number);
}

static char *find_header(char *head, const char *end, const char *name) {
  char *at = strcasestr(head, name);
  return at && at < end ? at + strlen(name) : NULL;
}

// The length of the whole answer at the front of the buffer; 0 while it is not complete.
static size_t answer_length(char *head, size_t length) {
  char *end = strstr(head, "\r\n\r\n");
  if (!end) return 0;
  size_t before = (size_t)(end + 4 - head), body = 0;
  char *header;
  if ((header = find_header(head, end, "\r\ncontent-length:"))) {
    body = strtoul(header, NULL, 10);
  } else if (find_header(head, end, "\r\ntransfer-encoding:")) {
    char *last = strstr(end + 2, "\r\n0\r\n\r\n");
    if (!last) return 0;
    body = (size_t)(last + 7 - (end + 4));
  }
  return length >= before + body ? before + body : 0;
}

static void reopen(Publisher *p) {
  while (p->count) take_answer(p, false);
  close(p->fd);
  open_connection(p);
}

static void publisher_ready(Source *source, uint32_t events) {
  Publisher *p = (Publisher *)source;
  if (events & EPOLLOUT) write_out(p);
  char *bytes = loop_bytes();
  ssize_t got = recv(p->fd, bytes, LOOP_BYTES, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    reopen(p);
    return;
  }
  buffer_add(&p->in, bytes, (size_t)got);
  for (size_t length; p->count && (length = answer_length(p->in.bytes, p->in.length));) {
    take_answer(p, !strncmp(p->in.bytes, "HTTP/1.1 2", 10));
    buffer_drop(&p->in, length);
  }
}

static bool nothing_comes(void) {
  int64_t last = tally->last_at > result.answered_at ? tally->last_at : result.answered_at;
  if (last < result.started_at) last = result.started_at;
  return now_ns() - last > options->grace_ms * 1000000LL;
}

static bool finished(void) {
  if (options->lockstep && result.sent && nothing_comes()) return true; // a lost delivery would hold it for ever
  if (!all_published()) return false;
  return (result.answered >= result.sent && all_delivered()) || nothing_comes();
}

void publishers_run(void) {
  if (options->seconds > 0) publishing_ends = now_ns() + (int64_t)(options->seconds * 1e9);
  loop_until(finished, publish_some, 0);
}

const Publishing *publishers_result(void) { return &result; }
