import { createParser } from "eventsource-parser";
import type { ProbeOpening } from "../core/frame.ts";

/** When a tick was sent, since the probe's beginning, and when it arrived, since the request. */
export interface Tick {
  readonly sentMs: number;
  readonly arrivedMs: number;
}

/** What was seen of one probe. */
export interface Seen {
  /** Null where not even headers came. */
  readonly status: number | null;
  /** By their names in lower case, as far as the reader was allowed to see them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Null where no tick came. */
  readonly opening: ProbeOpening | null;
  readonly ticks: readonly Tick[];
  /** What `socket:close` said, if it came. */
  readonly closeReason: string | null;
  /** `closed` by the gateway; `ended` without a word; `broke`: the connection did; `silent`: given up on by the watcher. */
  readonly end: "closed" | "ended" | "broke" | "silent";
  /** Since the request. */
  readonly endedMs: number;
  /** How long the watcher itself stood still at most, as on a busy machine: what came meanwhile was not late. */
  readonly stalledMs: number;
  /** The beginning of what came, where no tick was in it. */
  readonly text: string;
}

export interface WatchOptions {
  readonly fetch: (address: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds that never go back. */
  readonly elapsed: () => number;
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the watching, such as after a time. */
  readonly signal: AbortSignal;
}

const MAX_TEXT = 2000;
/** Far more than a probe holds, in characters: anything may answer, and without an end. */
const MAX_READ = 1_000_000;

const LOOK_MS = 50;

/** Tells for how long at most no timer could run, until it is ended. */
function stallsOf(elapsed: () => number): { readonly end: () => number } {
  let [lookedAtMs, longestMs] = [elapsed(), 0];
  const look = (): void => {
    const nowMs = elapsed();
    longestMs = Math.max(longestMs, nowMs - lookedAtMs - LOOK_MS);
    lookedAtMs = nowMs;
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    end: () => {
      clearInterval(timer);
      look();
      return longestMs;
    },
  };
}

/** Opens a probe and notes when what arrives. Rejects only where no connection could be made. */
export async function watch(address: string, { fetch, elapsed, headers, signal }: WatchOptions): Promise<Seen> {
  const beganAtMs = elapsed();
  const passedMs = (): number => elapsed() - beganAtMs;
  const ticks: Tick[] = [];
  let opening: ProbeOpening | null = null;
  let closeReason: string | null = null;
  let text = "";
  const parser = createParser({
    onEvent: ({ event, data }) => {
      const told = objectOf(data);
      if (event === "socket:close") closeReason = String(told["reason"]);
      if (event !== "socket:probe") return;
      if (ticks.length === 0) opening = openingOf(told);
      ticks.push({ sentMs: Number(told["sent_ms"]), arrivedMs: passedMs() });
    },
  });

  const stalls = stallsOf(elapsed);
  let stalledMs = 0;
  let response: Response | null = null;
  let end: Seen["end"] = "ended";
  try {
    response = await fetch(address, {
      headers: { Accept: "text/event-stream", ...headers },
      cache: "no-store",
      signal,
    });
    let read = 0;
    for await (const part of textOf(response)) {
      read += part.length;
      if (read > MAX_READ) break;
      if (ticks.length === 0 && text.length < MAX_TEXT) text = (text + part).slice(0, MAX_TEXT);
      parser.feed(part);
    }
    if (closeReason !== null) end = "closed";
  } catch (error) {
    if (response === null && !signal.aborted) throw error;
    end = signal.aborted ? "silent" : "broke";
  } finally {
    stalledMs = stalls.end();
  }
  return {
    status: response?.status ?? null,
    headers: response === null ? {} : Object.fromEntries(response.headers),
    opening,
    ticks,
    closeReason,
    end,
    endedMs: passedMs(),
    stalledMs,
    text: ticks.length === 0 ? text : "",
  };
}

/** The text of an answer, as it comes; leaving it leaves the answer. */
export async function* textOf({ body }: Response): AsyncGenerator<string> {
  if (body === null) return;
  const decoder = new TextDecoder();
  const reader = body.getReader(); // not every browser iterates over a stream
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    await reader.cancel();
  }
}

/** Any server may answer, so nothing is taken for granted. */
function openingOf(told: Readonly<Record<string, unknown>>): ProbeOpening {
  const { for_ms, heartbeat_ms, accept_encoding, forwarded_by, address_known } = told;
  return {
    for_ms: Number(for_ms),
    heartbeat_ms: Number(heartbeat_ms),
    accept_encoding: typeof accept_encoding === "string" ? accept_encoding : null,
    forwarded_by: Array.isArray(forwarded_by) ? forwarded_by.map(String) : [],
    address_known: typeof address_known === "boolean" ? address_known : null,
  };
}

function objectOf(data: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
