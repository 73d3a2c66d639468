import { descriptorLimit, SPARE } from "../process.ts";
import { Crowd } from "./crowd.ts";
import { Gateway } from "./gateway.ts";
import { memoryOver } from "./linux.ts";
import { Observer } from "./observer.ts";
import { CouldNotRun, type Proof } from "./proof.ts";
import { Random } from "./random.ts";
import { whole } from "./report.ts";
import { Steady } from "./steady.ts";

const SHARED = 100;
const ROOMS = 10;
const RATE = 100;

export const churn: Proof<"minutes" | "streams" | "percent" | "window" | "growth" | "seed"> = {
  name: "churn",
  title: "streams that are reset and opened again all the time leave nothing behind",
  options: {
    minutes: { what: "how long streams are reset and opened again", full: 3, quick: 0.05 },
    streams: { what: "open at one time", full: 10_000, quick: 300 },
    percent: { what: "of the streams that are reset every second", full: 10, quick: 50 },
    window: { what: "seconds over which memory is looked at: several garbage collections", full: 40, quick: 1 },
    growth: { what: "percent by which memory may be more than after the warm cycle", full: 10, quick: 50 },
    seed: { what: "of the choices", full: 1, quick: 1 },
  },
  limitS: ({ minutes }) => 180 + minutes * 90,

  async prove(report, values) {
    const { minutes, streams, percent, window, growth, seed } = values;
    const needed = Math.ceil(streams * SPARE) + 100;
    if (descriptorLimit() < needed) {
      throw new CouldNotRun(`it needs ${needed} descriptors a process, the hard limit is ${descriptorLimit()}`);
    }
    const random = new Random(seed);
    const gateway = new Gateway(report, { SOCKET_MAX_STREAMS_PER_APP: "0" }, this.limitS(values));
    await gateway.start();
    const selections = Array.from({ length: streams }, (_, i) => selectionOf(i));
    const channels = channelsOf(streams);
    const steady = new Steady(report, { port: gateway.port, channels, rate: RATE, bytes: 0, keyed: false, random });
    await steady.first(); // so that every channel is listed from now on
    steady.begin();
    const crowd = new Crowd(report, gateway.port, selections);
    const observer = new Observer(report, gateway, selections, channels);

    const churning = (seconds: number) => crowd.churn(percent / 100, seconds * 1000, random);
    const look = async () => {
      const [memory] = await Promise.all([memoryOver(gateway.pid, window), churning(window)]);
      const full = await observer.look(streams);
      crowd.closeAll();
      return { memory, full, idle: await observer.look(0) };
    };

    await crowd.openAll();
    report.say(`${whole(streams)} streams are open`);
    await churning(100 / percent); // each of them was cut once
    const before = await look();
    report.say("the baseline is taken, after one warm cycle");
    const opened = crowd.opened;
    await crowd.openAll();
    await churning(Math.max(0, minutes * 60 - window));
    const after = await look();
    const cut = crowd.opened - opened - streams;
    const aSecond = cut / Math.max(window, minutes * 60);
    await steady.stop();
    await gateway.stop();

    const most = 1 + growth / 100;
    report.figure("streams reset and opened again", `${whole(cut)}, ${whole(aSecond)} a second`);
    report.figure("messages published meanwhile", whole(steady.published));
    for (const [when, was, is] of [
      [`with ${whole(streams)} streams`, before.full, after.full],
      ["with none", before.idle, after.idle],
    ] as const) {
      report.exactly(`descriptors that are connections, ${when}`, is.sockets, was.sockets);
      report.figure(`other descriptors, ${when}`, `${is.files}, before ${was.files}`);
      report.exactly(`channels with streams, ${when}`, is.listened, was.listened);
    }
    report.atMost("memory (RSS) during the churn, median", after.memory.median, before.memory.median * most, "MiB");
    report.atMost("memory (RSS) during the churn, least", after.memory.least, before.memory.least * most, "MiB");
    report.figure(
      "memory (RSS) with no streams",
      `${whole(after.idle.rssMiB)} MiB, before ${whole(before.idle.rssMiB)} MiB`,
    );
  },
};

/** Of ten streams four have a channel of their own, three share one, one has several, two have patterns. */
function selectionOf(i: number): readonly string[] {
  const kind = i % 10;
  if (kind < 4) return [`own.${i}`];
  if (kind < 7) return [`shared.${i % SHARED}`];
  if (kind === 7) return [`shared.${i % SHARED}`, `shared.${(i + 1) % SHARED}`, `own.${i}`];
  return kind === 8 ? [`mine.${i}.*`] : ["room.*"];
}

function channelsOf(streams: number): string[] {
  return [
    ...Array.from({ length: SHARED }, (_, i) => `shared.${i}`),
    ...Array.from({ length: ROOMS }, (_, i) => `room.${i}`),
    ...Array.from({ length: streams / 10 }, (_, i) => `own.${i * 10}`),
    ...Array.from({ length: streams / 10 }, (_, i) => `mine.${i * 10 + 8}.a`),
  ];
}
