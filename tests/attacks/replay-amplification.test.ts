import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Gateway, publish } from "../setup/gateway.ts";
import { listen } from "../api/listening.ts";
import { look, openUnread, publishMany, startMeasured } from "./load.ts";

/** A small request that makes much to read and to send: what is kept is 8 MB, for a request of 100 bytes. */
const CHANNELS = 20;
const MESSAGES = 2000;
const LISTENERS = 60;
const DATA = "x".repeat(4000);
/** What would hold the loop is seconds, and what would hold memory 8 MB for each. */
const LONGEST_TURN_MS = 100;
const GROWTH_MIB = 150;

let gateway: Gateway;
let first = "";
beforeAll(async () => {
  gateway = await startMeasured({ SOCKET_HISTORY_BYTES: "0", SOCKET_STALL: "60s" });
  first = (await publish(gateway, { channel: "first" })).id;
  const messages = Array.from({ length: MESSAGES }, (_, i) => ({ channel: `room.${i % CHANNELS}`, data: DATA }));
  await publishMany(gateway, messages);
}, 30_000);
afterAll(() => gateway[Symbol.asyncDispose]());

const get = (path: string) =>
  fetch(gateway.url + path, { headers: { Authorization: `key=${gateway.secret}`, "Accept-Encoding": "identity" } });

const FLOODS: readonly [string, (i: number) => string][] = [
  ["all that is kept since the beginning", () => "/stream?channel=**&since=earliest"],
  ["the most that `last` takes", () => "/stream?channel=room.*&last=1000&format=envelope"],
  ["a resume from the beginning", () => `/stream?channel=**&last_event_id=${first}`],
  ["resumes of as many different selections", (i) => `/stream?channel=**&channel=own.${i}&last_event_id=${first}`],
  [
    "resumes from as many different positions",
    (i) => `/stream?channel=**&last_event_id=${first.replace(/\d+$/, "")}${i}`,
  ],
  ["a position that is none of ours", (i) => `/stream?channel=**&last_event_id=zz-${i}`],
];

describe("sixty listeners at once who do not read what they ask for hold up nobody, nor much memory:", () => {
  for (const [name, pathOf] of FLOODS) {
    test(
      name,
      async () => {
        const before = await look(gateway);
        const connections = openUnread(
          gateway,
          Array.from({ length: LISTENERS }, (_, i) => pathOf(i)),
        );
        try {
          await using stream = await (
            await listen(`${gateway.url}/channel/other/stream`, { authorization: `key=${gateway.secret}` })
          ).live();
          for (let i = 0; i < 100; i++) {
            await publish(gateway, { channel: "other", data: String(i) });
            expect(await stream.messages(1)).toMatchObject([{ data: String(i) }]);
          }
          const after = await look(gateway);
          expect(after.longestTurnMs).toBeLessThan(LONGEST_TURN_MS);
          expect(after.rssMiB - before.rssMiB).toBeLessThan(GROWTH_MIB);
        } finally {
          for (const connection of connections) connection.destroy();
        }
      },
      20_000,
    );
  }
});

test("four hundred pages of history at once, and streams that are opened and left at once, hold up nobody", async () => {
  const before = await look(gateway);
  const pages = Array.from({ length: 400 }, (_, i) => get(`/channel/room.${i % CHANNELS}/history?limit=1000`));
  for (let round = 0; round < 20; round++) {
    const paths = Array.from({ length: 50 }, () => "/stream?channel=**&since=earliest");
    for (const connection of openUnread(gateway, paths)) connection.end(() => connection.destroy());
    await publish(gateway, { channel: "other" });
  }
  for (const page of pages) expect((await (await page).bytes()).length).toBeGreaterThan(100_000);
  const after = await look(gateway);
  expect(after.longestTurnMs).toBeLessThan(LONGEST_TURN_MS);
  expect(after.rssMiB - before.rssMiB).toBeLessThan(GROWTH_MIB);
}, 20_000);

test("more than a replay or a page takes is refused", async () => {
  for (const query of ["last=1001", "last=999999999", "last=99999999999999999999", "last=1e3", "last=-1"]) {
    expect((await get(`/stream?channel=a&${query}`)).status).toBe(400);
  }
  for (const limit of ["1001", "99999999999999999999", "0"]) {
    for (const path of ["/channels", "/channel/room.1/history"]) {
      expect((await get(`${path}?limit=${limit}`)).status).toBe(400);
    }
  }
});
