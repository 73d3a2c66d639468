/** How many values were at most as large as each of some bounds. Adding one takes some 50 ns and no memory. */
export class Distribution {
  /** In ascending order; a value above the last one is counted as well. */
  readonly bounds: readonly number[];
  /** Of the values that are above the bound before and not above this one; the last is above all bounds. */
  readonly counts: readonly number[];
  readonly #counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  add(value: number): void {
    this.sum += value;
    let i = 0;
    while (i < this.bounds.length && value > this.bounds[i]!) i += 1;
    this.#counts[i]! += 1;
  }
}

/** From half a millisecond, which is a turn of the event loop, to what a reader notices, and far beyond. */
export const SECONDS: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
