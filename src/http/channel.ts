import type { ChannelSummary } from "../broker/broker.ts";
import { selectionOf } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import { envelope } from "../core/frame.ts";
import { FOREIGN, formatPosition, parsePosition, type Position } from "../core/position.ts";
import { nextRequestId, success, successJson } from "./answer.ts";
import type { Gateway } from "./gateway.ts";
import { channelOf, queryParameters } from "./parameters.ts";
import { publisher } from "./send.ts";

const LIST_DEFAULT = 100;
const LIST_MOST = 1000;

/** `GET /channel/:channel`: who listens now, and what is kept. */
export async function channelState(gateway: Gateway, request: Request, channel: string): Promise<Response> {
  const app = publisher(gateway, request);
  channelOf(channel);
  const kept = await gateway.broker.channel(app.id, channel);
  const summary = kept ?? { channel, oldest: null, newest: null };
  return success(stateOf(summary, gateway.hub.count(app.id, channel)), nextRequestId());
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
  return successJson(`{"channel":${JSON.stringify(channel)},"messages":[${messages}],${rest}}`, nextRequestId());
}

/** `GET /channels?prefix=&after=&limit=`: channels that hold history or that streams name, in name order. */
export async function channelList(gateway: Gateway, request: Request): Promise<Response> {
  const app = publisher(gateway, request);
  const parameters = queryParameters(request.url);
  const prefix = parameters.text("prefix") ?? "";
  const after = parameters.text("after") ?? "";
  const limit = parameters.integer("limit", 1, LIST_MOST) ?? LIST_DEFAULT;
  const kept = await gateway.broker.channels(app.id, prefix, after, limit + 1);
  const byName = new Map<string, ChannelSummary>(kept.map((summary) => [summary.channel, summary]));
  for (const channel of gateway.hub.channels(app.id)) {
    if (channel.startsWith(prefix) && channel > after && !byName.has(channel)) {
      byName.set(channel, { channel, oldest: null, newest: null });
    }
  }
  const names = [...byName.keys()].sort();
  const shown = names.slice(0, limit);
  const channels = shown.map((name) => stateOf(byName.get(name)!, gateway.hub.count(app.id, name)));
  return success({ channels, next: names.length > limit ? shown.at(-1) : null }, nextRequestId());
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
