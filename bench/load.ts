import { appendFileSync } from "node:fs";
import { KEEP, LOAD, RUNS } from "./build.ts";
import { LIFE_S, quiet, track } from "./process.ts";
import type { Server } from "./servers.ts";

export interface Times {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What the load generator prints; times in milliseconds where the name says so. See `load/main.c`. */
export interface Result {
  readonly open: {
    readonly streams: number;
    readonly refused: number;
    readonly closedEarly: number;
    readonly seconds: number;
    readonly perSecond: number;
    readonly replayed: number;
    readonly replayComplete: number;
    readonly replaySurplus: number;
    readonly replaySeconds: number;
    readonly firstRefusal: string;
  };
  readonly publish: {
    readonly sent: number;
    readonly answered: number;
    readonly failed: number;
    readonly seconds: number;
    readonly perSecond: number;
    readonly latencyMs: Times;
    readonly firstFailure: string;
  };
  readonly deliveries: {
    readonly expected: number;
    readonly received: number;
    readonly lost: number;
    readonly doubled: number;
    readonly foreign: number;
    readonly seconds: number;
    readonly perSecond: number;
    readonly bytes: number;
    readonly latencyMs: Times;
    readonly toLastMs: Times;
    /** `latencyMs` by the parts of the run that `part` began. */
    readonly parts: readonly { readonly latencyMs: Times }[];
  };
  readonly server: {
    readonly cpuSeconds: number;
    readonly cpuMicrosPerDelivery: number;
    readonly rssBeforeKiB: number;
    readonly rssAfterKiB: number;
  };
  readonly loadCpuSeconds: number;
  readonly overLimit: boolean;
}

/** Options of `load/options.h`, in camel case; `true` is a flag. */
export type Options = Record<string, string | number | boolean | string[]>;

function words(server: Server, options: Options): string[] {
  const all: Options = { port: server.port, pids: server.pids, ...server.publish, ...options };
  return Object.entries(all).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === false) return [];
    if (value === true) return [flag];
    return (Array.isArray(value) ? value : [value]).flatMap((one) => [flag, String(one)]);
  });
}

/** What went wrong in a run, in words; empty when every stream opened and every delivery came, once. */
export function faults(result: Result): string[] {
  const { open, publish, deliveries } = result;
  return [
    [open.refused, `streams refused (${open.firstRefusal.slice(0, 80)})`],
    [open.closedEarly, "streams closed early"],
    [publish.failed, `publishes failed (${publish.firstFailure.slice(0, 80)})`],
    [publish.sent - publish.answered, "publishes without an answer"],
    [deliveries.lost, "deliveries lost"],
    [deliveries.doubled, "deliveries doubled"],
    [deliveries.foreign, "deliveries on a stream that should not get them"],
    [open.replaySurplus, "more replayed than asked for"],
  ]
    .filter(([count]) => (count as number) > 0)
    .map(([count, what]) => `${count} ${what}`);
}

/** A load generator that has opened its streams and waits. */
export interface Held {
  /** Lets it publish (with the option `wait`). */
  go(): void;
  /** Begins a new part of the run, of which the latencies are told for themselves. */
  part(): void;
  /** Lets it go on and end, and gives what it saw. */
  result(): Promise<Result>;
}

/** Starts a load; with the option `wait` this resolves once its streams are open. */
export async function hold(server: Server, options: Options): Promise<Held> {
  const command = [KEEP, String(LIFE_S), LOAD, ...words(server, options)];
  const child = track(Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" }));
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let text = "";
  const line = async (): Promise<string> => {
    for (let end; ;) {
      if ((end = text.indexOf("\n")) >= 0) {
        const found = text.slice(0, end);
        text = text.slice(end + 1);
        return found;
      }
      const { value, done } = await reader.read();
      if (done) throw new Error(`the load generator ended without a result (exit ${await child.exited})`);
      text += decoder.decode(value);
    }
  };
  if (options["wait"] === true) await line();
  const tell = (word: string) => {
    void child.stdin.write(`${word}\n`);
    void child.stdin.flush();
  };
  return {
    go: () => tell("go"),
    part: () => tell("part"),
    async result() {
      await child.stdin.end();
      const result = JSON.parse(await line()) as Result;
      await child.exited;
      appendFileSync(RUNS, `${JSON.stringify({ server: server.name, options, result })}\n`);
      return result;
    },
  };
}

/** One run of the load generator against one server; resolves when the server has come to rest after it. */
export async function load(server: Server, options: Options): Promise<Result> {
  const result = await (await hold(server, options)).result();
  await quiet(server.pids);
  return result;
}
