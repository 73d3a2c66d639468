import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { Queue } from "../../src/hub/queue.ts";

test("a queue gives what an array gives, in whatever order it is filled and emptied", () => {
  // runs of one kind, so that the head moves past the place where the array is cut
  const runs = fc.array(fc.record({ push: fc.boolean(), times: fc.integer({ min: 1, max: 1500 }) }), { maxLength: 12 });
  fc.assert(
    fc.property(runs, (steps) => {
      const queue = new Queue<number>();
      const model: number[] = [];
      let next = 0;
      for (const { push, times } of steps) {
        for (let i = 0; i < times; i++) {
          if (push) {
            queue.push(next);
            model.push(next++);
          } else if (queue.shift() !== model.shift()) return false;
        }
        if (queue.size !== model.length) return false;
      }
      return true;
    }),
    { numRuns: 50, seed: 1 },
  );
});

test("an empty queue gives nothing, and takes again", () => {
  const queue = new Queue<string>();
  expect(queue.shift()).toBeUndefined();
  queue.push("a");
  expect(queue.shift()).toBe("a");
  expect(queue.shift()).toBeUndefined();
  expect(queue.size).toBe(0);
});
