import { selectionOf } from "../../../src/core/channel.ts";
import { formatPosition, type Position } from "../../../src/core/position.ts";
import { APP, Archive } from "./archive.ts";
import type { CarrierFaults } from "./carrier.ts";
import { Ledger } from "./ledger.ts";
import { Listener } from "./listener.ts";
import { Node } from "./node.ts";
import { Random } from "./random.ts";
import type { DriverName, Parts } from "./stores.ts";
import { Violation } from "./truth.ts";
import { type Action, type Weather, weather } from "./weather.ts";

/** How often the clocks go on at the end of a run until every listener must stand at the head. */
const QUIET_ROUNDS = 6;

export interface Setup {
  readonly parts: Parts;
  readonly driver: DriverName;
  readonly seed: number;
  readonly faults?: CarrierFaults;
  readonly weather?: Partial<Weather>;
  /** Told of each step; absent in a run that need not be read. */
  readonly trace?: (line: string) => void;
}

/** All promises have settled when the next turn of the event loop comes. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Two nodes over one store, their listeners, and everything that can happen to them, one step at a time. */
export class World {
  readonly #random: Random;
  readonly #setup: Setup;
  readonly #listeners: Listener[] = [];
  readonly #nodes: Node[] = [];
  readonly #errors: Error[] = [];
  #archive!: Archive;
  #nowMs = 1_700_000_000_000;
  #elapsedMs = 0;
  readonly weather: Weather;
  /** What all listeners have seen until now. */
  readonly seen = { messages: 0, gaps: 0 };

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#random = new Random(setup.seed);
    this.weather = { ...weather(this.#random), ...setup.weather };
  }

  get published(): number {
    return this.#archive.truth.accepted.length;
  }

  async open(): Promise<void> {
    const { parts, driver, faults = {} } = this.#setup;
    const common = {
      parts,
      random: this.#random,
      weather: this.weather,
      failed: (error: Error) => void this.#errors.push(error),
    };
    this.#archive = await Archive.open({
      ...common,
      driver,
      now: () => this.#nowMs,
      announce: (messages) => this.#nodes.forEach(({ carrier }) => carrier.announce(messages)),
      trace: (line) => this.#trace(line),
    });
    const store = (): Archive["broker"] => this.#archive.broker;
    for (const name of ["node 1", "node 2"]) {
      const elapsed = (): number => this.#elapsedMs;
      this.#nodes.push(new Node({ ...common, name, faults, store, start: this.#archive.start, elapsed }));
    }
    while (this.#listeners.length < this.weather.listeners) this.#listeners.push(this.#newListener());
  }

  async close(): Promise<void> {
    await this.#archive.close();
  }

