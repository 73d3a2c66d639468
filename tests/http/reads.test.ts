import { expect, test } from "bun:test";
import { Reads } from "../../src/http/reads.ts";

/** Reads by hand, and reads that each take `ms` of the turn that they are in. */
function byHand() {
  let now = 0;
  const later: (() => void)[] = [];
  const order: string[] = [];
  const turns = new Reads(
    () => now,
    (run) => later.push(run),
  );
  const read = (app: string, name: string, ms: number): Promise<string> =>
    turns.run(app, () => {
      now += ms;
      order.push(name);
      return Promise.resolve(name);
    });
  const turn = (): void => later.splice(0).forEach((run) => run());
  return { turns, read, turn, order };
}

test("reads that arrive together hold no turn for longer than one of them takes beyond the limit", async () => {
  const { read, turn, order } = byHand();
  const reads = Array.from({ length: 7 }, (_, i) => read("a", String(i), 2));
  const seen = [order.length];
  for (let i = 0; i < 2; i++) {
    turn();
    seen.push(order.length);
  }
  expect(seen).toEqual([3, 6, 7]);
  expect(await Promise.all(reads)).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
});

test("an app does not wait for all the reads of another", async () => {
  const { read, turn, order } = byHand();
  const reads = Array.from({ length: 4 }, (_, i) => read("large", `large ${i}`, 9));
  const small = read("small", "small", 1);
  turn();
  expect(order).toEqual(["large 0", "large 1"]);
  turn();
  expect(await small).toBe("small");
  for (let i = 0; i < 3; i++) turn();
  expect(await Promise.all(reads)).toHaveLength(4);
});

test("a read that fails is told to its caller alone, and the next one goes on", async () => {
  const { turns, read, turn } = byHand();
  await read("a", "long", 9);
  const failing = turns.run("a", () => Promise.reject(new Error("away")));
  const next = read("a", "next", 1);
  const failed = failing.catch((error: unknown) => (error as Error).message);
  turn();
  expect(await failed).toBe("away");
  expect(await next).toBe("next");
});
