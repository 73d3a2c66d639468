import { join } from "node:path";
import { Violation } from "./truth.ts";
import { type Setup, World } from "./world.ts";

/** The source tree that is tested unless another one is named. */
export const SOURCE = join(import.meta.dir, "../../../src");

export interface Outcome {
  readonly seed: number;
  readonly published: number;
  readonly received: number;
  readonly gaps: number;
  /** What promise was broken; null in a run that kept all. */
  readonly failure: string | null;
}

/** One whole run: some steps of whatever happens, then healing. Anything but a broken promise is thrown on. */
export async function run(setup: Setup, steps: number): Promise<Outcome> {
  const world = new World(setup);
  let failure: string | null = null;
  await world.open();
  try {
    for (let i = 0; i < steps; i++) {
      setup.trace?.(`-- ${i}`);
      await world.step();
    }
    setup.trace?.("-- everything heals");
    await world.heal();
  } catch (error) {
    failure = error instanceof Violation ? error.message : Bun.inspect(error);
  } finally {
    await world.close();
  }
  const { messages, gaps } = world.seen;
  return { seed: setup.seed, published: world.published, received: messages, gaps, failure };
}

/** The story of one run, step by step. */
export async function story(setup: Setup, steps: number): Promise<string> {
  const lines: string[] = [];
  const { failure } = await run({ ...setup, trace: (line) => void lines.push(line) }, steps);
  const told = lines.filter((line, i) => !line.startsWith("-- ") || lines[i + 1]?.startsWith("-- ") === false);
  return [...told, `=> ${failure ?? "every promise was kept"}`].join("\n");
}
