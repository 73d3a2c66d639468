import type { Broker, BrokerOptions, StartOptions } from "../../src/broker/broker.ts";
import { RedisBroker } from "../../src/broker/redis.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import { Ear, NO_LIMITS } from "./fixture.ts";

export interface Node extends AsyncDisposable {
  readonly broker: Broker;
  readonly ear: Ear;
  readonly logged: string[];
  /** Resolves once it is ready. */
  ready(): Promise<void>;
}

/** A started broker on a Redis, with a real clock and no limits. */
export async function startNode(
  url: string,
  options: Partial<BrokerOptions> = {},
  start: StartOptions = {},
): Promise<Node> {
  const ear = new Ear();
  const logged: string[] = [];
  const broker = new RedisBroker(parseRedisAddress(url)!, {
    now: Date.now,
    retention: () => NO_LIMITS,
    idempotencyTtlMs: 60_000,
    log: (level, message, fields) => void logged.push(`${level}: ${message} ${JSON.stringify(fields ?? {})}`),
    ...options,
  });
  await broker.start(ear, start);
  return {
    broker,
    ear,
    logged,
    ready: () => until(() => broker.check()),
    [Symbol.asyncDispose]: () => broker.close(),
  };
}

const POLL_MS = 10;
const PATIENCE_MS = 20_000;

/** Resolves once `work` does; rejects as it did last when that takes too long. */
export async function until<T>(work: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await Bun.sleep(POLL_MS);
    }
  }
}
