import { median } from "../figure.ts";

/** A line through values that were taken at even steps. */
export interface Trend {
  /** How much it rises from the first value to the last. */
  readonly growth: number;
  /** The growth lies between these with a confidence of 95 %. */
  readonly least: number;
  readonly most: number;
}

/** Of the standard normal distribution: what 95 % lie within. */
const Z_95 = 1.96;
/** Medians of so many stretches are looked at: samples that follow on each other are alike, and would feign certainty. */
const STRETCHES = 60;

/** The slope by Theil and Sen, with the interval by Kendall's test (Sen 1968): outliers do not move it. */
export function trendOf(samples: readonly number[]): Trend {
  const values = stretches(samples);
  const slopes: number[] = [];
  for (let i = 0; i < values.length; i++) {
    for (let j = i + 1; j < values.length; j++) slopes.push((values[j]! - values[i]!) / (j - i));
  }
  slopes.sort((a, b) => a - b);
  const n = values.length;
  const reach = Z_95 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (rank: number) => slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(rank)))] ?? Number.NaN;
  const steps = n - 1;
  return {
    growth: median(slopes) * steps,
    least: at((slopes.length - reach) / 2) * steps,
    most: at((slopes.length + reach) / 2) * steps,
  };
}

function stretches(samples: readonly number[]): number[] {
  const count = Math.min(STRETCHES, samples.length);
  return Array.from({ length: count }, (_, i) =>
    median(samples.slice(Math.floor((i * samples.length) / count), Math.floor(((i + 1) * samples.length) / count))),
  );
}
