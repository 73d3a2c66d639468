import { bufferedMs, cutAfterMs, findingsOf, type Observation } from "./findings.ts";
import type { Finding } from "./finding.ts";
import { openStream } from "./stream.ts";
import { type Seen, watch, type WatchOptions } from "./watch.ts";

export type { Finding } from "./finding.ts";

export interface DiagnoseOptions extends Pick<WatchOptions, "fetch" | "elapsed"> {
  /** The gateway's address, without a slash at its end. */
  readonly url: string;
  /** The stream's path below it. Default: `/stream`. Proxies may treat another one in another way. */
  readonly path?: string;
  /** The whole address of a stream that is to be opened as well, with its credential. */
  readonly stream?: string | null;
  /** `1000` to `300000`. */
  readonly forMs: number;
  /** The page to ask for; browsers set it by themselves. */
  readonly origin?: string | null;
  readonly httpVersion?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends it early; what was seen until then is judged. */
  readonly signal?: AbortSignal;
}

/** What a look through whatever stands between came to. */
export interface Diagnosis {
  readonly url: string;
  readonly verdict: "ok" | "problem" | "unknown";
  readonly findings: readonly Finding[];
  /** How late events came at most; null where none came. */
  readonly bufferedMs: number | null;
  /** Null where the stream was not cut. */
  readonly cutAfterMs: number | null;
  readonly httpVersion: string | null;
  /** The `Content-Encoding`; null where there was none. */
  readonly compression: string | null;
  readonly seen: Seen;
}

/** How much longer than the probe lasts is waited for its end. */
const PATIENCE_MS = 10_000;
const ROUND_TRIPS = 3;

/**
 * Opens a probe through whatever stands between and says what was done to it. Uses what browsers and servers have alike.
 * Rejects where no connection can be made.
 */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const { url, path = "/stream", forMs, fetch, elapsed, origin = null, httpVersion = null } = options;
  const roundTripMs = await fastest(options);
  const patience = AbortSignal.timeout(forMs + PATIENCE_MS);
  const signal = options.signal === undefined ? patience : AbortSignal.any([options.signal, patience]);
  const address = `${url}${path}?probe=${forMs}ms&address=${encodeURIComponent(url)}`;
  const headers = origin === null ? (options.headers ?? {}) : { ...options.headers, Origin: origin };
  const stream = options.stream ? await openStream(options.stream, { fetch, headers, signal }) : null;
  const seen = await watch(address, { fetch, elapsed, headers, signal });
  const observation: Observation = { url, forMs, roundTripMs, httpVersion, origin, stream, seen };
  const findings = findingsOf(observation);
  return {
    url,
    verdict: verdictOf(findings),
    findings,
    bufferedMs: seen.ticks.length === 0 ? null : Math.round(bufferedMs(observation)),
    cutAfterMs: seen.ticks.length === 0 ? null : rounded(cutAfterMs(seen)),
    httpVersion,
    compression: seen.headers["content-encoding"] ?? null,
    seen,
  };
}

export function verdictOf(findings: readonly Finding[]): Diagnosis["verdict"] {
  const levels = new Set(findings.map(({ level }) => level));
  return levels.has("problem") ? "problem" : levels.has("unknown") ? "unknown" : "ok";
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

/** How long the fastest plain answer takes, whatever it says. */
async function fastest({ url, fetch, elapsed, signal }: DiagnoseOptions): Promise<number> {
  let leastMs = Infinity;
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const beganAtMs = elapsed();
    const patience = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(`${url}/healthz`, {
      cache: "no-store",
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    });
    leastMs = Math.min(leastMs, elapsed() - beganAtMs);
    await response.body?.cancel(); // whatever it is; and the next one connects anew, as the probe will
  }
  return leastMs;
}
