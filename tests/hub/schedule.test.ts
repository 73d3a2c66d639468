import { describe, expect, test } from "bun:test";
import { Schedule } from "../../src/hub/schedule.ts";
import { feedOf, subscriberOf } from "./parts.ts";

const feed = feedOf(["a"]);

describe("the schedule", () => {
  test("gives a subscriber once, not before its time, and at most a tenth of a second after it", () => {
    const schedule = new Schedule();
    const subscriber = subscriberOf(feed);
    schedule.set(subscriber, 1234);
    expect(schedule.take(1233, 10)).toEqual([]);
    expect(schedule.take(1300, 10)).toEqual([subscriber]);
    expect(schedule.take(9000, 10)).toEqual([]);
  });

  test("moves a subscriber to another time, earlier or later", () => {
    const schedule = new Schedule();
    const subscriber = subscriberOf(feed);
    schedule.set(subscriber, 5000);
    schedule.set(subscriber, 1000);
    expect(schedule.take(1000, 10)).toEqual([subscriber]);
    schedule.set(subscriber, 1000);
    schedule.set(subscriber, 5000);
    expect(schedule.take(4000, 10)).toEqual([]);
    expect(schedule.take(5000, 10)).toEqual([subscriber]);
  });

  test("gives no subscriber that was deleted", () => {
    const schedule = new Schedule();
    const [kept, deleted] = [subscriberOf(feed), subscriberOf(feed)];
    schedule.set(kept, 100);
    schedule.set(deleted, 100);
    schedule.delete(deleted);
    schedule.delete(deleted);
    expect(schedule.take(100, 10)).toEqual([kept]);
  });

  test("gives no more than the limit at a time, and the others the next time", () => {
    const schedule = new Schedule();
    const subscribers = Array.from({ length: 25 }, () => subscriberOf(feed));
    subscribers.forEach((subscriber, i) => schedule.set(subscriber, i * 40));
    const taken = [schedule.take(1000, 10), schedule.take(1000, 10), schedule.take(1000, 10)];
    expect(taken.map((some) => some.length)).toEqual([10, 10, 5]);
    expect(new Set(taken.flat()).size).toBe(25);
  });

  test("takes a subscriber in again that was just given", () => {
    const schedule = new Schedule();
    const subscriber = subscriberOf(feed);
    for (let now = 100; now < 1000; now += 100) {
      schedule.set(subscriber, now);
      expect(schedule.take(now, 1)).toEqual([subscriber]);
    }
  });
});
