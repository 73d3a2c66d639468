// Who must get which message, and who got it: nothing lost, nothing twice.
#pragma once
#include "base.h"

enum { MAX_PARTS = 8 };

typedef struct {
  uint32_t streams, channels, capacity; // capacity: the most messages
  uint32_t sent;                        // numbers below this were published
  int64_t *sent_at;
  uint32_t *missing; // of each message: deliveries still to come
  uint8_t *seen;     // a bit for each stream and message of its channel
  size_t row_bytes;
  uint64_t expected, received, doubled, foreign; // foreign: a number that this stream should not get
  int64_t last_at;
  Histogram latency, to_last;
  Histogram parts[MAX_PARTS]; // of `latency`, by the part of the run in which it was received
  uint32_t part;
} Tally;

void tally_init(Tally *, uint32_t streams, uint32_t channels, uint32_t capacity);
void tally_sent(Tally *, uint32_t number, int64_t at);
void tally_refused(Tally *, uint32_t number); // the publish was not accepted: nobody waits for it
void tally_received(Tally *, uint32_t stream, uint32_t number, int64_t at);
void tally_next_part(Tally *); // stays in the last one when there are no more
