import type { App } from "../auth/app.ts";
import { type Grant, grantListener } from "../auth/grant.ts";
import { type Selection, selectionOf } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { closeFrame, type CloseReason, type Format } from "../core/frame.ts";
import type { Beginning } from "../hub/subscriber.ts";
import { beginningOf, wantedOf } from "./beginning.ts";
import { checkCookieOrigin, cookieOf } from "./cookie.ts";
import { checkOrigin } from "./cors.ts";
import { DirectSink } from "./direct.ts";
import { countError } from "./errors.ts";
import { expiryOf } from "./expiry.ts";
import type { Gateway } from "./gateway.ts";
import { OpenStream, stands } from "./open-streams.ts";
import { repeated } from "./fields.ts";
import { channelOf, type Parameters, queryParameters } from "./parameters.ts";
import { isProbe, openProbe } from "./probe.ts";
import { requestIdOf, streamIdOf } from "./request-id.ts";
import { refuseSecret } from "./send.ts";
import { retryOf, streamHeaders } from "./stream-headers.ts";
import { checkNames } from "./subscribe.ts";

/** What is known of a request beside itself. */
export interface Arrival {
  /** Looks up where the request comes from, as the limits of an IP address count it. */
  readonly network: () => string;
  /** The address that its sender sees, without a slash at its end. Throws ApiError `bad_request` where nothing tells it. */
  readonly base: () => string;
  /** Lets the connection be idle from now on, to its end. Bun would end it, and heartbeats do not keep it for certain. */
  readonly liftTimeout: () => void;
}

/** `GET /channel/:channel/stream`. */
export function channelStream(
  gateway: Gateway,
  request: Request,
  channel: string,
  arrival: Arrival,
): Promise<Response> {
  return answer(gateway, request, arrival, (parameters) => {
    if (parameters.place("channel") !== undefined) throw repeated("channel", "in the path and in the query");
    return [channelOf(channel)];
  });
}

/** `GET /stream?channel=…`: several channels and patterns on one stream. */
export function selectionStream(gateway: Gateway, request: Request, arrival: Arrival): Promise<Response> {
  return answer(gateway, request, arrival, (parameters) => {
    const names = parameters.list("channel", "channel_invalid");
    if (names !== undefined) return names;
    throw new ApiError("channel_invalid", "`channel` takes a name or a pattern, once or several times.", "channel");
  });
}

async function answer(
  gateway: Gateway,
  request: Request,
  arrival: Arrival,
  namesOf: (parameters: Parameters) => readonly string[],
): Promise<Response> {
  try {
    const parameters = queryParameters(request.url);
    refuseSecret(parameters);
    if (isProbe(parameters)) return openProbe(gateway, request, parameters, arrival);
    const names = namesOf(parameters);
    checkNames(names, 0);
    const grant = grantOf(gateway, request, parameters, names);
    checkNames(names, grant.app.limits.maxChannelsPerStream);
    if (grant.kind === "cookie") checkCookieOrigin(request, grant.app);
    else checkOrigin(request, grant.app);
    const format = formatOf(parameters);
    const selection = selectionOf(names);
    const wanted = wantedOf(request, parameters, gateway, grant.app);
    const { maxStreamsPerIp, openRatePerIp } = grant.app.limits;
    const address = maxStreamsPerIp === 0 && openRatePerIp === 0 ? null : arrival.network();
    admit(gateway, grant.app, address);
    countOpen(gateway, grant.app, address);
    const beginning = await beginningOf(gateway, grant.app, selection, wanted);
    // Once more: others were opened, or the stop began, while it waited.
    if (beginning.kind === "first") admit(gateway, grant.app, address);
    return open(gateway, request, { ...arrival, address }, grant, selection, format, beginning);
  } catch (error) {
    return refuse(gateway, request, error);
  }
}

function admit(gateway: Gateway, app: App, address: string | null): void {
  if (gateway.draining) throw new ApiError("unavailable", "This node is being stopped.");
  gateway.limits.check(app, address);
}

/** Throws ApiError `limit_exceeded`. */
function countOpen({ openRates, clock }: Gateway, app: App, address: string | null): void {
  const { openRate: perApp, openRatePerIp: perIp } = app.limits;
  if (perApp === 0 && perIp === 0) return;
  openRates.take(app.id, address, { perApp, perIp }, 1, clock.elapsed());
}

