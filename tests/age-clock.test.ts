import { describe, expect, test } from "bun:test";
import { AgeClock } from "../src/age-clock.ts";
import { openBroker } from "../src/broker/open.ts";
import { Ear, Settings, draft, folder, read, trimAll } from "./broker/fixture.ts";

const HOUR_MS = 3_600_000;

/** The two clocks of a machine, and what is told of them. */
class Clocks {
  wallMs = 1_900_000_000_000;
  steadyMs = 0;
  readonly told: string[] = [];
  readonly ages = new AgeClock({ now: () => this.wallMs, elapsed: () => this.steadyMs }, (level, message, fields) =>
    this.told.push(`${level}: ${message} ${JSON.stringify(fields)}`),
  );

  pass(ms: number): void {
    this.wallMs += ms;
    this.steadyMs += ms;
  }

  /** The wall clock is set, while no time passes. */
  jump(ms: number): void {
    this.wallMs += ms;
  }
}

const FORWARD = "warn: the clock went forward: for ten minutes nothing is dropped for the age that gives it";
const BACK = "warn: the clock went back: messages are given the time of the newest until it has caught up";

test("ages go by the wall clock while it goes as time does, and when it is corrected a little", () => {
  const clocks = new Clocks();
  for (const ms of [0, 1, 1000, HOUR_MS, 30 * 24 * HOUR_MS]) {
    clocks.pass(ms);
    clocks.jump(ms % 7 === 0 ? 500 : -500);
    expect(clocks.ages.now()).toBe(clocks.wallMs);
  }
  expect(clocks.told).toEqual([]);
});

test("a jump forward counts once it has lasted, and is told once", () => {
  const clocks = new Clocks();
  clocks.jump(HOUR_MS);
  expect(clocks.ages.now()).toBe(clocks.wallMs - HOUR_MS);
  clocks.pass(599_000);
  expect(clocks.ages.now()).toBe(clocks.wallMs - HOUR_MS);
  clocks.pass(1000);
  expect(clocks.ages.now()).toBe(clocks.wallMs);
  expect(clocks.told).toEqual([`${FORWARD} {"by_ms":3600000}`]);
});

test("a jump forward that is taken back never counted", () => {
  const clocks = new Clocks();
  clocks.jump(HOUR_MS);
  clocks.ages.now();
  clocks.pass(60_000);
  clocks.jump(-HOUR_MS);
  expect(clocks.ages.now()).toBe(clocks.wallMs);
  expect(clocks.told).toEqual([`${FORWARD} {"by_ms":3600000}`, `${BACK} {"by_ms":3600000}`]);
});

test("a jump back is told once, and ages follow it", () => {
  const clocks = new Clocks();
  clocks.jump(-HOUR_MS);
  for (let i = 0; i < 3; i++) {
    expect(clocks.ages.now()).toBe(clocks.wallMs);
    clocks.pass(1000);
  }
  expect(clocks.told).toEqual([`${BACK} {"by_ms":3600000}`]);
});

describe.each(["memory", "sqlite"])("%s", (driver) => {
  async function open(path: string, clocks: Clocks) {
    const settings = Object.assign(new Settings(), { now: () => clocks.wallMs, ageNow: clocks.ages.now });
    settings.keep({ ageMs: HOUR_MS });
    settings.idempotencyTtlMs = HOUR_MS;
    const broker = await openBroker(driver === "memory" ? "memory:" : `sqlite:${path}/store.db`, settings);
    await broker.start(new Ear());
    return broker;
  }

  test("a clock that jumps forward and back again drops no message and forgets no key", async () => {
    using kept = folder();
    const clocks = new Clocks();
    const broker = await open(kept.path, clocks);
    const once = { key: "k", subscribers: [] };
    expect((await broker.publish("app", [draft("a")], once)).seq).toBe(1);
    clocks.jump(100 * HOUR_MS);
    await trimAll(broker);
    expect((await broker.publish("app", [draft("a")], once)).repeated).toEqual([]);
    clocks.pass(1000);
    clocks.jump(-100 * HOUR_MS);
    await trimAll(broker);
    expect((await broker.publish("app", [draft("a")], once)).repeated).toEqual([]);
    expect((await read(broker, ["a"])).messages).toHaveLength(1);
    clocks.pass(2 * HOUR_MS);
    await trimAll(broker);
    expect((await read(broker, ["a"])).messages).toEqual([]);
    await broker.close();
  });

  test("a clock that jumps back drops nothing, and no message's time goes back", async () => {
    using kept = folder();
    const clocks = new Clocks();
    const broker = await open(kept.path, clocks);
    await broker.publish("app", [draft("a")]);
    const time = clocks.wallMs;
    clocks.jump(-5 * HOUR_MS);
    await trimAll(broker);
    await broker.publish("app", [draft("a")]);
    expect((await read(broker, ["a"])).messages.map((message) => message.time)).toEqual([time, time]);
    clocks.pass(5 * HOUR_MS + 1);
    await broker.publish("app", [draft("a")]);
    expect((await read(broker, ["a"])).messages.map((message) => message.time)).toEqual([time, time, time + 1]);
    await broker.close();
  });
});
