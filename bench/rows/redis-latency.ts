import { compare } from "../figure.ts";
import { load } from "../load.ts";
import type { Row } from "../row.ts";
import { onRedis, Runs } from "./redis.ts";

/** One publish after the other goes to a node, and one listener of a hundred hears it there, or at another node. */
export const redisLatency: Row = {
  name: "redis-latency",
  title: "From the write of a publish to its delivery: SQLite, Redis at one node, Redis from one node to another",
  sockets: 100,
  needs: ["redis-server"],
  run(bench) {
    return onRedis(2, async ({ nodes: [near, far], sqlite }) => {
      const options = {
        streams: 100,
        channels: 100,
        greeting: true,
        rate: 200,
        messages: bench.size(1000, 50),
        publishers: 4,
      };
      const contenders = [
        { runs: new Runs("ours (sqlite)"), server: sqlite, more: {} },
        { runs: new Runs("one node"), server: near, more: {} },
        { runs: new Runs("two nodes"), server: near, more: { publishPort: far!.port } },
      ] as const;
      for (let round = 0; round <= bench.runs; round++) {
        for (const { runs, server, more } of contenders) {
          const result = await load(server, { ...options, ...more });
          const { p50, p99 } = result.deliveries.latencyMs;
          if (round > 0) runs.add({ p50, p99 }, [result]); // the first has hot paths compiled
        }
        bench.say(`round ${round} of ${bench.runs}`);
      }
      const [file, one, two] = contenders;
      return (["p50", "p99"] as const).flatMap((what) => [
        compare(`${what}, Redis at one node`, "ms", one.runs.series(what), file.runs.series(what), null),
        compare(`${what}, Redis from node to node`, "ms", two.runs.series(what), file.runs.series(what), null),
      ]);
    });
  },
};
