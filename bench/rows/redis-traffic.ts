import type { RedisServer } from "../../tests/setup/redis.ts";
import { compare, type Figure } from "../figure.ts";
import { type Held, hold, load, type Result } from "../load.ts";
import type { Bench, Row } from "../row.ts";
import type { Server } from "../servers.ts";
import { cpuSeconds } from "../process.ts";
import { onRedis, Runs } from "./redis.ts";

const NODES = [1, 2, 3] as const;
const CHANNELS = 300;

/** So many nodes share 300 streams, each on a channel of its own; or each has one on all channels. Publishes go to the first. */
async function traffic(nodes: readonly [Server, ...Server[]], redis: RedisServer, pattern: boolean, bench: Bench) {
  const channels = CHANNELS / nodes.length;
  const listening: Held[] = [];
  for (const [i, node] of nodes.entries()) {
    const some = pattern
      ? { streams: 1, streamPath: "/stream?channel=**" }
      : { streams: channels, channels, streamPath: `/channel/n${i}.c{channel}/stream` };
    listening.push(await hold(node, { ...some, greeting: true, hold: true, limit: 900, wait: true }));
  }
  const messages = bench.size(9000, 300) / nodes.length;
  const [last] = nodes.slice(-1) as [Server];
  const before = await looked(redis, last);
  const results: Result[] = [];
  for (const i of nodes.keys()) {
    const publishBody = `{"channel":"n${i}.c{channel}","event":"m","data":"{data}"}`;
    results.push(await load(nodes[0], { channels, messages, publishers: 8, publishBody, settle: 0 }));
  }
  const after = await looked(redis, last);
  for (const one of listening) await one.result();
  const answered = results.reduce((sum, { publish }) => sum + publish.answered, 0);
  const per = (what: keyof typeof after) => (after[what] - before[what]) / answered;
  return { results, values: { in: per("in"), out: per("out"), redis: per("redis") * 1e6, last: per("last") * 1e6 } };
}

/** What Redis read and wrote, in bytes; the CPU that it and a node used, in seconds. */
async function looked(redis: RedisServer, node: Server) {
  const info = String(await redis.command("INFO", "stats"));
  const read = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
  return {
    in: read("total_net_input_bytes"),
    out: read("total_net_output_bytes"),
    redis: cpuSeconds(String(redis.pid)),
    last: cpuSeconds(node.pids),
  };
}

export const redisTraffic: Row = {
  name: "redis-traffic",
  title: "Between Redis and its nodes, per message of 100 bytes, as nodes are added",
  sockets: CHANNELS,
  needs: ["redis-server"],
  run(bench) {
    return onRedis(NODES.length, async ({ nodes: all, redis }) => {
      const figures: Figure[] = [];
      for (const pattern of [false, true]) {
        const kind = pattern ? "a stream on all channels at each node" : "300 streams on a channel each";
        const runs = NODES.map((count) => new Runs(count === 1 ? "one node" : `${count} nodes`));
        for (let round = 0; round < bench.runs; round++) {
          for (const [i, count] of NODES.entries()) {
            const nodes = all.slice(0, count) as [Server, ...Server[]];
            const { results, values } = await traffic(nodes, redis, pattern, bench);
            runs[i]!.add(values, results);
          }
          bench.say(`${kind}, round ${round + 1} of ${bench.runs}`);
        }
        const [one, two, three] = runs as [Runs, Runs, Runs];
        const beside = (what: string, unit: string, value: string, many: Runs, against = one) =>
          figures.push(compare(`${what}, ${kind}`, unit, many.series(value), against.series(value), null));
        beside("bytes to Redis", "B", "in", three);
        beside("bytes from Redis, two nodes", "B", "out", two);
        beside("bytes from Redis, three nodes", "B", "out", three);
        beside("CPU of Redis, three nodes", "us", "redis", three);
        if (pattern) beside("CPU of a node that only listens", "us", "last", three);
      }
      return figures;
    });
  },
};
