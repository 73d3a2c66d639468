import { afterAll, describe, expect, test } from "bun:test";
import { program } from "../setup/programs.ts";
import { endRedis } from "./simulation/redis-store.ts";
import { run, SOURCE, story } from "./simulation/run.ts";
import { type DriverName, loadParts } from "./simulation/stores.ts";

/** Many more, and longer ones: `bun tests/hub/simulate.ts --runs 10000 --steps 400`. */
const RUNS: readonly { readonly driver: DriverName; readonly runs: number; readonly steps: number }[] = [
  { driver: "memory", runs: 500, steps: 400 },
  { driver: "sqlite", runs: 250, steps: 400 },
  { driver: "memory", runs: 8, steps: 4000 },
  { driver: "sqlite", runs: 4, steps: 4000 },
  ...(program("redis-server") === null ? [] : [{ driver: "redis", runs: 40, steps: 400 } as const]),
];
afterAll(endRedis);

describe("whatever happens, every listener sees every message once and in order, or is told", () => {
  for (const { driver, runs, steps } of RUNS) {
    test(`${runs} runs of ${steps} steps over the ${driver} driver`, async () => {
      const parts = await loadParts(SOURCE);
      let received = 0;
      for (let seed = 1; seed <= runs; seed++) {
        const outcome = await run({ parts, driver, seed }, steps);
        if (outcome.failure !== null) throw new Error(await story({ parts, driver, seed }, steps));
        received += outcome.received;
      }
      expect(received).toBeGreaterThan(10 * runs); // the runs are not empty
    }, 60_000);
  }

  test("the same seed gives the same run", async () => {
    const parts = await loadParts(SOURCE);
    const setup = { parts, driver: "memory", seed: 7 } as const;
    expect(await story(setup, 400)).toBe(await story(setup, 400));
  });
});
