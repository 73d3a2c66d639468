#include "tally.h"

static uint32_t listeners(const Tally *t, uint32_t number) {
  uint32_t channel = number % t->channels;
  return t->streams / t->channels + (channel < t->streams % t->channels);
}

void tally_init(Tally *t, uint32_t streams, uint32_t channels, uint32_t capacity) {
  *t = (Tally){.streams = streams, .channels = channels, .capacity = capacity};
  t->sent_at = allocate(capacity, sizeof *t->sent_at);
  t->missing = allocate(capacity, sizeof *t->missing);
  t->row_bytes = (capacity / channels + 1 + 7) / 8;
  t->seen = allocate(streams, t->row_bytes);
  histogram_init(&t->latency);
  histogram_init(&t->to_last);
  for (int i = 0; i < MAX_PARTS; i++) histogram_init(&t->parts[i]);
}

void tally_next_part(Tally *t) {
  if (t->part + 1 < MAX_PARTS) t->part++;
}

void tally_sent(Tally *t, uint32_t number, int64_t at) {
  t->sent_at[number] = at;
  t->missing[number] = listeners(t, number);
  t->expected += t->missing[number];
  t->sent = number + 1;
}

void tally_refused(Tally *t, uint32_t number) {
  t->expected -= t->missing[number];
  t->missing[number] = 0;
}

void tally_received(Tally *t, uint32_t stream, uint32_t number, int64_t at) {
  if (number >= t->sent || number % t->channels != stream % t->channels) {
    t->foreign++;
    return;
  }
  uint32_t turn = number / t->channels;
  uint8_t *byte = &t->seen[stream * t->row_bytes + turn / 8], bit = (uint8_t)(1 << turn % 8);
  if (*byte & bit) {
    t->doubled++;
    return;
  }
  *byte |= bit;
  t->received++;
  t->last_at = at;
  int64_t took = at - t->sent_at[number];
  histogram_add(&t->latency, took);
  histogram_add(&t->parts[t->part], took);
  if (t->missing[number] && --t->missing[number] == 0) histogram_add(&t->to_last, took);
}
