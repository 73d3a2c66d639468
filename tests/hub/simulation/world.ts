import type { BrokerOptions } from "../../../src/broker/broker.ts";
import { selectionOf } from "../../../src/core/channel.ts";
import type { Draft } from "../../../src/core/message.ts";
import { formatPosition, type Position } from "../../../src/core/position.ts";
import type { Hub } from "../../../src/hub/hub.ts";
import { Carrier, CARRIER_ERROR, type CarrierFaults } from "./carrier.ts";
import { Ledger } from "./ledger.ts";
import { Listener } from "./listener.ts";
import { Random } from "./random.ts";
import { type DriverName, openStore, type Parts, type Store } from "./stores.ts";
import { type Kept, Truth, Violation } from "./truth.ts";
import { CHANNELS, type Action, type Weather, weather } from "./weather.ts";

const APP = "app";
const ALL = selectionOf(["**"]);

/** How often the clocks go on at the end of a run until every listener must stand at the head. */
const QUIET_ROUNDS = 6;

interface Node {
  readonly hub: Hub;
  readonly carrier: Carrier;
  readonly turns: (() => void)[];
}

export interface Setup {
  readonly parts: Parts;
  readonly driver: DriverName;
  readonly seed: number;
  readonly faults?: CarrierFaults;
  readonly weather?: Partial<Weather>;
  /** Told of each step; absent in a run that need not be read. */
  readonly trace?: (line: string) => void;
}

/** All runs of a microtask queue are over when the next turn of the event loop comes. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Whether an action would find nothing to do on a node. */
function idle(action: Action, { carrier, turns }: Node): boolean {
  switch (action) {
    case "turn":
      return turns.length === 0;
    case "arrive":
      return carrier.arriving === 0;
    case "follow":
      return carrier.follows === 0;
    case "read":
      return carrier.reads === 0;
    case "notice":
      return carrier.connected;
    default:
      return false;
  }
}

