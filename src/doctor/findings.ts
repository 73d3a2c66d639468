import { corsOf } from "./cors.ts";
import { finding, type Finding, seconds } from "./finding.ts";
import type { Opened } from "./stream.ts";
import type { Seen } from "./watch.ts";

/** What was asked, and what was seen. */
export interface Observation {
  /** The gateway's address as it was given, without a slash at its end and without a query. */
  readonly url: string;
  /** How long the probe was to last. */
  readonly forMs: number;
  /** The fastest plain answer of the same address, connection included. */
  readonly roundTripMs: number;
  /** `1.1`, `2`, `3`, of what a browser would use; null where that is not known. */
  readonly httpVersion: string | null;
  /** Of the page that was asked for; null where none was. */
  readonly origin: string | null;
  /** The stream that was opened beside the probe; null where none was. */
  readonly stream: Opened | null;
  readonly seen: Seen;
}

/** Late by this much is buffered; less can be a busy machine. */
const BUFFERED_MS = 1000;
const LATE_MS = 300;
/** Nothing sent for this long before the end: it was ended for being quiet. */
const QUIET_MS = 900;
const MISSING_GATEWAY = [
  "error_page 502 503 504 =200 @later; # in the location of streams",
  'location @later { default_type text/event-stream; add_header Access-Control-Allow-Origin "*"; return 200 "retry: 3000\\n\\n"; }',
];

/** Everything that can be told of a probe, in the order in which a reader would ask. */
export function findingsOf(observation: Observation): readonly Finding[] {
  const { seen, httpVersion, origin, stream, url } = observation;
  const http = httpVersion === null ? [] : [httpOf(httpVersion)];
  if (seen.ticks.length === 0) return [unreached(observation), ...http];
  return [
    finding("reach", "ok", `a stream is answered: the first event came after ${seconds(seen.ticks[0]!.arrivedMs)}`),
    ...(stream === null ? [] : [streamOf(stream)]),
    ...http,
    bufferingOf(observation),
    cutOf(observation),
    compressionOf(seen),
    ...(origin === null ? [] : [corsOf(stream?.status === 200 ? stream.headers : seen.headers, origin, url)]),
    ...addressOf(observation),
    ...missingOf(seen),
  ];
}

/** No tick came: why. */
function unreached({ seen }: Observation): Finding {
  const { status, headers, closeReason, endedMs, text } = seen;
  if (status === null || (seen.end === "silent" && status === 200)) {
    const says = `nothing of the stream came within ${seconds(endedMs)}: something between holds it back`;
    return finding("buffering", "problem", says, BUFFERING_FIX);
  }
  const type = headers["content-type"] ?? "no content type";
  const isOurs = text.includes('"request_id":');
  if (status >= 502 && status <= 504 && !isOurs) {
    const says = `no gateway answers: the proxy says ${status}, on which an EventSource gives up for good`;
    return finding("missing_gateway", "problem", says, MISSING_GATEWAY);
  }
  if (status === 200 && closeReason !== null) {
    return finding("reach", "unknown", `the gateway takes no probe right now (${closeReason}); try again in a while`);
  }
  if (status === 200 && type.startsWith("text/event-stream") && /^retry: *\d+\s*$/.test(text)) {
    const says =
      "no gateway answers; the proxy tells an EventSource to come back, as it should. Look again when one does";
    return finding("missing_gateway", "unknown", says);
  }
  if (status === 200 && type.startsWith("text/event-stream")) {
    const broken = seen.end === "closed" ? "" : `, and it ${seen.end} after ${seconds(endedMs)}`;
    return finding(
      "reach",
      "unknown",
      `a stream is answered, but no probe: is it an older gateway, or another service?${broken}`,
    );
  }
  const says = isOurs ? detailOf(text) : `it is no gateway's answer (${type})`;
  return finding("reach", "unknown", `no stream is answered but ${status}: ${says}`);
}

function streamOf({ status, headers, text }: Opened): Finding {
  if (status === 200 && headers["content-type"]?.startsWith("text/event-stream") === true) {
    return finding("stream", "ok", "the stream of this address opens");
  }
  const why = text.includes('"request_id":') ? `: ${detailOf(text)}` : "";
  return finding("stream", "problem", `the stream of this address is answered ${status}${why}`);
}

function detailOf(text: string): string {
  return /"detail":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? "an error";
}

function httpOf(version: string): Finding {
  if (version !== "1.1")
    return finding("http", "ok", `HTTP/${version}: a browser opens any number of streams on one connection`);
  return finding("http", "note", "HTTP/1.1: a browser opens at most six connections to an origin, streams included", [
    "listen 443 ssl;",
    "http2 on; # before nginx 1.25.1: listen 443 ssl http2;",
  ]);
}

const BUFFERING_FIX = [
  "proxy_buffering off;",
  "proxy_http_version 1.1;",
  "# and neither `gzip on;` nor `proxy_ignore_headers X-Accel-Buffering;` in the location of streams",
];

