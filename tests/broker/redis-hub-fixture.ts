import { selectionOf } from "../../src/core/channel.ts";
import { parsePosition } from "../../src/core/position.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Beginning, Subscriber } from "../../src/hub/subscriber.ts";
import { RedisBroker } from "../../src/broker/redis.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import { Line, type Reader } from "../hub/simulation/line.ts";
import { NO_LIMITS } from "./fixture.ts";
import { until } from "./redis-fixture.ts";

const TICK_MS = 20;

/** What a stream was sent: each message's data, and of what it was told. */
export class Seen implements Reader {
  readonly data: string[] = [];
  readonly told: string[] = [];
  isLive = false;
  #changed = Promise.withResolvers<void>();

  event(name: string | undefined, _id: string | null, data: string): void {
    if (name?.startsWith("socket:") !== true) this.data.push(data);
    else {
      this.isLive ||= name === "socket:live";
      this.told.push(name === "socket:gap" ? `gap ${(JSON.parse(data) as { reason: string }).reason}` : name);
    }
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  moved(): void {
    // heartbeats
  }

  /** Resolves once `isSo`. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await this.#changed.promise;
  }
}

/** A real hub on a real broker, in this process. */
export class HubNode implements AsyncDisposable {
  readonly broker: RedisBroker;
  readonly hub: Hub;
  readonly logged: string[] = [];
  readonly #ticking: NodeJS.Timeout;
  #streams = 0;
  readonly #subscribers: Subscriber[] = [];

  constructor(url: string) {
    this.broker = new RedisBroker(parseRedisAddress(url)!, {
      now: Date.now,
      retention: () => NO_LIMITS,
      idempotencyTtlMs: 60_000,
      apps: () => ["app"],
      log: (level, message, fields) => void this.logged.push(`${level}: ${message} ${JSON.stringify(fields ?? {})}`),
    });
    this.hub = new Hub({
      broker: this.broker,
      schedule: setImmediate,
      elapsed: () => performance.now(),
      random: Math.random,
      heartbeatMs: 500,
      stallMs: 0,
      report: (error, of) => void this.logged.push(`error: ${String(error)} ${JSON.stringify(of)}`),
    });
    this.#ticking = setInterval(() => this.hub.tick(), TICK_MS);
  }

  static async start(url: string): Promise<HubNode> {
    const node = new HubNode(url);
    await node.broker.start(node.hub);
    return node;
  }

  /** Opens a stream whose listener reads at once. `after`: the id that it resumes from. */
  listen(names: readonly string[], after: string | null = null): { seen: Seen; subscriber: Subscriber } {
    const seen = new Seen();
    return { seen, subscriber: this.join(names, new Line(Infinity, seen), after) };
  }

  join(names: readonly string[], line: Line, after: string | null = null): Subscriber {
    const write = line.write.bind(line);
    const sink = Object.assign(line, {
      write: (bytes: Uint8Array) => {
        const took = write(bytes);
        line.stamp(() => new Map());
        line.receive(Infinity);
        return took;
      },
    });
    const beginning: Beginning =
      after === null ? { kind: "now" } : { kind: "resume", after: parsePosition(after)!, asked: after };
    const subscriber = this.hub.join("app", selectionOf(names), "plain", sink, {
      id: String(++this.#streams),
      beginning,
      ageAtMs: Infinity,
      expiry: null,
      retryMs: 2000,
      onClose: () => undefined,
    });
    this.#subscribers.push(subscriber);
    return subscriber;
  }

  /** How many streams are level with what is published. */
  get live(): number {
    return this.#subscribers.filter(({ live }) => live).length;
  }

  ready(): Promise<void> {
    return until(() => this.broker.check());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticking);
    await this.broker.close();
  }
}
