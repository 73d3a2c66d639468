import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { median } from "../figure.ts";
import { Crowd } from "./crowd.ts";
import { Gateway } from "./gateway.ts";
import { descriptors, rssMiB } from "./linux.ts";
import type { Proof } from "./proof.ts";
import { Random } from "./random.ts";
import { type Report, whole } from "./report.ts";
import { Steady } from "./steady.ts";
import { trendOf } from "./trend.ts";

/** Half of what is published goes to the hot ones; of the others more come than are remembered. */
const HOT = 100;
const COLD = 20_000;
const BYTES = 1000;
/** Streams that are cut every second. */
const CUT = 0.05;
/** Listeners to everything that read for a while, and then take nothing until they are cut. */
const SLOW = 10;
const READING_MS = 20_000;
const NOT_READING_MS = 40_000;

const SETTINGS = {
  SOCKET_MAX_STREAMS_PER_APP: "0",
  SOCKET_RETRY: "100ms",
  SOCKET_STREAM_AGE: "2m",
  SOCKET_STALL: "5s",
  // Every kind of retention is at work within the warm-up.
  SOCKET_HISTORY_COUNT: "100",
  SOCKET_HISTORY_AGE: "2m",
  SOCKET_APP_HISTORY_BYTES: "16MiB",
  SOCKET_MAX_CHANNELS: "1000",
  SOCKET_IDEMPOTENCY_TTL: "1m",
};

/** How long connections that were closed may take to be gone. */
const REST_MS = 1000;
/** Four times what begins a checkpoint: what is written while it waits for the disk comes on top, and the file stays so. */
const LOG_MIB = 64;
/** Samples of one run, whatever its length. */
const SAMPLES = 1200;
/** Descriptors beside those of streams: publishers, a stream that was cut and is not closed yet. */
const SPARE = 60;

export const soak: Proof<"minutes" | "warm" | "streams" | "rate" | "growth" | "swell" | "seed"> = {
  name: "soak",
  title: "under a steady load nothing grows: memory, descriptors, the store's files",
  options: {
    minutes: { what: "how long it is looked at; 1440 is a day", full: 20, quick: 0.1 },
    warm: { what: "minutes before that", full: 4, quick: 0.05 },
    streams: { what: "open at one time", full: 500, quick: 100 },
    rate: { what: "messages a second", full: 200, quick: 200 },
    growth: { what: "percent of memory that the trend may add over the whole run", full: 5, quick: 100 },
    swell: { what: "percent by which files may be larger in its second half than in its first", full: 25, quick: 400 },
    seed: { what: "of the choices", full: 1, quick: 1 },
  },
  limitS: ({ minutes, warm }) => 180 + (minutes + warm) * 66,

  async prove(report, values) {
    const { minutes, warm, streams, rate, growth, swell, seed } = values;
    const random = new Random(seed);
    const gateway = new Gateway(report, SETTINGS, this.limitS(values));
    await gateway.start();
    const { port, pid } = gateway;
    await Bun.sleep(REST_MS);
    const before = descriptors(pid);
    const hot = Array.from({ length: HOT }, (_, i) => `hot.${i}`);
    const cold = Array.from({ length: COLD }, (_, i) => `cold.${i}`);
    const options = { port, rate: rate / 2, bytes: BYTES, keyed: true, random };
    const steady = [hot, cold].map((channels) => new Steady(report, { ...options, channels }));
    const crowd = new Crowd(
      report,
      port,
      Array.from({ length: streams }, (_, i) => selectionOf(i)),
    );
    const slow = new Crowd(
      report,
      port,
      Array.from({ length: SLOW }, () => ["**"]),
    );
    await Promise.all([crowd.openAll(), slow.openAll()]);
    for (const one of steady) one.begin();

    const stopping = { now: false };
    const stopped = Promise.all([turns(slow, stopping), churning(crowd, random, stopping)]);
    await Bun.sleep(warm * 60_000);
    report.say("warm");
    const samples = await watch(report, gateway, minutes * 60);
    stopping.now = true;
    await stopped;
    await Promise.all(steady.map((one) => one.stop()));
    crowd.closeAll();
    slow.closeAll();
    await Bun.sleep(REST_MS);
    const after = descriptors(pid);
    await gateway.stop();

    report.figure("messages published", whole(steady.reduce((sum, { published }) => sum + published, 0)));
    report.figure("streams opened", `${whole(crowd.opened)}, and ${whole(slow.opened)} of slow readers`);
    report.figure("gaps told", `${whole(crowd.gaps)}, and ${whole(slow.gaps)} to slow readers`);
    judge(report, samples, minutes, growth);
    const sockets = samples.map((sample) => sample.sockets);
    report.atMost("descriptors that are connections, most", Math.max(...sockets), streams + SLOW + SPARE);
    report.exactly("descriptors that are connections, at the end", after.sockets, before.sockets);
    const bounded = (what: string, height: (sample: Sample) => number, unit: string) => {
      const [first, second] = halves(samples.map(height));
      report.atMost(`${what}, most`, second, first * (1 + swell / 100), unit);
    };
    bounded("other descriptors", ({ files }) => files, "");
    bounded("the database", ({ storeMiB }) => storeMiB, "MiB");
    report.atMost("its log (WAL), most", Math.max(...samples.map(({ logMiB }) => logMiB)), LOG_MIB, "MiB");
  },
};

