import { expect, test } from "bun:test";
import { selectionOf } from "../../src/core/channel.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Subscriber } from "../../src/hub/subscriber.ts";
import { memoryBroker } from "./parts.ts";
import { Random } from "./simulation/random.ts";

const STEPS = 5000;
const STREAMS = 100;

function selectionAt(random: Random): readonly string[] {
  const i = random.below(20);
  return random.pick([
    [`own.${i}`],
    ["shared"],
    [`own.${i}`, "shared"],
    [`own.${i}`, `mine.${i}.*`],
    ["room.*"],
    ["**"],
  ]);
}

/** Each feed follows its selection once, so what is followed is what feeds there are. */
test("streams that come and go leave no feed and no subscription behind", async () => {
  const random = new Random(1);
  const broker = await memoryBroker();
  const followed: string[] = [];
  const hub = new Hub({
    broker: {
      read: (...args) => broker.read(...args),
      follow: (app, selection) => {
        followed.push(selection.key);
        return broker.follow(app, selection);
      },
      unfollow: (app, selection) => {
        followed.splice(followed.indexOf(selection.key), 1);
        return broker.unfollow(app, selection);
      },
    },
    schedule: setImmediate,
    elapsed: () => 0,
    random: () => random.next(),
    heartbeatMs: 1000,
    stallMs: 1000,
    report: (error) => {
      throw error;
    },
  });
  await broker.start(hub);
  const open = new Set<Subscriber>();
  const join = () => {
    const subscriber: Subscriber = hub.join(
      "app",
      selectionOf(selectionAt(random)),
      "plain",
      { write: () => random.chance(0.9), end: () => undefined, abort: () => undefined },
      {
        id: "",
        beginning: { kind: "now" },
        ageAtMs: Infinity,
        retryMs: 0,
        expiry: null,
        onClose: () => open.delete(subscriber),
      },
    );
    open.add(subscriber);
  };
  const drop = () => {
    const subscriber = random.pick([...open]);
    if (random.chance(0.8)) hub.leave(subscriber);
    else hub.close(subscriber, "slow", true);
  };

  for (let step = 0; step < STEPS; step++) {
    if (open.size < STREAMS && (open.size === 0 || random.chance(0.55))) join();
    else drop();
    const channel = random.pick(["shared", "room.1", "own.1"]);
    if (step % 10 === 0) await broker.publish("app", [{ channel, event: null, data: "x", json: false }]);
    const selections = new Set([...open].map(({ feed }) => feed.selection.key));
    expect(followed.toSorted()).toEqual([...selections].sort());
    expect(hub.streams()).toBe(open.size);
  }
  for (const subscriber of open) hub.leave(subscriber);
  expect(followed).toEqual([]);
  expect(hub.streams()).toBe(0);
  expect([...hub.channels("app")]).toEqual([]);
  expect(["shared", "room.1", "own.1"].map((channel) => hub.count("app", channel))).toEqual([0, 0, 0]);
  await broker.close();
});
