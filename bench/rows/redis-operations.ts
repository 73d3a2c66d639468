import type { RedisServer } from "../../tests/setup/redis.ts";
import { compare } from "../figure.ts";
import { hold, load } from "../load.ts";
import type { Row } from "../row.ts";
import { onRedis, Runs } from "./redis.ts";

const CONNECTIONS = 64;

/** What scripts call is counted with the rest; these are what nodes send. */
const SENT = /^(evalsha|eval|ssubscribe|sunsubscribe|hscan)$/;

/** How many commands nodes sent while that was done, how many their scripts ran, and the microseconds of all of them. */
async function counted<T>(redis: RedisServer, work: () => Promise<T>) {
  await redis.command("CONFIG", "RESETSTAT");
  const done = await work();
  const stats = String(await redis.command("INFO", "commandstats"));
  let [sent, within, micros] = [0, 0, 0];
  for (const [, name = "", calls, usec] of stats.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm)) {
    if (SENT.test(name)) {
      sent += Number(calls);
      micros += Number(usec);
    } else within += Number(calls);
  }
  return { done, sent, within, micros };
}

export const redisOperations: Row = {
  name: "redis-operations",
  title: "Commands that reach Redis, and commands that its scripts run",
  sockets: CONNECTIONS,
  needs: ["redis-server"],
  run(bench) {
    return onRedis(1, async ({ nodes: [node], redis }) => {
      const [single, many, idle] = [new Runs("one in flight"), new Runs("64 in flight"), new Runs("one idle node")];
      const seconds = bench.size(3, 0.3);
      const listening = await hold(node, {
        streams: 1,
        streamPath: "/stream?channel=**",
        wait: true,
        hold: true,
        limit: 900,
      });
      for (let round = 0; round < bench.runs; round++) {
        for (const [runs, publishers] of [
          [single, 1],
          [many, CONNECTIONS],
        ] as const) {
          const options = { channels: 100, messages: 1_000_000, settle: 0, seconds, publishers };
          const { done, sent, within, micros } = await counted(redis, () => load(node, options));
          const { answered } = done.publish;
          runs.add({ sent: sent / answered, within: within / answered, micros: micros / answered }, [done]);
        }
        const { sent, within, micros } = await counted(redis, () => Bun.sleep(seconds * 1000));
        idle.add({ sent: sent / seconds, within: within / seconds, micros: micros / seconds }, []);
        bench.say(`round ${round + 1} of ${bench.runs}`);
      }
      await listening.result();
      const beside = (what: string, unit: string, value: string) =>
        compare(what, unit, many.series(value), single.series(value), null);
      return [
        beside("commands sent per message", "", "sent"),
        beside("commands within scripts per message", "", "within"),
        beside("time in scripts per message", "us", "micros"),
        compare(
          "commands sent a second by an idle node, one app",
          "",
          idle.series("sent"),
          { ...idle.series("micros"), name: "us in scripts" },
          null,
        ),
      ];
    });
  },
};