/**
 * How late events came, at most, less what the watcher's own standing still explains. Clocks differ, so what counts is
 * when they were sent since the probe began.
 */
export function bufferedMs({ roundTripMs, seen }: Pick<Observation, "roundTripMs" | "seen">): number {
  const lateMs = seen.ticks.map(({ sentMs, arrivedMs }) => arrivedMs - sentMs);
  return Math.max(0, Math.max(...lateMs) - Math.min(roundTripMs, ...lateMs) - seen.stalledMs);
}

function bufferingOf(observation: Observation): Finding {
  const { ticks } = observation.seen;
  const lateMs = bufferedMs(observation);
  if (lateMs < LATE_MS) return finding("buffering", "ok", `not buffered: events came at most ${seconds(lateMs)} late`);
  if (lateMs < BUFFERED_MS) return finding("buffering", "note", `events came up to ${seconds(lateMs)} late`);
  const atOnce = ticks.at(-1)!.arrivedMs - ticks[0]!.arrivedMs < QUIET_MS && ticks.at(-1)!.sentMs > QUIET_MS;
  const says = atOnce
    ? `buffered: events came ${seconds(lateMs)} late, all at once when the stream ended; one that goes on would show nothing`
    : `buffered: events came up to ${seconds(lateMs)} late`;
  return finding("buffering", "problem", says, BUFFERING_FIX);
}

/** After how long the stream was cut; null where it was not. */
export function cutAfterMs({ end, endedMs }: Pick<Seen, "end" | "endedMs">): number | null {
  return end === "closed" ? null : endedMs;
}

function cutOf({ forMs, seen }: Observation): Finding {
  const { end, endedMs, ticks, opening, closeReason } = seen;
  const heartbeatMs = opening!.heartbeat_ms;
  if (end === "closed" && closeReason !== "max_age") {
    return finding(
      "cut",
      "unknown",
      `the gateway ended the stream after ${seconds(endedMs)} (${closeReason}); try again`,
    );
  }
  if (end === "closed") {
    const isQuiet = ticks.some(({ sentMs }, i) => i > 0 && sentMs - ticks[i - 1]!.sentMs > QUIET_MS);
    const further = isQuiet
      ? ""
      : `; a quiet stream is sent something every ${seconds(heartbeatMs)}, so look for longer than that`;
    return finding("cut", "ok", `not cut within ${seconds(forMs)}${further}`);
  }
  if (end === "silent") {
    return finding(
      "cut",
      "problem",
      `the end of the stream did not come; the last event came after ${seconds(ticks.at(-1)!.arrivedMs)}`,
    );
  }
  const quietMs = endedMs - ticks.at(-1)!.arrivedMs;
  if (quietMs > QUIET_MS) {
    return finding(
      "cut",
      "problem",
      `cut after ${seconds(endedMs)}, when nothing had been sent for ${seconds(quietMs)}`,
      [
        `proxy_read_timeout 60s; # more than SOCKET_HEARTBEAT, ${seconds(heartbeatMs)}`,
        `# or, where that cannot be set: SOCKET_HEARTBEAT=${Math.max(100, Math.floor(quietMs / 2 / 100) * 100)}ms`,
      ],
    );
  }
  // A stream's age differs by 20 % either way.
  const ageS = Math.max(1, Math.floor(endedMs / 1200));
  return finding("cut", "problem", `cut after ${seconds(endedMs)}, while events were being sent`, [
    "# raise what limits a request's whole time (of Google's balancers: the backend timeout), or let streams end before it:",
    `SOCKET_STREAM_AGE=${ageS}s`,
  ]);
}

function compressionOf({ headers }: Seen): Finding {
  const encoding = headers["content-encoding"];
  if (encoding === undefined || encoding === "identity") return finding("compression", "ok", "not compressed");
  const says = `compressed (${encoding}), against the gateway's no-transform: it costs memory for each stream, and can hold events back`;
  return finding("compression", "problem", says, ["gzip off; # in the location of streams"]);
}

function addressOf({ url, seen: { opening } }: Observation): readonly Finding[] {
  if (opening!.address_known !== false) return [];
  const says = `the addresses that POST /channel/subscribe gives do not begin with ${url}`;
  return [
    finding("address", "problem", says, [
      `SOCKET_PUBLIC_URL=${url}`,
      "# or SOCKET_TRUSTED_PROXIES=<the proxy's address>, and in the proxy:",
      "proxy_set_header X-Forwarded-Host $http_host;",
      "proxy_set_header X-Forwarded-Proto $scheme;",
    ]),
  ];
}

/** What a proxy answers while no gateway runs shows only then. */
function missingOf({ headers, opening }: Seen): readonly Finding[] {
  const between = [...opening!.forwarded_by, ...(headers["via"] === undefined ? [] : [`Via: ${headers["via"]}`])];
  const server = headers["server"];
  if (between.length === 0 && server === undefined) return [];
  const who = server ?? between.join(", ");
  const says = `something stands between (${who}); what it answers while no gateway runs shows only then: stop it and look again`;
  return [finding("missing_gateway", "note", says)];
}
