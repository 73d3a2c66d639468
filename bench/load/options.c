#include "options.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static double number(const char *name, const char *text, double most) {
  char *end;
  errno = 0;
  double value = strtod(text, &end);
  if (errno || *end || end == text || value < 0 || value > most) fail("%s takes a number from 0 to %.0f", name, most);
  return value;
}

static uint32_t count(const char *name, const char *text) { return (uint32_t)number(name, text, 100e6); }

static void add_header(const char **headers, const char *name, const char *text) {
  int i = 0;
  while (headers[i]) i++;
  if (i == MAX_HEADERS) fail("%s is given more than %d times", name, MAX_HEADERS);
  headers[i] = text;
}

static bool read_flag(Options *o, const char *name) {
  if (!strcmp(name, "--greeting")) return o->greeting = true;
  if (!strcmp(name, "--lockstep")) return o->lockstep = true;
  if (!strcmp(name, "--wait")) return o->wait = true;
  if (!strcmp(name, "--hold")) return o->hold = true;
  return false;
}

static void read_value(Options *o, const char *name, const char *value) {
#define IS(word) (!strcmp(name, word))
  if (IS("--host")) o->host = value;
  else if (IS("--port")) o->port = (int)number(name, value, 65535);
  else if (IS("--publish-port")) o->publish_port = (int)number(name, value, 65535);
  else if (IS("--pids")) o->pids = value;
  else if (IS("--nice")) o->nice = (int)number(name, value, 19);
  else if (IS("--limit")) o->limit_s = number(name, value, 3600);
  else if (IS("--streams")) o->streams = count(name, value);
  else if (IS("--channels")) o->channels = count(name, value);
  else if (IS("--warm")) o->warm = count(name, value);
  else if (IS("--connecting")) o->connecting = count(name, value);
  else if (IS("--stream-path")) o->stream_path = value;
  else if (IS("--stream-file")) o->stream_file = value;
  else if (IS("--stream-header")) add_header(o->stream_headers, name, value);
  else if (IS("--replay")) o->replay = count(name, value);
  else if (IS("--settle")) o->settle_ms = count(name, value);
  else if (IS("--method")) o->method = value;
  else if (IS("--publish-path")) o->publish_path = value;
  else if (IS("--publish-body")) o->publish_body = value;
  else if (IS("--publish-header")) add_header(o->publish_headers, name, value);
  else if (IS("--messages")) o->messages = count(name, value);
  else if (IS("--seconds")) o->seconds = number(name, value, 3600);
  else if (IS("--size")) o->size = count(name, value);
  else if (IS("--publishers")) o->publishers = count(name, value);
  else if (IS("--window")) o->window = count(name, value);
  else if (IS("--rate")) o->rate = number(name, value, 1e6);
  else if (IS("--grace")) o->grace_ms = count(name, value);
  else fail("there is no option %s", name);
#undef IS
}

void options_read(Options *o, int words, char **word) {
  *o = (Options){
      .host = "127.0.0.1", .pids = "", .limit_s = 60, .channels = 1, .connecting = 200,
      .stream_path = "/channel/c{channel}/stream", .settle_ms = 300, .method = "POST", .publish_path = "/chat/send",
      .publish_body = "{\"channel\":\"c{channel}\",\"event\":\"m\",\"data\":\"{data}\"}",
      .size = 100, .publishers = 1, .window = 1, .grace_ms = 3000,
  };
  for (int i = 1; i < words; i++) {
    if (read_flag(o, word[i])) continue;
    if (i + 1 == words) fail("%s needs a value, or is no option", word[i]);
    read_value(o, word[i], word[i + 1]);
    i++;
  }
  if (!o->port) fail("--port is missing");
  if (!o->publish_port) o->publish_port = o->port;
  if (!o->channels || !o->connecting || !o->publishers || !o->window) fail("a count of 0 makes no sense there");
  if (o->size < 16) fail("--size is at least 16, for the number that each message carries");
}
