import { expect, test } from "bun:test";
import { Unexpected } from "../../src/http/unexpected.ts";

test("errors are counted in the lines that tell them, other lines are as they were", () => {
  const lines: unknown[] = [];
  const { log } = new Unexpected((...line) => lines.push(line));
  log("info", "one", { a: 1 });
  log("error", "two", { a: 2 });
  log("warn", "three");
  log("error", "four");
  expect(lines).toEqual([
    ["info", "one", { a: 1 }],
    ["error", "two", { a: 2, errors: 1 }],
    ["warn", "three", undefined],
    ["error", "four", { errors: 2 }],
  ]);
});

test("a log that throws is no reason to throw, and its errors count", () => {
  const unexpected = new Unexpected(() => {
    throw new Error("no log");
  });
  unexpected.log("error", "one");
  unexpected.guard(() => {
    throw new Error("two");
  })();
  expect(unexpected.count).toBe(2);
});
