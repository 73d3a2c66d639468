import type { Broker } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import { COMMENT_FRAME, gapFrame, join, liveFrame, openFrame } from "../core/frame.ts";
import { formatPosition, type Position } from "../core/position.ts";
import { type Feed, FramedPage } from "./feed.ts";
import type { HubMeter } from "./meter.ts";
import type { Subscriber } from "./subscriber.ts";

/** Messages of one read from the store. */
const PAGE_MESSAGES = 256;
/** A read of the store costs about as much as so many writes: 0.1 ms, or 2 where the page is full. */
const READ_WRITES = 16;

export interface CatchUpOptions {
  readonly broker: Pick<Broker, "read">;
  readonly meter: HubMeter;
  /** A clock in milliseconds that never goes back. */
  readonly elapsed: () => number;
  readonly heartbeatMs: number;
  /** Up to where nothing of the feed's selection is missing, in the epoch of its floor. */
  readonly through: (feed: Feed) => number;
  readonly send: (subscriber: Subscriber, bytes: Uint8Array) => void;
  /** Has the subscriber go on in a later turn. */
  readonly again: (subscriber: Subscriber) => void;
  /** Has it go on after a while, because a read failed. */
  readonly later: (subscriber: Subscriber) => void;
  /** Takes from the running turn what as many writes cost. */
  readonly spend: (writes: number) => void;
  /** Told of a subscriber that cannot go on. */
  readonly failed: (subscriber: Subscriber, error: unknown) => void;
  readonly report: (error: unknown, of: { readonly app: string }) => void;
}

