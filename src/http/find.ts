import type { AppId } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import { askOthers, type FoundStream, silentNode } from "./asking.ts";
import type { Gateway } from "./gateway.ts";

/** As `nextRequestId` makes them: nothing else is asked for. */
const ID = /^[0-9a-f]{16}$/;

/**
 * An open stream of the app, on whichever node; null where there is none. Throws ApiError `unavailable` where a node that
 * does not answer may have it.
 */
export async function findStream(gateway: Gateway, app: AppId, id: string): Promise<FoundStream | null> {
  if (!ID.test(id)) return null;
  const here = foundHere(gateway, app, { id });
  if (here !== null) return here;
  const { answers, complete } = await askOthers(gateway, app, "stream", { id });
  const found = answers.find((answer) => answer !== null);
  if (found === undefined && !complete) throw silentNode();
  return found ?? null;
}

export function foundHere({ streams }: Gateway, app: AppId, { id }: { readonly id: string }): FoundStream | null {
  const stream = streams.get(app, id);
  if (stream?.subscriber == null) return null;
  const { channels, patterns } = stream.subscriber.feed.selection;
  const tokens = stream.grant.tokens.map(({ app: _app, ...facts }) => facts);
  return { names: [...channels, ...patterns], tokens };
}

export function streamNotFound(detail = "No stream of that id is open."): ApiError {
  return new ApiError("stream_not_found", detail, "stream");
}
