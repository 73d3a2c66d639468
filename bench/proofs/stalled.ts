import { median } from "../figure.ts";
import { faults, hold, type Result } from "../load.ts";
import { quiet } from "../process.ts";
import { SECRET, type Server } from "../servers.ts";
import { Gateway } from "./gateway.ts";
import { descriptors, rssMiB } from "./linux.ts";
import { proveWithSendBuffer, sendBufferBytes } from "./namespace.ts";
import type { Proof } from "./proof.ts";
import { quantity, type Report, whole } from "./report.ts";
import { acceptedAt } from "./sockets.ts";
import { openStalled, Stalling } from "./stalling.ts";

/** The lowered send buffer: what the README advises. */
const LOW_BYTES = 131_072;
/** What the process may hold for a reader that does not read: a page or a batch (docs/architecture.md, "Memory"). */
const HELD_KIB = 128;
/** What garbage collection moves in that time. */
const MOVED_MIB = 32;
const LOOK_MS = 250;
const PUBLISHERS = 4;
/** What a healthy one may have under way. */
const IN_FLIGHT_KIB = 64;

type Values = Readonly<Record<"readers" | "rounds" | "rate" | "bytes" | "stall" | "alone" | "slower" | "wmem", number>>;

export const stalled: Proof<keyof Values> = {
  name: "stalled",
  title: "readers that take nothing are gone within the stall limit, cost little, and delay nobody",
  options: {
    readers: { what: "that stall, and as many that read", full: 1000, quick: 20 },
    rounds: { what: "with and without stalled ones, in turn", full: 2, quick: 1 },
    rate: { what: "messages a second", full: 5, quick: 50 },
    bytes: { what: "of a message", full: 16_000, quick: 60_000 },
    stall: { what: "SOCKET_STALL in seconds", full: 10, quick: 2 },
    alone: { what: "seconds of a run without stalled ones", full: 20, quick: 4 },
    slower: { what: "times the p99 without stalled ones that it may be with them", full: 2, quick: 100 },
    wmem: { what: "largest send buffer, in a network namespace; 0: the system's, then 131072", full: 0, quick: 0 },
  },
  limitS: (values) => 120 + 2 * values.rounds * (lengthS(values) + values.alone + 20),

  async prove(report, values) {
    const { wmem } = values;
    const here = sendBufferBytes();
    if (wmem === 0 || wmem === here) await proveHere(report, values);
    if (wmem === here || here === LOW_BYTES) return;
    const low = wmem === 0 ? LOW_BYTES : wmem;
    report.say(`and with a send buffer of at most ${whole(low)} bytes, in a network namespace`);
    const options = Object.entries({ ...values, wmem: low }).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const ended = await proveWithSendBuffer(low, ["stalled", ...options]);
    if (typeof ended === "string") report.figure(`with a send buffer of ${whole(low)} bytes`, `left out: ${ended}`);
    else report.exactly(`exit code with a send buffer of ${whole(low)} bytes`, ended, 0);
  },
};

/** Until the last buffer is full, and the stall limit is over. The other end's buffer takes some as well. */
function lengthS({ rate, bytes, stall, alone }: Values): number {
  return Math.ceil((2 * LOW_BYTES + sendBufferBytes()) / (rate * bytes)) + stall + alone / 2;
}

async function proveHere(report: Report, values: Values): Promise<void> {
  const { readers, rounds, rate, bytes, stall, alone: aloneS } = values;
  // A healthy one that is late on a busy machine does not fall out of history: it would be told a gap.
  const settings = { SOCKET_STALL: `${stall}s`, SOCKET_HISTORY_BYTES: "64MiB" };
  const gateway = new Gateway(report, settings, stalled.limitS(values));
  await gateway.start();
  const server: Server = {
    name: "ours",
    port: gateway.port,
    pids: String(gateway.pid),
    publish: { publishHeader: [`Authorization: key=${SECRET}`, "Content-Type: application/json"] },
    stop: () => gateway.stop(),
  };
  const options = (seconds: number) => ({
    streams: readers,
    greeting: true,
    rate,
    seconds,
    size: bytes,
    messages: Math.ceil(rate * seconds),
    publishers: PUBLISHERS,
    limit: seconds + 60,
  });
  const measure = (stalling: number, seconds: number) =>
    measureBeside(report, gateway, server, options(seconds), stalling, stall);
  await measure(0, aloneS / 4); // hot paths compiled
  const alone: Trial[] = [];
  const beside: Trial[] = [];
  for (let round = 0; round < rounds; round++) {
    const both = [
      async () => alone.push(await measure(0, aloneS)),
      async () => beside.push(await measure(readers, lengthS(values))),
    ];
    for (const one of round % 2 === 0 ? both : both.toReversed()) await one();
    report.say(`round ${round + 1} of ${rounds}`);
  }
  await gateway.stop();
  tell(report, values, alone, beside);
}

