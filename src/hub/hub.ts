import type { AppId, Broker, Listener } from "../broker/broker.ts";
import type { Selection } from "../core/channel.ts";
import {
  closeFrame,
  COMMENT_FRAME,
  type CloseReason,
  type Format,
  Frames,
  gapFrame,
  liveFrame,
  join,
  openFrame,
  positionFrame,
} from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import { formatPosition, type Position } from "../core/position.ts";
import { Feed, FramedPage, LogBudget } from "./feed.ts";
import { Schedule } from "./schedule.ts";
import { type Sink, type StreamOptions, Subscriber } from "./subscriber.ts";
import { Subscribers } from "./subscribers.ts";
import { Queue } from "./queue.ts";

/** How many writes an app has before the next app's slice: about 0.4 ms of work. */
const SLICE_WRITES = 64;
/**
 * How many slices the event loop is held before others are let in: requests of publishers, sockets that drained. Counted
 * and not timed, because sockets are written when the turn ends: a thousand writes return within 0.2 ms and then take 8.
 */
const TURN_SLICES = 2;
/** A write of this many bytes costs about as much again as a write does anyhow. */
const WRITE_BYTES = 16 * 1024;
/** Messages of one read from the store. */
const PAGE_MESSAGES = 256;
/** A read of the store costs about as much as so many writes: 0.1 ms, or 2 where the page is full. */
const READ_WRITES = 16;
/** How long to wait after a read that failed. */
const READ_AGAIN_MS = 1000;
/** Streams looked at in one tick. */
const TICK_STREAMS = 1000;
/** What all feeds keep in memory together. */
const LOG_BUDGET_BYTES = 64 * 1024 * 1024;

/** Bounds that are no settings. Each has a default that was measured; others break the work at other points. */
export interface HubLimits {
  readonly sliceWrites: number;
  readonly chunkBytes: number;
  readonly logBudgetBytes: number;
}

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
  /** Told what was unexpected. */
  readonly report: (error: unknown) => void;
  readonly limits?: Partial<HubLimits>;
}

/** What the hub knows of one app. */
class App {
  readonly id: AppId;
  readonly subscribers = new Subscribers();
  readonly feeds = new Map<string, Feed>();
  /** Feeds to flush and subscribers to catch up, each once. */
  readonly work = new Queue<Feed | Subscriber>();
  /**
   * Subscribers whose page was read. They go before the work: when 4,000 came back at once, each with a page of 1 MiB,
   * and all were read for before the first was written to, the process held 4 GB.
   */
  readonly read = new Queue<Subscriber>();
  /** Everything of what is followed was delivered up to here. */
  mark: Position | null = null;
  streams = 0;
  busy = false;

  constructor(id: AppId) {
    this.id = id;
  }

  next(): Feed | Subscriber | undefined {
    return this.read.shift() ?? this.work.shift();
  }

  get idle(): boolean {
    return this.read.size === 0 && this.work.size === 0;
  }
}

/**
 * Fan-out on one node: carries what the broker delivers to the streams that listen.
 *
 * One rule decides every question of ids: an id is written only when everything of this stream up to it was written
 * before it, or is told by the gap that carries it. `docs/architecture.md` has the algorithm with its reasons.
 */
export class Hub implements Listener {
  readonly #options: HubOptions;
  readonly #apps = new Map<AppId, App>();
  readonly #schedule = new Schedule();
  readonly #budget: LogBudget;
  readonly #sliceWrites: number;
  /** Apps with work, in the order of their turns. */
  readonly #busy = new Queue<App>();
  #scheduled = false;
  /** What is left of the slice, in writes. */
  #left = 0;
  #streams = 0;

  constructor(options: HubOptions) {
    const { sliceWrites = SLICE_WRITES, chunkBytes, logBudgetBytes = LOG_BUDGET_BYTES } = options.limits ?? {};
    this.#options = options;
    this.#sliceWrites = sliceWrites;
    this.#budget = new LogBudget(logBudgetBytes, chunkBytes);
  }

  /** Open streams: of one app, or of all. */
  streams(app?: AppId): number {
    return app === undefined ? this.#streams : (this.#apps.get(app)?.streams ?? 0);
  }

