import { expect, test } from "bun:test";
import type { Broker } from "../../src/broker/broker.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { parsePosition } from "../../src/core/position.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { Expiry, Sink, StreamOptions } from "../../src/hub/subscriber.ts";
import { memoryBroker } from "./parts.ts";

const HEARTBEAT_MS = 1000;

/** What a stream was written, as text. */
class Written implements Sink {
  text = "";
  full = false;
  write(bytes: Uint8Array): boolean {
    this.text += new TextDecoder().decode(bytes);
    return !this.full;
  }
  end(): void {}
  abort(): void {}
}

async function setUp({ stallMs = 0, parts = {} }: { stallMs?: number; parts?: Partial<Broker> } = {}) {
  const broker = Object.assign(await memoryBroker(), parts);
  let clockMs = 0;
  const hub = new Hub({
    broker,
    schedule: setImmediate,
    elapsed: () => clockMs,
    random: () => 0,
    heartbeatMs: HEARTBEAT_MS,
    stallMs,
    report: (error) => {
      throw error;
    },
  });
  await broker.start(hub);
  const publish = (channel: string) => broker.publish("app", [{ channel, event: null, data: "x", json: false }]);
  const beat = () => {
    clockMs += HEARTBEAT_MS;
    hub.tick();
  };
  return { hub, publish, beat };
}

const OPTIONS: Omit<StreamOptions, "beginning"> = {
  id: "stream",
  ageAtMs: Infinity,
  retryMs: 2000,
  expiry: null,
  onClose: () => undefined,
};

/** Until what is under way has been done: reads resolve in microtasks, turns are immediates. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

test("after a replay that ends with other channels' messages a heartbeat moves the listener to the head, once", async () => {
  const { hub, publish, beat } = await setUp();
  const { epoch } = await publish("quiet");
  await publish("busy");
  await publish("busy");
  const sink = new Written();
  const after = parsePosition(`${epoch}-0`)!;
  hub.join("app", selectionOf(["quiet"]), "plain", sink, {
    ...OPTIONS,
    beginning: { kind: "resume", after, asked: `${epoch}-0` },
  });
  await settle();
  expect(sink.text).toContain(`id: ${epoch}-1\ndata: x\n\n`);
  expect(sink.text).not.toContain(`id: ${epoch}-3`);
  const replayed = sink.text.length;
  beat();
  expect(sink.text.slice(replayed)).toBe(`id: ${epoch}-3\n\n`);
  beat();
  expect(sink.text.slice(replayed)).toBe(`id: ${epoch}-3\n\n:\n\n`);
});

test("a heartbeat carries no position past a message that is still to be written", async () => {
  const { hub, publish, beat } = await setUp();
  const sink = new Written();
  hub.join("app", selectionOf(["quiet"]), "plain", sink, { ...OPTIONS, beginning: { kind: "now" } });
  await settle();
  const opened = sink.text.length;
  const { epoch } = await publish("quiet");
  await publish("busy");
  beat(); // before the turn that sends the message
  expect(sink.text.slice(opened)).toBe(":\n\n");
  await settle();
  beat();
  expect(sink.text.slice(opened)).toBe(`:\n\nid: ${epoch}-1\ndata: x\n\nid: ${epoch}-2\n\n`);
});

const EXPIRY: Expiry = { atMs: 60_000, noticeAtMs: 500, told: "2030-01-01T00:00:00.000Z" };
const NOTICE = `event: socket:token\ndata: {"stream":"stream","expires_at":"${EXPIRY.told}"}\n\n`;

test("the notice of a grant's end comes once, and never before the stream was opened", async () => {
  const { hub, beat } = await setUp();
  const sink = new Written();
  hub.join("app", selectionOf(["a"]), "plain", sink, { ...OPTIONS, expiry: EXPIRY, beginning: { kind: "now" } });
  beat(); // before the broker has said from where it follows
  expect(sink.text).not.toContain("socket:");
  await settle();
  for (let i = 0; i < 3; i++) beat();
  expect(sink.text.indexOf(NOTICE)).toBeGreaterThan(sink.text.indexOf("socket:open"));
  expect(sink.text.split(NOTICE)).toHaveLength(2);
});

test("the notice of a grant's end waits for a listener that takes no data", async () => {
  const { hub, publish, beat } = await setUp();
  const sink = new Written();
  const options: StreamOptions = { ...OPTIONS, expiry: EXPIRY, beginning: { kind: "now" } };
  const subscriber = hub.join("app", selectionOf(["a"]), "plain", sink, options);
  await settle();
  sink.full = true;
  await publish("a");
  await settle();
  const written = sink.text;
  beat();
  expect(sink.text).toBe(written);
  sink.full = false;
  hub.drained(subscriber);
  beat();
  expect(sink.text).toContain(NOTICE);
});

test("many that have stalled are reset a slice a turn, since each frees much of the kernel's memory", async () => {
  const { hub, publish, beat } = await setUp({ stallMs: 500 });
  let reset = 0;
  for (let i = 0; i < 200; i++) {
    const sink = Object.assign(new Written(), { full: true, abort: () => (reset += 1) });
    hub.join("app", selectionOf(["news"]), "plain", sink, { ...OPTIONS, beginning: { kind: "now" } });
  }
  await settle();
  await publish("news");
  beat();
  expect(reset).toBeWithin(1, 65);
  await settle();
  expect(reset).toBe(200);
});

test("streams that cannot begin yet, and whose grant is about to end, are not looked at in every turn", async () => {
  const never = new Promise<never>(() => undefined);
  const { hub, beat } = await setUp({ parts: { follow: () => never } });
  const expiry: Expiry = { atMs: 1e9, noticeAtMs: 0, told: "2030-01-01T00:00:00.000Z" };
  let looks = 0;
  for (let i = 0; i < 100; i++) {
    const options = { ...OPTIONS, beginning: { kind: "now" } as const, expiry };
    Object.defineProperty(options, "ageAtMs", { get: () => ((looks += 1), Infinity) });
    hub.join("app", selectionOf(["news"]), "plain", new Written(), options);
  }
  looks = 0;
  beat();
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  expect(looks).toBeWithin(100, 1000);
});