interface Trial {
  readonly result: Result;
  /** By how much the process grew while stalled ones were there, and its most. */
  readonly grownMiB: number;
  readonly mostMiB: number;
  readonly stalling: Stalling;
}

/** Publishes to the healthy ones, with so many stalled ones or without; both are looked at alike. */
async function measureBeside(
  report: Report,
  { pid, port }: Gateway,
  server: Server,
  options: Record<string, number | boolean>,
  count: number,
  stallS: number,
): Promise<Trial> {
  const before = { rssMiB: rssMiB(pid), sockets: descriptors(pid).sockets };
  const connections = await openStalled(port, "/channel/c0/stream", count);
  const held = await hold(server, { ...options, wait: true });
  const stalling = new Stalling(connections);
  let mostMiB = 0;
  held.go();
  const began = performance.now();
  for (let part = 0; performance.now() - began < Number(options["seconds"]) * 1000;) {
    await Bun.sleep(LOOK_MS);
    stalling.look(performance.now(), acceptedAt(port));
    if (part < 2) mostMiB = Math.max(mostMiB, rssMiB(pid));
    if (part === 0 ? !stalling.full(performance.now()) : part === 2 || stalling.left > 0) continue;
    held.part();
    part += 1;
    if (count === 0) continue;
    report.say(part === 1 ? "every stalled one is full" : "every stalled one is gone");
    if (part === 2) checkGone(report, pid, port, Number(options["streams"]), before.sockets);
  }
  const result = await held.result();
  for (const connection of connections) connection.terminate();
  await quiet(server.pids);
  const gone = report.claim("a stalled reader is gone within the stall limit after its connection was full");
  for (const seconds of stalling.thereForS)
    gone.check(seconds <= stallS + 1, () => `one was there for ${seconds.toFixed(1)} s`);
  for (let i = 0; i < stalling.left; i++) gone.check(false, () => "one is there to the end");
  const every = report.claim("the healthy readers get every message, once");
  every.check(faults(result).length === 0, () => faults(result).join("; "));
  return { result, grownMiB: mostMiB - before.rssMiB, mostMiB, stalling };
}

/** Their descriptors are closed and not only their streams forgotten; the kernel has nothing of them any more. */
function checkGone(report: Report, pid: number, port: number, healthy: number, socketsBefore: number): void {
  const closed = report.claim("when the last is gone no descriptor of a stalled reader is open, and nothing is held");
  const open = descriptors(pid).sockets - socketsBefore;
  closed.check(open <= healthy + PUBLISHERS, () => `${open} more than before, with ${healthy} healthy ones`);
  const heldKiB = acceptedAt(port).reduce((sum, { heldBytes }) => sum + heldBytes, 0) / 1024;
  closed.check(heldKiB <= healthy * IN_FLIGHT_KIB, () => `the kernel holds ${whole(heldKiB)} KiB`);
}

function tell(report: Report, { readers, slower }: Values, alone: readonly Trial[], beside: readonly Trial[]): void {
  const p99 = (trials: readonly Trial[], part?: number) =>
    median(
      trials.map(({ result: { deliveries } }) => {
        const times = part === undefined ? deliveries : deliveries.parts[part];
        return times?.latencyMs.p99 ?? Number.NaN;
      }),
    );
  const without = p99(alone);
  const most = (of: (trial: Trial) => number) => Math.max(...beside.map(of));
  const seconds = beside.flatMap(({ stalling }) => stalling.thereForS);
  const [first, last] = [Math.min(...seconds).toFixed(1), Math.max(...seconds).toFixed(1)];
  report.figure("largest send buffer (tcp_wmem)", `${whole(sendBufferBytes())} bytes`);
  report.figure("stalled ones there, from when they were full", `${first} to ${last} s`);
  report.figure("healthy ones' p99, without stalled ones", quantity(without, "ms"));
  report.figure("their p99 while the stalled ones' buffers fill", quantity(p99(beside, 0), "ms"));
  report.atMost("their p99 while those are full, until the last is cut", p99(beside, 1), without * slower, "ms");
  report.figure("their p99 after that", quantity(p99(beside, 2), "ms"));
  report.figure("their p99 over all of it", quantity(p99(beside), "ms"));
  report.figure(
    "memory (RSS), most",
    quantity(
      most(({ mostMiB }) => mostMiB),
      "MiB",
    ),
  );
  const mayGrow = (readers * HELD_KIB) / 1024 + MOVED_MIB;
  report.atMost(
    "memory (RSS), more than before",
    most(({ grownMiB }) => grownMiB),
    mayGrow,
    "MiB",
  );
  report.figure(
    "kernel memory of all stalled ones, most",
    quantity(
      most(({ stalling }) => stalling.allHeldMiB),
      "MiB",
    ),
  );
  report.figure(
    "kernel memory of one, most",
    quantity(
      most(({ stalling }) => stalling.heldKiB),
      "KiB",
    ),
  );
}
