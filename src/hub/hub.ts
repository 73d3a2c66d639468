import type { AppId, Broker, Listener } from "../broker/broker.ts";
import type { Selection } from "../core/channel.ts";
import { closeFrame, type CloseReason, type Format, Frames } from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import { CatchUp } from "./catch-up.ts";
import { Feed, LogBudget } from "./feed.ts";
import { Heartbeat } from "./heartbeat.ts";
import { HubMeter, Sent } from "./meter.ts";
import { type Expiry, type Sink, type StreamOptions, Subscriber } from "./subscriber.ts";
import { Subscribers } from "./subscribers.ts";
import { Lane, Turns } from "./turns.ts";

/** How many writes a turn of the event loop has: about half a millisecond of work. */
const TURN_WRITES = 64;
/** What all feeds keep in memory together. */
const LOG_BUDGET_BYTES = 64 * 1024 * 1024;

/** Bounds that are no settings. Each has a default that was measured; others break the work at other points. */
export interface HubLimits {
  readonly turnWrites: number;
  readonly chunkBytes: number;
  readonly logBudgetBytes: number;
}

export type Report = (error: unknown, of: { readonly app: AppId; readonly stream?: string }) => void;

export interface HubOptions {
  readonly broker: Pick<Broker, "read" | "follow" | "unfollow">;
  /** Runs a function in a later turn of the event loop; `setImmediate`, but for tests. */
  readonly schedule: (run: () => void) => void;
  /** A clock in milliseconds that never goes back. */
  readonly elapsed: () => number;
  /** A number from 0 to below 1. */
  readonly random: () => number;
  /** 0: no heartbeats. */
  readonly heartbeatMs: number;
  /** How long a full socket may stay full; 0: for ever. */
  readonly stallMs: number;
  /** Told what was unexpected, and whom it befell. Must not throw. */
  readonly report: Report;
  readonly limits?: Partial<HubLimits>;
}

/** What the hub knows of one app. */
class App {
  readonly id: AppId;
  readonly subscribers = new Subscribers();
  readonly feeds = new Map<string, Feed>();
  /**
   * Feeds to flush and subscribers to catch up. Those whose page was read go first: when 4,000 came back at once, each
   * with a page of 1 MiB, and all were read for before the first was written to, the process held 4 GB.
   */
  readonly lane = new Lane<Feed | Subscriber>();
  /** Everything of what is followed was delivered up to here. */
  mark: Position | null = null;
  streams = 0;
  readonly sent = new Sent();

  constructor(id: AppId) {
    this.id = id;
  }
}

/**
 * Fan-out on one node: carries what the broker delivers to the streams that listen.
 *
 * One rule decides every question of ids: an id is written only when everything of this stream up to it was written
 * before it, or is told by the gap that carries it. `docs/architecture.md` has the algorithm with its reasons.
 */
export class Hub implements Listener {
  readonly meter = new HubMeter();
  readonly #options: HubOptions;
  readonly #apps = new Map<AppId, App>();
  readonly #budget: LogBudget;
  readonly #turns: Turns<Feed | Subscriber>;
  readonly #catchUp: CatchUp;
  readonly #heartbeat: Heartbeat;
  #streams = 0;

