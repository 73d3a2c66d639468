import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Socket } from "bun";
import { BUILD, KEEP } from "../build.ts";
import { track } from "../process.ts";
import { SECRET } from "../servers.ts";
import { type Answer, faultOf, readAnswer } from "./fuzz-answer.ts";
import { type Facts, type Fuzzed, requestOf } from "./fuzz-requests.ts";
import { Gateway } from "./gateway.ts";
import { rssMiB } from "./linux.ts";
import type { Proof } from "./proof.ts";
import { Random } from "./random.ts";
import { type Report, whole } from "./report.ts";

const CONNECTIONS = 64;
/** Within this time a request that says where it ends must have its answer. */
const ANSWER_MS = 10_000;
/** How long is waited for an answer to bytes that may be no whole request. */
const QUIET_MS = 20;
const LOOK_MS = 5;
/**
 * When memory is looked at: before the half of the requests is through, and before the end. It grows before that: each
 * time that more large requests than ever come together, the allocator keeps what it got for them.
 */
const HALF = [0.4, 0.5] as const;
const END = [0.9, 1] as const;
const LAG_P999_MS = 50;
/** How much more memory there may be at the end. */
const GROWTH = 1.2;

const SETTINGS = {
  // Names are made up: those that are not published to any more are to be forgotten.
  SOCKET_MAX_CHANNELS: "1000",
  SOCKET_APP_HISTORY_BYTES: "16MiB",
};

export const fuzz: Proof<"requests" | "seed" | "first"> = {
  name: "fuzz",
  title:
    "A million requests, sound, wrong and mutated: each is answered in one of the known shapes, and nothing else happens",
  options: {
    requests: { what: "how many requests", full: 1_000_000, quick: 4000 },
    seed: { what: "of the requests", full: 1, quick: 1 },
    first: { what: "the number of the first request", full: 1, quick: 1 },
  },
  limitS: ({ requests }) => 120 + requests / 500,

  async prove(report, values) {
    const gateway = new Gateway(report, SETTINGS, this.limitS(values) + 60);
    await gateway.start();
    const facts = { epoch: await epochOf(gateway.port), now: Date.now() };
    const probe = startProbe(gateway.port, gateway.pid, this.limitS(values));
    const fuzzing = new Fuzzing(report, gateway.port, facts, values);
    const memory = watchMemory(gateway.pid, () => fuzzing.done / values.requests);
    const telling = setInterval(() => report.say(`${whole(fuzzing.done)} of ${whole(values.requests)}`), 10_000);
    const beganMs = performance.now();
    await fuzzing.run();
    const seconds = (performance.now() - beganMs) / 1000;
    clearInterval(telling);
    const lag = await probe.end();
    const { half, end } = memory.end();
    await gateway.stop();

    report.figure("requests", `${whole(fuzzing.done)}, ${whole(fuzzing.done / seconds)} a second`);
    for (const [what, count] of [...fuzzing.counts].sort(([a], [b]) => (a < b ? -1 : 1)))
      report.figure(what, whole(count));
    report.figure(`${whole(lag.count)} times GET /healthz beside it`, shown(lag.took));
    report.figure("without waiting for a core of the machine", shown(lag.held));
    report.figure("memory after half of them", `${whole(half)} MiB`);
    if (values.requests < this.options.requests.full) return report.figure("memory at the end", `${whole(end)} MiB`);
    // Of fewer requests both would be figures of a process that has just been started.
    report.atMost("p99.9 of that, which is about the event loop's lag", lag.held.p999, LAG_P999_MS, "ms");
    report.atMost("memory at the end", end, half * GROWTH, "MiB");
  },
};

async function epochOf(port: number): Promise<string> {
  const headers = { Authorization: `key=${SECRET}` };
  const response = await fetch(`http://127.0.0.1:${port}/chat/send?channel=news`, { method: "POST", headers });
  const { data } = (await response.json()) as { data: { id: string } };
  return data.id.split("-")[0]!;
}

interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** In milliseconds: `held` without the time for which the machine had no core for the server or the probe. */
interface Lag {
  readonly count: number;
  readonly took: Times;
  readonly held: Times;
}

function shown({ p50, p99, p999, max }: Times): string {
  return `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, p99.9 ${p999.toFixed(1)}, max ${max.toFixed(1)} ms`;
}

