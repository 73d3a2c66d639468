import { expect, test } from "bun:test";
import { Random } from "../../bench/proofs/random.ts";
import { trendOf } from "../../bench/proofs/trend.ts";

const SAMPLES = 1200;

/** Memory as garbage collection leaves it: 150 rising to 190 and falling back, over and over, with some noise. */
function sawtooth(growth: number): number[] {
  const random = new Random(1);
  return Array.from({ length: SAMPLES }, (_, i) => 150 + (i % 37) + 4 * random.next() + (growth * i) / SAMPLES);
}

test("a sawtooth that does not grow has no trend", () => {
  const { growth, least, most } = trendOf(sawtooth(0));
  expect(Math.abs(growth)).toBeLessThan(2);
  expect(least).toBeLessThan(0);
  expect(most).toBeGreaterThan(0);
});

test("growth far below the height of a tooth is found, within its interval", () => {
  const { growth, least, most } = trendOf(sawtooth(20));
  expect(growth).toBeCloseTo(20, -1);
  expect(least).toBeGreaterThan(10);
  expect(most).toBeLessThan(30);
});

test("a few outliers move nothing", () => {
  const samples = sawtooth(0).map((value, i) => (i % 200 > 190 ? value + 500 : value));
  expect(Math.abs(trendOf(samples).growth)).toBeLessThan(3);
});