  /** How many streams a message on the channel would reach. */
  count(appId: AppId, channel: string): number {
    const feeds = this.#apps.get(appId)?.subscribers.of(channel);
    if (feeds === undefined || feeds.length === 0) return 0;
    if (feeds.length === 1) return feeds[0]!.subscribers.size;
    let count = 0;
    for (const feed of new Set(feeds)) count += feed.subscribers.size;
    return count;
  }

  /** Channels that streams name exactly. */
  channels(appId: AppId): Iterable<string> {
    return this.#apps.get(appId)?.subscribers.channels() ?? [];
  }

  /** Adds a stream. */
  join(appId: AppId, selection: Selection, format: Format, sink: Sink, options: StreamOptions): Subscriber {
    const app = this.#app(appId);
    const key = `${format} ${selection.key}`;
    let feed = app.feeds.get(key);
    if (feed === undefined) {
      feed = new Feed(appId, selection, format, this.#budget);
      app.feeds.set(key, feed);
      app.subscribers.add(feed); // before it is followed: what comes meanwhile is not missed
      this.#follow(app, feed);
    }
    const subscriber = new Subscriber(feed, sink, options);
    feed.subscribers.add(subscriber);
    app.streams += 1;
    this.#streams += 1;
    const { heartbeatMs, elapsed, random } = this.#options;
    subscriber.nextBeatMs = heartbeatMs === 0 ? Infinity : elapsed() + heartbeatMs * random();
    this.#setDue(subscriber);
    this.#begin(app, subscriber);
    return subscriber;
  }

  /** The sink takes bytes again. */
  drained(subscriber: Subscriber): void {
    if (subscriber.closed || !subscriber.full) return;
    subscriber.full = false;
    this.#setDue(subscriber);
    this.#enqueue(this.#app(subscriber.feed.app), subscriber);
  }

  /** The listener has gone. */
  leave(subscriber: Subscriber): void {
    this.#remove(subscriber, "client");
  }

  /** Ends a stream: it is told why where it can still be written, and reset where it cannot. */
  close(subscriber: Subscriber, reason: CloseReason, reconnect: boolean): void {
    if (subscriber.closed) return;
    this.#remove(subscriber, reason);
    if (subscriber.full) return subscriber.sink.abort();
    subscriber.sink.write(closeFrame(reason, reconnect));
    subscriber.sink.end();
  }

  closeAll(reason: CloseReason, reconnect: boolean): void {
    for (const app of this.#apps.values()) {
      for (const feed of app.feeds.values()) {
        for (const subscriber of feed.subscribers) this.close(subscriber, reason, reconnect);
      }
    }
  }

  // What the broker tells.

  deliver(appId: AppId, messages: readonly Message[]): void {
    const app = this.#apps.get(appId);
    if (app === undefined) return;
    for (const message of messages) {
      const feeds = app.subscribers.of(message.channel);
      if (feeds.length === 0) continue;
      const frames = new Frames(message);
      for (const feed of feeds) if (feed.append(frames)) this.#enqueue(app, feed);
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

  /** Heartbeats, ends and stalls: to be called about ten times a second. */
  tick(): void {
    const now = this.#options.elapsed();
    for (const subscriber of this.#schedule.take(now, TICK_STREAMS)) this.#look(subscriber, now);
  }

  #app(id: AppId): App {
    let app = this.#apps.get(id);
    if (app === undefined) this.#apps.set(id, (app = new App(id)));
    return app;
  }

  #follow(app: App, feed: Feed): void {
    const { generation } = feed;
    this.#options.broker.follow(app.id, feed.selection).then(
      (at) => {
        if (feed.generation !== generation) return;
        feed.ready(at, app.mark?.epoch === at.epoch ? app.mark.seq : 0);
        const [only] = feed.subscribers;
        if (feed.subscribers.size === 1) return this.#begin(app, only!);
        for (const subscriber of feed.subscribers) this.#enqueue(app, subscriber);
      },
      (error: unknown) => this.#options.report(error),
    );
  }

  /** Up to where nothing of the feed's selection is missing, in the epoch of its floor. */
  #through(feed: Feed): number {
    const mark = this.#apps.get(feed.app)?.mark;
    return mark != null && mark.epoch === feed.floor?.epoch ? Math.max(feed.through, mark.seq) : feed.through;
  }

