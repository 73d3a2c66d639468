import type { RedisServer } from "../../tests/setup/redis.ts";
import { compare } from "../figure.ts";
import { load } from "../load.ts";
import { cpuSeconds } from "../process.ts";
import type { Row } from "../row.ts";
import type { Server } from "../servers.ts";
import { onRedis, Runs } from "./redis.ts";

const CONNECTIONS = 64;

/** So many connections over all of the nodes, one publish in flight on each, over 100 channels. */
async function publishAt(nodes: readonly Server[], redis: RedisServer | null, seconds: number, runs: Runs) {
  const options = { publishers: Math.ceil(CONNECTIONS / nodes.length), channels: 100, messages: 1_000_000, settle: 0 };
  const before = redis === null ? 0 : cpuSeconds(String(redis.pid));
  const results = await Promise.all(nodes.map((node) => load(node, { ...options, seconds })));
  const answered = results.reduce((sum, { publish }) => sum + publish.answered, 0);
  const nodeCpu = results.reduce((sum, { server }) => sum + server.cpuSeconds, 0);
  const redisCpu = redis === null ? 0 : cpuSeconds(String(redis.pid)) - before;
  const values = {
    rate: results.reduce((sum, { publish }) => sum + publish.perSecond, 0),
    nodeMicros: (nodeCpu / answered) * 1e6,
    redisMicros: (redisCpu / answered) * 1e6,
  };
  runs.add(values, results);
}

export const redisPublish: Row = {
  name: "redis-publish",
  title: "Publishing over 64 connections: SQLite, one node on Redis, three nodes on one Redis",
  sockets: CONNECTIONS,
  needs: ["redis-server"],
  run(bench) {
    return onRedis(3, async ({ nodes, redis, sqlite }) => {
      const all = { sqlite: new Runs("ours (sqlite)"), one: new Runs("one node"), three: new Runs("three nodes") };
      const seconds = bench.size(3, 0.3);
      for (const server of [sqlite, ...nodes]) await publishAt([server], null, seconds, new Runs("warm"));
      for (let round = 0; round < bench.runs; round++) {
        await publishAt([sqlite], null, seconds, all.sqlite);
        await publishAt([nodes[0]], redis, seconds, all.one);
        await publishAt(nodes, redis, seconds, all.three);
        bench.say(`round ${round + 1} of ${bench.runs}`);
      }
      const { sqlite: file, one, three } = all;
      return [
        compare("publishes, one node on Redis", "/s", one.series("rate"), file.series("rate"), null),
        compare("publishes, three nodes on one Redis", "/s", three.series("rate"), one.series("rate"), null),
        compare("CPU of the node per publish", "us", one.series("nodeMicros"), file.series("nodeMicros"), null),
        compare("CPU of Redis per publish, one node", "us", one.series("redisMicros"), one.series("nodeMicros"), null),
        compare(
          "CPU of Redis per publish, three nodes",
          "us",
          three.series("redisMicros"),
          one.series("redisMicros"),
          null,
        ),
      ];
    });
  },
};
