// Opens streams on one server, publishes to it, and prints what it saw as one line of JSON.
// Build: cc -O2 -o load *.c        Options: options.h        Everything runs in one thread, on one epoll.
#define _GNU_SOURCE
#include "loop.h"
#include "options.h"
#include "publishers.h"
#include "streams.h"
#include "tally.h"
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

static Options options;
static Tally tally;
static long rss_before, rss_after;
static double cpu_before, cpu_after;
static uint32_t input_lines;
static bool input_ended;

static bool never(void) { return false; }
static bool told_to_go(void) { return input_lines > 0; }
static bool told_to_end(void) { return input_ended; }

static void input_ready(Source *source, uint32_t events) {
  (void)source, (void)events;
  char bytes[256];
  ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
  for (ssize_t i = 0; i < got; i++) {
    if (bytes[i] != '\n') continue;
    if (input_lines++) tally_next_part(&tally); // the first one says go
  }
  if (got > 0) return;
  input_lines++;
  input_ended = true;
  loop_forget(STDIN_FILENO);
}

static void rest(uint32_t ms) { loop_until(never, NULL, now_ns() + ms * 1000000LL); }

static void raise_limits(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files)) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

static void add_text(Buffer *b, const char *text) {
  buffer_text(b, "\"");
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') buffer_print(b, "\\%c", c);
    else if (c < 32 || c > 126) buffer_print(b, "\\u%04x", c);
    else buffer_add(b, text, 1);
  }
  buffer_text(b, "\"");
}

static void add_times(Buffer *b, const char *name, const Histogram *h) {
  buffer_print(b, "\"%s\":{\"count\":%lu,\"p50\":%.4f,\"p99\":%.4f,\"max\":%.4f}", name, h->total,
               histogram_ms(h, 0.5), histogram_ms(h, 0.99), histogram_ms(h, 1));
}

static double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

static void add_opening(Buffer *b) {
  const Opening *o = streams_opening();
  buffer_print(b, "\"open\":{\"streams\":%u,\"refused\":%u,\"closedEarly\":%u,\"seconds\":%.4f,\"perSecond\":%.1f,",
               o->opened, o->refused, o->closed_early, o->seconds, per_second(o->opened, o->seconds));
  buffer_print(b, "\"replayed\":%lu,\"replayComplete\":%u,\"replaySurplus\":%lu,\"replaySeconds\":%.4f,", o->replayed,
               o->replay_complete, o->replay_surplus, o->replay_seconds);
  buffer_text(b, "\"firstRefusal\":");
  add_text(b, o->first_refusal);
  buffer_text(b, "},");
}

static void add_publishing(Buffer *b) {
  const Publishing *p = publishers_result();
  double seconds = (double)(p->answered_at - p->started_at) / 1e9;
  buffer_print(b, "\"publish\":{\"sent\":%u,\"answered\":%u,\"failed\":%u,\"seconds\":%.4f,\"perSecond\":%.1f,", p->sent,
               p->answered, p->failed, p->sent ? seconds : 0, p->sent ? per_second(p->answered, seconds) : 0);
  add_times(b, "latencyMs", &p->latency);
  buffer_text(b, ",\"firstFailure\":");
  add_text(b, p->first_failure);
  buffer_text(b, "},");
}

static void add_deliveries(Buffer *b, uint64_t bytes) {
  double seconds = (double)(tally.last_at - publishers_result()->started_at) / 1e9;
  buffer_print(b, "\"deliveries\":{\"expected\":%lu,\"received\":%lu,\"lost\":%lu,\"doubled\":%lu,\"foreign\":%lu,",
               tally.expected, tally.received, tally.expected > tally.received ? tally.expected - tally.received : 0,
               tally.doubled, tally.foreign);
  buffer_print(b, "\"seconds\":%.4f,\"perSecond\":%.1f,\"bytes\":%lu,", tally.received ? seconds : 0,
               tally.received ? per_second((double)tally.received, seconds) : 0, bytes);
  add_times(b, "latencyMs", &tally.latency);
  buffer_text(b, ",");
  add_times(b, "toLastMs", &tally.to_last);
  buffer_text(b, ",\"parts\":[");
  for (uint32_t i = 0; i <= tally.part; i++) {
    buffer_text(b, i ? ",{" : "{");
    add_times(b, "latencyMs", &tally.parts[i]);
    buffer_text(b, "}");
  }
  buffer_text(b, "]},");
}

static void print_result(uint64_t bytes) {
  struct rusage own;
  getrusage(RUSAGE_SELF, &own);
  double own_cpu = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
                   (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
  Buffer b = {0};
  buffer_text(&b, "{");
  add_opening(&b);
  add_publishing(&b);
  add_deliveries(&b, bytes);
  buffer_print(&b, "\"server\":{\"cpuSeconds\":%.3f,\"cpuMicrosPerDelivery\":%.4f,\"rssBeforeKiB\":%ld,\"rssAfterKiB\":%ld},",
               cpu_after - cpu_before, tally.received ? (cpu_after - cpu_before) * 1e6 / (double)tally.received : 0,
               rss_before, rss_after);
  buffer_print(&b, "\"loadCpuSeconds\":%.3f,\"overLimit\":%s}", own_cpu, loop_over() ? "true" : "false");
  puts(b.bytes);
  fflush(stdout);
}

static void open_all(void) {
  if (options.warm) {
    streams_open(options.warm, 0);
    rest(options.settle_ms);
    streams_close();
    rest(options.settle_ms);
  }
  rss_before = rss_kib(options.pids);
  streams_open(options.streams, options.replay);
  rest(options.settle_ms);
  rss_after = rss_kib(options.pids);
}

static void publish_all(void) {
  publishers_init(&options, &tally);
  streams_count_marks(true);
  cpu_before = cpu_seconds(options.pids);
  publishers_run();
  cpu_after = cpu_seconds(options.pids);
  rest(50); // a delivery that comes twice would come now
}

int main(int words, char **word) {
  options_read(&options, words, word);
  raise_limits();
  setpriority(PRIO_PROCESS, 0, options.nice);
  loop_init(options.limit_s);
  tally_init(&tally, options.streams, options.channels, options.messages);
  streams_init(&options, &tally);
  static Source input = {input_ready};
  if (options.wait || options.hold) loop_watch(&input, STDIN_FILENO, EPOLLIN, false);
  open_all();
  if (options.wait) {
    puts("{\"ready\":true}");
    fflush(stdout);
    loop_until(told_to_go, NULL, 0);
  }
  uint64_t bytes_before = streams_opening()->bytes;
  if (options.messages) publish_all();
  uint64_t bytes = streams_opening()->bytes - bytes_before;
  if (options.hold) loop_until(told_to_end, NULL, 0);
  print_result(bytes);
  return 0;
}
