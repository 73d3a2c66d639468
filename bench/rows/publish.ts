import { atLeast, compare } from "../figure.ts";
import { hold, load } from "../load.ts";
import { alternate, type Row, withServers } from "../row.ts";
import { ours, rival } from "../servers.ts";

const FEEDS = 10_000;

/** 64 connections, one publish in flight on each, over 100 channels that nobody listens to. */
export const publishing: Row = {
  name: "publish",
  title: "Publishing with authentication, checks and history on SQLite, over 64 connections",
  sockets: FEEDS,
  run(bench) {
    return withServers([rival("serve"), ours("sqlite"), ours("sqlite")], async ([bare, alone, crowded]) => {
      const feeds = bench.size(FEEDS, 1000);
      const listening = await hold(crowded!, {
        streams: feeds,
        channels: feeds,
        streamPath: "/channel/feed{channel}/stream",
        greeting: true,
        wait: true,
        limit: 900,
      });
      const contenders = [bare!, alone!, crowded!].map((server) => ({
        name: server === crowded ? `ours, ${feeds} feeds` : server.name,
        measure: () =>
          load(server, { publishers: 64, channels: 100, messages: 1_000_000, seconds: bench.size(2, 0.3), settle: 0 }),
      }));
      for (const contender of contenders) await contender.measure(); // hot paths compiled
      const results = await alternate(bench, contenders);
      const held = await listening.result();
      const [bareRate, aloneRate, crowdedRate] = results.map((one) => one.series((result) => result.publish.perSecond));
      const lost = held.open.closedEarly + held.open.refused;
      const crowdedFaults = [...crowdedRate!.faults, ...(lost > 0 ? [`${lost} feeds were not there`] : [])];
      return [
        compare("publishes", "/s", aloneRate!, bareRate!, atLeast(0.5)),
        compare(
          "publishes beside 10,000 feeds",
          "/s",
          { ...crowdedRate!, faults: crowdedFaults },
          aloneRate!,
          atLeast(0.9),
        ),
      ];
    });
  },
};
