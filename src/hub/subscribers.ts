import type { Feed } from "./feed.ts";

/** The patterns of an app as a tree of segments: what matches a channel is found by walking its segments. */
class Segment {
  readonly next = new Map<string, Segment>();
  /** Feeds of patterns that end here. */
  readonly exact = new Set<Feed>();
  /** Feeds of patterns that go on with `**` from here: one or more segments. */
  readonly rest = new Set<Feed>();

  get empty(): boolean {
    return this.next.size === 0 && this.exact.size === 0 && this.rest.size === 0;
  }
}

/** What listens to a channel by its name. */
interface Named {
  readonly feeds: Set<Feed>;
  /** Counted here, so that a publish need not add up as many feeds as there are different selections. */
  streams: number;
}

/** The subscriber map of one app: channel → feeds. A look-up does not grow with the number of feeds elsewhere. */
export class Subscribers {
  readonly #named = new Map<string, Named>();
  readonly #patterns = new Segment();

  /** Adds a feed that has no subscribers yet. */
  add(feed: Feed): void {
    for (const channel of feed.selection.channels) {
      const named = this.#named.get(channel);
      if (named === undefined) this.#named.set(channel, { feeds: new Set([feed]), streams: 0 });
      else named.feeds.add(feed);
    }
    for (const pattern of feed.selection.patterns) {
      let at = this.#patterns;
      const segments = pattern.split(".");
      const rest = segments.at(-1) === "**";
      for (const segment of rest ? segments.slice(0, -1) : segments) {
        let next = at.next.get(segment);
        if (next === undefined) at.next.set(segment, (next = new Segment()));
        at = next;
      }
      (rest ? at.rest : at.exact).add(feed);
    }
  }

  /** Removes a feed that has no subscribers any more. */
  remove(feed: Feed): void {
    for (const channel of feed.selection.channels) {
      const named = this.#named.get(channel);
      if (named?.feeds.delete(feed) === true && named.feeds.size === 0) this.#named.delete(channel);
    }
    for (const pattern of feed.selection.patterns) removePattern(this.#patterns, pattern.split("."), 0, feed);
  }

  /** A subscriber was added to the feed. */
  joined(feed: Feed): void {
    for (const channel of feed.selection.channels) this.#named.get(channel)!.streams += 1;
  }

  /** A subscriber was removed from the feed. */
  left(feed: Feed): void {
    for (const channel of feed.selection.channels) this.#named.get(channel)!.streams -= 1;
  }

  /** Calls for each feed whose selection holds the channel; a feed whose selection matches twice may come twice. */
  visit(channel: string, call: (feed: Feed) => void): void {
    const named = this.#named.get(channel);
    if (named !== undefined) for (const feed of named.feeds) call(feed);
    if (!this.#patterns.empty) collect(this.#patterns, channel.split("."), 0, call);
  }

  /** How many subscribers' selections hold the channel. */
  count(channel: string): number {
    const streams = this.#named.get(channel)?.streams ?? 0;
    if (this.#patterns.empty) return streams;
    const matched = new Set<Feed>();
    collect(this.#patterns, channel.split("."), 0, (feed) => {
      if (!feed.selection.channels.includes(channel)) matched.add(feed);
    });
    return [...matched].reduce((sum, feed) => sum + feed.subscribers.size, streams);
  }

  /** Channels that a stream names exactly, not by a pattern. */
  channels(): Iterable<string> {
    return this.#named.keys();
  }
}

function collect(at: Segment, segments: readonly string[], depth: number, call: (feed: Feed) => void): void {
  if (depth === segments.length) {
    for (const feed of at.exact) call(feed);
    return;
  }
  for (const feed of at.rest) call(feed);
  const literal = at.next.get(segments[depth]!);
  if (literal !== undefined) collect(literal, segments, depth + 1, call);
  const any = at.next.get("*");
  if (any !== undefined) collect(any, segments, depth + 1, call);
}

function removePattern(at: Segment, segments: readonly string[], depth: number, feed: Feed): void {
  if (depth === segments.length) at.exact.delete(feed);
  else if (segments[depth] === "**") at.rest.delete(feed);
  else {
    const next = at.next.get(segments[depth]!);
    if (next === undefined) return;
    removePattern(next, segments, depth + 1, feed);
    if (next.empty) at.next.delete(segments[depth]!);
  }
}
