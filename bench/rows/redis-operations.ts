import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RedisServer } from "../../tests/setup/redis.ts";
import { compare } from "../figure.ts";
import { load } from "../load.ts";
import { cpuSeconds, folder } from "../process.ts";
import { type Row, withServers } from "../row.ts";
import { ours, type Server } from "../servers.ts";
import { onRedis, Runs } from "./redis.ts";

const CONNECTIONS = 64;

/** What scripts call is counted with the rest; these are what nodes send. */
const SENT = /^(evalsha|eval|ssubscribe|sunsubscribe|hscan)$/;

/** How many commands nodes sent while that was done, and how many their scripts ran. */
async function counted<T>(redis: RedisServer, work: () => Promise<T>) {
  await redis.command("CONFIG", "RESETSTAT");
  const done = await work();
  let [sent, within] = [0, 0];
  for (const [name, calls] of Object.entries(await redis.calls())) {
    if (SENT.test(name)) sent += calls;
    else within += calls;
  }
  return { done, sent, within };
}

/** A node with so many apps on that Redis. */
function nodeOf(apps: number, redis: RedisServer): Promise<Server> {
  const file = join(folder(), "apps.json");
  const ids = Array.from({ length: apps }, (_, i) => `app-${i}`);
  writeFileSync(
    file,
    JSON.stringify({ apps: ids.map((id) => ({ id, secrets: [`the-secret-of-${id}`.padEnd(40, "-")] })) }),
  );
  return ours("redis", { SOCKET_BROKER: redis.url, SOCKET_CONFIG: file });
}

export const redisOperations: Row = {
  name: "redis-operations",
  title: "Commands that reach Redis, and commands that its scripts run",
  sockets: CONNECTIONS,
  needs: ["redis-server"],
  run(bench) {
    return onRedis(1, async ({ nodes: [node], redis }) => {
      const [single, many, idle] = [new Runs("one in flight"), new Runs("64 in flight"), new Runs("one node")];
      const seconds = bench.size(3, 0.3);
      for (let round = 0; round < bench.runs; round++) {
        for (const [runs, publishers] of [
          [single, 1],
          [many, CONNECTIONS],
        ] as const) {
          const options = { channels: 100, messages: 1_000_000, settle: 0, seconds, publishers };
          const { done, sent, within } = await counted(redis, () => load(node, options));
          const { answered } = done.publish;
          runs.add({ sent: sent / answered, within: within / answered }, [done]);
        }
        bench.say(`round ${round + 1} of ${bench.runs}`);
      }
      const apps = bench.size(200, 5);
      await withServers([nodeOf(apps, redis)], async () => {
        for (let round = 0; round < bench.runs; round++) {
          const before = cpuSeconds(String(redis.pid));
          const { sent } = await counted(redis, () => Bun.sleep(2 * seconds * 1000));
          const cpu = cpuSeconds(String(redis.pid)) - before;
          idle.add({ sent: sent / (2 * seconds) / apps, micros: (cpu / sent) * 1e6 }, []);
          bench.say(`idle, round ${round + 1} of ${bench.runs}`);
        }
      });
      const beside = (what: string, value: string) => compare(what, "", many.series(value), single.series(value), null);
      return [
        beside("commands sent per message", "sent"),
        beside("commands within scripts per message", "within"),
        compare(
          "commands a second for an app that nobody uses, of 200",
          "",
          idle.series("sent"),
          { ...idle.series("micros"), name: "us of Redis' CPU each" },
          null,
        ),
      ];
    });
  },
};
