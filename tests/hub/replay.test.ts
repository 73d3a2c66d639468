import { expect, test } from "bun:test";
import type { Broker } from "../../src/broker/broker.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Sink } from "../../src/hub/subscriber.ts";
import { memoryBroker } from "./parts.ts";

/** Fewer than a page holds, so that each needs one read. */
const LISTENERS = 200;
/** Far fewer than come back. */
const FEW = 16;

test("when many come back at once, few are read for in one turn, and each is written to before others are read for", async () => {
  const broker = await memoryBroker();
  let reads = 0;
  const read: Broker["read"] = (...asked) => {
    reads += 1;
    return broker.read(...asked);
  };
  const turns: (() => void)[] = [];
  const hub = new Hub({
    broker: { read, follow: broker.follow.bind(broker), unfollow: broker.unfollow.bind(broker) },
    schedule: (run) => turns.push(run),
    elapsed: () => 0,
    random: () => 0,
    heartbeatMs: 0,
    stallMs: 0,
    report: (error) => {
      throw error;
    },
  });
  await broker.start(hub);
  const drafts = Array.from({ length: LISTENERS }, () => ({ channel: "a", event: null, data: "x", json: false }));
  const { epoch } = await broker.publish("app", drafts);

  const written = new Set<Sink>();
  for (let seq = 0; seq < LISTENERS; seq++) {
    const sink: Sink = {
      write: (bytes) => {
        if (new TextDecoder().decode(bytes).includes("data: x\n")) written.add(sink);
        return true;
      },
      end: () => undefined,
      abort: () => undefined,
    };
    hub.join("app", selectionOf(["a"]), "plain", sink, {
      id: "stream",
      beginning: { kind: "resume", after: { epoch, seq }, asked: "" },
      ageAtMs: Infinity,
      retryMs: 2000,
      expiry: null,
      onClose: () => undefined,
    });
  }
  await new Promise(setImmediate); // follows and reads resolve in microtasks
  expect(reads).toBe(0);
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) {
    const before = reads;
    turn();
    expect(reads - before).toBeLessThanOrEqual(FEW);
    expect(reads - written.size).toBeLessThanOrEqual(FEW);
    await new Promise(setImmediate);
  }
  expect(written.size).toBe(LISTENERS);
});
