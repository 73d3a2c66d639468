import { KEEP } from "../build.ts";
import { own } from "../process.ts";
import { find } from "../../tests/setup/programs.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../../tests/setup/redis.ts";
import { CouldNotRun } from "./proof.ts";

/** A real redis-server that ends with the proof, and after `lifeS` at the latest. */
export async function redisFor(lifeS: number, options: RedisOptions = {}): Promise<RedisServer> {
  if (find("redis-server") === null)
    throw new CouldNotRun("there is no `redis-server`. On Debian: apt-get install redis-server");
  return own(await startRedis({ ...options, under: [KEEP, String(Math.ceil(lifeS))] }));
}
