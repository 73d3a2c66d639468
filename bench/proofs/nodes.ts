import { redisServer } from "../redis.ts";
import { Crowd } from "./crowd.ts";
import { Fleet, KEEPS_ALL } from "./fleet.ts";
import { Hearing } from "./hearing.ts";
import { Ledger, readHistory } from "./ledger.ts";
import type { Proof } from "./proof.ts";
import { Random } from "./random.ts";
import { whole } from "./report.ts";
import { hasPattern } from "./selection.ts";
import { newestOf, Source } from "./source.ts";
import { allHear } from "./traffic.ts";

const NODES = 3;
/** Streams with patterns are on the first two only: a node without any hears of its channels one by one. */
const WITH_PATTERNS = 2;
const ROOMS = 6;
const SEATS = 10;
const CHANNELS = Array.from({ length: ROOMS * SEATS }, (_, i) => `room.${Math.floor(i / SEATS)}.${i % SEATS}`);
const SOURCES_PER_NODE = 4;
const PAUSE_MS = 80;
/** Listeners whose every message is compared with what is kept. */
const COMPARED = [
  ["room.0.0"],
  ["room.1.1"],
  ["room.2.2", "room.3.3", "room.4.4"],
  ["room.0.0", "room.5.9"],
  ["room.3.*"],
  ["room.**"],
];
const LAST_WITHIN_MS = 30_000;
const DRAIN_S = 2;

