import { selects } from "../core/channel.ts";
import { formatPosition } from "../core/position.ts";
import { nextRequestId, success } from "./answer.ts";
import type { Gateway } from "./gateway.ts";
import type { OpenStream } from "./open-streams.ts";
import { channelOf, queryParameters } from "./parameters.ts";
import { publisher } from "./send.ts";
import { rfc3339 } from "./subscribe.ts";

const LIST_DEFAULT = 100;
const LIST_MOST = 1000;
/** How many streams are looked at before other reads have their turn: about a millisecond. */
const TURN_STREAMS = 2000;

/** `GET /streams?channel=&user=&after=&limit=`: the app's open streams on this node, in the order in which they opened. */
export async function streamList(gateway: Gateway, request: Request): Promise<Response> {
  const app = publisher(gateway, request);
  const parameters = queryParameters(request.url);
  const channel = parameters.text("channel");
  if (channel !== undefined) channelOf(channel);
  const user = parameters.text("user");
  const after = parameters.integer("after", 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const limit = parameters.integer("limit", 1, LIST_MOST) ?? LIST_DEFAULT;

  const found: OpenStream[] = [];
  const open = gateway.streams.of(app.id)[Symbol.iterator]();
  async function look(): Promise<boolean> {
    for (let looked = 0; looked < TURN_STREAMS && found.length <= limit; looked++) {
      const { done, value: stream } = open.next();
      if (done === true) return false;
      if (stream.ordinal > after && isWanted(stream, channel, user)) found.push(stream);
    }
    return found.length <= limit;
  }
  while (await gateway.reads.run(app.id, look));
  const shown = found.slice(0, limit);
  const next = found.length > limit ? shown.at(-1)!.ordinal : null;
  return await gateway.reads.run(app.id, async () => success({ streams: shown.map(stateOf), next }, nextRequestId()));
}

function isWanted({ subscriber, user }: OpenStream, channel: string | undefined, wanted: string | undefined): boolean {
  if (subscriber === null || subscriber.closed || (wanted !== undefined && user !== wanted)) return false;
  return channel === undefined || selects(subscriber.feed.selection, channel);
}

function stateOf({ id, grant, openedAt, subscriber, user }: OpenStream) {
  const { feed, live, opened, position } = subscriber!;
  return {
    stream: id,
    channels: [...feed.selection.channels, ...feed.selection.patterns],
    user,
    grant: grant.kind,
    token: grant.tokens.at(-1)?.jti ?? null,
    since: rfc3339(openedAt),
    expires_at: grant.expiresAt === null ? null : rfc3339(grant.expiresAt),
    position: opened ? formatPosition(position) : null,
    state: live ? "live" : "behind",
  };
}
