import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Buckets } from "../../src/auth/buckets.ts";

/** Takes it if it can be had at once. */
function take(buckets: Buckets, key: string, rate: number, count: number, nowMs: number): boolean {
  if (buckets.waitMs(key, rate, count, nowMs) > 0) return false;
  buckets.take(key, rate, count, nowMs);
  return true;
}

describe("a bucket", () => {
  test("holds what its rate gives in a second, and fills evenly", () => {
    const buckets = new Buckets();
    for (let i = 0; i < 3; i++) expect(take(buckets, "a", 3, 1, 5000)).toBe(true);
    expect(buckets.waitMs("a", 3, 1, 5000)).toBeCloseTo(1000 / 3);
    expect(take(buckets, "a", 3, 1, 5333)).toBe(false);
    expect(take(buckets, "a", 3, 1, 5334)).toBe(true);
    expect(take(buckets, "a", 3, 1, 5335)).toBe(false);
    for (let i = 0; i < 3; i++) expect(take(buckets, "a", 3, 1, 60_000)).toBe(true);
    expect(take(buckets, "a", 3, 1, 60_000)).toBe(false);
  });

  test("that is full gives more than it holds, and owes the rest", () => {
    const buckets = new Buckets();
    expect(take(buckets, "a", 2, 10, 0)).toBe(true);
    expect(buckets.waitMs("a", 2, 1, 0)).toBe(4500);
    expect(buckets.waitMs("a", 2, 10, 0)).toBe(5000);
    expect(take(buckets, "a", 2, 10, 4999)).toBe(false);
    expect(take(buckets, "a", 2, 10, 5000)).toBe(true);
  });

  test("is its key's own", () => {
    const buckets = new Buckets();
    expect(take(buckets, "a", 1, 1, 0)).toBe(true);
    expect(take(buckets, "b", 1, 1, 0)).toBe(true);
    expect(take(buckets, "a", 1, 1, 0)).toBe(false);
  });

  test("gives in any time what its rate says and one second's worth more, and no less than the rate", () => {
    const steps = fc.array(fc.record({ ms: fc.nat(700), count: fc.integer({ min: 1, max: 4 }) }), { minLength: 1 });
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 50 }), steps, (rate, asked) => {
        const buckets = new Buckets();
        let [nowMs, given] = [0, 0];
        for (const { ms, count } of asked) {
          nowMs += ms;
          const waitMs = buckets.waitMs("a", rate, count, nowMs);
          if (waitMs > 0) nowMs += Math.ceil(waitMs);
          expect(take(buckets, "a", rate, count, nowMs)).toBe(true); // the wait that was told was enough
          given += count;
          expect(given).toBeLessThanOrEqual(rate * (nowMs / 1000 + 1) + 1e-6);
        }
      }),
    );
  });
});
