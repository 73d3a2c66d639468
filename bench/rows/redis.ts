import type { RedisServer } from "../../tests/setup/redis.ts";
import type { Series } from "../figure.ts";
import { faults, type Result } from "../load.ts";
import { redisServer } from "../redis.ts";
import { withServers } from "../row.ts";
import { ours, oursOn, type Server } from "../servers.ts";

/** What is measured over Redis. */
export interface OnRedis {
  readonly redis: RedisServer;
  readonly nodes: readonly [Server, ...Server[]];
  /** A node on SQLite, to compare with. */
  readonly sqlite: Server;
}

/** Runs `use` with so many nodes on a Redis of their own; all of it is stopped after it. */
export async function onRedis<T>(nodes: number, use: (all: OnRedis) => Promise<T>): Promise<T> {
  await using redis = await redisServer();
  const starts = [ours("sqlite"), ...Array.from({ length: nodes }, () => oursOn(redis))];
  return await withServers(starts, async ([sqlite, ...all]) => {
    return await use({ redis, nodes: all as [Server, ...Server[]], sqlite: sqlite! });
  });
}

/** The values of one contender over all rounds. */
export class Runs {
  readonly #faults = new Set<string>();
  readonly #runs = new Map<string, number[]>();
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  add(values: Readonly<Record<string, number>>, results: readonly Result[]): void {
    for (const [what, value] of Object.entries(values)) {
      const runs = this.#runs.get(what) ?? [];
      runs.push(value);
      this.#runs.set(what, runs);
    }
    for (const fault of results.flatMap(faults)) this.#faults.add(fault);
  }

  series(what: string): Series {
    return { name: this.#name, runs: this.#runs.get(what) ?? [], faults: [...this.#faults] };
  }
}
