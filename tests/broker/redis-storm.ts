import type { BrokerOptions, Receipt, Retention } from "../../src/broker/broker.ts";
import { RedisBroker } from "../../src/broker/redis.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import { selectionOf } from "../../src/core/channel.ts";
import type { Draft } from "../../src/core/message.ts";
import { Hub } from "../../src/hub/hub.ts";
import { Ledger } from "../hub/simulation/ledger.ts";
import { Listener } from "../hub/simulation/listener.ts";
import type { Random } from "../hub/simulation/random.ts";
import { type Kept, Truth } from "../hub/simulation/truth.ts";
import { CHANNELS, SELECTIONS } from "../hub/simulation/weather.ts";
import type { RedisServer } from "../setup/redis.ts";
import { TcpProxy } from "../setup/tcp-proxy.ts";
import { until } from "./redis-fixture.ts";

const APP = "app";
const RETENTION: Retention = { count: 30, ageMs: 0, bytes: 0, appBytes: 0, channels: 0 };
const TICK_MS = 20;
const HEALS_WITHIN_MS = 20_000;

interface Node {
  readonly broker: RedisBroker;
  readonly hub: Hub;
  readonly proxy: TcpProxy;
  readonly ticking: NodeJS.Timeout;
}

/**
 * Two real hubs on two real brokers over one real Redis, which are cut off, muted, frozen, restarted and emptied, and
 * the simulation's ledgers of what their listeners see. What listeners read is looked at between two steps, when all
 * that was published is accounted for.
 */
export class Storm implements AsyncDisposable {
  readonly seen = { messages: 0, gaps: 0 };
  readonly #server: RedisServer;
  readonly #random: Random;
  readonly #nodes: Node[] = [];
  readonly #listeners: Listener[] = [];
  readonly #nodeOf = new Map<Listener, Node>();
  readonly #errors: unknown[] = [];
  readonly #truth = new Truth("e1");
  #kept: Kept = new Map();
  #keys = 0;
  #epochs = 1;

  constructor(server: RedisServer, random: Random) {
    this.#server = server;
    this.#random = random;
  }

