import type { Broker, BrokerOptions, Listener } from "../../../src/broker/broker.ts";
import { selectionOf, type Selection } from "../../../src/core/channel.ts";
import type { Draft, Message } from "../../../src/core/message.ts";
import { formatPosition, type Position } from "../../../src/core/position.ts";
import type { Random } from "./random.ts";
import { type DriverName, openStore, type Parts, type Store } from "./stores.ts";
import { type Kept, Truth } from "./truth.ts";
import { CHANNELS, type Weather } from "./weather.ts";

export const APP = "app";
const ALL = selectionOf(["**"]);

/** How the store stood, in each epoch that was until then. */
export type Stamp = (epoch: string) => Kept;

export interface ArchiveOptions {
  readonly parts: Parts;
  readonly driver: DriverName;
  readonly random: Random;
  readonly weather: Weather;
  readonly now: () => number;
  readonly failed: (error: Error) => void;
  readonly announce: (messages: readonly Message[]) => void;
  readonly trace: (line: string) => void;
}

/** The store of a run, and beside it the truth of what it has accepted and lost. */
export class Archive {
  readonly truth: Truth;
  /** Where the app's sequence stood at the start. */
  readonly start: Position;
  readonly #options: ArchiveOptions;
  readonly #store: Store;
  #noted: Position | null = null;

  private constructor(options: ArchiveOptions, store: Store, start: Position) {
    this.#options = options;
    this.#store = store;
    this.start = start;
    this.truth = new Truth(start.epoch);
  }

  static async open(options: ArchiveOptions): Promise<Archive> {
    let epochs = 0;
    const settings: BrokerOptions = {
      now: options.now,
      retention: () => options.weather.retention,
      idempotencyTtlMs: 0,
      newEpoch: () => `e${(epochs += 1)}`,
      log: (level, message) => {
        if (level === "error") options.failed(new Error(message));
      },
    };
    const listener: Listener = {
      deliver: (_app, messages) => options.announce(messages),
      mark: () => undefined, // the carriers mark when they like to
      broken: () => undefined,
    };
    const store = await openStore(options.driver, options.parts, settings, listener);
    return new Archive(options, store, await store.broker.follow(APP, ALL));
  }

  get broker(): Broker {
    return this.#store.broker;
  }

  async publish(): Promise<void> {
    const { random, weather, trace } = this.#options;
    const count = random.chance(0.05) ? 20 : random.between(1, 3);
    const drafts: Draft[] = [];
    for (let i = 0; i < count; i++) {
      const n = this.truth.accepted.length + i; // tells which message it is, wherever it arrives
      const filler = random.pick(["", " é€ x", "\nsecond\r\nthird", ` ${"long".repeat(20)}`]);
      const event = random.pick([null, null, "news"]);
      drafts.push({ channel: random.pick(weather.channels), event, data: `${n}${filler}`, json: false });
    }
    const receipt = await this.broker.publish(APP, drafts);
    trace(`publish ${drafts.map(({ channel }) => channel).join(" ")} at ${formatPosition(receipt)}`);
    this.truth.accept(drafts, receipt);
  }

  /** The position for a first connect, of one kind or another. */
  seek(selection: Selection): Promise<Position> {
    const { random, now } = this.#options;
    const count = random.pick([0, 2, 1000]);
    if (random.chance(0.5)) return this.broker.seek(APP, selection, { kind: "last", count });
    return this.broker.seek(APP, selection, { kind: "since", sinceMs: random.chance(0.5) ? 0 : now() - 2000, count });
  }

  async trim(): Promise<void> {
    this.#options.trace("trim");
    await this.broker.trim();
  }

  async note(): Promise<void> {
    await this.#store.note();
    this.#noted = this.truth.head;
  }

  /** A failover to what was noted; the new head, or null when this store cannot be older. */
  async older(): Promise<Position | null> {
    const ended = await this.#kept();
    return (await this.#store.older()) ? this.#renewed(this.#noted, ended) : null;
  }

  async lose(): Promise<Position> {
    const ended = await this.#kept();
    await this.#store.lose();
    return this.#renewed(null, ended);
  }

  async stamp(): Promise<Stamp> {
    const kept = await this.#kept();
    const { current, epochs } = this.truth;
    return (epoch) => (epoch === current.name ? kept : (epochs.get(epoch)!.ended ?? kept));
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  async #renewed(from: Position | null, ended: Kept): Promise<Position> {
    const head = await this.broker.follow(APP, ALL);
    this.#options.trace(
      `the store is renewed: ${formatPosition(head)} from ${from === null ? "nothing" : formatPosition(from)}`,
    );
    this.truth.renew(head.epoch, from, ended);
    return head;
  }

  async #kept(): Promise<Kept> {
    const kept = new Map<string, number>();
    for (const name of CHANNELS) {
      const summary = await this.broker.channel(APP, name);
      if (summary !== null && summary.oldest !== null) kept.set(name, summary.oldest.seq);
    }
    return kept;
  }
}
