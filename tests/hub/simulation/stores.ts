import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Broker, BrokerOptions, Listener } from "../../../src/broker/broker.ts";

/** The code under test: the tree's own, or a copy of it with a fault. */
export interface Parts {
  readonly Hub: typeof import("../../../src/hub/hub.ts").Hub;
  readonly MemoryBroker: typeof import("../../../src/broker/memory.ts").MemoryBroker;
  readonly SqliteBroker: typeof import("../../../src/broker/sqlite.ts").SqliteBroker;
}

export async function loadParts(source: string): Promise<Parts> {
  const hub = (await import(join(source, "hub/hub.ts"))) as Pick<Parts, "Hub">;
  const memory = (await import(join(source, "broker/memory.ts"))) as Pick<Parts, "MemoryBroker">;
  const sqlite = (await import(join(source, "broker/sqlite.ts"))) as Pick<Parts, "SqliteBroker">;
  return { Hub: hub.Hub, MemoryBroker: memory.MemoryBroker, SqliteBroker: sqlite.SqliteBroker };
}

export type DriverName = "memory" | "sqlite" | "redis";

/** A real driver that can be lost, and, where it keeps a file, set back to an earlier state of it. */
export interface Store {
  broker: Broker;
  /** Notes how the store stands; only the last note can be gone back to. */
  note(): void | Promise<void>;
  /** Back to what was noted; false when nothing was, or this driver keeps nothing that could be older. */
  older(): Promise<boolean>;
  lose(): Promise<void>;
  close(): Promise<void>;
}

export async function openStore(
  name: DriverName,
  parts: Parts,
  options: BrokerOptions,
  listener: Listener,
): Promise<Store> {
  const store = await STORES[name](parts, options, listener);
  await store.lose();
  return store;
}

const STORES = {
  memory: (...args: ConstructorParameters<typeof MemoryStore>) => new MemoryStore(...args),
  sqlite: (...args: ConstructorParameters<typeof FileStore>) => new FileStore(...args),
  redis: async (_parts: Parts, options: BrokerOptions, listener: Listener) =>
    await (await import("./redis-store.ts")).RedisStore.open(options, listener),
};

class MemoryStore implements Store {
  broker!: Broker;
  readonly #open: () => Promise<Broker>;

  constructor(parts: Parts, options: BrokerOptions, listener: Listener) {
    this.#open = async () => {
      const broker = new parts.MemoryBroker(options);
      await broker.start(listener);
      return broker;
    };
  }

  note(): void {
    // it keeps nothing that could be older
  }

  async older(): Promise<boolean> {
    return false;
  }

  async lose(): Promise<void> {
    this.broker = await this.#open();
  }

  async close(): Promise<void> {
    await this.broker.close();
  }
}

/** Files in memory where the system has such a folder: a run opens some, and no power is lost in it. */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

class FileStore implements Store {
  broker!: Broker;
  readonly #folder = mkdtempSync(join(FOLDER, "service-socket-"));
  readonly #open: (path: string) => Promise<Broker>;
  #opened = 0;
  #noted = false;

  constructor(parts: Parts, options: BrokerOptions, listener: Listener) {
    this.#open = async (path) => {
      const broker = new parts.SqliteBroker(path, "normal", {
        ...options,
        schedule: (flush) => queueMicrotask(flush),
        bootId: () => `boot ${this.#opened}`, // each opening is after another loss of power
      });
      await broker.start(listener);
      return broker;
    };
  }

  get #path(): string {
    return join(this.#folder, `${this.#opened}.sqlite`);
  }

  note(): void {
    this.#noted = true;
    this.#copy(this.#path, join(this.#folder, "noted.sqlite"));
  }

  async older(): Promise<boolean> {
    if (!this.#noted) return false;
    await this.broker.close();
    this.#opened += 1;
    this.#copy(join(this.#folder, "noted.sqlite"), this.#path);
    this.broker = await this.#open(this.#path);
    return true;
  }

  async lose(): Promise<void> {
    if (this.#opened > 0) await this.broker.close();
    this.#opened += 1;
    this.broker = await this.#open(this.#path);
  }

  async close(): Promise<void> {
    try {
      await this.broker.close();
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  /** The file with what its log holds beside it: as a copy that is taken at one moment. */
  #copy(from: string, to: string): void {
    rmSync(`${to}-wal`, { force: true });
    copyFileSync(from, to);
    if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${to}-wal`);
  }
}
