#define _GNU_SOURCE
#include "streams.h"
#include "body.h"
#include "loop.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef enum { IDLE, CONNECTING, HEAD, BODY, OPEN, CLOSED } State;

typedef struct {
  Source source;
  int fd;
  State state;
  uint32_t index;
  uint32_t replayed;
  Buffer head;
  Body body;
} Stream;

enum { MAX_HEAD = 1 << 16 };

static const Options *options;
static Tally *tally;
static bool tallying;
static Stream *streams;
static uint32_t wanted, started, settled, replay_wanted;
static char **lines; // of --stream-file
static uint32_t line_count;
static Opening opening;

static void read_lines(const char *path) {
  FILE *f = fopen(path, "r");
  if (!f) fail("%s: %s", path, strerror(errno));
  char *line = NULL;
  size_t capacity = 0, room = 0;
  for (ssize_t length; (length = getline(&line, &capacity, f)) > 0;) {
    line[strcspn(line, "\r\n")] = 0;
    if (line_count == room) {
      room = room ? room * 2 : 1024;
      if (!(lines = realloc(lines, room * sizeof *lines))) fail("out of memory");
    }
    if (!(lines[line_count++] = strdup(line))) fail("out of memory");
  }
  free(line);
  fclose(f);
  if (!line_count) fail("%s has no lines", path);
}

void streams_init(const Options *o, Tally *t) {
  options = o;
  tally = t;
  if (o->stream_file) read_lines(o->stream_file);
  uint32_t most = o->streams > o->warm ? o->streams : o->warm;
  streams = allocate(most, sizeof *streams);
}

static void add_path(Buffer *request, const Stream *s) {
  if (!line_count) {
    buffer_expand(request, options->stream_path, s->index % options->channels, "", 0);
    return;
  }
  const char *line = lines[s->index % line_count];
  buffer_add(request, line, strcspn(line, "\t"));
}

static void send_request(Stream *s) {
  Buffer request = {0};
  buffer_text(&request, "GET ");
  add_path(&request, s);
  buffer_text(&request, " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n");
  for (const char **h = (const char **)options->stream_headers; *h; h++) buffer_print(&request, "%s\r\n", *h);
  if (line_count) {
    const char *at = lines[s->index % line_count];
    for (at += strcspn(at, "\t"); *at; at += strcspn(at, "\t")) {
      at++;
      buffer_print(&request, "%.*s\r\n", (int)strcspn(at, "\t"), at);
    }
  }
  buffer_text(&request, "\r\n");
  // A fresh socket takes a request of a few KiB whole; one that does not counts as refused.
  if (send(s->fd, request.bytes, request.length, MSG_NOSIGNAL) == (ssize_t)request.length) s->state = HEAD;
  buffer_free(&request);
}

static void settle(Stream *s, State state) { // the opening of this stream is decided
  s->state = state;
  settled++;
  if (state == OPEN) opening.opened++;
  else opening.refused++;
  buffer_free(&s->head);
}

static void end_stream(Stream *s, const char *why) {
  if (s->state < OPEN) {
    if (!opening.refused)
      snprintf(opening.first_refusal, sizeof opening.first_refusal, "%s: %.*s", why, 150,
               s->head.bytes ? s->head.bytes : "");
    settle(s, CLOSED);
  } else if (s->state == OPEN) {
    opening.closed_early++;
    s->state = CLOSED;
  }
  close(s->fd);
}

static void take_mark(void *stream, uint32_t number, int64_t at) {
  Stream *s = stream;
  if (tallying) {
    tally_received(tally, s->index, number, at);
    return;
  }
  s->replayed++;
  opening.replayed++;
  if (!replay_wanted) return;
  if (s->replayed == replay_wanted) opening.replay_complete++;
  else if (s->replayed > replay_wanted) opening.replay_surplus++;
}

static void take_body(Stream *s, const char *bytes, size_t length, int64_t at) {
  opening.bytes += length;
  body_read(&s->body, bytes, length, at, take_mark, s);
}

static bool is_200(const Buffer *head) {
  return head->length > 12 && !memcmp(head->bytes, "HTTP/1.", 7) && !memcmp(head->bytes + 8, " 200", 4);
}

static void take_head(Stream *s, const char *bytes, size_t length, int64_t at) {
  buffer_add(&s->head, bytes, length);
  const char *end = strstr(s->head.bytes, "\r\n\r\n");
  if (!end) {
    if (s->head.length > MAX_HEAD) end_stream(s, "endless head");
    return;
  }
  if (!is_200(&s->head)) {
    end_stream(s, "not 200");
    return;
  }
  if (s->state == HEAD) {
    const char *coding = strcasestr(s->head.bytes, "\r\ntransfer-encoding: chunked");
    body_init(&s->body, coding && coding < end);
    s->state = BODY;
    take_body(s, end + 4, s->head.length - (size_t)(end + 4 - s->head.bytes), at);
  } else {
    take_body(s, bytes, length, at);
  }
  if (!options->greeting || s->body.text) settle(s, OPEN);
}

static void stream_ready(Source *source, uint32_t events) {
  Stream *s = (Stream *)source;
  if (s->state == CONNECTING) {
    int error = 0;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (!error) send_request(s);
    if (s->state != HEAD) end_stream(s, error ? strerror(error) : "request not taken");
    else loop_watch(source, s->fd, EPOLLIN, true);
    return;
  }
  (void)events;
  char *bytes = loop_bytes();
  ssize_t got = recv(s->fd, bytes, LOOP_BYTES, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) end_stream(s, "closed");
  else if (s->state == OPEN) take_body(s, bytes, (size_t)got, now_ns());
  else take_head(s, bytes, (size_t)got, now_ns());
}

static void start_some(void) {
  for (; started < wanted && started - settled < options->connecting; started++) {
    Stream *s = &streams[started];
    *s = (Stream){.source = {stream_ready}, .state = CONNECTING, .index = started};
    s->fd = dial(options->host, options->port, started);
    loop_watch(&s->source, s->fd, EPOLLOUT, false);
  }
}

static bool all_settled(void) { return settled == wanted; }

static bool all_replayed(void) { return opening.replay_complete + opening.closed_early + opening.refused >= wanted; }

void streams_open(uint32_t count, uint32_t replay) {
  opening = (Opening){0};
  wanted = count;
  replay_wanted = replay;
  started = settled = 0;
  int64_t start = now_ns();
  loop_until(all_settled, start_some, 0);
  opening.seconds = (double)(now_ns() - start) / 1e9;
  if (replay) loop_until(all_replayed, NULL, 0);
  opening.replay_seconds = (double)(now_ns() - start) / 1e9;
}

void streams_close(void) {
  for (uint32_t i = 0; i < started; i++) {
    if (streams[i].state == CLOSED) continue;
    buffer_free(&streams[i].head);
    close(streams[i].fd);
    streams[i].state = CLOSED;
  }
}

void streams_count_marks(bool into_tally) { tallying = into_tally; }

const Opening *streams_opening(void) { return &opening; }
