import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Broker } from "../../src/broker/broker.ts";
import { MemoryBroker } from "../../src/broker/memory.ts";
import { SqliteBroker } from "../../src/broker/sqlite.ts";
import { selectionOf } from "../../src/core/channel.ts";
import type { Draft } from "../../src/core/message.ts";
import { Ear, Settings, draft, folder, read, show, trimAll } from "./fixture.ts";

/** Of the seqs that the index puts together, and of those of one entry in `spans`. */
const BUCKET = 4096;
const SPAN = 65_536;

/** The channel of the n-th message: a busy one, some of every density, and some that are only here or there. */
function channelOf(n: number): string {
  if (n === 3 || n === 2 * SPAN + 5) return "quiet.apart";
  if (n % SPAN === 0) return "quiet.first";
  if (n % BUCKET === BUCKET - 1) return "border.last";
  if (n % BUCKET === 0) return "border.first";
  if (n % 9001 === 0) return "sparse.many";
  if (n > 70_000 && n < 70_004) return "quiet.once";
  return n % 3 === 0 ? `some.${n % 50}` : "busy";
}

const SELECTIONS = [
  ["quiet.apart"],
  ["quiet.first"],
  ["quiet.once"],
  ["border.last"],
  ["border.first"],
  ["sparse.many"],
  ["some.12"],
  ["busy"],
  ["none"],
  ["quiet.apart", "quiet.once"],
  ["border.first", "border.last", "sparse.many"],
  ["quiet.*"],
  ["some.*"],
  ["**"],
];

/** A broker on a file, that can be closed and opened again. */
async function open(path: string, settings: Settings): Promise<SqliteBroker> {
  const broker = new SqliteBroker(path, "normal", Object.assign(settings, { bootId: () => "boot" }));
  await broker.start(new Ear());
  return broker;
}

/** Gives the app of a file its next position: what millions of messages that are not kept any more leave. */
async function moveHead(path: string, settings: Settings, head: number): Promise<void> {
  const broker = await open(path, settings);
  await broker.follow("app", selectionOf(["a"]));
  await broker.close();
  const db = new Database(path);
  db.run("UPDATE apps SET head = ?", [head]);
  db.close();
}

async function publishBatches(brokers: readonly Broker[], from: number, to: number): Promise<void> {
  for (let n = from; n <= to;) {
    const drafts: Draft[] = [];
    while (drafts.length < 333 && n <= to) drafts.push(draft(channelOf(n), String(n++)));
    for (const broker of brokers) await broker.publish("app", drafts); // the borders lie inside of batches
  }
}

/** Both must answer alike, wherever a read begins. */
async function compare(broker: Broker, oracle: Broker, head: number): Promise<void> {
  const places = [
    0,
    2,
    3,
    BUCKET - 2,
    BUCKET - 1,
    BUCKET,
    70_001,
    SPAN - 1,
    SPAN,
    2 * SPAN,
    2 * SPAN + 4,
    head - 9,
    head,
  ];
  for (const names of SELECTIONS) {
    const selection = selectionOf(names);
    for (const seq of places) {
      for (const limit of [1, 40, 300]) {
        const page = await broker.read("app", selection, { epoch: "e1", seq }, limit);
        expect(page).toEqual(await oracle.read("app", selection, { epoch: "e1", seq }, limit));
      }
    }
    for (const count of [0, 1, 2, 3, 20, 500]) {
      const start = { kind: "last", count } as const;
      expect(await broker.seek("app", selection, start)).toEqual(await oracle.seek("app", selection, start));
    }
  }
  expect(await broker.channels("app", "", "", 100)).toEqual(await oracle.channels("app", "", "", 100));
}

