import { expect, test } from "bun:test";
import { selectionOf } from "../../src/core/channel.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Sink } from "../../src/hub/subscriber.ts";
import { memoryBroker } from "./parts.ts";

const SINK: Sink = { write: () => true, end: () => undefined, abort: () => undefined };

const fail = (): never => {
  throw new Error("unexpected");
};

const THROWING: Sink = { ...SINK, write: fail };

async function setUp() {
  const broker = await memoryBroker();
  const reported: unknown[] = [];
  const hub = new Hub({
    broker,
    schedule: setImmediate,
    elapsed: () => 0,
    random: () => 0,
    heartbeatMs: 0,
    stallMs: 0,
    report: (error) => reported.push(error),
  });
  await broker.start(hub);
  const closed: string[] = [];
  const join = (names: readonly string[], sink: Sink = SINK, app = "app") =>
    hub.join(app, selectionOf(names), "plain", sink, {
      id: names.join(","),
      beginning: { kind: "now" },
      endsAtMs: Infinity,
      endReason: "max_age",
      retryMs: 2000,
      expiresAt: null,
      onClose: (reason) => closed.push(`${names.join(",")} ${reason}`),
    });
  const publish = (channel: string) => broker.publish("app", [{ channel, event: null, data: "x", json: false }]);
  return { hub, join, publish, closed, reported };
}

test("streams are counted once each, by whichever of their names a channel is matched", async () => {
  const { hub, join } = await setUp();
  const streams = [["a"], ["a"], ["a", "b"], ["a", "*"], ["*", "**"], ["c.*"]].map((names) => join(names));
  expect(["a", "b", "c.d", "d.e"].map((channel) => hub.count("app", channel))).toEqual([5, 3, 2, 1]);
  expect(hub.count("other", "a")).toBe(0);
  for (const stream of streams) hub.leave(stream);
  hub.leave(streams[0]!);
  expect(["a", "b", "c.d"].map((channel) => hub.count("app", channel))).toEqual([0, 0, 0]);
  expect([...hub.channels("app")]).toEqual([]);
});

test("a stream whose sink throws is ended with `error`, and the others go on", async () => {
  const { hub, join, publish, closed, reported } = await setUp();
  let broken = false;
  let sent = "";
  join(["a"], { ...SINK, write: (bytes) => (sent += new TextDecoder().decode(bytes)).length > 0 });
  join(["b"], {
    ...SINK,
    write: () => {
      if (broken) throw new Error("unexpected");
      return true;
    },
  });
  await new Promise(setImmediate);
  broken = true;
  await publish("b");
  const { epoch, seq } = await publish("a");
  await new Promise(setImmediate);
  expect(sent).toContain(`id: ${epoch}-${seq}\n`);
  expect(closed).toEqual(["b error"]);
  expect(reported.map(String)).toContain("Error: unexpected");
  expect(hub.streams()).toBe(1);
});

test("some streams are ended at a time, over all apps", async () => {
  const { hub, join } = await setUp();
  for (let i = 0; i < 5; i++) join([`a${i % 2}`], SINK, `app${i % 3}`);
  hub.closeSome(2, "drain", true);
  expect(hub.streams()).toBe(3);
  hub.closeSome(9, "drain", true);
  expect(hub.streams()).toBe(0);
});

test("a stream that is still behind when it is ended is told why, and after which time to come back", async () => {
  const { hub, join, closed } = await setUp();
  const told: string[] = [];
  const write = (bytes: Uint8Array): boolean => told.push(new TextDecoder().decode(bytes)) > 0;
  join(["new"], { ...SINK, write, end: () => told.push("end") }); // its feed is not followed yet
  hub.closeSome(1, "drain", true);
  await new Promise(setImmediate);
  expect(told).toEqual(['retry: 2000\nevent: socket:close\ndata: {"reason":"drain","reconnect":true}\n\n', "end"]);
  expect(closed).toEqual(["new drain"]);
});

test("a stream whose socket is full when it is ended is reset, since it cannot be told", async () => {
  const { hub, join, publish } = await setUp();
  const calls: string[] = [];
  const sink = {
    write: (bytes: Uint8Array) => !new TextDecoder().decode(bytes).includes("data: x"),
    end: () => calls.push("end"),
    abort: () => calls.push("abort"),
  };
  join(["a"], sink);
  await new Promise(setImmediate);
  await publish("a");
  await new Promise(setImmediate);
  hub.closeSome(1, "drain", true);
  expect(calls).toEqual(["abort"]);
});

test("a sink that throws when its stream is ended keeps no other from being ended", async () => {
  const { hub, join, reported } = await setUp();
  join(["a"], { ...SINK, end: fail });
  join(["a"]);
  hub.closeSome(2, "drain", true);
  expect(hub.streams()).toBe(0);
  expect(reported).toHaveLength(1);
});

test("a sink that throws at the first write ends its own stream and nothing else", async () => {
  const { hub, join, closed, reported } = await setUp();
  join(["new"], THROWING); // begins in the broker's answer
  await new Promise(setImmediate);
  join(["a"]);
  await new Promise(setImmediate);
  join(["a"], THROWING); // begins within the call
  expect(closed).toEqual(["new error", "a error"]);
  expect(reported).toHaveLength(2);
  expect(hub.streams()).toBe(1);
});
