import { expect, test } from "bun:test";
import type { Broker } from "../../src/broker/broker.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Sink } from "../../src/hub/subscriber.ts";
import { memoryBroker } from "./parts.ts";

const SINK: Sink = { write: () => true, end: () => undefined, abort: () => undefined };

const fail = (): never => {
  throw new Error("unexpected");
};

const THROWING: Sink = { ...SINK, write: fail };

async function setUp(parts: Partial<Broker> = {}, onClose: () => void = () => undefined) {
  const broker: Broker = Object.assign(await memoryBroker(), parts);
  const reported: [error: unknown, of: object][] = [];
  const hub = new Hub({
    broker,
    schedule: setImmediate,
    elapsed: () => 0,
    random: () => 0,
    heartbeatMs: 0,
    stallMs: 0,
    report: (error, of) => reported.push([error, of]),
  });
  await broker.start(hub);
  const closed: string[] = [];
  const join = (names: readonly string[], sink: Sink = SINK, app = "app") =>
    hub.join(app, selectionOf(names), "plain", sink, {
      id: names.join(","),
      beginning: { kind: "now" },
      ageAtMs: Infinity,
      retryMs: 2000,
      expiry: null,
      onClose: (reason) => {
        closed.push(`${names.join(",")} ${reason}`);
        onClose();
      },
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

/** A sink that takes what comes until it is to throw. */
class Breaking implements Sink {
  broken = false;
  text = "";
  aborted = false;
  write(bytes: Uint8Array): boolean {
    if (this.broken) fail();
    this.text += new TextDecoder().decode(bytes);
    return true;
  }
  end(): void {}
  abort(): void {
    this.aborted = true;
  }
}

test("a stream whose sink throws is ended with `error`, and the others of its feed and of other feeds go on", async () => {
  const { hub, join, publish, closed, reported } = await setUp();
  const [first, breaking, last, other] = [new Breaking(), new Breaking(), new Breaking(), new Breaking()];
  for (const sink of [first, breaking, last]) join(["b"], sink);
  join(["a"], other);
  await new Promise(setImmediate);
  breaking.broken = true;
  const { epoch, seq } = await publish("b");
  await publish("a");
  await new Promise(setImmediate);
  for (const sink of [first, last]) expect(sink.text).toContain(`id: ${epoch}-${seq}\n`);
  expect(other.text).toContain(`id: ${epoch}-${seq + 1}\n`);
  expect(closed).toEqual(["b error"]);
  expect(breaking.aborted).toBe(true);
  expect(reported).toEqual([[new Error("unexpected"), { app: "app", stream: "b" }]]);
  expect(hub.streams()).toBe(3);
});

test("an owner of streams that throws when it is told their ends is reported, and their places are free", async () => {
  const { hub, join, reported } = await setUp({}, fail);
  hub.leave(join(["a"]));
  hub.close(join(["a"]), "drain", true);
  expect(reported.map(([, of]) => of)).toEqual([
    { app: "app", stream: "a" },
    { app: "app", stream: "a" },
  ]);
  expect(hub.streams()).toBe(0);
  expect(hub.count("app", "a")).toBe(0);
});

test("streams of a selection that cannot be followed are ended, so that they come back", async () => {
  const { hub, join, closed, reported } = await setUp({ follow: () => Promise.reject(new Error("away")) });
  join(["a"]);
  join(["a"]);
  await new Promise(setImmediate);
  expect(closed).toEqual(["a error", "a error"]);
  expect(reported).toEqual([[new Error("away"), { app: "app" }]]);
  expect(hub.streams()).toBe(0);
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

test("a sink that throws when its stream is ended is reset, and keeps no other from being ended in order", async () => {
  const { hub, join, closed, reported } = await setUp();
  const sinks = [new Breaking(), new Breaking(), new Breaking()];
  for (const sink of sinks) join(["a"], sink);
  await new Promise(setImmediate);
  sinks[1]!.broken = true;
  hub.closeSome(3, "drain", true);
  expect(closed).toEqual(["a drain", "a drain", "a drain"]);
  expect(sinks.map(({ aborted, text }) => [aborted, text.includes("socket:close")])).toEqual([
    [false, true],
    [true, false],
    [false, true],
  ]);
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
