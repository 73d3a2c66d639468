import type { Feed } from "./feed.ts";
import { Patterns } from "./patterns.ts";

/** What listens to a channel by its name. */
interface Named {
  /** A set of one takes 300 bytes, and most channels have one. */
  feeds: Feed | Set<Feed>;
  /** Counted here, so that a publish need not add up as many feeds as there are different selections. */
  streams: number;
}

/** The subscriber map of one app: channel → feeds. A look-up does not grow with the number of feeds elsewhere. */
export class Subscribers {
  readonly #named = new Map<string, Named>();
  readonly #patterns = new Patterns();

  /** Adds a feed that has no subscribers yet. */
  add(feed: Feed): void {
    for (const channel of feed.selection.channels) {
      const named = this.#named.get(channel);
      if (named === undefined) this.#named.set(channel, { feeds: feed, streams: 0 });
      else if (named.feeds instanceof Set) named.feeds.add(feed);
      else named.feeds = new Set([named.feeds, feed]);
    }
    for (const pattern of feed.selection.patterns) this.#patterns.add(pattern, feed);
  }

  /** Removes a feed that has no subscribers any more. */
  remove(feed: Feed): void {
    for (const channel of feed.selection.channels) {
      const named = this.#named.get(channel);
      if (named === undefined) continue;
      if (named.feeds instanceof Set) named.feeds.delete(feed);
      if (named.feeds === feed || (named.feeds instanceof Set && named.feeds.size === 0)) this.#named.delete(channel);
    }
    for (const pattern of feed.selection.patterns) this.#patterns.remove(pattern, feed);
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
    if (named?.feeds instanceof Set) for (const feed of named.feeds) call(feed);
    else if (named !== undefined) call(named.feeds);
    if (!this.#patterns.empty) this.#patterns.visit(channel, call);
  }

  /** How many subscribers' selections hold the channel. */
  count(channel: string): number {
    const streams = this.#named.get(channel)?.streams ?? 0;
    if (this.#patterns.empty) return streams;
    const matched = new Set<Feed>();
    this.#patterns.visit(channel, (feed) => {
      if (!feed.selection.channels.includes(channel)) matched.add(feed);
    });
    return [...matched].reduce((sum, feed) => sum + feed.subscribers.size, streams);
  }

  /** Channels that a stream names exactly, not by a pattern. */
  channels(): Iterable<string> {
    return this.#named.keys();
  }
}
