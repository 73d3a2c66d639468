import { expect, test } from "bun:test";
import { drain } from "../src/drain.ts";

/** Counts streams as the hub does, and notes how many are ended in each turn of the event loop. */
class Counted {
  readonly turns: number[] = [];
  #left: number;
  #turn = false;

  constructor(streams: number) {
    this.#left = streams;
  }

  streams(): number {
    return this.#left;
  }

  closeSome(count: number): void {
    const ended = Math.min(count, this.#left);
    this.#left -= ended;
    if (this.#turn) this.turns[this.turns.length - 1]! += ended;
    else this.turns.push(ended);
    this.#turn = true;
    setImmediate(() => (this.#turn = false));
  }
}

test.each([0, 50])("10,000 streams are ended in short turns, over a window of %p ms", async (windowMs) => {
  const hub = new Counted(10_000);
  await drain(hub, windowMs, () => performance.now());
  expect(hub.streams()).toBe(0);
  expect(Math.max(...hub.turns)).toBeLessThanOrEqual(64);
});

test("streams are ended evenly, few or many, and the last as the window ends", async () => {
  for (const streams of [1, 3, 50]) {
    const hub = new Counted(streams);
    const left: number[] = [];
    // A clock that goes on by a tenth of the window whenever it is looked at.
    let ms = 0;
    const elapsed = (): number => {
      left.push(hub.streams());
      return ms++ * 10;
    };
    await drain(hub, 100, elapsed);
    expect(left.slice(1, 11)).toEqual(
      Array.from({ length: 10 }, (_, i) => (i === 0 ? streams : Math.floor((streams * (10 - i)) / 10))),
    );
    expect(hub.streams()).toBe(0);
  }
});
