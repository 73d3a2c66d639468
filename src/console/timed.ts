import { type Api, BASE, randomHex, read, Refusal } from "./api.ts";
import { addressOf } from "./listening.ts";

/** A piece of a timed stream; both times in ms since the stream was asked for, by clocks that may be apart. */
export interface Piece {
  readonly sentMs: number;
  readonly arrivedMs: number;
}

/** What the gateway says of how a probe reached it. */
export interface Arrival {
  readonly heartbeat_ms: number;
  readonly accept_encoding: string | null;
  readonly forwarded_by: readonly string[];
  readonly address_known: boolean | null;
}

/** What a browser can see of a timed stream. */
export interface Observation {
  readonly forMs: number;
  /** When the headers of the answer came. */
  readonly openedMs: number;
  readonly endedMs: number;
  /** `whole`: it lasted as long as was asked for. `cut`: it broke off, and nothing was said. Else what the gateway said. */
  readonly end: string;
  readonly pieces: readonly Piece[];
  readonly headers: Readonly<Record<string, string>>;
  /** By ALPN: `h3`, `h2`, `http/1.1`; empty where the browser does not say. */
  readonly protocol: string;
  /** The page's own address, and whether it came by TLS or from this machine. */
  readonly origin: string;
  readonly secure: boolean;
  /** Null without a probe. */
  readonly arrival: Arrival | null;
  /** The address that streams are given, by `subscribe`; null where nobody asked. */
  readonly given: string | null;
}

/** For so long pieces come densely; then it is quiet but for heartbeats, as on a real stream. */
const DENSE_MS = 3000;
const SPACING_MS = 200;
/** One channel for all who look, so that looking leaves no further one in the list. */
const CHANNEL = "service-socket.doctor";
/** What comes so late after the end is not waited for. */
const GRACE_MS = 5000;

interface Timed {
  readonly response: Response;
  readonly given: string | null;
  /** Tells the pieces of this page from another's. */
  readonly run: string;
  /** The sent time of an event, null where it is none of ours. */
  sentMs(event: string, data: string): number | null;
}

/**
 * Opens a stream whose pieces say when they were sent, and observes it. A gateway that has probes sends them itself; one
 * that has none is sent messages by this page, which takes the secret. Rejects with a Refusal.
 */
export async function observe(
  api: Api,
  forMs: number,
  told: (piece: Piece) => void,
  stopped: AbortSignal,
): Promise<Observation> {
  performance.clearResourceTimings(); // a browser keeps 250, and one that polls has them full
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(forMs + GRACE_MS)]);
  const beganAtMs = performance.now();
  const since = () => performance.now() - beganAtMs;
  const pieces: Piece[] = [];
  let arrival: Arrival | null = null;
  let end = "cut";
  let publishing = Promise.resolve();

  const timed = (await openProbe(forMs, signal)) ?? (await openMessages(api, signal));
  const openedMs = since();
  if (timed.given !== null) publishing = publishTicks(api, timed.run, forMs, since, signal);
  const over = AbortSignal.timeout(Math.max(0, forMs - since()));
  try {
    for await (const { event, data } of eventsOf(
      timed.response,
      timed.given === null ? signal : AbortSignal.any([signal, over]),
    )) {
      const arrivedMs = since();
      if (event === "socket:close") end = (JSON.parse(data) as { reason: string }).reason;
      const sentMs = timed.sentMs(event, data);
      if (sentMs === null) continue;
      if (event === "socket:probe" && pieces.length === 0) arrival = JSON.parse(data) as Arrival;
      pieces.push({ sentMs, arrivedMs });
      told({ sentMs, arrivedMs });
    }
  } catch {
    // It broke: what was seen until then says so.
  }
  await publishing.catch(() => undefined);
  stopped.throwIfAborted();
  const endedMs = since();
  if (end === "max_age" || (end === "cut" && timed.given !== null && over.aborted)) end = "whole";
  return {
    forMs,
    openedMs,
    endedMs,
    end,
    pieces,
    headers: Object.fromEntries(timed.response.headers),
    protocol: await protocolOf(stopped),
    origin: location.origin,
    secure: window.isSecureContext,
    arrival,
    given: timed.given === null ? null : new URL(timed.given).origin,
  };
}

/** Null where the gateway has no probes. */
async function openProbe(forMs: number, signal: AbortSignal): Promise<Timed | null> {
  const query = new URLSearchParams({ probe: `${forMs}ms`, address: BASE });
  const response = await openStream(`${BASE}/stream?${query.toString()}`, signal);
  if (response.status === 400) return null;
  if (!response.ok) await read(response);
  return {
    response,
    given: null,
    run: "",
    sentMs: (event, data) => (event === "socket:probe" ? (JSON.parse(data) as { sent_ms: number }).sent_ms : null),
  };
}

async function openMessages(api: Api, signal: AbortSignal): Promise<Timed> {
  if (!api.hasSecret)
    throw new Refusal(401, "This gateway sends no probes, so the page must publish: it takes the app’s secret.");
  const run = randomHex(6);
  const { token, url } = await api.subscribe([CHANNEL]);
  const address = addressOf({ channels: [CHANNEL], format: "plain", events: [], beginning: "" }, { token });
  const response = await openStream(address, signal);
  if (!response.ok) await read(response);
  const sentMs = (_event: string, data: string) => (data.startsWith(`${run} `) ? Number(data.slice(run.length)) : null);
  return { response, given: url, run, sentMs };
}

async function openStream(address: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(address, { headers: { Accept: "text/event-stream" }, cache: "no-store", signal });
  } catch {
    throw new Refusal(0, "No answer came: the stream was not opened, or all of it was held back.");
  }
}

async function publishTicks(
  api: Api,
  run: string,
  forMs: number,
  since: () => number,
  signal: AbortSignal,
): Promise<void> {
  for (const untilMs = Math.min(DENSE_MS, forMs - 1000) + since(); since() < untilMs;) {
    if (signal.aborted) return;
    const message = { channel: CHANNEL, data: `${run} ${since()}` };
    await Promise.all([
      api.post("/chat/send", JSON.stringify(message)),
      new Promise((resolve) => setTimeout(resolve, SPACING_MS)),
    ]);
  }
}

/** Events as they arrive. Only what this gateway writes is read: lines that end with LF, a space after the colon. */
async function* eventsOf(response: Response, signal: AbortSignal): AsyncGenerator<{ event: string; data: string }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  const stop = () => void reader.cancel().catch(() => undefined);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      if (/^data/m.test(block)) yield { event: field("event"), data: field("data") };
    }
  }
}

/** Which HTTP the browser speaks to whatever answers it. */
async function protocolOf(signal: AbortSignal): Promise<string> {
  const address = `${BASE}/healthz`;
  await fetch(address, { cache: "no-store", signal }).then(
    (response) => response.text(),
    () => "",
  );
  await new Promise((resolve) => setTimeout(resolve)); // it is entered in a task of its own
  const entry = performance.getEntriesByName(address, "resource").at(-1) as PerformanceResourceTiming | undefined;
  return entry?.nextHopProtocol ?? "";
}
