// The streams: opened a bounded number at a time, then read for as long as the run lasts.
#pragma once
#include "options.h"
#include "tally.h"

typedef struct {
  uint32_t opened, refused, closed_early; // refused: no 200, or the connect failed
  uint64_t bytes;                         // of bodies
  uint64_t replayed;                      // messages that came before anything was published
  uint32_t replay_complete;               // streams that got all of --replay
  uint64_t replay_surplus;
  double seconds, replay_seconds; // from the first connect
  char first_refusal[200];
} Opening;

// Reads the lines of --stream-file: a path, then any number of headers, parted by tabs.
void streams_init(const Options *, Tally *);
// Opens `count` streams and waits for them (and for their replays when `replay` is asked for).
void streams_open(uint32_t count, uint32_t replay);
void streams_close(void);
void streams_count_marks(bool into_tally); // from now on what arrives was published by this run
const Opening *streams_opening(void);
