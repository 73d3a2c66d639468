import { expect, test } from "bun:test";
import { DescriptorGuard, streamsBelow } from "../src/descriptors.ts";

/** A process with 1,000 descriptors, of which the lowest are open. */
class Process {
  readonly limit = 1000;
  used = 100;
  readonly told: string[] = [];
  readonly guard = new DescriptorGuard(
    {
      limit: this.limit,
      lowestFree: () => (this.used >= this.limit ? Infinity : this.used),
      open: () => this.used,
      reserve: (count) => {
        this.used += count;
        return () => (this.used -= count);
      },
    },
    { pause: () => this.tell("pause"), resume: () => this.tell("resume") },
    () => this.tell("end idle"),
    () => undefined,
  );
  #nowMs = 0;

  tell(what: string): true {
    this.told.push(what);
    return true;
  }

  /** What the guard did over so many seconds, looking ten times in each. */
  after(seconds: number): readonly string[] {
    for (let look = 0; look < seconds * 10; look++) this.guard.look((this.#nowMs += 100));
    return this.told.splice(0);
  }
}

test("nothing happens far from the limit", () => {
  const process = new Process();
  process.used = 899;
  expect(process.after(60)).toEqual([]);
});

test("close to the limit idle connections are ended, now and then", () => {
  const process = new Process();
  process.used = 900;
  expect(process.after(14)).toEqual(["end idle"]);
  expect(process.after(15)).toEqual(["end idle"]);
});

test("at the limit connections wait until a tenth is free, and idle ones are ended only when that takes long", () => {
  const process = new Process();
  process.used = process.limit;
  expect(process.after(15)).toEqual(["pause"]);
  expect(process.after(2)).toEqual(["end idle"]);
  process.used = 895; // with the reserve it would not be enough
  expect(process.after(5)).toEqual([]);
  process.used = 890;
  expect(process.after(5)).toEqual(["resume"]);
});

test("at the limit the reserve is there for the process itself", () => {
  const process = new Process();
  const reserved = process.used - 100;
  expect(reserved).toBeGreaterThan(0);
  process.used = process.limit;
  process.after(1);
  expect(process.used).toBe(process.limit - reserved);
  process.used = 500;
  process.after(2);
  expect(process.used).toBe(500 + reserved);
  process.guard.end();
  expect(process.used).toBe(500);
});

test("streams leave descriptors to the process and to other connections", () => {
  expect(streamsBelow({ limit: 1024 })).toBe(793);
  expect(streamsBelow({ limit: 128 })).toBe(76);
  expect(streamsBelow({ limit: 16 })).toBe(1);
  expect(streamsBelow(null)).toBe(0);
});