function startProbe(port: number, pid: number, lifeS: number): { end(): Promise<Lag> } {
  const command = [
    KEEP,
    String(Math.ceil(lifeS)),
    process.execPath,
    join(import.meta.dir, "fuzz-probe.ts"),
    String(port),
    String(pid),
  ];
  const child = track(Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" }));
  return {
    async end() {
      await child.stdin.end();
      return JSON.parse(await new Response(child.stdout).text()) as Lag;
    },
  };
}

/** Medians of what the process held. */
function watchMemory(pid: number, share: () => number): { end(): { half: number; end: number } } {
  const looks: { share: number; mib: number }[] = [];
  const look = () => looks.push({ share: share(), mib: rssMiB(pid) });
  const timer = setInterval(look, 200);
  const median = ([from, to]: readonly [number, number]): number => {
    const mibs = looks.filter((one) => one.share >= from && one.share <= to).map(({ mib }) => mib);
    return mibs.sort((a, b) => a - b)[mibs.length >> 1] ?? 0;
  };
  return {
    end() {
      clearInterval(timer);
      look();
      return { half: median(HALF), end: median(END) };
    },
  };
}

/** All connections, each with one request at a time. */
class Fuzzing {
  done = 0;
  /** How often there was what: `answers 200`, `streams`. */
  readonly counts = new Map<string, number>();
  readonly #report: Report;
  readonly #port: number;
  readonly #facts: Facts;
  readonly #values: Readonly<Record<"requests" | "seed" | "first", number>>;
  #next = 0;

  constructor(
    report: Report,
    port: number,
    facts: Facts,
    values: Readonly<Record<"requests" | "seed" | "first", number>>,
  ) {
    this.#report = report;
    this.#port = port;
    this.#facts = facts;
    this.#values = values;
  }

  async run(): Promise<void> {
    const lines = Array.from({ length: CONNECTIONS }, () => new Line(this.#port));
    const looking = setInterval(() => {
      const now = performance.now();
      for (const line of lines) line.look(now);
    }, LOOK_MS);
    await Promise.all(lines.map((line) => this.#use(line)));
    clearInterval(looking);
    for (const line of lines) line.drop();
  }

  async #use(line: Line): Promise<void> {
    while (this.#next < this.#values.requests) {
      const number = this.#values.first + this.#next++;
      // So mixed that the numbers of one seed are not those of the next one, moved by one.
      const request = requestOf(
        new Random(Math.imul(this.#values.seed, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b)),
        this.#facts,
      );
      const outcome = await line.exchange(request);
      const fault = this.#judge(request, outcome);
      const claim = this.#report.claim(
        "a request is answered in time, in one of the known shapes, and never with a 5xx",
      );
      claim.check(fault === null, () => `${fault}: ${this.#told(number, request)}`);
      this.done += 1;
    }
  }

  #judge(request: Fuzzed, outcome: Outcome): string | null {
    if (outcome instanceof Error) return outcome.message;
    if (typeof outcome === "string") {
      this.#count(`${outcome}, without an answer`);
      return request.framed ? `${outcome}, without an answer` : null;
    }
    this.#count(outcome.isStream ? "streams" : `answers ${outcome.status}${outcome.isBare ? " by Bun itself" : ""}`);
    try {
      const fault = faultOf(outcome, request.method);
      if (fault !== null || request.status === null) return fault;
    } catch (error) {
      return String(error);
    }
    const claim = this.#report.claim("a request with nothing wrong in it is taken");
    claim.check(outcome.status === request.status, () => `${outcome.status} ${outcome.body.slice(0, 200)}`);
    return outcome.status === request.status ? null : `a ${outcome.status} to what is right`;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** How to see it again: the number with the seed, and the bytes themselves in a file. */
  #told(number: number, { bytes }: Fuzzed): string {
    const path = join(BUILD, `fuzz-${this.#values.seed}-${number}.bin`);
    writeFileSync(path, bytes);
    return `bun run prove fuzz --seed ${this.#values.seed} --first ${number} --requests 1, or the bytes in ${path}: ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`;
  }
}

/** An answer; how it ended without one; or what was no HTTP. */
type Outcome = Answer | "closed" | "quiet" | "cut short" | Error;

/** One connection, opened again when it was closed. */
class Line {
  readonly #port: number;
  #socket: Socket | null = null;
  #request: Fuzzed | null = null;
  #unsent: Buffer = Buffer.alloc(0);
  #text = "";
  #untilMs = 0;
  #settle: (outcome: Outcome) => void = () => undefined;

  constructor(port: number) {
    this.#port = port;
  }

  async exchange(request: Fuzzed): Promise<Outcome> {
    this.#socket ??= await this.#open();
    this.#text = "";
    this.#request = request;
    this.#unsent = request.bytes;
    this.#untilMs = performance.now() + (request.framed ? ANSWER_MS : QUIET_MS);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#settle = resolve;
    this.#write();
    const outcome = await promise;
    this.#request = null;
    if (!request.framed || !stays(request, outcome)) this.drop();
    return outcome;
  }

  /** To be called now and then: whether what is waited for is late. */
  look(now: number): void {
    if (this.#request !== null && now > this.#untilMs) this.#settle("quiet");
  }

  /** With a reset, so that no port waits. */
  drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.terminate();
  }

  #open(): Promise<Socket> {
    return Bun.connect({
      hostname: "127.0.0.1",
      port: this.#port,
      socket: {
        data: (socket, bytes) => {
          if (socket === this.#socket) this.#take(bytes);
        },
        drain: (socket) => {
          if (socket === this.#socket) this.#write();
        },
        close: (socket) => {
          if (socket !== this.#socket) return;
          this.#socket = null;
          this.#settle("closed");
        },
        error: () => undefined, // a reset: `close` follows
      },
    });
  }

  #write(): void {
    if (this.#unsent.length === 0) return;
    const written = this.#socket!.write(this.#unsent);
    if (written > 0) this.#unsent = this.#unsent.subarray(written);
  }

  #take(bytes: Buffer): void {
    if (this.#request === null) return;
    this.#text += bytes.toString("latin1");
    try {
      const answer = readAnswer(this.#text, this.#request.method, this.#request.framed);
      if (answer !== null) this.#settle(answer);
    } catch (error) {
      // Bun answers what follows a request into the answer that is under way: README.md, "Do not pipeline".
      const isBunsOwn = !this.#request.framed && /\nHTTP\/1\.1 (?:400|431|505) /.test(this.#text);
      this.#settle(isBunsOwn ? "cut short" : (error as Error));
    }
  }
}

/** Whether the connection takes another request: as the answer says, and as Bun does without saying so. */
function stays({ bytes }: Fuzzed, outcome: Outcome): boolean {
  if (typeof outcome === "string" || outcome instanceof Error) return false;
  if (outcome.isStream || outcome.isBare || outcome.headers.get("connection") === "close") return false;
  return !/ HTTP\/1\.0\r\n|\r\nConnection: /.test(bytes.toString("latin1", 0, bytes.indexOf("\r\n\r\n")));
}