  // Turns: every app with work has a slice in its turn, so that a small app does not wait for a large one.

  #enqueue(app: App, item: Feed | Subscriber): void {
    if (item.queued) return;
    item.queued = true;
    if (item instanceof Subscriber && item.page !== null) app.read.push(item);
    else app.work.push(item);
    if (!app.busy) {
      app.busy = true;
      this.#busy.push(app);
    }
    this.#wake();
  }

  #wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.schedule(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    for (let slices = 0; slices < TURN_SLICES; slices++) {
      const app = this.#busy.shift();
      if (app === undefined) return;
      this.#slice(app);
      if (app.idle) app.busy = false;
      else this.#busy.push(app);
    }
    if (this.#busy.size > 0) this.#wake();
  }

  #slice(app: App): void {
    this.#left = this.#sliceWrites;
    while (this.#left > 0) {
      const item = app.next();
      if (item === undefined) return;
      item.queued = false;
      if (item instanceof Subscriber) {
        this.#left -= 1;
        this.#catchUp(app, item);
      } else {
        item.flush(this.#visit);
        if (item.pending) this.#enqueue(app, item);
      }
    }
  }

  /** Sends a batch to one subscriber of a feed, and answers whether the slice has room for a further one. */
  readonly #visit = (subscriber: Subscriber, bytes: Uint8Array | null): boolean => {
    this.#left -= 1;
    if (bytes !== null) this.#send(subscriber, bytes);
    return this.#left > 0;
  };

  #send(subscriber: Subscriber, bytes: Uint8Array): void {
    this.#left -= Math.floor(bytes.length / WRITE_BYTES);
    if (subscriber.sink.write(bytes)) return;
    subscriber.full = true;
    subscriber.live = false;
    subscriber.fullSinceMs = this.#options.elapsed();
    this.#setDue(subscriber);
  }

  // Catching up: the one mechanism for first replay, for a sink that drained and for the repair after an outage.

  /** At once where nothing must be read: a first write in the same turn as its request costs least. Reads have turns. */
  #begin(app: App, subscriber: Subscriber): void {
    const fresh = !subscriber.opened && subscriber.options.beginning.kind === "now";
    if (subscriber.feed.floor !== null && (fresh || this.#inLog(subscriber))) this.#catchUp(app, subscriber);
    else this.#enqueue(app, subscriber);
  }

  #catchUp(app: App, subscriber: Subscriber): void {
    const { feed } = subscriber;
    if (subscriber.closed || subscriber.full || subscriber.live || subscriber.reading) return;
    if (feed.floor === null) return this.#greet(subscriber);
    const parts: Uint8Array[] = [];
    if (!subscriber.opened && subscriber.options.beginning.kind === "now") {
      subscriber.epoch = feed.floor.epoch;
      subscriber.seq = this.#through(feed);
      parts.push(this.#open(subscriber, subscriber.position, null));
    }
    if (subscriber.page !== null) {
      this.#takePage(subscriber, subscriber.page, parts);
    } else if (this.#inLog(subscriber)) {
      if (!subscriber.opened) {
        const recovered = subscriber.options.beginning.kind === "resume" ? true : null;
        parts.push(this.#open(subscriber, subscriber.position, recovered));
      }
      const frames = feed.after(subscriber.seq);
      if (frames.length > 0) {
        parts.push(join(frames, feed.format));
        subscriber.wrote(frames.at(-1)!.seq);
        subscriber.replayed += subscriber.told ? 0 : frames.length;
      }
      if (!feed.hasAfter(subscriber.seq)) {
        subscriber.live = true;
        if (!subscriber.told) parts.push(liveFrame(subscriber.replayed));
        subscriber.told = true;
      }
    } else {
      this.#read(app, subscriber);
    }
    if (parts.length > 0) this.#send(subscriber, concat(parts));
    if (!subscriber.live && !subscriber.reading) this.#enqueue(app, subscriber);
  }

  /** Headers go out with the first byte: a listener whose stream cannot begin yet is not left without an answer. */
  #greet(subscriber: Subscriber): void {
    if (subscriber.greeted) return;
    subscriber.greeted = true;
    this.#send(subscriber, COMMENT_FRAME);
  }

  /** Whether what the subscriber needs next is in memory. */
  #inLog(subscriber: Subscriber): boolean {
    const { feed } = subscriber;
    if (!feed.reaches(subscriber.position)) return false;
    // A position that only the listener vouches for is believed up to what this node knows of.
    return subscriber.opened || subscriber.seq <= this.#through(feed);
  }

  #read(app: App, subscriber: Subscriber): void {
    const { feed } = subscriber;
    const { generation } = feed;
    subscriber.reading = true;
    this.#page(feed, subscriber.position).then(
      (page) => {
        subscriber.reading = false;
        if (feed.generation === generation) subscriber.page = page; // else a break came: read again
        this.#enqueue(app, subscriber);
      },
      () => {
        subscriber.reading = false;
        if (!subscriber.closed) this.#schedule.set(subscriber, this.#options.elapsed() + READ_AGAIN_MS);
      },
    );
  }

  #page(feed: Feed, after: Position): Promise<FramedPage> {
    const key = formatPosition(after);
    let page = feed.reads.get(key);
    if (page === undefined) {
      this.#left -= READ_WRITES;
      page = this.#options.broker
        .read(feed.app, feed.selection, after, PAGE_MESSAGES)
        .then((read) => new FramedPage(read, feed.format))
        .catch((error: unknown) => {
          this.#options.report(error); // once, however many wait for it
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
    if (page.count > 0) parts.push(page.bytes);
    if (gap !== null || page.count > 0) subscriber.written = page.last;
    subscriber.replayed += subscriber.told ? 0 : page.count;
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
      expires_at: options.expiresAt,
    });
  }

  // Heartbeats and ends.

  #setDue(subscriber: Subscriber): void {
    const { stallMs } = this.#options;
    const stalled = subscriber.full && stallMs > 0 ? subscriber.fullSinceMs + stallMs : Infinity;
    const due = Math.min(subscriber.nextBeatMs, subscriber.options.endsAtMs, stalled);
    if (due === Infinity) this.#schedule.delete(subscriber);
    else this.#schedule.set(subscriber, due);
  }

  #look(subscriber: Subscriber, now: number): void {
    const { heartbeatMs, stallMs } = this.#options;
    const { endsAtMs, endReason } = subscriber.options;
    if (subscriber.full && stallMs > 0 && now >= subscriber.fullSinceMs + stallMs) {
      return this.close(subscriber, "slow", true);
    }
    if (now >= endsAtMs) return this.close(subscriber, endReason, endReason === "max_age");
    if (now >= subscriber.nextBeatMs) {
      this.#beat(subscriber);
      subscriber.nextBeatMs = now + heartbeatMs;
    }
    if (!subscriber.live) this.#enqueue(this.#app(subscriber.feed.app), subscriber);
    this.#setDue(subscriber);
  }

  #beat(subscriber: Subscriber): void {
    const { feed } = subscriber;
    if (subscriber.full) return;
    const through = this.#through(feed);
    const level = subscriber.live && !feed.pending && !feed.hasAfter(subscriber.seq);
    const position = Math.max(through, subscriber.seq);
    if (level && position > subscriber.written) {
      subscriber.wrote(position);
      this.#send(subscriber, positionFrame(subscriber.position));
    } else this.#send(subscriber, COMMENT_FRAME);
  }

  #remove(subscriber: Subscriber, reason: CloseReason): void {
    if (subscriber.closed) return;
    const { feed } = subscriber;
    const app = this.#app(feed.app);
    subscriber.closed = true;
    subscriber.live = false;
    this.#schedule.delete(subscriber);
    feed.subscribers.delete(subscriber);
    app.streams -= 1;
    this.#streams -= 1;
    if (feed.subscribers.size === 0) {
      app.feeds.delete(`${feed.format} ${feed.selection.key}`);
      app.subscribers.remove(feed);
      feed.close();
      this.#options.broker.unfollow(app.id, feed.selection).catch((error: unknown) => this.#options.report(error));
    }
    subscriber.options.onClose(reason);
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  return Buffer.concat(parts);
}
