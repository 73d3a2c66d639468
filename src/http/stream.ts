import type { App } from "../auth/app.ts";
import { type Grant, grantListener } from "../auth/grant.ts";
import type { Start } from "../broker/broker.ts";
import { type Selection, selectionOf } from "../core/channel.ts";
import { parseDuration } from "../core/duration.ts";
import { ApiError } from "../core/errors.ts";
import { closeFrame, type CloseReason, type Format } from "../core/frame.ts";
import { FOREIGN, parsePosition } from "../core/position.ts";
import type { Beginning, Subscriber } from "../hub/subscriber.ts";
import { nextRequestId } from "./answer.ts";
import { checkOrigin, corsHeaders } from "./cors.ts";
import { DirectSink } from "./direct.ts";
import type { Gateway } from "./gateway.ts";
import { repeated } from "./fields.ts";
import { channelOf, type Parameters, queryParameters } from "./parameters.ts";
import { refuseSecret } from "./send.ts";
import { checkNames, rfc3339 } from "./subscribe.ts";
import { part } from "./urlencoded.ts";

/** What is known of a request beside itself. */
export interface Arrival {
  /** Looks the listener's IP address up. */
  readonly address: () => string;
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
    const names = namesOf(parameters);
    checkNames(names, 0);
    const grant = grantOf(gateway, request, parameters, names);
    checkNames(names, grant.app.limits.maxChannelsPerStream);
    checkOrigin(request, grant.app);
    const format = formatOf(parameters);
    const selection = selectionOf(names);
    const wanted = wantedOf(request, parameters, gateway, grant.app);
    const address = gateway.limits.countsAddresses(grant.app) ? arrival.address() : null;
    admit(gateway, grant.app, address);
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

function grantOf(
  { apps, clock, settings }: Gateway,
  request: Request,
  parameters: Parameters,
  wanted: readonly string[],
): Grant {
  return grantListener(apps, {
    authorization: request.headers.get("authorization"),
    token: parameters.text("token") ?? null,
    app: parameters.text("app") ?? null,
    wanted,
    now: clock.now(),
    maxTtlMs: settings.maxTokenTtlMs,
  });
}

function formatOf(parameters: Parameters): Format {
  const format = parameters.text("format");
  if (format === undefined) return "plain";
  if (format === "envelope") return format;
  throw new ApiError("parameter_invalid", "`format` takes `envelope`.", "format");
}

/** How much is kept of what a listener names as its position, to be told in a gap; ids are at most 48 characters. */
const MAX_ASKED = 128;

type Wanted = Beginning | { readonly kind: "start"; readonly start: Start };

/**
 * Where the stream begins: after the position in the `Last-Event-ID` header, else in `last_event_id`; on a first connect
 * as `last` or `since` say. The header never refuses, because EventSource would give up for good; what stands in the
 * query is checked also where it does not count.
 */
function wantedOf(request: Request, parameters: Parameters, gateway: Gateway, app: App): Wanted {
  const inQuery = parameters.text("last_event_id");
  const queried = inQuery === undefined ? null : parsePosition(inQuery);
  if (inQuery !== undefined && queried === null) {
    throw new ApiError("parameter_invalid", "`last_event_id` takes the id of a message.", "last_event_id");
  }
  const start = startOf(parameters, gateway, app.limits.replayLimit);
  const asked = request.headers.get("last-event-id") ?? "";
  if (asked !== "") return { kind: "resume", after: parsePosition(asked) ?? FOREIGN, asked: part(asked, 0, MAX_ASKED) };
  if (queried !== null) return { kind: "resume", after: queried, asked: inQuery! };
  return start === null ? { kind: "now" } : { kind: "start", start };
}

function startOf(parameters: Parameters, { clock }: Gateway, replayLimit: number): Start | null {
  const most = replayLimit === 0 ? Number.MAX_SAFE_INTEGER : replayLimit;
  const last = parameters.integer("last", 0, most);
  const since = parameters.text("since");
  if (last !== undefined && since !== undefined) {
    throw new ApiError("parameter_invalid", "Give either `last` or `since`.", "since");
  }
  if (last !== undefined) return { kind: "last", count: last };
  if (since === undefined) return null;
  return { kind: "since", sinceMs: sinceOf(since, clock.now()), count: most };
}

// RFC 3339 5.6: date, time and offset; Date.parse alone takes much more, such as hour 24 and the 30th of February.
const RFC_3339 = /^(\d{4}-\d\d-\d\d)T(?!24)\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;

function sinceOf(since: string, now: number): number {
  if (since === "earliest") return 0;
  const age = parseDuration(since);
  if (age !== undefined) return Math.max(0, now - age);
  const day = RFC_3339.exec(since)?.[1];
  const time = day !== undefined && isDay(day) ? Date.parse(since.toUpperCase()) : Number.NaN;
  if (!Number.isNaN(time)) return Math.max(0, time);
  const detail =
    "`since` takes a duration such as `10m`, an RFC 3339 time such as `2030-01-31T12:00:00Z`, or `earliest`.";
  throw new ApiError("parameter_invalid", detail, "since");
}

/** `2030-02-30` comes out as a day of March. */
function isDay(text: string): boolean {
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

async function beginningOf(
  { broker, reads }: Gateway,
  app: App,
  selection: Selection,
  wanted: Wanted,
): Promise<Beginning> {
  if (wanted.kind !== "start") return wanted;
  const { start } = wanted;
  return { kind: "first", after: await reads.run(app.id, () => broker.seek(app.id, selection, start)) };
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
  const { clock, hub, limits, log } = gateway;
  const id = nextRequestId();
  const headers = streamHeaders(gateway, request, grant.app, id);

  let subscriber: Subscriber | null = null;
  const openedAtMs = clock.elapsed();
  const sink = new DirectSink({
    opened: (self) => {
      limits.opened(grant.app, address);
      subscriber = hub.join(grant.app.id, selection, format, self, {
        id,
        beginning,
        ...endOf(gateway, grant, openedAtMs),
        retryMs: retryOf(gateway),
        expiresAt: grant.expiresAt === null ? null : rfc3339(grant.expiresAt),
        onClose: (reason) => {
          limits.closed(grant.app, address);
          const { app, kind, jti } = grant;
          log("debug", "stream closed", { stream: id, app: app.id, reason, grant: kind, token: jti });
        },
      });
      if (gateway.draining) hub.close(subscriber, "drain", true); // the stop began since it was admitted
    },
    gone: () => subscriber !== null && hub.leave(subscriber),
    drained: () => subscriber !== null && hub.drained(subscriber),
    failed: (error) => log("error", "unexpected error of a stream", { stream: id, app: grant.app.id, error }),
  });
  liftTimeout();
  // Nothing would end a connection that is kept after the stream and whose other end is gone.
  headers["Connection"] = "close";
  return new Response(sink.body, { headers });
}

/** The hub's look comes up to 0.2 s after a stream is due: so nothing is sent to one whose token has expired. */
const BEFORE_EXPIRY_MS = 250;

/**
 * A stream ends a moment before its token's expiry, or at its age, jittered so that those opened together do not end
 * together.
 */
function endOf({ clock, settings }: Gateway, grant: Grant, openedAtMs: number) {
  const { streamAgeMs } = settings;
  const ageAtMs = streamAgeMs === 0 ? Infinity : openedAtMs + streamAgeMs * (0.8 + 0.4 * clock.random());
  const livesMs = grant.expiresAt === null ? Infinity : grant.expiresAt - clock.now();
  const expiresAtMs = openedAtMs + livesMs - BEFORE_EXPIRY_MS;
  if (expiresAtMs <= ageAtMs) return { endsAtMs: expiresAtMs, endReason: "expired" } as const;
  return { endsAtMs: ageAtMs, endReason: "max_age" } as const;
}

/** Jittered up to twice, so that those cut off together do not come back together. */
function retryOf({ clock, settings }: Gateway): number {
  return settings.retryMs * (1 + clock.random());
}

/** `no-transform` and `X-Accel-Buffering` keep proxies from compressing and from buffering what must flow. */
function streamHeaders(gateway: Gateway, request: Request, app: App | null, id: string): Record<string, string> {
  return {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Request-Id": id,
    ...corsHeaders(gateway, request, app),
  };
}

/**
 * A refusal that will pass is told to an EventSource as a stream that ends: of any other answer it would give up for
 * good (WHATWG HTML 9.2.3, "fail the connection").
 */
function refuse(gateway: Gateway, request: Request, error: unknown): Response {
  const reason = error instanceof ApiError ? passing(error, gateway) : null;
  if (reason === null || request.headers.get("accept")?.includes("text/event-stream") !== true) throw error;
  return new Response(closeFrame(reason, true, retryOf(gateway)), {
    headers: streamHeaders(gateway, request, null, nextRequestId()),
  });
}

function passing(error: ApiError, { draining }: Gateway): CloseReason | null {
  if (error.type === "limit_exceeded") return "limit";
  if (error.type !== "unavailable") return null;
  return draining ? "drain" : "unavailable";
}
