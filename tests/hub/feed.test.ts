import { describe, expect, test } from "bun:test";
import { type Feed, LogBudget } from "../../src/hub/feed.ts";
import type { Subscriber } from "../../src/hub/subscriber.ts";
import { feedOf, frameAt, subscriberOf } from "./parts.ts";

const at = (seq: number, epoch = "e"): { epoch: string; seq: number } => ({ epoch, seq });
const seqs = (feed: Feed, after: number): number[] => feed.after(after).map(({ seq }) => seq);

/** Flushes until nothing is pending, `room` visits a slice, and says what each subscriber was sent. */
function flushAll(feed: Feed, room = Infinity): Map<Subscriber, string> {
  const sent = new Map<Subscriber, string>();
  while (feed.pending) {
    let left = room;
    feed.flush((subscriber, bytes) => {
      const text = bytes === null ? "" : new TextDecoder().decode(bytes);
      sent.set(subscriber, (sent.get(subscriber) ?? "") + text);
      return --left > 0;
    });
  }
  return sent;
}

const idsIn = (text: string | undefined): number[] =>
  [...(text ?? "").matchAll(/^id: e-(\d+)$/gm)].map(([, seq]) => Number(seq));

describe("a feed that is not followed yet", () => {
  test("keeps what comes meanwhile, and drops of it what the follow's position covers", () => {
    const feed = feedOf(["a"]);
    for (const seq of [3, 4, 5]) expect(feed.append(frameAt(seq))).toBe(false);
    expect(feed.reaches(at(4))).toBe(false);
    feed.ready(at(4), 0);
    expect(seqs(feed, 0)).toEqual([5]);
    expect([feed.floor, feed.through]).toEqual([at(4), 5]);
    expect(feed.pending).toBe(false); // nobody is live: each takes it from the log
  });

  test("keeps nothing of another epoch, and no message twice", () => {
    const feed = feedOf(["a"]);
    feed.append(frameAt(7, "", "old"));
    feed.append(frameAt(5));
    feed.append(frameAt(5));
    feed.ready(at(4), 0);
    expect(seqs(feed, 0)).toEqual([5]);
  });
});

describe("a feed that is followed", () => {
  test("takes each message once, and none of another epoch or from before its position", () => {
    const feed = feedOf(["a"]);
    feed.ready(at(4), 0);
    const taken = [frameAt(4), frameAt(6), frameAt(6), frameAt(5), frameAt(9, "", "other")];
    expect(taken.map((frame) => feed.append(frame))).toEqual([false, true, false, false, false]);
    expect(seqs(feed, 0)).toEqual([6]);
  });

  test("gives what comes after a position in chunks, always one message at least", () => {
    const feed = feedOf(["a"], new LogBudget(1024 * 1024, 100));
    feed.ready(at(0), 0);
    for (let seq = 1; seq <= 4; seq++) feed.append(frameAt(seq, "x".repeat(40)));
    feed.append(frameAt(5, "x".repeat(500)));
    expect([seqs(feed, 0).length, seqs(feed, 4), seqs(feed, 5)]).toEqual([1, [5], []]);
  });

  test("sends each subscriber what is after its position, over any number of slices", () => {
    for (const room of [1, 2, Infinity]) {
      const feed = feedOf(["a"]);
      feed.ready(at(0), 0);
      const [behind, between, level] = [subscriberOf(feed, 0), subscriberOf(feed, 2), subscriberOf(feed, 3)];
      for (const seq of [1, 2, 3]) feed.append(frameAt(seq));
      const sent = flushAll(feed, room);
      expect([behind, between, level].map((one) => idsIn(sent.get(one)))).toEqual([[1, 2, 3], [3], []]);
      expect([behind.seq, between.seq, level.seq]).toEqual([3, 3, 3]);
    }
  });

  test("shares one buffer among those that stand at the same place", () => {
    const feed = feedOf(["a"]);
    feed.ready(at(0), 0);
    subscriberOf(feed);
    subscriberOf(feed);
    feed.append(frameAt(1));
    feed.append(frameAt(2));
    const buffers = new Set<Uint8Array | null>();
    feed.flush((_subscriber, bytes) => buffers.add(bytes).size > 0);
    expect(buffers.size).toBe(1);
  });

  test("sends nothing to a subscriber that is behind", () => {
    const feed = feedOf(["a"]);
    feed.ready(at(0), 0);
    const subscriber = subscriberOf(feed);
    subscriber.live = false;
    feed.append(frameAt(1));
    expect(idsIn(flushAll(feed).get(subscriber))).toEqual([]);
    expect(subscriber.seq).toBe(0);
  });

  test("drops of its log only what was sent, and reaches no further back than that", () => {
    const feed = feedOf(["a"], new LogBudget(0));
    feed.ready(at(0), 0);
    subscriberOf(feed);
    for (const seq of [1, 2, 3]) feed.append(frameAt(seq));
    expect(feed.reaches(at(0))).toBe(true);
    flushAll(feed);
    feed.append(frameAt(4));
    expect([feed.reaches(at(2)), feed.reaches(at(3)), seqs(feed, 3)]).toEqual([false, true, [4]]);
  });
});

describe("what ends a feed's work", () => {
  test("a break voids its log, its flush and its position, and nobody stays live", () => {
    const feed = feedOf(["a"]);
    feed.ready(at(0), 0);
    const subscribers = [subscriberOf(feed), subscriberOf(feed)];
    feed.append(frameAt(1));
    feed.flush(() => false);
    feed.broken();
    expect([feed.pending, feed.floor, seqs(feed, 0)]).toEqual([false, null, []]);
    expect(subscribers.map(({ live }) => live)).toEqual([false, false]);
  });

  test("closed while it waits for its turn, it has nothing to flush and gives its memory back", () => {
    const budget = new LogBudget(1024 * 1024);
    const feed = feedOf(["a"], budget);
    feed.ready(at(0), 0);
    subscriberOf(feed);
    feed.append(frameAt(1));
    flushAll(feed);
    feed.append(frameAt(2));
    expect(budget.usedBytes).toBeGreaterThan(0);
    feed.close();
    feed.flush(() => true);
    expect([feed.pending, budget.usedBytes]).toEqual([false, 0]);
  });
});