  constructor(options: HubOptions) {
    const { turnWrites = TURN_WRITES, chunkBytes, logBudgetBytes = LOG_BUDGET_BYTES } = options.limits ?? {};
    const shared = {
      ...options,
      through: (feed: Feed) => this.#through(feed),
      meter: this.meter,
      send: (subscriber: Subscriber, bytes: Uint8Array) => {
        subscriber.feed.sent.bytes += bytes.length;
        this.#send(subscriber, bytes);
      },
      again: (subscriber: Subscriber) => this.#enqueue(subscriber),
      failed: (item: Feed | Subscriber, error: unknown) => this.#failed(item, error),
    };
    this.#options = options;
    this.#budget = new LogBudget(logBudgetBytes, chunkBytes);
    this.#turns = new Turns({ ...shared, turnWrites, run: (item) => this.#run(item) });
    this.#catchUp = new CatchUp({
      ...shared,
      later: (subscriber) => subscriber.closed || this.#heartbeat.soon(subscriber),
      spend: (writes) => this.#turns.spend(writes),
    });
    this.#heartbeat = new Heartbeat({
      ...shared,
      close: (subscriber, reason, reconnect) => this.close(subscriber, reason, reconnect),
    });
  }

  /** Open streams: of one app, or of all. */
  streams(app?: AppId): number {
    return app === undefined ? this.#streams : (this.#apps.get(app)?.streams ?? 0);
  }

  /** How many feeds an app has, and what its streams were sent since the start. */
  of(app: AppId): { readonly feeds: number; readonly sent: Readonly<Sent> } {
    const known = this.#apps.get(app);
    return known === undefined ? { feeds: 0, sent: new Sent() } : { feeds: known.feeds.size, sent: known.sent };
  }

  /** How many streams a message on the channel would reach. */
  count(appId: AppId, channel: string): number {
    return this.#apps.get(appId)?.subscribers.count(channel) ?? 0;
  }

  /** Channels that streams name exactly. */
  channels(appId: AppId): Iterable<string> {
    return this.#apps.get(appId)?.subscribers.channels() ?? [];
  }

  /** Adds a stream. */
  join(appId: AppId, selection: Selection, format: Format, sink: Sink, options: StreamOptions): Subscriber {
    const app = this.#app(appId);
    const key = keyOf(selection, format);
    let feed = app.feeds.get(key);
    if (feed === undefined) {
      feed = new Feed(appId, selection, format, this.#budget, app.sent);
      app.feeds.set(key, feed);
      app.subscribers.add(feed); // before it is followed: what comes meanwhile is not missed
      this.#follow(app, feed);
    }
    const subscriber = new Subscriber(feed, sink, options);
    feed.subscribers.add(subscriber);
    app.subscribers.joined(feed);
    app.streams += 1;
    this.meter.opened += 1;
    this.#streams += 1;
    this.#heartbeat.add(subscriber);
    this.#begin(subscriber);
    return subscriber;
  }

  /** The sink takes bytes again. */
  drained(subscriber: Subscriber): void {
    if (subscriber.closed || !subscriber.full) return;
    subscriber.full = false;
    this.#heartbeat.update(subscriber);
    this.#enqueue(subscriber);
  }

  /** The listener has gone. */
  leave(subscriber: Subscriber): void {
    this.#remove(subscriber, "client");
  }

  /** Its grant ends at another time from now on, of which it is told ahead again. */
  renew(subscriber: Subscriber, expiry: Expiry): void {
    if (subscriber.closed) return;
    subscriber.expiry = expiry;
    subscriber.noticed = false;
    this.#heartbeat.update(subscriber);
  }

  /** Ends a stream: it is told why where it can still be written, and reset where it cannot. */
  close(subscriber: Subscriber, reason: CloseReason, reconnect: boolean): void {
    if (subscriber.closed) return;
    this.#remove(subscriber, reason);
    if (subscriber.full) return this.#abort(subscriber);
    try {
      // With the time to wait once more: one that was behind may not have been told it yet.
      const frame = closeFrame(reason, reconnect, reconnect ? subscriber.options.retryMs : undefined);
      subscriber.feed.sent.bytes += frame.length;
      subscriber.sink.write(frame);
      subscriber.sink.end();
    } catch (error) {
      this.#reportOf(subscriber, error);
      this.#abort(subscriber);
    }
  }

  /** Ends at most so many streams, whichever they are. */
  closeSome(count: number, reason: CloseReason, reconnect: boolean): void {
    let left = count;
    for (const app of this.#apps.values()) {
      for (const feed of app.feeds.values()) {
        for (const subscriber of feed.subscribers) {
          if (left === 0) return;
          left -= 1;
          this.close(subscriber, reason, reconnect);
        }
      }
    }
  }

  /** Heartbeats, ends and stalls: to be called about ten times a second. */
  tick(): void {
    this.#heartbeat.tick();
  }

  // What the broker tells.

  deliver(appId: AppId, messages: readonly Message[]): void {
    const app = this.#apps.get(appId);
    if (app === undefined) return;
    const nowMs = this.#options.elapsed();
    for (const message of messages) {
      let frames: Frames | null = null; // encoded only where somebody listens
      app.subscribers.visit(message.channel, (feed) => {
        frames ??= new Frames(message);
        if (feed.append(frames.in(feed.format), nowMs)) this.#turns.add(app.lane, feed, false);
      });
    }
  }

  mark(appId: AppId, at: Position): void {
    const app = this.#apps.get(appId);
    if (app !== undefined) app.mark = at;
  }

  broken(appId: AppId): void {
    const app = this.#apps.get(appId);
    if (app === undefined) return;
    app.mark = null;
    for (const feed of app.feeds.values()) {
      feed.broken();
      this.#follow(app, feed);
    }
  }

  #app(id: AppId): App {
    let app = this.#apps.get(id);
    if (app === undefined) this.#apps.set(id, (app = new App(id)));
    return app;
  }

  #follow(app: App, feed: Feed): void {
    const { generation } = feed;
    this.#options.broker
      .follow(app.id, feed.selection)
      .then((at) => {
        if (feed.generation !== generation) return;
        feed.ready(at, app.mark?.epoch === at.epoch ? app.mark.seq : 0);
        const [only] = feed.subscribers;
        if (feed.subscribers.size === 1) return this.#begin(only!);
        for (const subscriber of feed.subscribers) this.#enqueue(subscriber);
      })
      .catch((error: unknown) => this.#failed(feed, error)); // nothing would be sent to its streams any more
  }

  /** Up to where nothing of the feed's selection is missing, in the epoch of its floor. */
  #through(feed: Feed): number {
    const mark = this.#apps.get(feed.app)?.mark;
    return mark != null && mark.epoch === feed.floor?.epoch ? Math.max(feed.through, mark.seq) : feed.through;
  }

  #enqueue(subscriber: Subscriber): void {
    this.#turns.add(this.#app(subscriber.feed.app).lane, subscriber, subscriber.page !== null);
  }

  /** Outside of a turn, so with a net of its own: what is thrown in an answer of the broker would end the process. */
  #begin(subscriber: Subscriber): void {
    try {
      this.#catchUp.begin(subscriber);
    } catch (error) {
      this.#failed(subscriber, error);
    }
  }

  #run(item: Feed | Subscriber): void {
    if (item instanceof Subscriber) {
      this.#turns.spend(1);
      return this.#catchUp.step(item);
    }
    const flushed = item.flush(this.#visit);
    if (flushed !== null) {
      this.meter.batchMessages.add(flushed.messages);
      this.meter.flushSeconds.add((this.#options.elapsed() - flushed.deliveredAtMs) / 1000);
    }
    if (item.pending) this.#turns.add(this.#app(item.app).lane, item, false);
  }

  /** Sends a batch to one subscriber of a feed, and answers whether the slice has room for a further one. */
  readonly #visit = (subscriber: Subscriber, bytes: Uint8Array | null): boolean => {
    this.#turns.spend(1);
    if (bytes === null) return this.#turns.room;
    try {
      this.#send(subscriber, bytes);
    } catch (error) {
      this.#failed(subscriber, error); // the rest of the feed goes on
    }
    return this.#turns.room;
  };

  #send(subscriber: Subscriber, bytes: Uint8Array): void {
    this.#turns.spend(0, bytes.length);
    subscriber.bytes += bytes.length;
    if (subscriber.sink.write(bytes)) return;
    this.meter.stalls += 1;
    subscriber.full = true;
    subscriber.live = false;
    subscriber.fullSinceMs = this.#options.elapsed();
    this.#heartbeat.update(subscriber);
  }

  /** What threw may have left a stream without something: it is reset, and resumes from the id that it had. */
  #failed(item: Feed | Subscriber, error: unknown): void {
    if (item instanceof Subscriber) this.#reportOf(item, error);
    else this.#options.report(error, { app: item.app });
    for (const subscriber of item instanceof Subscriber ? [item] : item.subscribers) {
      if (subscriber.closed) continue;
      this.#remove(subscriber, "error");
      this.#abort(subscriber);
    }
  }

  #abort(subscriber: Subscriber): void {
    try {
      subscriber.sink.abort();
    } catch (error) {
      this.#reportOf(subscriber, error);
    }
  }

  #reportOf({ feed, options }: Subscriber, error: unknown): void {
    this.#options.report(error, { app: feed.app, stream: options.id });
  }

  #remove(subscriber: Subscriber, reason: CloseReason): void {
    if (subscriber.closed) return;
    const { feed } = subscriber;
    const app = this.#app(feed.app);
    subscriber.closed = true;
    subscriber.live = false;
    this.#heartbeat.delete(subscriber);
    feed.subscribers.delete(subscriber);
    app.subscribers.left(feed);
    app.streams -= 1;
    this.meter.closed[reason] += 1;
    this.#streams -= 1;
    if (feed.subscribers.size === 0) {
      app.feeds.delete(keyOf(feed.selection, feed.format));
      app.subscribers.remove(feed);
      feed.close();
      this.#options.broker
        .unfollow(app.id, feed.selection)
        .catch((error: unknown) => this.#options.report(error, { app: app.id }));
    }
    try {
      subscriber.options.onClose(reason, subscriber);
    } catch (error) {
      this.#reportOf(subscriber, error);
    }
  }
}

/** Streams of one selection and format share a feed. No selection's key begins with a space, and most are shared text. */
function keyOf(selection: Selection, format: Format): string {
  return format === "plain" ? selection.key : ` ${selection.key}`;
}
