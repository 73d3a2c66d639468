// Publishing: requests over keep-alive connections, so many in flight on each, flat out or at a rate.
#pragma once
#include "options.h"
#include "tally.h"

typedef struct {
  uint32_t sent, answered, failed; // failed: no 2xx, or the connection broke before the answer
  int64_t started_at, answered_at; // of the first request, of the last answer
  Histogram latency;               // from the time it was sent (at a rate: was due) to its whole answer
  char first_failure[300];
} Publishing;

void publishers_init(const Options *, Tally *);
// Returns when everything is answered and delivered, or nothing has come for --grace after the last publish.
void publishers_run(void);
const Publishing *publishers_result(void);