  async open(): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const proxy = await TcpProxy.start(this.#server.port);
      const options: BrokerOptions = {
        now: Date.now,
        retention: () => RETENTION,
        idempotencyTtlMs: 0,
        apps: () => [APP],
        newEpoch: () => `e${this.#epochs}`, // both nodes mean the same one
        log: () => undefined,
      };
      const broker = new RedisBroker(parseRedisAddress(`redis://127.0.0.1:${proxy.port}`)!, options);
      const hub = new Hub({
        broker,
        schedule: setImmediate,
        elapsed: () => performance.now(),
        random: Math.random,
        heartbeatMs: 100,
        stallMs: 0,
        report: (error) => void this.#errors.push(error),
      });
      await broker.start(hub);
      this.#nodes.push({ broker, hub, proxy, ticking: setInterval(() => hub.tick(), TICK_MS) });
    }
    for (let i = 0; i < 6; i++) this.#listeners.push(this.#newListener());
  }

  async step(): Promise<void> {
    const random = this.#random;
    const node = random.pick(this.#nodes);
    const listener = random.pick(this.#listeners);
    const action = random.weighted({
      publish: 30,
      receive: 20,
      drop: 2,
      turn: 10,
      trim: 2,
      kill: 1.5,
      cut: 1.5,
      mute: 1,
      freeze: 0.3,
      restart: 0.5,
      lose: 0.2,
    });
    if (action === "publish") await this.#publish(node);
    if (action === "drop") this.#drop(listener);
    if (action === "turn") await new Promise((resolve) => setTimeout(resolve, random.below(4)));
    if (action === "trim") await this.#trim(node);
    if (action === "kill") {
      await this.#server.command("CLIENT", "KILL", "TYPE", random.pick(["pubsub", "normal"]));
    }
    if (action === "cut") node.proxy.cut();
    if (action === "mute") {
      node.proxy.mute("commands"); // until the deadline of a command finds it
      if (random.chance(0.5)) node.proxy.cut();
    }
    if (action === "freeze") await this.#freeze(node);
    if (action === "restart") await this.#restart();
    if (action === "lose") await this.#lose();
    this.#receive(listener, random.chance(0.7) ? Infinity : random.below(200));
    if (listener.line === null) await this.#connect(listener);
    if (this.#errors.length > 0) throw this.#errors[0];
  }

  /** All is well again: every listener must get what it is owed. */
  async heal(): Promise<void> {
    for (const { broker } of this.#nodes) await until(() => broker.check());
    await this.#publish(this.#nodes[0]!);
    const deadline = performance.now() + HEALS_WITHIN_MS;
    for (const listener of this.#listeners) {
      for (;;) {
        if (listener.line === null) await this.#connect(listener);
        this.#receive(listener, Infinity);
        try {
          listener.blamed(() => listener.ledger.settled(false));
          break;
        } catch (error) {
          if (performance.now() > deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    }
  }

  get published(): number {
    return this.#truth.accepted.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { broker, proxy, ticking } of this.#nodes) {
      clearInterval(ticking);
      await broker.close();
      await proxy[Symbol.asyncDispose]();
    }
  }

  /** Until it is acknowledged, with the same key, at one node or the other: a store that is away is no loss. */
  async #publish(first: Node): Promise<void> {
    const drafts: Draft[] = Array.from({ length: this.#random.between(1, 4) }, (_, i) => ({
      channel: this.#random.pick(CHANNELS),
      event: this.#random.pick([null, "news"]),
      data: `${this.#truth.accepted.length + i} ${"x".repeat(this.#random.below(30))}`,
      json: false,
    }));
    const once = { key: String(++this.#keys), subscribers: drafts.map(() => 0) };
    let node = first;
    const receipt: Receipt = await until(async () => {
      try {
        return await node.broker.publish(APP, drafts, once);
      } catch (error) {
        node = this.#random.pick(this.#nodes);
        throw error;
      }
    });
    this.#truth.accept(drafts, receipt);
    for (const { channel } of drafts) {
      if (!this.#kept.has(channel)) await this.#look();
    }
  }

  async #trim({ broker }: Node): Promise<void> {
    while (await broker.trim());
    await this.#look();
  }

  /** What is kept, as one node reads it. */
  async #look(): Promise<void> {
    const kept = new Map<string, number>();
    for (const name of CHANNELS) {
      const { broker } = this.#nodes[0]!;
      const summary = await until(() => broker.channel(APP, name));
      if (summary?.oldest != null) kept.set(name, summary.oldest.seq);
    }
    this.#kept = kept;
  }

  async #freeze(node: Node): Promise<void> {
    this.#server.freeze();
    const published = this.#publish(node);
    await new Promise((resolve) => setTimeout(resolve, this.#random.pick([10, 100, 1200])));
    this.#server.thaw();
    await published;
  }

  /** It comes back with all that it had, which nobody can know. */
  async #restart(): Promise<void> {
    await this.#look();
    await this.#server.command("SAVE");
    await this.#server.kill();
    this.#truth.renew(`e${++this.#epochs}`, this.#truth.head, this.#kept);
    await this.#server.start();
  }

  async #lose(): Promise<void> {
    await this.#look();
    this.#truth.renew(`e${++this.#epochs}`, null, this.#kept);
    this.#kept = new Map();
    await this.#server.command("FLUSHALL");
  }

  async #connect(listener: Listener): Promise<void> {
    const node = this.#random.pick(this.#nodes);
    if (listener.seeks) {
      listener.sought = await until(() =>
        node.broker.seek(APP, listener.selection, { kind: "last", count: this.#random.pick([0, 2, 100]) }),
      );
    }
    const { line, beginning } = listener.begin(this.#random.pick([100, 1000, 100_000]));
    this.#nodeOf.set(listener, node);
    listener.subscriber = node.hub.join(APP, listener.selection, listener.format, line, {
      id: listener.name,
      beginning,
      ageAtMs: Infinity,
      expiry: null,
      retryMs: 2000,
      onClose: () => undefined,
    });
  }

  #receive(listener: Listener, count: number): void {
    const { line, subscriber } = listener;
    if (line === null || subscriber === null) return;
    line.stamp((epoch) => {
      const { current, epochs } = this.#truth;
      return epoch === current.name ? this.#kept : (epochs.get(epoch)?.ended ?? this.#kept);
    });
    listener.receive(line.gone ? 0 : Math.min(count, line.unread));
    if (line.ended && (line.gone || line.unread === 0)) listener.hangUp();
    else if (line.full && line.unread === 0) {
      line.full = false;
      this.#nodeOf.get(listener)!.hub.drained(subscriber);
    }
  }

  #drop(listener: Listener): void {
    const { line, subscriber } = listener;
    if (line === null) return;
    this.#receive(listener, 0);
    listener.blamed(() => line.break(this.#random));
    listener.hangUp();
    if (subscriber !== null) this.#nodeOf.get(listener)!.hub.leave(subscriber);
  }

  #newListener(): Listener {
    const selection = selectionOf(this.#random.pick(SELECTIONS));
    const format = this.#random.pick(["plain", "envelope"] as const);
    const ledger = new Ledger({ truth: this.#truth, selection, format, forgetful: false, seen: this.seen });
    return new Listener(selection, format, { first: this.#random.chance(0.3), invented: null }, ledger);
  }
}