/** Two nodes over one store, their listeners, and everything that can happen to them, one step at a time. */
export class World {
  readonly #random: Random;
  readonly #setup: Setup;
  readonly #listeners: Listener[] = [];
  readonly #nodes: Node[] = [];
  readonly #errors: Error[] = [];
  #store!: Store;
  #truth!: Truth;
  #nowMs = 1_700_000_000_000;
  #elapsedMs = 0;
  #epochs = 0;
  #names = 0;
  #noted: Position | null = null;
  readonly weather: Weather;
  constructor(setup: Setup) {
    this.#setup = setup;
    this.#random = new Random(setup.seed);
    this.weather = { ...weather(this.#random), ...setup.weather };
  }

  get published(): number {
    return this.#truth.accepted.length;
  }

  /** Of the listeners that stayed to the end. */
  get received(): number {
    return this.#listeners.reduce((sum, { ledger }) => sum + ledger.received, 0);
  }

  get gaps(): number {
    return this.#listeners.reduce((sum, { ledger }) => sum + ledger.gaps, 0);
  }

  async open(): Promise<void> {
    const { parts, driver, faults = {} } = this.#setup;
    const options: BrokerOptions = {
      now: () => this.#nowMs,
      retention: () => this.weather.retention,
      idempotencyTtlMs: 0,
      newEpoch: () => `e${(this.#epochs += 1)}`,
      log: (level, message) => {
        if (level === "error") this.#errors.push(new Error(message));
      },
    };
    this.#store = await openStore(driver, parts, options, {
      deliver: (_app, messages) => {
        for (const { carrier } of this.#nodes) carrier.announce(messages);
      },
      mark: () => undefined, // the carrier marks when it likes to
      broken: () => undefined,
    });
    const head = await this.#store.broker.follow(APP, ALL);
    this.#truth = new Truth(head.epoch);
    for (let i = 0; i < 2; i++) {
      const turns: (() => void)[] = [];
      const carrier = new Carrier(APP, () => this.#store.broker, this.#random, faults, head);
      const hub = new parts.Hub({
        broker: carrier,
        schedule: (run) => void turns.push(run),
        elapsed: () => this.#elapsed(),
        random: () => this.#random.next(),
        heartbeatMs: this.weather.heartbeatMs,
        stallMs: this.weather.stallMs,
        report: (error) => {
          if (error !== CARRIER_ERROR) this.#errors.push(new Error("reported", { cause: error }));
        },
        limits: this.weather.limits,
      });
      carrier.listener = hub;
      this.#nodes.push({ hub, carrier, turns });
    }
    for (let i = 0; i < this.weather.listeners; i++) this.#listeners.push(this.#newListener());
  }

  async close(): Promise<void> {
    await this.#store.close();
  }

  /** One thing that happens. */
  async step(): Promise<void> {
    const action = this.#random.weighted(this.weather.weights);
    await this.#act(action);
    await this.#after();
  }

  /** Everything heals; then every listener must have all that it is owed, in a bounded number of rounds. */
  async heal(): Promise<void> {
    const bound = 3000 + 20 * this.published;
    let rounds = 0;
    for (let quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
      while (await this.#healOnce()) {
        if (++rounds > bound) throw new Violation(`not level after ${bound} rounds`);
      }
      if (quiet === QUIET_ROUNDS - 1) break;
      if (quiet === 2) await this.#publish(); // the head moves on: heartbeats must follow it
      this.#pass(1200); // reads that failed are due again, heartbeats as well
      for (const { carrier, hub } of this.#nodes) {
        carrier.mark();
        while (carrier.arrive());
        hub.tick();
      }
      await this.#after();
    }
    const { heartbeatMs, streamAgeMs } = this.weather;
    const atHead = heartbeatMs > 0 && streamAgeMs === Infinity;
    for (const listener of this.#listeners) this.#blame(listener, () => listener.ledger.settled(atHead));
    for (const listener of this.#listeners) this.#hangUp(listener);
    await this.#after();
    for (const { hub, carrier } of this.#nodes) {
      if (hub.streams() !== 0) throw new Violation("streams are counted that are gone");
      if (carrier.following !== 0) throw new Violation("something is followed that nobody listens to");
    }
  }

  async #act(action: Action): Promise<void> {
    const { weather } = this;
    const node = this.#among(this.#nodes, (of) => !idle(action, of));
    const listener = this.#among(this.#listeners, ({ line }) =>
      action === "connect" ? line === null : action !== "receive" || (line !== null && (line.unread > 0 || line.ended)),
    );
    switch (action) {
      case "publish":
        return this.#publish();
      case "arrive":
        if (node.carrier.arrive()) this.#trace(`arrive at ${this.#nodes.indexOf(node)}`);
        return;
      case "turn":
        return this.#turn(node);
      case "follow":
        if (await node.carrier.stepFollow()) this.#trace(`follow of ${this.#nodes.indexOf(node)}`);
        return;
      case "read":
        if (await node.carrier.stepRead(weather.failing, weather.pageMessages)) {
          this.#trace(`read of ${this.#nodes.indexOf(node)}`);
        }
        return;
      case "receive":
        return this.#receive(listener, this.#random.chance(0.7) ? Infinity : this.#random.below(300));
      case "drop":
        return this.#drop(listener);
      case "connect":
        return this.#connect(listener);
      case "replace":
        this.#drop(listener);
        this.#listeners[this.#listeners.indexOf(listener)] = this.#newListener();
        return;
      case "tick":
        this.#pass(this.#random.pick([1, 100, 500, 2000]));
        this.#trace(`tick at ${this.#elapsedMs} ms`);
        return node.hub.tick();
      case "mark":
        return node.carrier.mark();
      case "trim":
        this.#trace("trim");
        await this.#store.broker.trim();
        return;
      case "cut":
        this.#trace(`cut ${this.#nodes.indexOf(node)}`);
        return node.carrier.cut();
      case "notice":
        return this.#notice(node);
      case "note":
        return this.#note();
      case "older":
        return this.#older();
      case "lose":
        return this.#lose();
      default:
    }
  }

  async #publish(): Promise<void> {
    const count = this.#random.chance(0.05) ? 20 : this.#random.between(1, 3);
    const drafts: Draft[] = [];
    for (let i = 0; i < count; i++) {
      const n = this.#truth.accepted.length + i;
      const filler = this.#random.pick(["", " é€ x", "\nsecond\r\nthird", ` ${"long".repeat(20)}`]);
      const event = this.#random.pick([null, null, "news"]);
      drafts.push({ channel: this.#random.pick(this.weather.channels), event, data: `${n}${filler}`, json: false });
    }
    const receipt = await this.#store.broker.publish(APP, drafts);
    this.#trace(`publish ${drafts.map(({ channel }) => channel).join(" ")} at ${formatPosition(receipt)}`);
    this.#truth.accept(drafts, receipt);
  }

  #turn({ turns, hub }: Node): void {
    const run = turns.shift();
    if (run === undefined) return;
    this.#trace(`turn of ${this.#nodes.findIndex((node) => node.hub === hub)}`);
    run();
  }

  #receive(listener: Listener, count: number): void {
    const { line, subscriber } = listener;
    if (line === null || subscriber === null) return;
    this.#blame(listener, () => listener.receive(line.gone ? 0 : Math.min(count, line.unread)));
    if (line.ended && (line.gone || line.unread === 0)) return listener.hangUp();
    if (line.full && line.unread === 0) {
      line.full = false;
      this.#trace(`${listener.name} drained`);
      this.#nodes[listener.node]!.hub.drained(subscriber);
    }
  }

  /** The line breaks at any byte. */
  #drop(listener: Listener): void {
    const { line } = listener;
    if (line === null) return;
    if (!line.gone) this.#blame(listener, () => line.break(this.#random));
    this.#hangUp(listener);
  }

