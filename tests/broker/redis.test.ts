import { afterAll, beforeAll } from "bun:test";
import { RedisBroker } from "../../src/broker/redis.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import { program } from "../setup/programs.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";
import { contract } from "./contract.ts";

if (program("redis-server") !== null) {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  contract("redis", async (settings) => {
    await server.command("FLUSHALL");
    const broker = new RedisBroker(parseRedisAddress(server.url)!, settings);
    return { broker, end: () => broker.close() };
  });
}
