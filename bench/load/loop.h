// The event loop: one epoll, sources that know how to handle being ready, and dialling.
#pragma once
#include "base.h"

// The first member of everything that epoll reports on.
typedef struct Source {
  void (*ready)(struct Source *, uint32_t events);
} Source;

void loop_init(double limit_s);
void loop_watch(Source *, int fd, uint32_t events, bool known); // known: change what is watched already
void loop_forget(int fd);
bool loop_over(void);                                           // the limit of the whole run is reached

// Turns the loop until the answer is true, `deadline` (now_ns; 0: none) has passed, or the run is over.
// Answers whether it was the answer. `tick`, when given, is called on every turn before waiting.
bool loop_until(bool (*done)(void), void (*tick)(void), int64_t deadline);

void loop_wake_at(int64_t at); // ends a wait at that time, to within some microseconds

// A socket that connects without blocking, from an address of 127/8 of this process' own, so that ports in TIME_WAIT
// of one run do not stand in the way of the next.
int dial(const char *host, int port, uint32_t nth);

char *loop_bytes(void); // where reads may put up to LOOP_BYTES
enum { LOOP_BYTES = 1 << 18 };
