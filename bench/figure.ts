/** What a figure must reach: `ours` divided by the other, at most or at least so much. */
export interface Target {
  readonly is: "<=" | ">=";
  readonly ratio: number;
}

/** One line of the result: two medians and their ratio. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  readonly oursRuns: readonly number[];
  readonly against: string;
  readonly other: number;
  readonly otherRuns: readonly number[];
  /** `ours / other`, of the medians. */
  readonly ratio: number;
  /** Null for a figure that is shown and not judged. */
  readonly target: Target | null;
  /** What went wrong in the runs of ours: with any, the target is missed. */
  readonly faults: readonly string[];
  /** What went wrong in the runs of the other. */
  readonly otherFaults: readonly string[];
}

/** The values of all runs of one server, and what went wrong in them. */
export interface Series {
  readonly name: string;
  readonly runs: readonly number[];
  readonly faults: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function atMost(ratio: number): Target {
  return { is: "<=", ratio };
}

export function atLeast(ratio: number): Target {
  return { is: ">=", ratio };
}

/** Ours beside another server, or beside ours under another condition. */
export function compare(what: string, unit: string, ours: Series, other: Series, target: Target | null): Figure {
  return {
    what,
    unit,
    ours: median(ours.runs),
    oursRuns: ours.runs,
    against: other.name,
    other: median(other.runs),
    otherRuns: other.runs,
    ratio: median(ours.runs) / median(other.runs),
    target,
    faults: ours.faults,
    otherFaults: other.faults,
  };
}

/** Ours beside a fixed limit, which it must not pass. */
export function within(what: string, unit: string, ours: Series, limit: number): Figure {
  return compare(what, unit, ours, { name: `limit`, runs: [limit], faults: [] }, atMost(1));
}

export function verdict(figure: Figure): "pass" | "miss" | "shown" {
  const { target, ratio, faults } = figure;
  if (target === null) return "shown";
  if (faults.length > 0 || Number.isNaN(ratio)) return "miss";
  return (target.is === "<=" ? ratio <= target.ratio : ratio >= target.ratio) ? "pass" : "miss";
}
