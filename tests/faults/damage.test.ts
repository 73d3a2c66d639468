import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listen } from "../api/listening.ts";
import { publish, publishAll, startGateway, type Gateway } from "../setup/gateway.ts";

const PAGE = 4096;
/** How a page without children begins in a tree of the kind that messages are in (SQLite's file format, 1.6). */
const LEAF = 0x0a;
const MESSAGES = 100;

function open(gateway: Gateway, query: string) {
  return listen(`${gateway.url}/channel/news/stream${query}`, { authorization: `key=${gateway.secret}` });
}

/** Overwrites the page of a message in the middle, which holds messages alone: of the tree above them more would hang. */
function damage(file: string): void {
  const content = readFileSync(file);
  for (let i = 40; ; i++) {
    const page = PAGE * Math.floor(content.indexOf(`<${i}>`) / PAGE);
    if (content[page] !== LEAF) continue;
    content.fill(0xa5, page, page + PAGE);
    return writeFileSync(file, content);
  }
}

test("a damaged page is refused and told once, the rest is served, and a backup that is restored is told as a gap", async () => {
  await using gateway = await startGateway();
  const drafts = Array.from({ length: MESSAGES }, (_, i) => ({ channel: "news", data: `<${i}> ${"x".repeat(1000)}` }));
  const sent = await publishAll(gateway, drafts);
  const data = drafts.map((one) => one.data);
  expect(await gateway.stop()).toBe(0);
  const file = join(gateway.folder, "data", "messages.db");
  const backup = join(gateway.folder, "backup.db");
  copyFileSync(file, backup);
  damage(file);

  await gateway.start();
  await using all = await open(gateway, "?since=earliest"); // which waits for what cannot be read
  await using last = await open(gateway, "?last=20");
  await last.told("open");
  expect((await last.messages(20)).map((one) => one.data)).toEqual(data.slice(-20));
  await last.told("live");
  for (let i = 0; i < 5; i++) {
    const { id } = await publish(gateway, { channel: "news", data: String(i) });
    expect(await last.next()).toMatchObject({ id, data: String(i) });
  }
  const history = await fetch(`${gateway.url}/channel/news/history?limit=1000`, {
    headers: { Authorization: `key=${gateway.secret}` },
  });
  expect(history.status).toBe(503);
  await gateway.wrote("the store cannot be read: what needs it is refused");
  expect(gateway.output.split('"level":50')).toHaveLength(2); // one error, also of a stream that asks again
  expect(gateway.output).toContain("malformed");
  expect(all.frames).toEqual([]);
  expect(await gateway.stop()).toBe(0);

  // as the README has it
  for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
  copyFileSync(backup, file);
  const db = new Database(file);
  db.run("UPDATE node SET clean = 0, boot = NULL, synchronous = 'normal'");
  db.close();
  await gateway.start();
  await using resumed = await listen(`${gateway.url}/channel/news/stream`, {
    authorization: `key=${gateway.secret}`,
    lastEventId: sent[48]!.id,
  });
  await resumed.told("open");
  expect(await resumed.told("gap")).toMatchObject({ reason: "epoch" });
  expect((await resumed.messages(MESSAGES - 49)).map((one) => one.data)).toEqual(data.slice(49));
}, 20_000);
