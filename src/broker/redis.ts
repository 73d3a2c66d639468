import type { Selection } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import type { Draft } from "../core/message.ts";
import type { Position } from "../core/position.ts";
import type {
  Answers,
  AppId,
  Broker,
  BrokerOptions,
  ChannelSummary,
  Listener,
  Note,
  Once,
  Page,
  Receipt,
  Start,
  StartOptions,
} from "./broker.ts";
import { Fault, oneLine, unavailable } from "./fault.ts";
import { TRIM_STEP, ageNow, randomEpoch } from "./history.ts";
import type { RedisAddress } from "./redis/address.ts";
import { NO_ANSWERS } from "./redis/asking.ts";
import { Away, codeOf, Refusal } from "./redis/errors.ts";
import type { Link } from "./redis/link.ts";
import { NodeApp, type NodeAppOptions } from "./redis/node-app.ts";
import { Placement } from "./redis/placement.ts";
import { SCRIPTS } from "./redis/scripts.ts";
import { TIMERS, type Timers } from "./redis/timers.ts";

/** How often a followed app is marked, and after how long a mark is missed. */
const MARK_MS = 1000;
const DEAF_MS = 2000;

const REFUSED = {
  begins: "the store does not take messages: publishes are refused until it does",
  over: "the store takes messages again",
  quietLooks: 1,
};
const READS = {
  begins: "the store cannot be read: what needs it is refused",
  over: "the store could be read for a minute",
  quietLooks: 60,
};
const RETENTION = {
  begins: "retention cannot drop what is due",
  over: "retention works again",
  quietLooks: 1,
};

export interface RedisOptions extends BrokerOptions {
  /** Default: the system's. */
  readonly timers?: Timers;
}

interface Opened {
  readonly options: NodeAppOptions;
  readonly signal: AbortSignal | undefined;
}

/**
 * Keeps messages in Redis or Valkey, for any number of nodes.
 *
 * Each step is one script, so that it is whole or not at all, and every node hears of it in the same order. What was
 * acknowledged is as durable as Redis is set to be; a server that was started again, or took the place of another, may
 * have lost what came last, so that under it every app begins a new epoch.
 */
export class RedisBroker implements Broker {
  readonly #options: RedisOptions;
  readonly #timers: Timers;
  readonly #address: RedisAddress;
  readonly #placement: Placement;
  readonly #apps = new Map<AppId, NodeApp>();
  readonly #reads: Fault;
  readonly #retention: Fault;
  /** Where the look at each app's channels ended. */
  readonly #swept = new Map<AppId, string>();
  #opened: Opened | null = null;
  #turn = 0;
  #lastTickMs = 0;
  #callOffTick: () => void = () => undefined;

  constructor(address: RedisAddress, options: RedisOptions) {
    this.#address = address;
    this.#options = options;
    this.#timers = options.timers ?? TIMERS;
    this.#reads = new Fault(READS, options);
    this.#retention = new Fault(RETENTION, options);
    this.#placement = new Placement(address, { ...options, timers: this.#timers });
  }

  async start(
    listener: Listener,
    { noted = () => undefined, asked = noAnswer, signal }: StartOptions = {},
  ): Promise<void> {
    const options = {
      newEpoch: randomEpoch,
      ...this.#options,
      timers: this.#timers,
      database: this.#address.database,
      node: randomEpoch(),
      refused: new Fault(REFUSED, this.#options),
      listener,
      noted,
      asked,
    };
    this.#opened = { options, signal };
    await this.#aborted(signal, this.#placement.open()).catch((error: unknown) => {
      throw signal?.aborted === true ? error : startError(error);
    });
    const apps = (this.#options.apps?.() ?? []).map((app) => this.#app(app));
    await this.#aborted(signal, Promise.all(apps.map(({ noting }) => noting.loaded)));
    this.#lastTickMs = this.#timers.elapsed();
    this.#tickLater();
  }

  publish(app: AppId, drafts: readonly Draft[], once?: Once): Promise<Receipt> {
    return this.#opened === null ? Promise.reject(closed()) : this.#app(app).publishing.publish(drafts, once);
  }

  read(app: AppId, selection: Selection, after: Position, limit: number): Promise<Page> {
    return this.#use(app, ({ reading }) => reading.page(selection, after, limit));
  }

  seek(app: AppId, selection: Selection, start: Start): Promise<Position> {
    return this.#use(app, ({ reading }) => reading.seek(selection, start));
  }

