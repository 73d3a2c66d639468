import { median } from "../figure.ts";
import { faults, hold, load, type Result } from "../load.ts";
import { SECRET, type Server } from "../servers.ts";
import { Gateway } from "./gateway.ts";
import { descriptors, rssMiB } from "./linux.ts";
import { proveWithSendBuffer, sendBufferBytes } from "./namespace.ts";
import type { Proof } from "./proof.ts";
import { type Report, whole } from "./report.ts";
import { acceptedAt } from "./sockets.ts";
import { openStalled, Stalled } from "./stalling.ts";

/** The lowered send buffer: what the README advises. */
const LOW_BYTES = 131_072;
/** What the process may hold for a reader that does not read: a page or a batch (docs/architecture.md, "Memory"). */
const HELD_KIB = 128;
/** What garbage collection moves in that time. */
const MOVED_MIB = 32;
const LOOK_MS = 250;

type Values = Readonly<Record<"readers" | "rounds" | "rate" | "bytes" | "stall" | "alone" | "slower" | "wmem", number>>;

export const stalled: Proof<keyof Values> = {
  name: "stalled",
  title: "readers that take nothing are gone within the stall limit, cost little, and delay nobody",
  options: {
    readers: { what: "that stall, and as many that read", full: 1000, quick: 20 },
    rounds: { what: "with and without stalled ones, in turn", full: 2, quick: 1 },
    rate: { what: "messages a second", full: 10, quick: 50 },
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
  const gateway = new Gateway(report, { SOCKET_STALL: `${stall}s` }, stalled.limitS(values));
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
    publishers: 4,
    limit: seconds + 60,
  });
  await load(server, options(aloneS / 4)); // hot paths compiled
  const alone: Result[] = [];
  const beside: Beside[] = [];
  for (let round = 0; round < rounds; round++) {
    const both = [
      async () => alone.push(await load(server, options(aloneS))),
      async () => beside.push(await measureBeside(report, gateway, server, options(lengthS(values)), values)),
    ];
    for (const measure of round % 2 === 0 ? both : both.toReversed()) await measure();
    report.say(`round ${round + 1} of ${rounds}`);
  }
  await gateway.stop();
  tell(report, values, alone, beside);
}

interface Beside {
  readonly result: Result;
  /** Before any stalled one was there, and the most until the last was gone. */
  readonly rssMiB: readonly [before: number, most: number];
  /** What the kernel held for a stalled one at most, and for all of them. */
  readonly heldKiB: number;
  readonly allHeldMiB: number;
  /** Seconds from the last byte that a connection took until it was gone: of the first, of the last. */
  readonly goneAfterS: readonly number[];
}

async function measureBeside(
  report: Report,
  gateway: Gateway,
  server: Server,
  options: Record<string, number | boolean>,
  { readers, stall }: Values,
): Promise<Beside> {
  const { pid, port } = gateway;
  const before = { rssMiB: rssMiB(pid), ...descriptors(pid) };
  const stalling = await openStalled(port, "/channel/c0/stream", readers);
  const held = await hold(server, { ...options, wait: true });
  const ports = new Set(stalling.map(({ localPort }) => localPort));
  const seen = new Stalled(ports);
  const began = performance.now();
  held.go();
  let most = 0;
  for (let part = 0; performance.now() - began < Number(options["seconds"]) * 1000;) {
    await Bun.sleep(LOOK_MS);
    seen.look(performance.now(), acceptedAt(port));
    if (seen.left > 0) most = Math.max(most, rssMiB(pid));
    if ((part === 0 && seen.full(performance.now())) || (part === 1 && seen.left === 0)) {
      held.part();
      part += 1;
      report.say(part === 1 ? "every stalled one is full" : "every stalled one is gone");
      if (part === 2) checkGone(report, gateway, readers, before.sockets);
    }
  }
  const result = await held.result();
  for (const connection of stalling) connection.terminate();
  const gone = report.claim("a stalled reader is gone within the stall limit after its connection was full");
  for (const seconds of seen.goneAfterS) gone.check(seconds <= stall + 1, () => `one took ${seconds.toFixed(1)} s`);
  for (let i = 0; i < seen.left; i++) gone.check(false, () => "one is there to the end");
  const every = report.claim("the healthy readers get every message, once");
  every.check(faults(result).length === 0, () => faults(result).join("; "));
  return {
    result,
    rssMiB: [before.rssMiB, most],
    heldKiB: seen.heldKiB,
    allHeldMiB: seen.allHeldMiB,
    goneAfterS: seen.goneAfterS,
  };
}

/** Their descriptors are closed and not only their streams forgotten; the kernel has nothing of them any more. */
function checkGone(report: Report, gateway: Gateway, readers: number, socketsBefore: number): void {
  const closed = report.claim("when the last is gone no descriptor of a stalled reader is open, and nothing is held");
  const open = descriptors(gateway.pid).sockets - socketsBefore;
  const publishers = 4;
  closed.check(open <= readers + publishers, () => `${open} more than before, with ${readers} healthy ones`);
  const heldKiB = acceptedAt(gateway.port).reduce((sum, { heldBytes }) => sum + heldBytes, 0) / 1024;
  // In flight to the healthy ones.
  closed.check(heldKiB <= readers * 64, () => `the kernel holds ${whole(heldKiB)} KiB`);
}

function tell(report: Report, { readers, slower }: Values, alone: readonly Result[], beside: readonly Beside[]): void {
  const p99 = (pick: (one: Beside) => number | undefined) => median(beside.map((one) => pick(one) ?? Number.NaN));
  const without = median(alone.map(({ deliveries }) => deliveries.latencyMs.p99));
  const part = (i: number) => p99(({ result }) => result.deliveries.parts[i]?.latencyMs.p99);
  report.figure("largest send buffer (tcp_wmem)", `${whole(sendBufferBytes())} bytes`);
  const seconds = beside.flatMap(({ goneAfterS }) => goneAfterS);
  report.figure(
    "stalled ones gone after",
    `${Math.min(...seconds).toFixed(1)} to ${Math.max(...seconds).toFixed(1)} s`,
  );
  report.figure("healthy ones' p99 without stalled ones", `${without.toFixed(1)} ms`);
  report.figure("their p99 while the stalled ones' buffers fill", `${part(0).toFixed(1)} ms`);
  report.atMost("their p99 while they are full, until the last is cut", part(1), without * slower, "ms");
  report.figure("their p99 after that", `${part(2).toFixed(1)} ms`);
  report.atMost(
    "their p99 over all of it",
    p99(({ result }) => result.deliveries.latencyMs.p99),
    without * slower,
    "ms",
  );
  const grown = Math.max(...beside.map(({ rssMiB: [before, most] }) => most - before));
  report.figure("memory (RSS), most", `${whole(Math.max(...beside.map(({ rssMiB: [, most] }) => most)))} MiB`);
  report.atMost("memory (RSS), more than before", grown, (readers * HELD_KIB) / 1024 + MOVED_MIB, "MiB");
  report.figure(
    "kernel memory of all stalled readers, most",
    `${whole(Math.max(...beside.map((one) => one.allHeldMiB)))} MiB`,
  );
  const heldMost = Math.max(...beside.map(({ heldKiB }) => heldKiB));
  report.figure("kernel memory of one stalled reader, most", `${whole(heldMost)} KiB`);
}