export const nodes: Proof<"listeners" | "moving" | "seconds" | "kills" | "rounds" | "seed"> = {
  name: "nodes",
  title: "three nodes on one Redis: listeners move between them, each is killed, all are restarted in turn",
  needs: ["redis-server"],
  options: {
    listeners: { what: "listeners that move", full: 3000, quick: 150 },
    moving: { what: "percent of them that move in a second", full: 10, quick: 50 },
    seconds: { what: "how long they only move", full: 20, quick: 2 },
    kills: { what: "how often a node is killed", full: 6, quick: 1 },
    rounds: { what: "how often all nodes are restarted in turn", full: 2, quick: 1 },
    seed: { what: "of the moments", full: 1, quick: 1 },
  },
  limitS: ({ seconds, kills, rounds }) => 300 + seconds + kills * 20 + rounds * 40,

  async prove(report, values) {
    const { listeners, moving, seconds, kills, rounds, seed } = values;
    const lifeS = this.limitS(values) + 60;
    const random = new Random(seed);
    await using redis = await redisServer({}, lifeS);
    const fleet = new Fleet(report, NODES, {
      lifeS,
      settings: () => ({ ...KEEPS_ALL, SOCKET_DRAIN: `${DRAIN_S}s`, SOCKET_BROKER: redis.url }),
      expected: /the store cannot be reached/, // where the machine is so busy that nothing answers within a second
    });
    await fleet.start();

    const ledger = new Ledger(report);
    const any = () => fleet.pick(random);
    const withPatterns = () => fleet.pick(random, WITH_PATTERNS);
    const selections = Array.from({ length: listeners }, (_, i) => selectionOf(i));
    const options = { fromFirst: true };
    const crowds = [
      new Crowd(report, any, selections.filter((one) => !hasPattern(one)), options), // prettier-ignore
      new Crowd(report, withPatterns, selections.filter(hasPattern), options),
    ];
    const compared = COMPARED.map((one) => new Hearing(report, hasPattern(one) ? withPatterns : any, one));
    for (const one of compared) one.open();
    await Promise.all(crowds.map((crowd) => crowd.openAll()));
    report.say(`${whole(listeners)} listeners on ${NODES} nodes`);

    const sources = Array.from({ length: NODES * SOURCES_PER_NODE }, (_, i) => sourceOf(i, ledger, fleet, random));
    const stopping = { now: false };
    const publishing = Promise.all(sources.map((source) => source.publishUntil(stopping)));
    publishing.catch((error: unknown) => report.fail(String(error)));
    const churning = crowds.map(async (crowd) => {
      while (!stopping.now) await crowd.churn(moving / 100, 500, random);
    });
    const restless = setInterval(() => random.pick(compared).reset(1), 100);

    await Bun.sleep(seconds * 1000);
    report.say(`moved, ${whole(ledger.acknowledged)} acknowledged`);
    const ended = () => crowds.reduce((sum, crowd) => sum + crowd.ended, 0);
    const broken = { kills: 0, drains: 0 };
    for (let kill = 0; kill < kills; kill++) {
      const node = fleet.nodes[kill % NODES]!;
      const before = ended();
      await fleet.kill(node);
      await Bun.sleep(random.between(200, 1500));
      broken.kills += ended() - before;
      await fleet.startOne(node);
      report.say(`${kill + 1} of ${kills} nodes killed, ${whole(ledger.acknowledged)} acknowledged`);
    }
    for (let round = 0; round < rounds; round++) {
      const before = ended();
      for (const node of fleet.nodes) {
        await fleet.drain(node);
        await fleet.startOne(node);
      }
      broken.drains += ended() - before;
      report.say(`${round + 1} of ${rounds} rolling restarts, ${whole(ledger.acknowledged)} acknowledged`);
    }
    await Bun.sleep(500);
    stopping.now = true;
    clearInterval(restless);
    await Promise.all([publishing, ...churning]);
    await Promise.all(sources.map((source) => source.end()));
    await allHear(report, crowds, sources);
    const kept = await readHistory(fleet.nodes[0]!.port, CHANNELS);
    await Promise.race([Promise.all(compared.map((one) => one.reaches(kept))), Bun.sleep(LAST_WITHIN_MS)]);
    const published = newestOf(sources);
    for (const crowd of crowds) crowd.closeAll();
    for (const one of compared) one.close();
    await fleet.stop();

    report.figure(
      "listeners that move",
      `${whole(listeners)}, and ${COMPARED.length} that are compared with what is kept`,
    );
    report.figure("messages acknowledged, all with keys", whole(ledger.acknowledged));
    report.figure("series of them", whole(published.size));
    report.figure("publishes tried again", whole(ledger.unanswered));
    report.figure("streams opened", whole(crowds.reduce((sum, { opened }) => sum + opened, 0)));
    report.figure("streams that a killed node broke", `${whole(broken.kills)}, by ${kills} kills`);
    report.figure("streams that a drained node ended", `${whole(broken.drains)}, by ${rounds * NODES} drains`);
    report.exactly("gaps told", crowds.reduce((sum, { gaps }) => sum + gaps, 0), 0); // prettier-ignore
    ledger.compare(kept);
    for (const one of compared) one.compare(kept);
  },
};

/** Of a hundred listeners 70 have one channel, 20 three, nine a room, one everything. */
function selectionOf(i: number): readonly string[] {
  const kind = i % 100;
  if (kind < 70) return [channel(i)];
  if (kind < 90) return [channel(i), channel(i + 7), channel(i + 31)];
  return kind < 99 ? [`room.${i % ROOMS}.*`] : ["room.**"];
}

function channel(nth: number): string {
  return CHANNELS[nth % CHANNELS.length]!;
}

/** Each begins at a node of its own, and goes to another when its connection breaks; three publish to each channel. */
function sourceOf(i: number, ledger: Ledger, fleet: Fleet, random: Random): Source {
  let first: number | null = fleet.nodes[i % NODES]!.port;
  const port = () => {
    const chosen = first ?? fleet.pick(random);
    first = null;
    return chosen;
  };
  const channels = CHANNELS.filter((_, nth) => nth % SOURCES_PER_NODE === i % SOURCES_PER_NODE);
  return new Source({ port, ledger, name: `source-${i}`, channels, pauseMs: PAUSE_MS });
}
