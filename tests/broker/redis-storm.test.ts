import { expect, setDefaultTimeout, test } from "bun:test";
import { Random } from "../hub/simulation/random.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { Storm } from "./redis-storm.ts";

const RUNS = 6;
const STEPS = 150;

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  test("whatever happens to Redis and the way to it, every listener sees every message once and in order, or is told", async () => {
    let received = 0;
    for (let seed = 1; seed <= RUNS; seed++) {
      await using server = await startRedis();
      await using storm = new Storm(server, new Random(seed));
      await storm.open();
      try {
        for (let i = 0; i < STEPS; i++) await storm.step();
        await storm.heal();
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
      received += storm.seen.messages;
    }
    expect(received).toBeGreaterThan(100 * RUNS);
  }, 120_000);
}