test("over many buckets and spans every answer is the memory broker's, also after trimming and a restart", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const twin = new Settings();
  const oracle = new MemoryBroker(twin);
  await oracle.start(new Ear());
  let broker = await open(path, settings);
  try {
    let head = 0;
    const go = async (to: number): Promise<void> => {
      await publishBatches([broker, oracle], head + 1, to);
      head = to;
    };
    await go(2 * SPAN + BUCKET + 100);
    await compare(broker, oracle, head);

    for (const each of [settings, twin]) each.keep({ count: 5000, appBytes: 150_000 });
    await go(head + 10);
    for (const each of [broker, oracle]) await trimAll(each);
    await compare(broker, oracle, head);

    await broker.close();
    broker = await open(path, settings);
    await compare(broker, oracle, head);

    for (const each of [settings, twin]) each.keep({ count: 2, channels: 50 });
    await go(head + 2000);
    for (const each of [broker, oracle]) await trimAll(each);
    await compare(broker, oracle, head);
  } finally {
    await broker.close();
  }
}, 60_000);

test("a channel whose messages lie a thousand million positions apart is read, trimmed and loaded as any other", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const FAR = 2 ** 30;
  const heads = [0, FAR - 1, 5 * FAR - 2];
  for (const head of heads) {
    await moveHead(path, settings, head);
    const broker = await open(path, settings);
    await broker.publish("app", [draft("a"), draft("b"), draft("a")]);
    await broker.close();
  }
  const at = { epoch: "e1", seq: 0 };
  const head = 5 * FAR + 1;
  let broker = await open(path, settings);
  try {
    expect(show(await read(broker, ["a"], at))).toBe(
      `e1-0..e1-${head} 1:a 3:a ${FAR}:a ${FAR + 2}:a ${5 * FAR - 1}:a ${head}:a`,
    );
    expect(show(await read(broker, ["a", "b"], at, 4))).toBe(`e1-0..e1-${FAR} 1:a 2:b 3:a ${FAR}:a`);
    const seek = (names: string[], count: number) => broker.seek("app", selectionOf(names), { kind: "last", count });
    expect((await seek(["b"], 2)).seq).toBe(FAR);
    expect((await seek(["a", "b"], 9)).seq).toBe(0);
    expect((await seek(["*"], 8)).seq).toBe(1);

    settings.keep({ count: 3 });
    await broker.close();
    broker = await open(path, settings);
    await trimAll(broker);
    expect(show(await read(broker, ["a"], at))).toBe(
      `e1-0..e1-${head} ${FAR + 2}:a ${5 * FAR - 1}:a ${head}:a gap=trimmed(${FAR + 2},${head})`,
    );
    settings.keep({ appBytes: 1 });
    await broker.publish("app", [draft("b", "xx")]);
    await trimAll(broker);
    expect(show(await read(broker, ["**"], at))).toBe(`e1-0..e1-${head + 1} gap=trimmed(none,${head + 1})`);
    expect(await broker.channels("app", "", "", 9)).toEqual([]);

    settings.keep({});
    await broker.publish("app", [draft("a", "again")]); // in a span that it left
    await broker.close();
    broker = await open(path, settings);
    expect(show(await read(broker, ["a"], { epoch: "e1", seq: head }))).toBe(
      `e1-${head}..e1-${head + 2} ${head + 2}:a`,
    );
    expect((await broker.channel("app", "a"))!.oldest!.seq).toBe(head + 2);
  } finally {
    await broker.close();
  }
});

test("spans are kept for just those stretches in which a channel has messages", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  for (const head of [10, SPAN - 3, 7 * SPAN]) {
    await moveHead(path, settings, head);
    const broker = await open(path, settings);
    await broker.publish("app", [draft("a"), draft("a"), draft("b"), draft("a")]);
    await broker.close();
  }
  const spans = (): unknown[] => {
    const db = new Database(path, { readonly: true });
    try {
      return db
        .query("SELECT name, span FROM spans s JOIN channels c ON c.id = s.channel ORDER BY name, span")
        .values();
    } finally {
      db.close();
    }
  };
  expect(spans()).toEqual([
    ["a", 0],
    ["a", 1],
    ["a", 7],
    ["b", 0],
    ["b", 1],
    ["b", 7],
  ]);
  settings.keep({ count: 2 });
  const broker = await open(path, settings);
  await trimAll(broker);
  await broker.close();
  expect(spans()).toEqual([
    ["a", 7],
    ["b", 1],
    ["b", 7],
  ]);
});
