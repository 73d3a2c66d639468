// What every part of the load generator shares: time, growing byte buffers, a histogram, and /proc.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t now_ns(void);

// Prints the sentence (printf form) and ends with status 2: the run could not be made.
_Noreturn void fail(const char *form, ...) __attribute__((format(printf, 1, 2)));
void *allocate(size_t count, size_t size); // zeroed; fails instead of returning null

// Bytes that grow as needed. `bytes` is always ended by a 0 that is not counted in `length`.
typedef struct {
  char *bytes;
  size_t length, capacity;
} Buffer;

void buffer_reserve(Buffer *, size_t more);
void buffer_add(Buffer *, const void *bytes, size_t length);
void buffer_text(Buffer *, const char *text);
void buffer_print(Buffer *, const char *form, ...) __attribute__((format(printf, 2, 3)));
void buffer_drop(Buffer *, size_t length); // from the front
void buffer_free(Buffer *);

// Adds `form` with every {channel} replaced by the number and every {data} by the text.
void buffer_expand(Buffer *, const char *form, uint32_t channel, const char *data, size_t data_length);

// Durations in nanoseconds, kept to within 0.4 % however many there are.
typedef struct {
  uint64_t *counts, total;
  int64_t max;
} Histogram;

void histogram_init(Histogram *);
void histogram_add(Histogram *, int64_t ns);
double histogram_ms(const Histogram *, double quantile); // 0 when empty

// Over a comma list of process ids; a process that is gone counts as nothing.
double cpu_seconds(const char *pids); // user and system, all threads
long rss_kib(const char *pids);
