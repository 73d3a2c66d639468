import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { atMost, compare, type Figure, within } from "../figure.ts";
import { load } from "../load.ts";
import { folder } from "../process.ts";
import { type Contender, Results, type Row, alternate, withServers } from "../row.ts";
import { ours, type Server } from "../servers.ts";
import { beforeLastDeep, beforeLastRounds, CHANNELS, fill, type Store } from "../store.ts";

const STREAMS = 1000;
const MISSED = 50;
const SELECTED = 50;

/** Nothing is trimmed: the store keeps its size. */
const KEEP_ALL = {
  SOCKET_HISTORY_COUNT: "0",
  SOCKET_HISTORY_AGE: "0",
  SOCKET_HISTORY_BYTES: "0",
  SOCKET_APP_HISTORY_BYTES: "0",
};

interface Kind {
  readonly what: string;
  path(stream: number): string;
  /** Counted from 0: the last message that the stream had. */
  had(store: Store): number;
}

const KINDS: readonly Kind[] = [
  { what: "on one channel", path: () => "/channel/deep/stream", had: (store) => beforeLastDeep(store, MISSED) },
  {
    what: "on 1,000 channels",
    path: (i) => `/channel/c${i % CHANNELS}/stream`,
    had: (store) => beforeLastRounds(store, MISSED),
  },
  {
    what: "on selections of 50",
    path: (i) => `/stream?${Array.from({ length: SELECTED }, (_, n) => `channel=c${(i + n) % CHANNELS}`).join("&")}`,
    had: (store) => beforeLastRounds(store, 1), // one of each of the 50 channels
  },
];

function contender(server: Server, store: Store, kind: Kind): Contender {
  const lines = Array.from(
    { length: STREAMS },
    (_, i) => `${kind.path(i)}\tLast-Event-ID: ${store.positionOf(kind.had(store))}`,
  );
  const streamFile = join(folder(), "streams");
  writeFileSync(streamFile, lines.join("\n"));
  return {
    name: kind.what,
    measure: () => load(server, { streams: STREAMS, streamFile, replay: MISSED, settle: 100, limit: 30 }),
  };
}

/** Seconds until all had everything; a run in which one stream did not get all of it is a fault. */
function seconds(results: Results) {
  const series = results.series((result) => result.open.replaySeconds);
  const short = results.all.filter((result) => result.open.replayComplete < STREAMS);
  return { ...series, faults: [...series.faults, ...short.map((r) => `only ${r.open.replayComplete} got all`)] };
}

function figures(small: readonly Results[], large: readonly Results[]): Figure[] {
  return KINDS.flatMap(({ what }, i) => {
    const [first, second] = [seconds(small[i]!), seconds(large[i]!)];
    return [
      within(`all resumed ${what}, of 100,000 messages`, "s", first, 1),
      compare(`the same of 1,000,000`, "s", second, { ...first, name: "of 100,000" }, atMost(1.25)),
    ];
  });
}

export const resuming: Row = {
  name: "resume",
  title: "1,000 streams resume, each 50 messages behind",
  sockets: STREAMS,
  run(bench) {
    return withServers([ours("sqlite", KEEP_ALL), ours("sqlite", KEEP_ALL)], async ([small, large]) => {
      const smallStore = await fill(small!, 100_000);
      const largeStore = await fill(large!, bench.size(1_000_000, 200_000));
      bench.say("stores are filled");
      const contenders = [
        ...KINDS.map((kind) => contender(small!, smallStore, kind)),
        ...KINDS.map((kind) => contender(large!, largeStore, kind)),
      ];
      for (const one of contenders) await one.measure(0); // hot paths compiled, the file in the system's cache
      const results = await alternate(bench, contenders);
      return figures(results.slice(0, KINDS.length), results.slice(KINDS.length));
    });
  },
};