  async follow(app: AppId, selection: Selection): Promise<Position> {
    if (this.#opened === null) throw closed();
    return await this.#app(app).following.follow(selection);
  }

  async unfollow(app: AppId, selection: Selection): Promise<void> {
    this.#apps.get(app)?.following.unfollow(selection);
  }

  async note(app: AppId, note: Note): Promise<void> {
    if (this.#opened === null) throw closed();
    const { options } = this.#opened;
    try {
      await this.#app(app).noting.note(note, options.node);
      options.refused.look();
    } catch (error) {
      if (!(error instanceof Away)) options.refused.failed(error);
      throw unavailable();
    }
  }

  ask(app: AppId, question: string, withinMs: number): Promise<Answers> {
    if (this.#opened === null) return Promise.resolve(NO_ANSWERS);
    return this.#app(app).asking.ask(question, withinMs);
  }

  channel(app: AppId, name: string): Promise<ChannelSummary | null> {
    return this.#use(app, ({ reading }) => reading.channel(name));
  }

  channels(app: AppId, prefix: string, after: string, limit: number): Promise<ChannelSummary[]> {
    return this.#use(app, ({ reading }) => reading.channels(prefix, after, limit));
  }

  async trim(): Promise<boolean> {
    if (this.#opened === null) return false;
    this.#reads.look();
    const apps = [...this.#apps.values()];
    let left = TRIM_STEP;
    try {
      for (let i = 0; i < apps.length && left > 0; i++) {
        left -= await this.#trimApp(apps[(this.#turn + i) % apps.length]!, left, this.#opened.options.node);
      }
      this.#retention.look();
    } catch (error) {
      if (!(error instanceof Away)) this.#retention.failed(error);
      return false;
    }
    this.#turn++;
    return left <= 0;
  }

  async check(): Promise<void> {
    if (this.#opened === null) throw closed();
    const apps = [...this.#apps.values()];
    if (!this.#placement.isWhole || apps.some(({ isRecovered }) => !isRecovered)) throw unavailable();
    const asked = new Set<Link>();
    for (const { app } of apps) {
      if (app.link === null || asked.has(app.link)) continue;
      asked.add(app.link);
      await app.run(SCRIPTS.check, [this.#opened.options.node]).catch((error: unknown) => {
        if (!(error instanceof Away)) this.#opened?.options.refused.failed(error);
        throw unavailable();
      });
      this.#opened.options.refused.look();
    }
  }

  /** Has what was published before kept, then lets go of the connections. */
  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    this.#opened = null;
    this.#callOffTick();
    await Promise.all([...this.#apps.values()].map(({ publishing }) => publishing.settled()));
    this.#placement.close();
  }

  #app(id: AppId): NodeApp {
    let app = this.#apps.get(id);
    if (app === undefined) {
      app = new NodeApp(id, this.#opened!.options);
      this.#apps.set(id, app);
      this.#placement.add(id, app);
    }
    return app;
  }

  async #use<T>(id: AppId, work: (app: NodeApp) => Promise<T>): Promise<T> {
    if (this.#opened === null) throw closed();
    const app = this.#app(id);
    if (app.app.isAway) throw unavailable();
    try {
      return await work(app);
    } catch (error) {
      if (!(error instanceof Away)) this.#reads.failed(error); // what is away is told elsewhere
      throw unavailable();
    }
  }

  async #trimApp({ app }: NodeApp, left: number, node: string): Promise<number> {
    if (app.link === null) return 0;
    const { count, ageMs, bytes, appBytes, channels } = this.#options.retention(app.id);
    const limits = [ageNow(this.#options), left, count, ageMs, bytes, appBytes, channels].map(String);
    const reply = await app.run(SCRIPTS.trim, [node, ...limits, this.#swept.get(app.id) ?? ""]);
    const [done, swept] = reply as [string, string];
    this.#swept.set(app.id, swept);
    return Number(done);
  }

  #tickLater(): void {
    this.#callOffTick = this.#timers.after(MARK_MS, () => {
      this.#tick();
      if (this.#opened !== null) this.#tickLater();
    });
  }

  /** Marks what is followed, and one app of each link, so that a connection that hears nothing any more is found. */
  #tick(): void {
    const now = this.#timers.elapsed();
    // After a long turn of this process what was announced may lie there, not taken in yet.
    const isLate = now - this.#lastTickMs > 2 * MARK_MS;
    this.#lastTickMs = now;
    const marked = new Set<Link>();
    for (const one of this.#apps.values()) {
      const { link } = one.app;
      if (link === null) continue;
      if (one.deafMs > DEAF_MS && !isLate) link.cut(new Error("what is announced is not heard any more"));
      else if (one.following.isActive || !marked.has(link)) {
        marked.add(link);
        one.mark();
      }
    }
  }

  async #aborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
    if (signal === undefined) return await work;
    signal.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort);
    return await Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", abort));
  }
}

function noAnswer(): Promise<string> {
  return Promise.reject(new Error("this node answers nothing"));
}

/** One line, without what the address holds. */
function startError(error: unknown): Error {
  if (error instanceof Refusal) return error;
  const code = codeOf(error);
  if (code === "") return error instanceof Error ? error : new Error(oneLine(error));
  return new Error(`Redis refuses the user or the password of SOCKET_BROKER (${code}).`);
}

function closed(): ApiError {
  return new ApiError("unavailable", "The store is closed.");
}
