import type { App } from "../auth/app.ts";
import type { Start } from "../broker/broker.ts";
import type { Selection } from "../core/channel.ts";
import { parseDuration } from "../core/duration.ts";
import { ApiError } from "../core/errors.ts";
import { FOREIGN, parsePosition } from "../core/position.ts";
import type { Beginning } from "../hub/subscriber.ts";
import type { Gateway } from "./gateway.ts";
import type { Parameters } from "./parameters.ts";
import { part } from "./urlencoded.ts";

/** How much is kept of what a listener names as its position, to be told in a gap; ids are at most 48 characters. */
const MAX_ASKED = 128;

/** Where a listener asks to begin; a start has still to be looked for in the store. */
export type Wanted = Beginning | { readonly kind: "start"; readonly start: Start };

/**
 * Where the stream begins: after the position in the `Last-Event-ID` header, else in `last_event_id`; on a first connect
 * as `last` or `since` say. The header never refuses, because EventSource would give up for good; what stands in the
 * query is checked also where it does not count.
 */
export function wantedOf(request: Request, parameters: Parameters, gateway: Gateway, app: App): Wanted {
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

/** Looks for what was asked, in its turn. */
export async function beginningOf(
  { broker, reads }: Gateway,
  app: App,
  selection: Selection,
  wanted: Wanted,
): Promise<Beginning> {
  if (wanted.kind !== "start") return wanted;
  const { start } = wanted;
  return { kind: "first", after: await reads.run(app.id, () => broker.seek(app.id, selection, start)) };
}
