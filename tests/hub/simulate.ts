/**
 * Runs the simulation of the hub for as long as is wanted:
 *
 *     bun tests/hub/simulate.ts --runs 2000 --steps 400 --seed 1 [--driver memory|sqlite|redis]
 *
 * Stops at the first run that breaks a promise, with its seed and its story. The same seed gives the same run.
 */
import { parseArgs } from "node:util";
import { endRedis } from "./simulation/redis-store.ts";
import { run, SOURCE, story } from "./simulation/run.ts";
import { type DriverName, loadParts } from "./simulation/stores.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "2000" },
    steps: { type: "string", default: "400" },
    seed: { type: "string", default: "1" },
    driver: { type: "string" },
    source: { type: "string", default: SOURCE },
    story: { type: "boolean", default: false },
    "go-on": { type: "boolean", default: false },
  },
});
const drivers: readonly DriverName[] =
  values.driver === "memory" || values.driver === "sqlite" || values.driver === "redis"
    ? [values.driver]
    : ["memory", "sqlite"];
const steps = Number(values.steps);
const first = Number(values.seed);
const runs = Number(values.runs);
const parts = await loadParts(values.source);
const startMs = performance.now();
let published = 0;
let received = 0;
let gaps = 0;
let failed = 0;

for (let i = 0; i < runs; i++) {
  const setup = { parts, driver: drivers[i % drivers.length]!, seed: first + i };
  if (values.story) console.log(await story(setup, steps));
  const outcome = await run(setup, steps);
  published += outcome.published;
  received += outcome.received;
  gaps += outcome.gaps;
  if (outcome.failure !== null) {
    failed += 1;
    process.exitCode = 1;
    if (values["go-on"]) {
      console.log(`seed ${setup.seed} on ${setup.driver}: ${outcome.failure}`);
    } else {
      console.log(await story(setup, steps));
      console.log(`\n--seed ${setup.seed} --driver ${setup.driver} --runs 1 --steps ${steps}`);
      break;
    }
  }
  if ((i + 1) % 500 === 0 || i + 1 === runs) {
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    console.log(
      `${i + 1} runs, ${failed} failed, ${published} messages published, ${received} received, ${gaps} gaps, ${seconds} s`,
    );
  }
}
await endRedis();
