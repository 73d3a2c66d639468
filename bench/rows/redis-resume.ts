import type { RedisServer } from "../../tests/setup/redis.ts";
import { compare } from "../figure.ts";
import { load } from "../load.ts";
import { cpuSeconds } from "../process.ts";
import type { Row } from "../row.ts";
import { SECRET, type Server } from "../servers.ts";
import { onRedis, Runs } from "./redis.ts";

const STREAMS = 4000;

/** Publishes one message and tells its position. */
async function publishTo({ port }: Server, channel: string): Promise<{ epoch: string; seq: number }> {
  const headers = { Authorization: `key=${SECRET}` };
  const answer = await fetch(`http://127.0.0.1:${port}/chat/send?channel=${channel}&data=x`, {
    method: "POST",
    headers,
  });
  const { data } = (await answer.json()) as { data: { id: string } };
  const [epoch = "", seq] = data.id.split("-");
  return { epoch, seq: Number(seq) };
}

/** All streams come back at once with that id, each on a channel of its own. */
async function resume(node: Server, redis: RedisServer, streams: number, id: string, replay: number, runs: Runs) {
  const before = cpuSeconds(String(redis.pid));
  const options = { streams, channels: streams, greeting: true, replay, streamHeader: [`Last-Event-ID: ${id}`] };
  const result = await load(node, options);
  const cpu = cpuSeconds(String(redis.pid)) - before;
  runs.add({ redis: (cpu / streams) * 1e6, node: (result.server.cpuSeconds / streams) * 1e6 }, [result]);
}

export const redisResume: Row = {
  name: "redis-resume",
  title: "4,000 streams on as many channels come back at once: CPU of Redis for each",
  sockets: STREAMS,
  needs: ["redis-server"],
  run(bench) {
    return onRedis(1, async ({ nodes: [node], redis }) => {
      const streams = bench.size(STREAMS, 300);
      const first = await publishTo(node, "elsewhere");
      await load(node, { publishers: 32, channels: streams, messages: streams, settle: 0 });
      const level = await publishTo(node, "elsewhere");
      const runs = { level: new Runs("nothing missed"), behind: new Runs("one message missed") };
      for (let round = 0; round <= bench.runs; round++) {
        const warm = round === 0 ? new Runs("warm") : null;
        await resume(node, redis, streams, `${level.epoch}-${level.seq}`, 0, warm ?? runs.level);
        await resume(node, redis, streams, `${first.epoch}-${first.seq}`, 1, warm ?? runs.behind);
        bench.say(`round ${round} of ${bench.runs}`);
      }
      const { level: none, behind: one } = runs;
      return [
        compare("CPU of Redis per stream, one message missed", "us", one.series("redis"), none.series("redis"), null),
      ];
    });
  },
};