  /** One thing that happens. */
  async step(): Promise<void> {
    await this.#act(this.#random.weighted(this.weather.weights));
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
      if (quiet === 2) await this.#archive.publish(); // the head moves on: heartbeats must follow it
      this.#pass(1200); // reads that failed are due again, heartbeats as well
      for (const { carrier, hub } of this.#nodes) {
        carrier.mark();
        while (carrier.arrive());
        hub.tick();
      }
      await this.#after();
    }
    const atHead = this.weather.heartbeatMs > 0 && this.weather.streamAgeMs === Infinity;
    for (const listener of this.#listeners) listener.blamed(() => listener.ledger.settled(atHead));
    for (const listener of this.#listeners) this.#hangUp(listener);
    await this.#after();
    for (const { hub, carrier } of this.#nodes) {
      if (hub.streams() !== 0) throw new Violation("streams are counted that are gone");
      if (carrier.following !== 0) throw new Violation("something is followed that nobody listens to");
    }
  }

  /** One round of healing: false when nothing was left to do. */
  async #healOnce(): Promise<boolean> {
    let happened = false;
    for (const node of this.#nodes) {
      const { carrier } = node;
      if (!carrier.connected) {
        carrier.notice();
        happened = true;
      }
      if (node.turn()) happened = true;
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

  async #act(action: Action): Promise<void> {
    const { weather } = this;
    const node = this.#among(this.#nodes, (one) => one.canTake(action));
    const listener = this.#among(this.#listeners, (one) => one.canTake(action));
    switch (action) {
      case "publish":
        return this.#archive.publish();
      case "arrive":
        for (let left = this.#random.between(1, 1 + (node.carrier.arriving >> 1)); left > 0; left--) {
          if (node.carrier.arrive()) this.#trace(`an announcement arrives at ${node.name}`);
        }
        return;
      case "turn":
        this.#trace(`a turn of ${node.name}`);
        node.turn();
        return;
      case "follow":
        if (await node.carrier.stepFollow()) this.#trace(`a follow of ${node.name} goes on`);
        return;
      case "read":
        if (await node.carrier.stepRead(weather.failing, weather.pageMessages)) {
          this.#trace(`a read of ${node.name} goes on`);
        }
        return;
      case "receive":
        return this.#receive(listener, this.#random.chance(0.7) ? Infinity : this.#random.below(300));
      case "drop":
        return this.#drop(listener);
      case "connect":
        if (listener.line === null) await this.#connect(listener);
        return;
      case "replace":
        this.#drop(listener);
        this.#listeners[this.#listeners.indexOf(listener)] = this.#newListener();
        return;
      case "tick":
        this.#pass(this.#random.pick([1, 100, 500, 2000]));
        this.#trace(`a tick at ${this.#elapsedMs} ms`);
        return node.hub.tick();
      case "mark":
        return node.carrier.mark();
      case "trim":
        return this.#archive.trim();
      case "cut":
        this.#trace(`${node.name} is cut off`);
        return node.carrier.cut();
      case "notice":
        if (node.carrier.connected && this.#random.chance(0.95)) return;
        this.#trace(`${node.name} notices a break`);
        return node.carrier.notice();
      case "note":
        return this.#archive.note();
      case "older":
        return this.#renewed(await this.#archive.older());
      case "lose":
        return this.#renewed(await this.#archive.lose());
      default:
    }
  }

  #renewed(head: Position | null): void {
    if (head !== null) for (const { carrier } of this.#nodes) carrier.renewed(head);
  }

  #receive(listener: Listener, count: number): void {
    const { line, subscriber } = listener;
    if (line === null || subscriber === null) return;
    listener.receive(line.gone ? 0 : Math.min(count, line.unread));
    if (line.ended && (line.gone || line.unread === 0)) return listener.hangUp();
    if (line.full && line.unread === 0) {
      line.full = false;
      this.#trace(`${listener.name} drained`);
      listener.node!.hub.drained(subscriber);
    }
  }

  /** The line breaks at any byte. */
  #drop(listener: Listener): void {
    const { line } = listener;
    if (line === null) return;
    if (!line.gone) listener.blamed(() => line.break(this.#random));
    this.#hangUp(listener);
  }

  #hangUp(listener: Listener): void {
    const { subscriber, node } = listener;
    listener.hangUp();
    this.#trace(`${listener.name} is gone at ${listener.lastId}`);
    if (subscriber !== null) node!.hub.leave(subscriber);
  }

  async #connect(listener: Listener): Promise<void> {
    if (listener.seeks) {
      listener.sought = await this.#archive.seek(listener.selection);
      return;
    }
    const { line, beginning } = listener.begin(this.#random.between(...this.weather.capacityBytes));
    const node = this.#random.pick(this.#nodes);
    this.#trace(`${listener.name} connects to ${node.name}: ${JSON.stringify(beginning)}`);
    listener.node = node;
    listener.subscriber = node.hub.join(APP, listener.selection, listener.format, line, {
      id: listener.name,
      beginning,
      ageAtMs: this.#elapsedMs + this.weather.streamAgeMs,
      expiry: null,
      retryMs: 2000,
      onClose: () => undefined,
    });
  }

  #newListener(): Listener {
    const random = this.#random;
    const { truth } = this.#archive;
    const selection = selectionOf(random.pick(this.weather.selections));
    const format = random.pick(["plain", "plain", "envelope"] as const);
    const ahead = random.between(1, 20);
    const strange = random.pick([
      () => "not ours",
      () => "elsewhere-3",
      () => formatPosition({ ...truth.head, seq: truth.head.seq + ahead }),
    ]);
    const start = { first: random.chance(0.3), invented: random.chance(0.12) ? strange : null };
    const forgetful = this.weather.retention.channels > 0;
    return new Listener(selection, format, start, new Ledger({ truth, selection, format, forgetful, seen: this.seen }));
  }

  /** After each step: all promises have settled, and what was written is stamped with how the store stands. */
  async #after(): Promise<void> {
    await settled();
    const [error] = this.#errors;
    if (error !== undefined) throw error;
    const waiting = this.#listeners.filter(({ line }) => line?.wantsStamp === true);
    if (waiting.length === 0) return;
    const stamp = await this.#archive.stamp();
    for (const { line } of waiting) line!.stamp(stamp);
  }

  /** One of those that fit, or any when none does. */
  #among<T>(items: readonly T[], fits: (item: T) => boolean): T {
    const fitting = items.filter(fits);
    return this.#random.pick(fitting.length > 0 ? fitting : items);
  }

  #pass(ms: number): void {
    this.#elapsedMs += ms;
    this.#nowMs += ms;
  }

  #trace(line: string): void {
    this.#setup.trace?.(line);
  }
}