function grantOf(
  { apps, clock, rulings, settings }: Gateway,
  request: Request,
  parameters: Parameters,
  wanted: readonly string[],
): Grant {
  const app = parameters.text("app") ?? null;
  const token = parameters.text("token") ?? null;
  const authorization = request.headers.get("authorization");
  return grantListener(apps, {
    authorization,
    token,
    cookie: authorization === null && token === null ? cookieOf(apps, request, app) : null,
    app,
    wanted,
    now: clock.now(),
    maxTtlMs: settings.maxTokenTtlMs,
    rulings,
  });
}

function formatOf(parameters: Parameters): Format {
  const format = parameters.text("format");
  if (format === undefined) return "plain";
  if (format === "envelope") return format;
  throw new ApiError("parameter_invalid", "`format` takes `envelope`.", "format");
}

function open(
  gateway: Gateway,
  request: Request,
  { address, liftTimeout }: { readonly address: string | null; readonly liftTimeout: () => void },
  grant: Grant,
  selection: Selection,
  format: Format,
  beginning: Beginning,
): Response {
  const { clock, hub, limits, streams, log } = gateway;
  const { app } = grant;
  const id = streamIdOf(request);
  const headers = streamHeaders(gateway, request, app);
  const stream = new OpenStream(id, grant, clock.now());
  const ageAtMs = ageAtOf(gateway);
  const openedAtMs = clock.elapsed();
  const requestId = requestIdOf(request); // what refers to the request keeps it as long as the stream
  const expiry = expiryOf(gateway, grant.expiresAt);
  const forget = () => {
    limits.closed(app, address);
    streams.delete(stream);
  };
  const sink = new DirectSink({
    opened: (self) => {
      limits.opened(app, address);
      streams.add(stream);
      stream.subscriber = hub.join(app.id, selection, format, self, {
        id,
        beginning,
        ageAtMs,
        expiry,
        retryMs: retryOf(gateway),
        onClose: (reason, { bytes, messages, replayed }) => {
          forget();
          const { kind, tokens } = stream.grant;
          log("info", "stream closed", {
            stream: id,
            request: requestId,
            app: app.id,
            reason,
            grant: kind,
            token: tokens.at(-1)?.jti,
            channels: selection.channels.length + selection.patterns.length,
            duration_ms: Math.round(clock.elapsed() - openedAtMs),
            messages,
            replayed,
            bytes,
          });
        },
      });
      // The answer may begin a while after the request was admitted.
      if (!stands(gateway, stream)) hub.close(stream.subscriber, "revoked", false);
      else if (gateway.draining) hub.close(stream.subscriber, "drain", true);
    },
    gone: () => (stream.subscriber === null ? forget() : hub.leave(stream.subscriber)),
    drained: () => stream.subscriber !== null && hub.drained(stream.subscriber),
    failed: (error) =>
      log("error", "unexpected error of a stream", { stream: id, request: requestId, app: app.id, error }),
  });
  liftTimeout();
  // Nothing would end a connection that is kept after the stream and whose other end is gone.
  headers["Connection"] = "close";
  return new Response(sink.body, { headers });
}

/** When a stream is old: jittered, so that those opened together do not end together. */
function ageAtOf({ clock, settings: { streamAgeMs } }: Gateway): number {
  return streamAgeMs === 0 ? Infinity : clock.elapsed() + streamAgeMs * (0.8 + 0.4 * clock.random());
}

/**
 * A refusal that will pass is told to an EventSource as a stream that ends: of any other answer it would give up for
 * good (WHATWG HTML 9.2.3, "fail the connection").
 */
function refuse(gateway: Gateway, request: Request, error: unknown): Response {
  if (!(error instanceof ApiError)) throw error;
  const reason = passing(error, gateway);
  if (reason === null || request.headers.get("accept")?.includes("text/event-stream") !== true) throw error;
  countError(gateway, request, error);
  gateway.hub.meter.closed[reason] += 1;
  return new Response(closeFrame(reason, true, retryOf(gateway, error.retryAfterMs)), {
    headers: streamHeaders(gateway, request, null),
  });
}

function passing(error: ApiError, { draining }: Gateway): CloseReason | null {
  if (error.type === "limit_exceeded") return "limit";
  if (error.type !== "unavailable") return null;
  return draining ? "drain" : "unavailable";
}
