#include "body.h"
#include <string.h>

void body_init(Body *b, bool chunked) { *b = (Body){.chunked = chunked, .digits = -1}; }

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 32);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_text(Body *b, const char *p, size_t length, int64_t at, TakeMark *take, void *owner) {
  const char *end = p + length;
  b->text += length;
  while (p < end) {
    if (b->digits < 0) {
      if (!(p = memchr(p, '~', (size_t)(end - p)))) return;
      p++;
      b->digits = 0;
      b->number = 0;
    }
    for (; p < end && b->digits >= 0 && b->digits < MARK_DIGITS; p++) {
      int digit = hex(*p);
      b->number = b->number << 4 | (uint32_t)(digit & 15);
      b->digits = (int8_t)(digit < 0 ? -1 : b->digits + 1);
    }
    if (b->digits == MARK_DIGITS) {
      take(owner, b->number, at);
      b->digits = -1;
    }
  }
}

// One byte of a size line. The empty line after a chunk's data has no digits, and is passed.
static void read_size(Body *b, char c) {
  int digit = hex(c);
  if (digit >= 0) b->chunk = b->chunk << 4 | (uint64_t)digit;
  else if (c == '\n') b->in_chunk = b->chunk > 0;
}

void body_read(Body *b, const char *p, size_t length, int64_t at, TakeMark *take, void *owner) {
  if (!b->chunked) {
    read_text(b, p, length, at, take, owner);
    return;
  }
  for (const char *end = p + length; p < end;) {
    if (!b->in_chunk) {
      read_size(b, *p++);
      continue;
    }
    size_t part = (size_t)(end - p) < b->chunk ? (size_t)(end - p) : (size_t)b->chunk;
    read_text(b, p, part, at, take, owner);
    p += part;
    b->chunk -= part;
    b->in_chunk = b->chunk > 0;
  }
}
