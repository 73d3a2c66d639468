import { parseDuration } from "../core/duration.ts";
import { ApiError } from "../core/errors.ts";
import { closeFrame, probeFrame, type ProbeOpening } from "../core/frame.ts";
import type { Sink } from "../hub/subscriber.ts";
import { DirectSink } from "./direct.ts";
import type { Gateway } from "./gateway.ts";
import type { Parameters } from "./parameters.ts";
import type { Arrival } from "./stream.ts";
import { requestIdOf } from "./request-id.ts";
import { retryOf, streamHeaders } from "./stream-headers.ts";

/** Open at once on a node, whoever opens them: a probe needs no credential, so they must not cost others their streams. */
const MAX_PROBES = 8;
const LEAST_MS = 1000;
/** Longer than proxies let a request take, such as the 240 s of Azure's balancers. */
const MOST_MS = 300_000;
/** For so long a tick comes every time that the node looks; from then on as seldom as a heartbeat, as on a quiet stream. */
const DENSE_MS = 3000;
/** Headers by which proxies name themselves or whom they serve; what they say may be for nobody to know. */
const PROXY_HEADERS = [
  "via",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "cdn-loop",
];
const MAX_ENCODING = 100;
const TAKES = "`probe` takes how long it lasts, from `1s` to `5m`.";

interface Probe {
  readonly beganAtMs: number;
  readonly forMs: number;
  readonly heartbeatMs: number;
  readonly retryMs: number;
  tickedAtMs: number;
}

/** The probes that are open: timed streams of no app, by which a listener sees what stands between does to a stream. */
export class Probes {
  readonly #open = new Map<Sink, Probe>();
  readonly #elapsed: () => number;

  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Throws ApiError `limit_exceeded` when as many are open as may be. */
  check(): void {
    if (this.#open.size >= MAX_PROBES)
      throw new ApiError("limit_exceeded", "The probes of this node are at their limit.");
  }

  /** Begins one; ends it at once where others took its place since `check`. */
  open(sink: Sink, options: Pick<Probe, "forMs" | "heartbeatMs" | "retryMs">, opening: ProbeOpening): void {
    const nowMs = this.#elapsed();
    const isLate = this.#open.size >= MAX_PROBES;
    this.#open.set(sink, { ...options, beganAtMs: nowMs, tickedAtMs: nowMs });
    if (isLate) this.#close(sink, closeFrame("limit", true, options.retryMs));
    else this.#write(sink, probeFrame(0, opening));
  }

  /** Its listener has left. */
  left(sink: Sink): void {
    this.#open.delete(sink);
  }

  /** To be called every tenth of a second or so. */
  tick(): void {
    const nowMs = this.#elapsed();
    for (const [sink, probe] of this.#open) {
      const sentMs = nowMs - probe.beganAtMs;
      if (sentMs >= probe.forMs) this.#close(sink, closeFrame("max_age", false));
      else if (isDue(probe, nowMs)) {
        probe.tickedAtMs = nowMs;
        this.#write(sink, probeFrame(sentMs));
      }
    }
  }

  /** Ends all of them: the node is being stopped. */
  end(): void {
    for (const [sink, { retryMs }] of this.#open) this.#close(sink, closeFrame("drain", true, retryMs));
  }

  #write(sink: Sink, bytes: Uint8Array): void {
    if (sink.write(bytes)) return;
    // Nothing of a probe fills a socket whose listener reads.
    this.#open.delete(sink);
    sink.abort();
  }

  #close(sink: Sink, bytes: Uint8Array): void {
    this.#open.delete(sink);
    sink.write(bytes);
    sink.end();
  }
}

function isDue({ beganAtMs, tickedAtMs, heartbeatMs }: Probe, nowMs: number): boolean {
  if (nowMs - beganAtMs < DENSE_MS) return true;
  return heartbeatMs !== 0 && nowMs - tickedAtMs >= heartbeatMs;
}

/** Whether a request for a stream asks for a probe instead, by `probe=<duration>`. */
export function isProbe(parameters: Parameters): boolean {
  return parameters.place("probe") !== undefined;
}

/**
 * A probe in place of a stream, at the same address, since proxies go by the address. It needs no credential and looks
 * at none: it holds nothing of any app. With `address` it tells whether the gateway knows that address as its own, which
 * is yes or no, because what a proxy makes of it may name what stands behind.
 *
 * Throws ApiError `parameter_invalid`; `limit_exceeded` or `unavailable` as a stream does.
 */
export function openProbe(gateway: Gateway, request: Request, parameters: Parameters, arrival: Arrival): Response {
  const { draining, limits, log, probes, settings } = gateway;
  const forMs = parseDuration(parameters.text("probe") ?? "") ?? 0;
  if (forMs < LEAST_MS || forMs > MOST_MS) throw new ApiError("parameter_invalid", TAKES, "probe");
  const address = parameters.text("address");
  if (draining) throw new ApiError("unavailable", "This node is being stopped.");
  limits.checkNode();
  probes.check();

  const opening: ProbeOpening = {
    for_ms: forMs,
    heartbeat_ms: settings.heartbeatMs,
    accept_encoding: request.headers.get("accept-encoding")?.slice(0, MAX_ENCODING) ?? null,
    forwarded_by: PROXY_HEADERS.filter((name) => request.headers.has(name)),
    address_known: address === undefined ? null : address === arrival.base(),
  };
  const id = requestIdOf(request); // what refers to the request keeps it as long as the stream
  const options = { forMs, heartbeatMs: settings.heartbeatMs, retryMs: retryOf(gateway) };
  const sink: DirectSink = new DirectSink({
    opened: () => probes.open(sink, options, opening),
    gone: () => probes.left(sink),
    drained: () => undefined,
    failed: (error) => log("error", "unexpected error of a probe", { request: id, error }),
  });
  arrival.liftTimeout();
  return new Response(sink.body, { headers: { ...streamHeaders(gateway, request, null), Connection: "close" } });
}
