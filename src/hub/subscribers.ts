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

const NONE: readonly Feed[] = [];

/** The subscriber map of one app: channel → feeds. A look-up does not grow with the number of feeds. */
export class Subscribers {
  readonly #channels = new Map<string, Feed[]>();
  readonly #patterns = new Segment();

  add(feed: Feed): void {
    for (const channel of feed.selection.channels) {
      const feeds = this.#channels.get(channel);
      if (feeds === undefined) this.#channels.set(channel, [feed]);
      else feeds.push(feed);
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

  remove(feed: Feed): void {
    for (const channel of feed.selection.channels) {
      const feeds = this.#channels.get(channel);
      if (feeds === undefined) continue;
      if (feeds.length === 1) this.#channels.delete(channel);
      else feeds.splice(feeds.indexOf(feed), 1);
    }
    for (const pattern of feed.selection.patterns) removePattern(this.#patterns, pattern.split("."), 0, feed);
  }

  /** The feeds whose selection holds the channel. A feed whose selection matches twice may stand there twice. */
  of(channel: string): readonly Feed[] {
    const exact = this.#channels.get(channel) ?? NONE;
    if (this.#patterns.empty) return exact;
    const found = [...exact];
    collect(this.#patterns, channel.split("."), 0, found);
    return found;
  }

  /** Channels that a stream names exactly, not by a pattern. */
  channels(): Iterable<string> {
    return this.#channels.keys();
  }
}

function collect(at: Segment, segments: readonly string[], depth: number, found: Feed[]): void {
  if (depth === segments.length) {
    for (const feed of at.exact) found.push(feed);
    return;
  }
  for (const feed of at.rest) found.push(feed);
  const literal = at.next.get(segments[depth]!);
  if (literal !== undefined) collect(literal, segments, depth + 1, found);
  const any = at.next.get("*");
  if (any !== undefined) collect(any, segments, depth + 1, found);
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
