import { KEEP } from "./build.ts";
import { LIFE_S, own } from "./process.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../tests/setup/redis.ts";

/** A real redis-server that ends with the bench or the proof, at the latest after `lifeS`. */
export async function redisServer(options: RedisOptions = {}, lifeS: number = LIFE_S): Promise<RedisServer> {
  return own(await startRedis({ ...options, under: [KEEP, String(Math.ceil(lifeS))] }));
}