/** The one mechanism for first replay, for a sink that drained and for the repair after an outage. */
export class CatchUp {
  readonly #options: CatchUpOptions;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /** At once where nothing must be read: a first write in the same turn as its request costs least. Reads have turns. */
  begin(subscriber: Subscriber): void {
    const fresh = !subscriber.opened && subscriber.options.beginning.kind === "now";
    if (subscriber.feed.floor !== null && (fresh || this.#inLog(subscriber))) this.step(subscriber);
    else this.#options.again(subscriber);
  }

  /** Writes what comes next, as far as it is at hand, and asks for what is not. */
  step(subscriber: Subscriber): void {
    const { feed } = subscriber;
    if (subscriber.closed || subscriber.full || subscriber.live || subscriber.reading) return;
    if (feed.floor === null) return this.#greet(subscriber);
    const parts: Uint8Array[] = [];
    if (!subscriber.opened && subscriber.options.beginning.kind === "now") {
      subscriber.epoch = feed.floor.epoch;
      subscriber.seq = this.#options.through(feed);
      parts.push(this.#open(subscriber, subscriber.position, null));
    }
    if (subscriber.page !== null) this.#takePage(subscriber, subscriber.page, parts);
    else if (this.#inLog(subscriber)) this.#takeLog(subscriber, parts);
    else this.#read(subscriber);
    if (parts.length > 0) this.#options.send(subscriber, concat(parts));
    if (!subscriber.live && !subscriber.reading) this.#options.again(subscriber);
  }

  /** Headers go out with the first byte: a listener whose stream cannot begin yet is not left without an answer. */
  #greet(subscriber: Subscriber): void {
    if (subscriber.greeted) return;
    subscriber.greeted = true;
    this.#options.send(subscriber, COMMENT_FRAME);
  }

  /** Whether what the subscriber needs next is in memory. */
  #inLog(subscriber: Subscriber): boolean {
    const { feed } = subscriber;
    if (!feed.reaches(subscriber.position)) return false;
    // A position that only the listener vouches for is believed up to what this node knows of.
    return subscriber.opened || subscriber.seq <= this.#options.through(feed);
  }

  #takeLog(subscriber: Subscriber, parts: Uint8Array[]): void {
    const { feed } = subscriber;
    if (!subscriber.opened) {
      const recovered = subscriber.options.beginning.kind === "resume" ? true : null;
      parts.push(this.#open(subscriber, subscriber.position, recovered));
    }
    const frames = feed.after(subscriber.seq);
    if (frames.length > 0) {
      parts.push(join(frames));
      subscriber.wrote(frames.at(-1)!.seq);
      replayed(subscriber, frames.length);
    }
    if (feed.hasAfter(subscriber.seq)) return;
    subscriber.live = true;
    this.#options.meter.catchUps += 1;
    if (!subscriber.told) parts.push(liveFrame(subscriber.replayed));
    subscriber.told = true;
  }

  #read(subscriber: Subscriber): void {
    const { feed } = subscriber;
    const { generation } = feed;
    subscriber.reading = true;
    this.#page(feed, subscriber.position)
      .then(
        (page) => {
          subscriber.reading = false;
          if (feed.generation === generation) subscriber.page = page; // else a break came: read again
          this.#options.again(subscriber);
        },
        () => {
          subscriber.reading = false;
          if (!subscriber.closed) this.#greet(subscriber);
          this.#options.later(subscriber);
        },
      )
      .catch((error: unknown) => this.#options.failed(subscriber, error));
  }

  /** Those who wait at the same position share one read. */
  #page(feed: Feed, after: Position): Promise<FramedPage> {
    const key = formatPosition(after);
    let page = feed.reads.get(key);
    if (page === undefined) {
      const { broker, elapsed, meter, spend } = this.#options;
      spend(READ_WRITES);
      const fromMs = elapsed();
      page = broker
        .read(feed.app, feed.selection, after, PAGE_MESSAGES)
        .then((read) => {
          meter.readSeconds.add((elapsed() - fromMs) / 1000);
          return new FramedPage(read, feed.format);
        })
        .catch((error: unknown) => {
          // Once, however many wait for it; that the store is away the broker has told.
          if (!(error instanceof ApiError)) this.#options.report(error, { app: feed.app });
          throw error;
        })
        .finally(() => {
          if (feed.reads.get(key) === page) feed.reads.delete(key);
        });
      feed.reads.set(key, page);
    }
    return page;
  }

  #takePage(subscriber: Subscriber, page: FramedPage, parts: Uint8Array[]): void {
    const { beginning } = subscriber.options;
    subscriber.page = null;
    // A first connect asked for what is kept, whatever that is: it has missed nothing.
    const gap = !subscriber.opened && beginning.kind === "first" ? null : page.gap;
    const asked =
      subscriber.opened || beginning.kind !== "resume" ? formatPosition(subscriber.position) : beginning.asked;
    if (!subscriber.opened) {
      const recovered = beginning.kind === "resume" ? gap === null : null;
      parts.push(this.#open(subscriber, gap === null ? page.from : null, recovered));
    }
    if (gap !== null) parts.push(gapFrame(page.from, { ...gap, asked }));
    if (gap !== null) this.#options.meter.gaps[gap.reason] += 1;
    if (page.count > 0) parts.push(page.bytes);
    if (gap !== null || page.count > 0) subscriber.written = page.last;
    replayed(subscriber, page.count);
    subscriber.epoch = page.through.epoch;
    subscriber.seq = page.through.seq;
  }

  #open(subscriber: Subscriber, id: Position | null, recovered: boolean | null): Uint8Array {
    const { feed, options } = subscriber;
    subscriber.opened = true;
    subscriber.greeted = true;
    if (id !== null) subscriber.written = id.seq;
    return openFrame(id, options.retryMs, {
      stream: options.id,
      app: feed.app,
      channels: [...feed.selection.channels, ...feed.selection.patterns],
      recovered,
      heartbeat_ms: this.#options.heartbeatMs,
      expires_at: subscriber.expiry?.told ?? null,
    });
  }
}

/** Counts messages of a catch-up. */
function replayed(subscriber: Subscriber, messages: number): void {
  const { sent } = subscriber.feed;
  if (!subscriber.told) subscriber.replayed += messages;
  subscriber.messages += messages;
  sent.messages += messages;
  sent.replayed += messages;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  return Buffer.concat(parts);
}
