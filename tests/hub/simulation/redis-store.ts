import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { Broker, BrokerOptions, Listener } from "../../../src/broker/broker.ts";
import { RedisBroker } from "../../../src/broker/redis.ts";
import { parseRedisAddress } from "../../../src/broker/redis/address.ts";
import { selectionOf } from "../../../src/core/channel.ts";
import type { Message } from "../../../src/core/message.ts";
import { formatPosition } from "../../../src/core/position.ts";
import { type RedisServer, startRedis } from "../../setup/redis.ts";
import type { Store } from "./stores.ts";

const APP = "app";
const ALL = selectionOf(["**"]);

/** One server for all runs of a process: each begins by losing everything. */
let shared: Promise<RedisServer> | null = null;

/** Ends the server that the runs used. */
export async function endRedis(): Promise<void> {
  await (await shared)?.[Symbol.asyncDispose]();
  shared = null;
}

/**
 * The driver for Redis on a real server. A step of the simulation is over when what it published was announced, as it is
 * with drivers in this process; what may happen between the two, the carriers do.
 */
export class RedisStore implements Store {
  broker!: Broker;
  readonly #server: RedisServer;
  readonly #driver: RedisBroker;
  #heard: string | null = null;
  #changed = Promise.withResolvers<void>();
  #noted = false;

  static async open(options: BrokerOptions, listener: Listener): Promise<RedisStore> {
    const server = await (shared ??= startRedis());
    await server.command("FLUSHALL");
    const store = new RedisStore(server, options);
    await store.#start(listener);
    return store;
  }

  private constructor(server: RedisServer, options: BrokerOptions) {
    this.#server = server;
    // That the server is away for a moment while it goes back is no failure of a run.
    const log: BrokerOptions["log"] = (level, message) => {
      if (!message.startsWith("the store cannot be reached")) options.log(level, message);
    };
    this.#driver = new RedisBroker(parseRedisAddress(server.url)!, { ...options, log });
    this.broker = Object.assign(Object.create(this.#driver) as Broker, {
      publish: async (...args: Parameters<Broker["publish"]>) => {
        const receipt = await this.#driver.publish(...args);
        const last = formatPosition({ epoch: receipt.epoch, seq: receipt.seq + args[1].length - 1 });
        while (this.#heard !== last) await this.#changed.promise;
        return receipt;
      },
    });
    for (const name of ["read", "seek", "follow", "unfollow", "channel", "channels", "trim"] as const) {
      Object.assign(this.broker, { [name]: this.#driver[name].bind(this.#driver) });
    }
  }

  async note(): Promise<void> {
    this.#noted = true;
    await this.#server.command("SAVE");
    copyFileSync(this.#dump, this.#older);
  }

  async older(): Promise<boolean> {
    if (!this.#noted) return false;
    await this.#server.kill();
    copyFileSync(this.#older, this.#dump);
    await this.#server.start();
    await this.#driver.follow(APP, ALL);
    return true;
  }

  async lose(): Promise<void> {
    await this.#server.command("FLUSHALL");
    await this.#driver.follow(APP, ALL);
  }

  async close(): Promise<void> {
    await this.#driver.close();
  }

  get #dump(): string {
    return join(this.#server.folder, "dump.rdb");
  }

  get #older(): string {
    return join(this.#server.folder, "older.rdb");
  }

  async #start(listener: Listener): Promise<void> {
    await this.#driver.start({
      deliver: (app, messages: readonly Message[]) => listener.deliver(app, messages),
      mark: (_app, at) => {
        this.#heard = formatPosition(at);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
      broken: () => void this.#driver.follow(APP, ALL),
    });
    if (!existsSync(this.#dump)) await this.#server.command("SAVE");
  }
}
