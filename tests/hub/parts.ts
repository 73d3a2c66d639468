import type { Broker } from "../../src/broker/broker.ts";
import { openBroker } from "../../src/broker/open.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { type Frame, frameOf } from "../../src/core/frame.ts";
import { Feed, LogBudget } from "../../src/hub/feed.ts";
import { type Sink, type StreamOptions, Subscriber } from "../../src/hub/subscriber.ts";

/** A feed of these channels and patterns, with room for what a test sends. */
export function feedOf(names: readonly string[], budget = new LogBudget(1024 * 1024)): Feed {
  return new Feed("app", selectionOf(names), "plain", budget);
}

export function frameAt(seq: number, data = "", epoch = "e"): Frame {
  return frameOf({ epoch, seq, channel: "a", event: null, data, json: false, time: 0 }, "plain");
}

const SINK: Sink = { write: () => true, end: () => undefined, abort: () => undefined };

const OPTIONS: StreamOptions = {
  id: "stream",
  beginning: { kind: "now" },
  ageAtMs: Infinity,
  expiry: null,
  retryMs: 0,
  onClose: () => undefined,
};

/** A stream of the feed that is live at a position. */
export function subscriberOf(feed: Feed, seq = 0): Subscriber {
  const subscriber = new Subscriber(feed, SINK, OPTIONS);
  subscriber.seq = seq;
  subscriber.live = true;
  feed.subscribers.add(subscriber);
  return subscriber;
}

/** The memory broker without limits, at a clock that stands; not started. */
export function memoryBroker(): Promise<Broker> {
  return openBroker("memory:", {
    now: () => 0,
    retention: () => ({ count: 0, ageMs: 0, bytes: 0, appBytes: 0, channels: 0 }),
    idempotencyTtlMs: 0,
    log: () => undefined,
  });
}