  #hangUp(listener: Listener): void {
    const { subscriber } = listener;
    listener.hangUp();
    this.#trace(`${listener.name} drops at ${listener.lastId}`);
    if (subscriber !== null) this.#nodes[listener.node]!.hub.leave(subscriber);
  }

  async #connect(listener: Listener): Promise<void> {
    if (listener.line !== null) return;
    if (listener.seeks) {
      const count = this.#random.pick([0, 2, 1000]);
      const start = this.#random.chance(0.5)
        ? ({ kind: "last", count } as const)
        : ({ kind: "since", sinceMs: this.#random.chance(0.5) ? 0 : this.#nowMs - 2000, count } as const);
      listener.sought = await this.#store.broker.seek(APP, listener.selection, start);
      return;
    }
    const { line, beginning } = listener.begin(this.#random.between(...this.weather.capacityBytes));
    listener.node = this.#random.below(this.#nodes.length);
    this.#trace(
      `${listener.name} (${listener.selection.key} ${listener.format}) connects to ${listener.node}: ${JSON.stringify(beginning)}`,
    );
    listener.subscriber = this.#nodes[listener.node]!.hub.join(APP, listener.selection, listener.format, line, {
      id: listener.name,
      beginning,
      endsAtMs: this.#elapsedMs + this.weather.streamAgeMs,
      endReason: "max_age",
      expiresAt: null,
      retryMs: 2000,
      onClose: () => undefined,
    });
  }

  #notice({ carrier }: Node): void {
    if (carrier.connected && this.#random.chance(0.95)) return;
    this.#trace("a break is noticed");
    carrier.notice();
  }

  #note(): void {
    this.#store.note();
    this.#noted = this.#truth.head;
  }

  /** A failover to what was noted. */
  async #older(): Promise<void> {
    const ended = await this.#kept();
    if (await this.#store.older()) await this.#renewed(this.#noted, ended);
  }

  async #lose(): Promise<void> {
    const ended = await this.#kept();
    await this.#store.lose();
    await this.#renewed(null, ended);
  }

  async #renewed(from: Position | null, ended: Kept): Promise<void> {
    const head = await this.#store.broker.follow(APP, ALL);
    this.#trace(
      `the store is renewed: ${formatPosition(head)} from ${from === null ? "nothing" : formatPosition(from)}`,
    );
    this.#truth.renew(head.epoch, from, ended);
    for (const { carrier } of this.#nodes) carrier.renewed(head);
  }

  async #kept(): Promise<Kept> {
    const kept = new Map<string, number>();
    for (const name of CHANNELS) {
      const summary = await this.#store.broker.channel(APP, name);
      if (summary !== null && summary.oldest !== null) kept.set(name, summary.oldest.seq);
    }
    return kept;
  }

  #newListener(): Listener {
    const random = this.#random;
    const names = random.pick(this.weather.selections);
    const format = random.pick(["plain", "plain", "envelope"] as const);
    const ahead = random.between(1, 20);
    const strange = random.pick([
      () => "not ours",
      () => "elsewhere-3",
      () => formatPosition({ ...this.#truth.head, seq: this.#truth.head.seq + ahead }),
    ]);
    const start = { first: random.chance(0.3), invented: random.chance(0.12) ? strange : null };
    const ledger = new Ledger(this.#truth, selectionOf(names), format, this.weather.retention.channels > 0);
    return new Listener(`listener ${(this.#names += 1)}`, names, format, start, ledger);
  }

  /** After each step: all promises have settled, and what was written is stamped with how the store stands. */
  async #after(): Promise<void> {
    await settled();
    const [error] = this.#errors;
    if (error !== undefined) throw error;
    const waiting = this.#listeners.filter(({ line }) => line?.wantsStamp === true);
    if (waiting.length === 0) return;
    const kept = await this.#kept();
    const { current } = this.#truth;
    for (const { line } of waiting) {
      line!.stamp((epoch) => (epoch === current.name ? kept : (this.#truth.epochs.get(epoch)!.ended ?? kept)));
    }
  }

  /** One round of healing: false when nothing was left to do. */
  async #healOnce(): Promise<boolean> {
    let happened = false;
    for (const node of this.#nodes) {
      const { carrier, turns } = node;
      if (!carrier.connected) {
        carrier.notice();
        happened = true;
      }
      if (turns.length > 0) happened = true;
      this.#turn(node);
      while (carrier.arrive()) happened = true;
      for (let i = 0; i < 8; i++) {
        if (await carrier.stepFollow()) happened = true;
        if (await carrier.stepRead(0, this.weather.pageMessages)) happened = true;
      }
    }
    await this.#after();
    for (const listener of this.#listeners) {
      if (listener.line === null) {
        await this.#connect(listener);
        happened = true;
      } else if (listener.line.unread > 0 || listener.line.ended) {
        this.#receive(listener, Infinity);
        happened = true;
      }
    }
    await this.#after();
    return happened;
  }

  /** One of those that fit, or any when none does. */
  #among<T>(items: readonly T[], fits: (item: T) => boolean): T {
    const fitting = items.filter(fits);
    return this.#random.pick(fitting.length > 0 ? fitting : items);
  }

  #elapsed(): number {
    if (this.#random.chance(this.weather.hurry)) this.#pass(3);
    return this.#elapsedMs;
  }

  #pass(ms: number): void {
    this.#elapsedMs += ms;
    this.#nowMs += ms;
  }

  #blame(listener: Listener, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof Violation) error.message = `${listener.name} (${listener.selection.key}): ${error.message}`;
      throw error;
    }
  }

  #trace(line: string): void {
    this.#setup.trace?.(line);
  }
}
