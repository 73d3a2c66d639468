import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Subscribers } from "../../src/hub/subscribers.ts";
import { type Gateway, publish } from "../setup/gateway.ts";
import { listen } from "../api/listening.ts";
import { feedOf } from "../hub/parts.ts";
import { look, openUnread, startMeasured } from "./load.ts";

/** As many segments as a name can have. */
const SEGMENTS = 99;
const DEEP = Array<string>(SEGMENTS).fill("a").join(".");
const STREAMS = 100;
const PATTERNS = 50;

/** Every one different, and every one matches DEEP: a `*` where the number has a 1. */
function pattern(number: number): string {
  return Array.from({ length: SEGMENTS }, (_, at) => ((number >> (at % 13)) & 1 ? "*" : "a")).join(".");
}

describe("patterns that all match, as many as a stream takes on every stream,", () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startMeasured({});
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  test("take no more memory than their text is long, and let publishes through", async () => {
    const key = { authorization: `key=${gateway.secret}` };
    await using stream = await (await listen(`${gateway.url}/channel/${DEEP}/stream`, key)).live();
    const before = await look(gateway);
    const paths = Array.from({ length: STREAMS }, (_, i) => {
      const names = Array.from({ length: PATTERNS }, (_, k) => `channel=${pattern(1 + i * PATTERNS + k)}`);
      return `/stream?${names.join("&")}`;
    });
    const connections = openUnread(gateway, paths);
    try {
      while ((await publish(gateway, { channel: DEEP })).subscribers < STREAMS + 1);
      await look(gateway);
      for (let i = 0; i < 50; i++) await publish(gateway, { channel: DEEP, data: "x" });
      while ((await stream.next()).data !== "x");
      const after = await look(gateway);
      expect(after.longestTurnMs).toBeLessThan(100);
      // as a tree of segments they took 180
      expect(after.rssMiB - before.rssMiB).toBeLessThan(100);
    } finally {
      for (const connection of connections) connection.destroy();
    }
  }, 20_000);
});

test("no pattern makes matching look at more than each form of patterns once", () => {
  const map = new Subscribers();
  for (let wildcards = 0; wildcards <= SEGMENTS; wildcards++) {
    const segments = Array.from({ length: SEGMENTS }, (_, at) => (at < wildcards ? "*" : "a"));
    map.add(feedOf([segments.join(".")]));
    map.add(feedOf([[...segments.slice(0, -1), "**"].join(".")]));
  }
  let found = 0;
  // a last segment that nothing matches but `*` and `**`: what tried every way to it would never end
  map.visit(`${DEEP.slice(0, -1)}b`, () => (found += 1));
  expect(found).toBe(1 + SEGMENTS + 1);
});
