import { atLeast, compare, type Figure } from "../figure.ts";
import { load } from "../load.ts";
import { alternate, type Bench, named, type Row, withServers } from "../row.ts";
import { nchan, ours, rival } from "../servers.ts";

const STREAMS = 1000;

/** 64 keep-alive connections with one publish in flight each, for some seconds, over `channels` channels. */
async function burst(bench: Bench, channels: number, messages: number, ratio: number): Promise<Figure[]> {
  const rivals = [rival("listen"), rival("direct"), rival("elysia"), rival("better-sse")];
  if (bench.nchan !== null) rivals.push(nchan(bench.nchan));
  return withServers([ours("sqlite"), ours("memory"), ...rivals], async (servers) => {
    const contenders = servers.map((server) => ({
      name: server.name,
      measure: () =>
        load(server, {
          streams: STREAMS,
          channels,
          greeting: true,
          publishers: 64,
          messages,
          seconds: bench.size(2, 0.3),
        }),
    }));
    const results = await alternate(bench, contenders);
    const owns = results.slice(0, 2);
    const rate = (result: (typeof results)[number]) => result.series((one) => one.deliveries.perSecond);
    const target = named(results, "nchan");
    return results
      .slice(2)
      .flatMap((other) =>
        owns.map((own) =>
          compare(`deliveries, ${own.name}`, "/s", rate(own), rate(other), other === target ? atLeast(ratio) : null),
        ),
      );
  });
}

export const burstOne: Row = {
  name: "burst",
  title: "64 publishes in flight, 1,000 streams on one channel",
  sockets: STREAMS,
  run: (bench) => burst(bench, 1, 60_000, 20),
};

export const burstSpread: Row = {
  name: "burst-spread",
  title: "64 publishes in flight over 1,000 channels of one stream each",
  sockets: STREAMS,
  run: (bench) => burst(bench, 1000, 400_000, 1),
};
