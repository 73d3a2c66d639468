import type { AppId } from "../broker/broker.ts";
import { selects } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { formatPosition } from "../core/position.ts";
import { success } from "./answer.ts";
import { askOthers } from "./asking.ts";
import type { Gateway } from "./gateway.ts";
import { LIST_DEFAULT, LIST_MOST } from "./lists.ts";
import type { OpenStream } from "./open-streams.ts";
import { channelOf, type Parameters, queryParameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";
import { publisher } from "./send.ts";
import { rfc3339 } from "./subscribe.ts";

/** How many streams are looked at before other reads have their turn: about a millisecond. */
const TURN_STREAMS = 2000;
/** What another node gives of a page at most, in characters: a stream of many long names takes 10,000. */
const PART_LENGTH = 128 * 1024;

/** Where a page begins: after so many streams that the app opened on one node. Nodes come in the order of their names. */
interface Place {
  readonly node: string;
  readonly ordinal: number;
}

export interface StreamQuery {
  readonly channel?: string | undefined;
  readonly user?: string | undefined;
  readonly after: Place | null;
  readonly limit: number;
}

/** One node's part of a page. */
export interface StreamPage {
  readonly node: string;
  readonly streams: readonly StreamState[];
  /** The ordinals of these. */
  readonly ordinals: readonly number[];
  /** Whether the node has more of them. */
  readonly more: boolean;
}

type StreamState = ReturnType<typeof stateOf>;

/**
 * `GET /streams?channel=&user=&after=&limit=`: the app's open streams, node after node, and of each node in the order in
 * which they opened.
 */
export async function streamList(gateway: Gateway, request: Request): Promise<Response> {
  const app = publisher(gateway, request);
  const query = queryOf(queryParameters(request.url));
  const [here, { answers, complete }] = await Promise.all([
    streamsHere(gateway, app.id, query),
    askOthers(gateway, app.id, "streams", query),
  ]);
  const streams: StreamState[] = [];
  let [last, next]: [string | null, string | null] = [null, null];
  for (const page of [here, ...answers].sort((one, other) => (one.node < other.node ? -1 : 1))) {
    const taken = page.streams.slice(0, query.limit - streams.length);
    streams.push(...taken);
    if (taken.length > 0) last = `${page.node}-${page.ordinals[taken.length - 1]}`;
    if (!page.more && taken.length === page.streams.length) continue;
    next = last;
    break;
  }
  return await gateway.reads.run(app.id, async () => success({ streams, next, complete }, requestIdOf(request)));
}

function queryOf(parameters: Parameters): StreamQuery {
  const channel = parameters.text("channel");
  if (channel !== undefined) channelOf(channel);
  return {
    channel,
    user: parameters.text("user"),
    after: placeOf(parameters.text("after")),
    limit: parameters.integer("limit", 1, LIST_MOST) ?? LIST_DEFAULT,
  };
}

function placeOf(text: string | undefined): Place | null {
  if (text === undefined) return null;
  const [, node, ordinal] = /^([0-9a-f]{16})-([0-9]{1,15})$/.exec(text) ?? [];
  if (node !== undefined) return { node, ordinal: Number(ordinal) };
  throw new ApiError("parameter_invalid", "`after` takes the `next` of the page before.", "after");
}

/** `most`: the length of the answer, about, in characters. */
async function streamsHere(
  { node, reads, streams }: Gateway,
  app: AppId,
  { channel, user, after, limit }: StreamQuery,
  most = Infinity,
): Promise<StreamPage> {
  const from = after === null || after.node < node ? 0 : after.node === node ? after.ordinal : Infinity;
  const found: OpenStream[] = [];
  const open = (from === Infinity ? [] : streams.of(app))[Symbol.iterator]();
  let length = 0;
  let more = false;
  async function look(): Promise<boolean> {
    for (let looked = 0; looked < TURN_STREAMS; looked++) {
      const { done, value: stream } = open.next();
      if (done === true) return false;
      if (stream.ordinal <= from || !isWanted(stream, channel, user)) continue;
      length += lengthOf(stream);
      more = found.length === limit || (length > most && found.length > 0);
      if (more) return false;
      found.push(stream);
    }
    return true;
  }
  while (await reads.run(app, look));
  return {
    node,
    streams: found.map((stream) => stateOf(stream, node)),
    ordinals: found.map(({ ordinal }) => ordinal),
    more,
  };
}

/** As `askOthers` has it answered. */
export function streamPart(gateway: Gateway, app: AppId, query: StreamQuery): Promise<StreamPage> {
  return streamsHere(gateway, app, query, PART_LENGTH);
}

/** Of JSON, about. */
function lengthOf({ subscriber, user }: OpenStream): number {
  const { channels, patterns } = subscriber!.feed.selection;
  return [...channels, ...patterns].reduce((sum, name) => sum + name.length + 8, 400 + 2 * (user?.length ?? 0));
}

function isWanted({ subscriber, user }: OpenStream, channel: string | undefined, wanted: string | undefined): boolean {
  if (subscriber === null || subscriber.closed || (wanted !== undefined && user !== wanted)) return false;
  return channel === undefined || selects(subscriber.feed.selection, channel);
}

function stateOf({ id, grant, openedAt, subscriber, user }: OpenStream, node: string) {
  const { feed, live, opened, position } = subscriber!;
  return {
    stream: id,
    node,
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
