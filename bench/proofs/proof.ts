import type { ProgramName } from "../../tests/setup/programs.ts";
import type { Report } from "./report.ts";

/** A number that the command line may set: `--rounds 100`. */
export interface Option {
  readonly what: string;
  readonly full: number;
  /** In a `--quick` run. */
  readonly quick: number;
}

/** One thing that is proved of the real server, by what is seen from outside of it. */
export interface Proof<Names extends string = string> {
  /** Stable: what is given on the command line. */
  readonly name: string;
  readonly title: string;
  /** Programs without which it cannot run. */
  readonly needs?: readonly ProgramName[];
  readonly options: Readonly<Record<Names, Option>>;
  /** The longest that it may take: whatever is missing by then does not come any more. */
  limitS(values: Readonly<Record<Names, number>>): number;
  /** Rejects with CouldNotRun where it needs what this machine does not have. */
  prove(report: Report, values: Readonly<Record<Names, number>>): Promise<void>;
}

/** Nothing was proved, and nothing refuted. */
export class CouldNotRun extends Error {}
