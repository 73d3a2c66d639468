import type { Observation, Piece } from "./timed.ts";

export interface Finding {
  readonly level: "good" | "note" | "bad";
  readonly title: string;
  /** What it means, and what to do. */
  readonly detail: string;
}

/** Later than this is no network's doing, but something that waits. */
const LATE_MS = 400;
/** Pieces that came closer together than this came at once. */
const BURST_MS = 25;

/** What an observed timed stream tells of what stands between, in plain words. */
export function findingsOf(seen: Observation): readonly Finding[] {
  return [
    delay(seen),
    lasting(seen),
    protocol(seen),
    compression(seen.headers),
    type(seen.headers),
    origins(seen.headers),
    address(seen),
    between(seen),
    transport(seen),
  ].filter((finding) => finding !== null);
}

/** How late the latest piece was against the quickest: the clocks of both ends may be apart. */
export function latenessMs(pieces: readonly Piece[]): number {
  const tookMs = pieces.map(({ sentMs, arrivedMs }) => arrivedMs - sentMs);
  return tookMs.length === 0 ? 0 : Math.max(...tookMs) - Math.min(...tookMs);
}

/** In how many bursts the pieces arrived. */
export function burstsOf(pieces: readonly Piece[]): number {
  return pieces.filter(({ arrivedMs }, i) => i === 0 || arrivedMs - pieces[i - 1]!.arrivedMs > BURST_MS).length;
}

function delay({ pieces, openedMs }: Observation): Finding {
  if (pieces.length === 0) {
    return {
      level: "bad",
      title: "Held back: nothing arrived while the stream was open",
      detail: `Something between keeps the answer until it ends. ${BUFFERING}`,
    };
  }
  const lateMs = latenessMs(pieces);
  if (lateMs < LATE_MS && openedMs < 5 * LATE_MS) {
    return {
      level: "good",
      title: "Not held back",
      detail: `${pieces.length} pieces came as they were sent, the latest ${Math.round(lateMs)} ms behind the quickest.`,
    };
  }
  const bursts = burstsOf(pieces);
  const heldMs = Math.max(lateMs, openedMs);
  return {
    level: "bad",
    title: `Held back by up to ${seconds(heldMs)}`,
    detail: `${pieces.length} pieces came in ${bursts === 1 ? "one burst" : `${bursts} bursts`}. ${BUFFERING}`,
  };
}

const BUFFERING =
  "A proxy collects answers before it passes them on: in nginx `proxy_buffering off`, elsewhere the switch for streaming; and no compression of text/event-stream.";

function lasting({ end, endedMs, forMs, arrival }: Observation): Finding {
  const beats = arrival?.heartbeat_ms ?? 0;
  if (end === "whole") {
    return {
      level: "good",
      title: `Stayed open for ${seconds(forMs)}`,
      detail: `That is as long as was asked for${forMs < 60_000 ? "; limits of a minute or more show only in a longer examination" : ""}.`,
    };
  }
  if (end === "cut") {
    const heartbeat = beats === 0 ? "" : ` Heartbeats come every ${seconds(beats)}.`;
    return {
      level: "bad",
      title: `Cut after ${seconds(endedMs)}`,
      detail: `Nobody said why, so something between ended it: raise its read timeout (in nginx \`proxy_read_timeout 1h\`) or make heartbeats come before it (SOCKET_HEARTBEAT).${heartbeat} EventSource reconnects and loses nothing, at the cost of a request each time.`,
    };
  }
  return { level: "note", title: `The gateway ended it after ${seconds(endedMs)}: ${end}`, detail: "Examine again." };
}

function protocol({ protocol: spoken }: Observation): Finding {
  if (/^h[23]/.test(spoken)) {
    return {
      level: "good",
      title: `HTTP/${spoken[1]}`,
      detail: "As many streams as a page likes share one connection.",
    };
  }
  if (spoken === "") return { level: "note", title: "HTTP version not told", detail: "This browser does not say." };
  return {
    level: "note",
    title: spoken.toUpperCase(),
    detail:
      "A browser opens six connections to an origin, over all its tabs: a seventh stream waits. HTTP/2 has no such limit; a proxy with TLS gives it.",
  };
}

function compression(headers: Observation["headers"]): Finding {
  const encoding = headers["content-encoding"];
  if (encoding === undefined || encoding === "identity") {
    return { level: "good", title: "Not compressed", detail: "The stream comes as it was written." };
  }
  return {
    level: "bad",
    title: `Compressed: ${encoding}`,
    detail:
      "Something between compresses the stream although it says no-transform. Compressors wait until they have enough: leave out text/event-stream.",
  };
}

function type(headers: Observation["headers"]): Finding | null {
  const given = headers["content-type"] ?? "none";
  if (/^text\/event-stream\b/.test(given)) return null;
  return {
    level: "bad",
    title: `Content-Type is ${given}`,
    detail: "EventSource takes text/event-stream and gives up for good on anything else.",
  };
}

function origins(headers: Observation["headers"]): Finding {
  const allowed = headers["access-control-allow-origin"];
  if (allowed === undefined) {
    return {
      level: "note",
      title: "Only listed origins may open streams",
      detail: "Pages of this host, and of those in SOCKET_CORS_ORIGINS; from here it cannot be seen which they are.",
    };
  }
  if (allowed.includes(",")) {
    return {
      level: "bad",
      title: `CORS is answered twice: ${allowed}`,
      detail:
        "A proxy adds Access-Control-Allow-Origin to the gateway’s own, and browsers refuse both: let one of them do it.",
    };
  }
  const who = allowed === "*" ? "Pages of every origin" : `Pages of ${allowed}`;
  return {
    level: "good",
    title: `CORS: ${who} may open streams`,
    detail: "They still need a token, but for public channels.",
  };
}

function address({ arrival, given, origin }: Observation): Finding | null {
  const known = arrival?.address_known ?? (given === null ? null : given === origin);
  if (known === null) return null;
  if (known)
    return {
      level: "good",
      title: "Streams get this address",
      detail: `/channel/subscribe gives out addresses on ${origin}.`,
    };
  const other = given === null ? "another address" : given;
  return {
    level: "note",
    title: `Streams get ${other}`,
    detail: `This page is at ${origin}. Where users come by that, set SOCKET_PUBLIC_URL, or SOCKET_TRUSTED_PROXIES so that X-Forwarded-Proto and -Host count.`,
  };
}

function between({ arrival, headers }: Observation): Finding | null {
  const named = [
    ...(arrival?.forwarded_by ?? []).map((name) => `${name} reached the gateway`),
    ...["via", "server", "x-cache", "cf-ray", "x-served-by"].flatMap((name) =>
      headers[name] === undefined ? [] : [`${name}: ${headers[name]} came back`],
    ),
  ];
  if (named.length === 0) return null;
  return { level: "note", title: "There is a proxy between", detail: `${named.join("; ")}.` };
}

function transport({ secure, origin }: Observation): Finding | null {
  if (secure) return null;
  return {
    level: "bad",
    title: "No TLS",
    detail: `${origin} is plain HTTP: tokens and messages can be read on the way, and some proxies on it buffer.`,
  };
}

/** `0.4 s`, `12 s`. */
function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
