#define _GNU_SOURCE
#include "base.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void fail(const char *form, ...) {
  va_list args;
  va_start(args, form);
  fputs("load: ", stderr);
  vfprintf(stderr, form, args);
  fputc('\n', stderr);
  exit(2);
}

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) fail("out of memory (%zu x %zu bytes)", count, size);
  return memory;
}

void buffer_reserve(Buffer *b, size_t more) {
  size_t wanted = b->length + more + 1;
  if (wanted <= b->capacity) return;
  size_t capacity = b->capacity ? b->capacity : 256;
  while (capacity < wanted) capacity *= 2;
  char *bytes = realloc(b->bytes, capacity);
  if (!bytes) fail("out of memory (%zu bytes)", capacity);
  b->bytes = bytes;
  b->capacity = capacity;
}

void buffer_add(Buffer *b, const void *bytes, size_t length) {
  buffer_reserve(b, length);
  memcpy(b->bytes + b->length, bytes, length);
  b->length += length;
  b->bytes[b->length] = 0;
}

void buffer_text(Buffer *b, const char *text) { buffer_add(b, text, strlen(text)); }

void buffer_print(Buffer *b, const char *form, ...) {
  va_list args, again;
  va_start(args, form);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, form, args);
  va_end(args);
  if (length < 0) fail("cannot print %s", form);
  buffer_reserve(b, (size_t)length);
  vsnprintf(b->bytes + b->length, (size_t)length + 1, form, again);
  va_end(again);
  b->length += (size_t)length;
}

void buffer_drop(Buffer *b, size_t length) {
  memmove(b->bytes, b->bytes + length, b->length - length);
  b->length -= length;
  b->bytes[b->length] = 0;
}

void buffer_free(Buffer *b) {
  free(b->bytes);
  *b = (Buffer){0};
}

void buffer_expand(Buffer *b, const char *form, uint32_t channel, const char *data, size_t data_length) {
  while (*form) {
    const char *brace = strchrnul(form, '{');
    buffer_add(b, form, (size_t)(brace - form));
    form = brace;
    if (!strncmp(form, "{channel}", 9)) {
      buffer_print(b, "%u", channel);
      form += 9;
    } else if (!strncmp(form, "{data}", 6)) {
      buffer_add(b, data, data_length);
      form += 6;
    } else if (*form) {
      buffer_add(b, form++, 1);
    }
  }
}

// Buckets: below 256 ns one each; above, 256 to every power of two.
enum { SUB_BITS = 8, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUB };

static size_t bucket_of(uint64_t ns) {
  if (ns < SUB) return ns;
  int shift = 63 - __builtin_clzll(ns) - SUB_BITS;
  return (size_t)(shift + 1) * SUB + ((ns >> shift) - SUB);
}

static uint64_t value_of(size_t bucket) {
  if (bucket < SUB) return bucket;
  size_t shift = bucket / SUB - 1;
  return (uint64_t)(SUB + bucket % SUB) << shift;
}

void histogram_init(Histogram *h) { *h = (Histogram){.counts = allocate(BUCKETS, sizeof *h->counts)}; }

void histogram_add(Histogram *h, int64_t ns) {
  if (ns < 0) ns = 0;
  h->counts[bucket_of((uint64_t)ns)]++;
  h->total++;
  if (ns > h->max) h->max = ns;
}

double histogram_ms(const Histogram *h, double quantile) {
  if (quantile >= 1) return (double)h->max / 1e6;
  uint64_t wanted = (uint64_t)((double)h->total * quantile), seen = 0;
  for (size_t i = 0; i < BUCKETS && h->total; i++)
    if ((seen += h->counts[i]) > wanted) return (double)value_of(i) / 1e6;
  return 0;
}

// Calls back with the text of /proc/<pid>/<file> for every process of the list.
static void each_process(const char *pids, const char *file, void (*take)(const char *text, void *sum), void *sum) {
  for (const char *p = pids; *p; p += strcspn(p, ","), p += *p == ',') {
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%ld/%s", strtol(p, NULL, 10), file);
    FILE *f = fopen(path, "r");
    if (!f) continue;
    size_t length = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[length] = 0;
    take(text, sum);
  }
}

static void take_cpu(const char *stat, void *sum) {
  const char *after_name = strrchr(stat, ')'); // the name may hold spaces and brackets
  unsigned long user, system;
  if (after_name && sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2)
    *(double *)sum += (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void take_rss(const char *statm, void *sum) {
  long pages;
  if (sscanf(statm, "%*d %ld", &pages) == 1) *(long *)sum += pages * (sysconf(_SC_PAGESIZE) / 1024);
}

double cpu_seconds(const char *pids) {
  double sum = 0;
  each_process(pids, "stat", take_cpu, &sum);
  return sum;
}

long rss_kib(const char *pids) {
  long sum = 0;
  each_process(pids, "statm", take_rss, &sum);
  return sum;
}
