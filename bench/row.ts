import type { Figure, Series } from "./figure.ts";
import type { ProgramName } from "../tests/setup/programs.ts";
import { faults, type Result } from "./load.ts";
import type { Server } from "./servers.ts";

/** How this run of the bench is made. */
export interface Bench {
  /** How often everything is measured. */
  readonly runs: number;
  /** A smoke run: everything is small and short, and no figure of it means anything. */
  readonly quick: boolean;
  /** See `findNchan`. */
  readonly nchan: string | null;
  /** `full`, or in a quick run `small`. */
  size(full: number, small: number): number;
  /** Tells how far it is. */
  say(text: string): void;
}

/** One thing that is measured. */
export interface Row {
  /** Stable: what is given on the command line. */
  readonly name: string;
  readonly title: string;
  /** The most sockets that one process holds. */
  readonly sockets: number;
  /** Programs without which it is left out. */
  readonly needs?: readonly ProgramName[];
  run(bench: Bench): Promise<Figure[]>;
}

/** Something that is measured in turn with others. */
export interface Contender {
  readonly name: string;
  measure(round: number): Promise<Result>;
}

/** All results of one contender. */
export class Results {
  readonly name: string;
  readonly all: Result[] = [];

  constructor(name: string) {
    this.name = name;
  }

  series(value: (result: Result) => number): Series {
    return { name: this.name, runs: this.all.map(value), faults: [...new Set(this.all.flatMap(faults))] };
  }
}

/** Measures each contender once a round; every other round goes in the opposite order. */
export async function alternate(bench: Bench, contenders: readonly Contender[]): Promise<Results[]> {
  const results = contenders.map(({ name }) => new Results(name));
  for (let round = 0; round < bench.runs; round++) {
    const order = contenders.map((_, i) => i);
    if (round % 2 === 1) order.reverse();
    for (const i of order) results[i]!.all.push(await contenders[i]!.measure(round));
    bench.say(`round ${round + 1} of ${bench.runs}`);
  }
  return results;
}

/** Runs `use` with servers that are all stopped after it, also when one of them does not start. */
export async function withServers<T>(
  starts: readonly Promise<Server>[],
  use: (servers: Server[]) => Promise<T>,
): Promise<T> {
  const started = await Promise.allSettled(starts);
  try {
    return await use(
      started.map((one) => {
        if (one.status === "rejected") throw one.reason;
        return one.value;
      }),
    );
  } finally {
    await Promise.all(started.filter((one) => one.status === "fulfilled").map((one) => one.value.stop()));
  }
}

/** The result under that name; undefined where the rival was left out. */
export function named(results: readonly Results[], name: string): Results | undefined {
  return results.find((one) => one.name === name);
}
