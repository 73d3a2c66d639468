// The body of a stream: chunk framing taken off, and the marks in it found, wherever a read ends.
#pragma once
#include "base.h"

// Every message carries "~" and its number in 8 hexadecimal digits at the start of its data.
enum { MARK_DIGITS = 8 };

typedef struct {
  bool chunked, in_chunk; // in_chunk: the size line of the present chunk is read
  int8_t digits;          // read of a mark so far; -1 outside of one
  uint32_t number;
  uint64_t chunk; // bytes left of the chunk, or what is read of its size
  uint64_t text;  // bytes so far, without framing
} Body;

typedef void TakeMark(void *owner, uint32_t number, int64_t at);

void body_init(Body *, bool chunked);
void body_read(Body *, const char *bytes, size_t length, int64_t at, TakeMark *, void *owner);
