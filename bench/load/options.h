// The command line: what is opened, what is published, and when it ends.
#pragma once
#include "base.h"

enum { MAX_HEADERS = 32 };

typedef struct {
  const char *host;
  int port, publish_port; // publish_port is port unless given
  const char *pids;       // comma list: whose CPU and RSS are measured
  int nice;               // so much less important than the others on this machine
  double limit_s;         // the whole run ends after this, whatever is missing

  uint32_t streams, channels; // stream i listens to channel i % channels
  uint32_t warm;              // so many streams are opened and closed before anything is measured
  uint32_t connecting;        // connects that wait for their first answer at one time
  bool greeting;              // a stream counts as open only with the first byte of its body
  const char *stream_path, *stream_file;
  const char *stream_headers[MAX_HEADERS + 1];
  uint32_t replay;     // so many messages must reach every stream before anything is published
  uint32_t settle_ms;  // quiet time before RSS is read

  const char *method, *publish_path, *publish_body;
  const char *publish_headers[MAX_HEADERS + 1];
  uint32_t messages;       // the most that is published
  double seconds;          // publishing stops after this; 0: not by time
  uint32_t size;           // bytes of {data}
  uint32_t publishers, window; // keep-alive connections, and requests in flight on each
  double rate;             // publishes a second over all; 0: flat out
  bool lockstep;           // the next publish waits until the one before is answered and delivered everywhere
  uint32_t grace_ms;       // how long to wait for a delivery that does not come

  // After opening, print {"ready":true} and wait for a line (or the end) on standard input. Each further line begins a
  // new part of the run, for which latencies are told apart.
  bool wait;
  bool hold; // after publishing, keep the streams until standard input ends
} Options;

void options_read(Options *, int count, char **words);