/** Half of the streams have one hot channel, others several, a pattern, a cold channel, everything. */
function selectionOf(i: number): readonly string[] {
  const kind = i % 10;
  if (kind < 5) return [`hot.${i % HOT}`];
  if (kind < 7) return [`hot.${i % HOT}`, `hot.${(i + 1) % HOT}`, `cold.${i}`];
  if (kind === 7) return ["hot.*"];
  return i % 50 === 8 ? ["**"] : [`cold.${i}`];
}

async function churning(crowd: Crowd, random: Random, stopping: { readonly now: boolean }): Promise<void> {
  while (!stopping.now) await crowd.churn(CUT, 1000, random);
}

/** Now they read, now they do not. */
async function turns(slow: Crowd, stopping: { readonly now: boolean }): Promise<void> {
  for (let ms = 0; !stopping.now; ms += 1000) {
    if (ms % (READING_MS + NOT_READING_MS) < READING_MS) slow.resumeAll();
    else slow.pauseAll();
    await Bun.sleep(1000);
  }
  slow.resumeAll();
}

interface Sample {
  readonly rssMiB: number;
  readonly sockets: number;
  readonly files: number;
  readonly storeMiB: number;
  readonly logMiB: number;
}

async function watch(report: Report, gateway: Gateway, seconds: number): Promise<Sample[]> {
  const count = Math.min(SAMPLES, Math.ceil(seconds * 2));
  const samples: Sample[] = [];
  for (let i = 0; i < count; i++) {
    await Bun.sleep((seconds * 1000) / count);
    samples.push({
      ...descriptors(gateway.pid),
      rssMiB: rssMiB(gateway.pid),
      storeMiB: sizeMiB(join(gateway.folder, "data", "messages.db")),
      logMiB: sizeMiB(join(gateway.folder, "data", "messages.db-wal")),
    });
    if ((i + 1) % (count / 20) < 1) report.say(told(samples));
  }
  return samples;
}

function told(samples: readonly Sample[]): string {
  const { sockets, storeMiB, logMiB } = samples.at(-1)!;
  const rss = median(samples.slice(-SAMPLES / 20).map(({ rssMiB }) => rssMiB));
  return `${whole(rss)} MiB, ${sockets} connections, database ${whole(storeMiB)} MiB, log ${whole(logMiB)} MiB`;
}

function sizeMiB(path: string): number {
  return existsSync(path) ? statSync(path).size / 1024 / 1024 : 0;
}

function judge(report: Report, samples: readonly Sample[], minutes: number, percent: number): void {
  const rss = samples.map(({ rssMiB }) => rssMiB);
  const { growth, least, most } = trendOf(rss);
  const slope = (mib: number) => ((mib / minutes) * 1024).toFixed(1);
  report.figure(
    "memory (RSS), median",
    `${whole(median(rss))} MiB (${whole(Math.min(...rss))} to ${whole(Math.max(...rss))})`,
  );
  report.figure("its slope", `${slope(growth)} KiB a minute (95 %: ${slope(least)} to ${slope(most)})`);
  report.atMost("its growth over the run by that slope", growth, (median(rss) * percent) / 100, "MiB");
}

/** The most in the first half, and in the second. */
function halves(values: readonly number[]): [number, number] {
  const half = values.length >> 1;
  return [Math.max(...values.slice(0, half)), Math.max(...values.slice(half))];
}
