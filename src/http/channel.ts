import type { AppId, ChannelSummary } from "../broker/broker.ts";
import { selectionOf } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { envelope } from "../core/frame.ts";
import { FOREIGN, formatPosition, parsePosition, type Position } from "../core/position.ts";
import { success, successJson } from "./answer.ts";
import { askOthers, type Questions } from "./asking.ts";
import type { Gateway } from "./gateway.ts";
import { LIST_DEFAULT, LIST_MOST } from "./lists.ts";
import { channelOf, queryParameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";
import { publisher } from "./send.ts";

/** `GET /channel/:channel`: who listens now, and what is kept. */
export async function channelState(gateway: Gateway, request: Request, channel: string): Promise<Response> {
  const app = publisher(gateway, request);
  channelOf(channel);
  const [kept, { counts, complete }] = await Promise.all([
    gateway.broker.channel(app.id, channel),
    countsOf(gateway, app.id, [channel]),
  ]);
  const summary = kept ?? { channel, oldest: null, newest: null };
  return success({ ...stateOf(summary, counts[0]!), complete }, requestIdOf(request));
}

/** `GET /channel/:channel/history?after=&limit=`: what is kept, oldest first. */
export async function channelHistory(gateway: Gateway, request: Request, channel: string): Promise<Response> {
  const app = publisher(gateway, request);
  channelOf(channel);
  const parameters = queryParameters(request.url);
  const asked = parameters.text("after");
  const after = asked === undefined ? FOREIGN : parsePosition(asked);
  if (after === null) throw new ApiError("parameter_invalid", "`after` takes the id of a message.", "after");
  const limit = parameters.integer("limit", 1, LIST_MOST) ?? LIST_DEFAULT;
  const page = await gateway.reads.run(app.id, () => gateway.broker.read(app.id, selectionOf([channel]), after, limit));
  // Without `after` nothing was asked for that could be missing.
  const gap = asked === undefined || page.gap === null ? null : { ...page.gap, ...idsOf(page.gap), asked };
  const messages = page.messages.map(envelope).join(",");
  const through = formatPosition(page.through);
  const rest = `"through":"${through}","gap":${JSON.stringify(gap)}`;
  return successJson(`{"channel":${JSON.stringify(channel)},"messages":[${messages}],${rest}}`, requestIdOf(request));
}

/** `GET /channels?prefix=&after=&limit=`: channels that hold history or that streams name, in name order. */
export async function channelList(gateway: Gateway, request: Request): Promise<Response> {
  const app = publisher(gateway, request);
  const parameters = queryParameters(request.url);
  const prefix = parameters.text("prefix") ?? "";
  const after = parameters.text("after") ?? "";
  const limit = parameters.integer("limit", 1, LIST_MOST) ?? LIST_DEFAULT;
  const [kept, others] = await Promise.all([
    gateway.broker.channels(app.id, prefix, after, limit + 1),
    askOthers(gateway, app.id, "channels", { prefix, after, limit: limit + 1 }),
  ]);
  const byName = new Map<string, ChannelSummary>(kept.map((summary) => [summary.channel, summary]));
  const named = channelsHere(gateway, app.id, { prefix, after, limit: limit + 1 });
  for (const channel of [named, ...others.answers].flat()) {
    if (!byName.has(channel)) byName.set(channel, { channel, oldest: null, newest: null });
  }
  const names = [...byName.keys()].sort();
  const shown = names.slice(0, limit);
  const { counts, complete } = await countsOf(gateway, app.id, shown);
  const channels = shown.map((name, i) => stateOf(byName.get(name)!, counts[i]!));
  const next = names.length > limit ? shown.at(-1) : null;
  return success({ channels, next, complete: complete && others.complete }, requestIdOf(request));
}

/** How many streams each channel reaches, on all nodes; `complete` unless one is silent. */
async function countsOf(
  gateway: Gateway,
  app: AppId,
  channels: readonly string[],
): Promise<{ counts: readonly number[]; complete: boolean }> {
  if (channels.length === 0) return { counts: [], complete: true };
  const { answers, complete } = await askOthers(gateway, app, "counts", { channels });
  const all = [countsHere(gateway, app, { channels }), ...answers];
  return { counts: channels.map((_channel, i) => all.reduce((sum, counts) => sum + counts[i]!, 0)), complete };
}

export function countsHere({ hub }: Gateway, app: AppId, { channels }: Questions["counts"]["question"]) {
  return channels.map((channel) => hub.count(app, channel));
}

export function channelsHere(
  { hub }: Gateway,
  app: AppId,
  { prefix, after, limit }: Questions["channels"]["question"],
): readonly string[] {
  const named = [...hub.channels(app)].filter((channel) => channel.startsWith(prefix) && channel > after);
  return named.sort().slice(0, limit);
}

function stateOf(summary: ChannelSummary, subscribers: number) {
  return { channel: summary.channel, subscribers, ...idsOf(summary) };
}

function idsOf(kept: { readonly oldest: Position | null; readonly newest: Position | null }) {
  return { oldest: idOf(kept.oldest), newest: idOf(kept.newest) };
}

function idOf(position: Position | null): string | null {
  return position === null ? null : formatPosition(position);
}
