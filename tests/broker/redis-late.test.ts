import { expect, test } from "bun:test";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { draft } from "./fixture.ts";
import { startNode } from "./redis-fixture.ts";

/** Longer than a node waits for an answer. */
const BUSY_MS = 2200;

if (program("redis-server") !== null) {
  test("a node that was too busy to take an answer in keeps its connection, and takes it", async () => {
    await using redis = await startRedis();
    await using node = await startNode(redis.url);
    await node.broker.publish("app", [draft("a", "1")]);
    // As many turns later, so that at one of them the command is on its way and its answer is not taken in.
    for (let turns = 0; turns < 2; turns++) {
      const published = node.broker.publish("app", [draft("a", `${turns}`)]);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      const untilMs = performance.now() + BUSY_MS;
      while (performance.now() < untilMs);
      expect(await published).toMatchObject({ seq: turns + 2 });
    }
    expect(node.ear.heard.filter((line) => line.includes("broken"))).toEqual([]);
    expect(node.logged).toEqual([]);
  }, 60_000);
}
