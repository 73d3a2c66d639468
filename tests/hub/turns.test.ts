import { expect, test } from "bun:test";
import { Lane, Turns } from "../../src/hub/turns.ts";

/** Work of so many writes, done one write at a time and added again until it is done. */
class Work {
  queued = false;
  readonly name: string;
  left: number;

  constructor(name: string, writes: number) {
    this.name = name;
    this.left = writes;
  }
}

/** Runs turns by hand, and notes whose writes each one made: `big 56, small 1`. */
class Loop {
  readonly turns: Turns<Work>;
  readonly #lanes = new Map<Work, Lane<Work>>();
  #scheduled: (() => void) | null = null;
  #writes = new Map<string, number>();

  constructor(turnWrites: number) {
    this.turns = new Turns<Work>({
      schedule: (run) => (this.#scheduled = run),
      turnWrites,
      run: (work) => {
        while (work.left > 0 && this.turns.room) {
          work.left -= 1;
          this.turns.spend(1);
          this.#writes.set(work.name, (this.#writes.get(work.name) ?? 0) + 1);
        }
        if (work.left > 0) this.add(work);
      },
      failed: (_work, error) => {
        throw error;
      },
    });
  }

  add(work: Work): void {
    let lane = this.#lanes.get(work);
    if (lane === undefined) this.#lanes.set(work, (lane = new Lane()));
    this.turns.add(lane, work, false);
  }

  turn(): string {
    const run = this.#scheduled;
    this.#scheduled = null;
    this.#writes = new Map();
    run?.();
    return [...this.#writes].map(([name, writes]) => `${name} ${writes}`).join(", ");
  }
}

test("an app that gets work is sent to in the next turn, however much another one has left", () => {
  const loop = new Loop(64);
  loop.add(new Work("big", 10_000));
  expect(loop.turn()).toBe("big 64");
  loop.add(new Work("small", 1));
  expect(loop.turn()).toBe("small 1, big 63");
  expect(loop.turn()).toBe("big 64");
});

test("apps that have more than a few writes take turns with each other", () => {
  const loop = new Loop(64);
  loop.add(new Work("a", 100));
  loop.add(new Work("b", 100));
  expect(loop.turn()).toBe("a 56, b 8");
  expect(loop.turn()).toBe("b 64");
  expect(loop.turn()).toBe("a 44");
  expect(loop.turn()).toBe("b 28");
});

test("apps that get a little work again and again leave half of each turn to one that has much", () => {
  const loop = new Loop(64);
  loop.add(new Work("big", 10_000));
  loop.turn();
  for (let i = 0; i < 10; i++) {
    for (let one = 0; one < 100; one++) loop.add(new Work("small", 8));
    expect(loop.turn()).toBe("small 32, big 32");
  }
});

test("work that costs more than a turn has keeps no other from its turn", () => {
  const loop = new Loop(1);
  loop.add(new Work("big", 3));
  loop.turn();
  const small = new Work("small", 1);
  loop.add(small);
  expect(loop.turn()).toBe("small 1, big 1");
});
