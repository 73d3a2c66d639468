import { type Series, within } from "../figure.ts";
import { load } from "../load.ts";
import { type Bench, Results, type Row } from "../row.ts";
import { ours } from "../servers.ts";

const STREAMS = 10_000;

/** A fresh process each time, that has opened and closed a thousand streams before the first reading. */
async function idle(bench: Bench, channels: number): Promise<Results> {
  const results = new Results("ours (sqlite)");
  for (let round = 0; round < bench.runs; round++) {
    const server = await ours("sqlite");
    try {
      const streams = bench.size(STREAMS, 1000);
      const warm = bench.size(1000, 100);
      results.all.push(await load(server, { streams, channels, warm, greeting: true, settle: bench.size(1500, 200) }));
    } finally {
      await server.stop();
    }
    bench.say(`${channels} channels, round ${round + 1} of ${bench.runs}`);
  }
  return results;
}

function perStream(results: Results): Series {
  return results.series(({ open, server }) => (server.rssAfterKiB - server.rssBeforeKiB) / open.streams);
}

export const idleMemory: Row = {
  name: "idle-rss",
  title: "Idle streams: resident memory of each",
  sockets: STREAMS,
  async run(bench) {
    const one = await idle(bench, 1);
    const many = await idle(bench, bench.size(STREAMS, 1000));
    return [
      within("10,000 streams on one channel", "KiB", perStream(one), 8),
      within("10,000 streams on 10,000 channels", "KiB", perStream(many), 8),
    ];
  },
};
