import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, type Gateway, publish } from "../setup/gateway.ts";
import { listen } from "../api/listening.ts";
import { look, publishMany, startMeasured } from "./load.ts";

const NAMES = 100_000;
const MAX_CHANNELS = 1000;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startMeasured({ SOCKET_MAX_CHANNELS: String(MAX_CHANNELS) });
});
afterAll(() => gateway[Symbol.asyncDispose]());

/** How many channels the app has, as the list tells them page by page. */
async function channels(): Promise<number> {
  let count = 0;
  for (let after: string | null = ""; after !== null;) {
    const headers = { Authorization: `key=${gateway.secret}` };
    const response = await fetch(`${gateway.url}/channels?limit=1000&after=${after}`, { headers });
    const { data } = (await response.json()) as Answer<{ channels: unknown[]; next: string | null }>;
    count += data.channels.length;
    after = data.next;
  }
  return count;
}

function name(i: number): string {
  return `flood.${i}.${"x".repeat(150)}`;
}

test("a publisher of 100,000 names keeps its newest channels, the rest are forgotten, and that is told", async () => {
  const { id } = await publish(gateway, { channel: "first", data: "x" });
  const before = await look(gateway);
  await publishMany(
    gateway,
    Array.from({ length: NAMES }, (_, i) => ({ channel: name(i) })),
  );
  while ((await channels()) > MAX_CHANNELS);
  expect(await channels()).toBe(MAX_CHANNELS);
  const after = await look(gateway);
  expect(after.longestTurnMs).toBeLessThan(100);
  expect(after.rssMiB - before.rssMiB).toBeLessThan(150);

  const key = { authorization: `key=${gateway.secret}` };
  await using forgotten = await listen(`${gateway.url}/channel/first/stream?last_event_id=${id}`, key);
  expect(await forgotten.told("open")).toMatchObject({ recovered: false });
  expect(await forgotten.told("gap")).toMatchObject({ reason: "unproven" });
  await using kept = await listen(`${gateway.url}/channel/${name(NAMES - 1)}/stream?last=1`, key);
  expect(await kept.told("open")).toMatchObject({ recovered: null });
  expect(await kept.messages(1)).toHaveLength(1);
}, 60_000);
