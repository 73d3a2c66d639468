import { afterAll, describe, expect, test } from "bun:test";
import { FAULTS, faultySource, type Fault } from "./simulation/faults.ts";
import { run } from "./simulation/run.ts";
import { loadParts } from "./simulation/stores.ts";

/**
 * Every rule that the hub, its feeds and the drivers keep is broken alone, in a copy of the source, and the simulation
 * must find it: a checker that finds nothing in them would prove nothing of the real ones.
 *
 * Not here, because it cannot be broken alone:
 * - `feed.pending` in a heartbeat beside `hasAfter`: the log is only trimmed when a message is appended, which is then
 *   itself still to be sent, so one of the two always holds the heartbeat back. Both together are broken below.
 * - clearing the mark at a break beside comparing its epoch: broken together as well.
 * - dropping a page, or a shared read, that was begun before a break: what it holds was accepted, and its position is
 *   compared like any other, so the next read tells what became of it. The hub drops it to save that read.
 */

/** The rarest of them fails in about one run of a hundred. */
const ENOUGH_RUNS = 1000;
/** Of each fault's weather with nothing broken. */
const SOUND_RUNS = 15;

const sound = faultySource({ name: "none" });
afterAll(() => sound.remove());

/** The first seed whose run breaks a promise; null when none of them does. */
async function firstFailure(source: string, fault: Fault, runs: number): Promise<string | null> {
  const parts = await loadParts(source);
  for (let seed = 1; seed <= runs; seed++) {
    const setup = { parts, driver: fault.driver ?? "memory", seed, weather: fault.weather ?? {} } as const;
    const { failure } = await run({ ...setup, faults: fault.carrier ?? {} }, 400);
    if (failure !== null) return `seed ${seed}: ${failure}`;
  }
  return null;
}

describe("the simulation finds that", () => {
  for (const fault of FAULTS) {
    test(
      fault.name,
      async () => {
        const { source, remove } = faultySource(fault);
        try {
          expect(await firstFailure(source, fault, ENOUGH_RUNS)).toStartWith("seed ");
        } finally {
          remove();
        }
        expect(await firstFailure(sound.source, { ...fault, carrier: {} }, SOUND_RUNS)).toBeNull();
      },
      60_000,
    );
  }
});

test("a text that a fault replaces must stand in the source exactly once", () => {
  const edit = { file: "hub/hub.ts", find: "this text stands nowhere", replace: "" };
  expect(() => faultySource({ name: "wrong", edits: [edit] })).toThrow("stands 0 times");
});
