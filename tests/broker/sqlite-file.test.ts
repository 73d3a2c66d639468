import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { selectionOf } from "../../src/core/channel.ts";
import { SqliteBroker, type SqliteOptions } from "../../src/broker/sqlite.ts";
import type { Retention } from "../../src/broker/broker.ts";
import {
  NO_LIMITS,
  Ear,
  Settings,
  draft,
  folder,
  publishAll,
  read,
  show,
  trimAll,
  refusal,
  rejection,
} from "./fixture.ts";

type Mode = "normal" | "full";

/** A broker on a file under a kernel's boot. */
async function open(path: string, settings: Settings, boot: string | null = "boot-1", mode: Mode = "normal") {
  const options: SqliteOptions = Object.assign(settings, { bootId: () => boot });
  const broker = new SqliteBroker(path, mode, options);
  await broker.start(new Ear());
  return broker;
}

/** The file as a sudden end leaves it: what the system holds of it at this moment, the log included. */
function crashed(path: string): string {
  const copy = `${path}.crashed`;
  for (const end of ["", "-wal"]) if (existsSync(path + end)) copyFileSync(path + end, copy + end);
  return copy;
}

test("after a clean close everything is as it was, also under another boot", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  settings.keep({ count: 2, ageMs: 5000, channels: 3 });
  const first = await open(path, settings);
  await publishAll(
    first,
    "app",
    ["a", "a", "b", "a", "c"].map((name) => draft(name)),
  );
  await first.publish("app", [draft("d", "1")], { key: "k", subscribers: [4] });
  await trimAll(first);
  await first.close();
  expect(existsSync(`${path}-wal`)).toBe(false);

  const second = await open(path, settings, "boot-2");
  expect(show(await read(second, ["**"], { epoch: "e1", seq: 1 }))).toBe(
    "e1-1..e1-6 2:a 4:a 5:c 6:d gap=unproven(2,6)",
  );
  expect(show(await read(second, ["a"], { epoch: "e1", seq: 0 }))).toBe("e1-0..e1-6 2:a 4:a gap=trimmed(2,6)");
  expect(await second.publish("app", [draft("d", "1")], { key: "k", subscribers: [] })).toEqual({
    epoch: "e1",
    seq: 6,
    repeated: [4],
  });
  expect((await second.publish("app", [draft("a")])).seq).toBe(7);
  await second.close();
});

test("time does not go back over a restart with a clock that does", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const first = await open(path, settings);
  await first.publish("app", [draft("a")]);
  await first.close();
  settings.ms -= 60_000;
  const second = await open(path, settings);
  await second.publish("app", [draft("a")]);
  const { messages } = await read(second, ["a"]);
  expect(messages.map(({ time }) => time)).toEqual([1_000_000, 1_000_000]);
  expect(settings.logged).toEqual([
    "warn: the clock is behind the newest message, whose time is given to others until it has caught up",
  ]);
  await second.close();
});

test("a sudden end under the same boot keeps the epoch: the system still held what was written", async () => {
  using kept = folder();
  const settings = new Settings();
  const first = await open(join(kept.path, "store.db"), settings);
  await publishAll(first, "app", [draft("a"), draft("a")]);
  const second = await open(crashed(join(kept.path, "store.db")), settings);
  expect(show(await read(second, ["a"], { epoch: "e1", seq: 1 }))).toBe("e1-1..e1-2 2:a");
  await second.close();
  await first.close();
});

test.each([
  ["boot-1", "boot-2"],
  ["boot-1", null],
  [null, null],
])("a sudden end under boot %p and a start under %p begin a new epoch", async (before, boot) => {
  using kept = folder();
  const settings = new Settings();
  const first = await open(join(kept.path, "store.db"), settings, before);
  await publishAll(
    first,
    "app",
    ["a", "b", "a", "a"].map((name) => draft(name)),
  );
  const second = await open(crashed(join(kept.path, "store.db")), settings, boot);
  expect(settings.logged).toHaveLength(1);
  await publishAll(second, "app", [draft("a")]);

  // of the epoch before: from where it was, but not beyond its end, where positions were used that nobody knows of
  expect(show(await read(second, ["a"], { epoch: "e1", seq: 2 }))).toBe("e2-2..e2-5 3:a 4:a 5:a gap=epoch(1,5)");
  expect(show(await read(second, ["a"], { epoch: "e1", seq: 9 }))).toBe("e2-4..e2-5 5:a gap=epoch(1,5)");
  // of any other: from where this one began
  expect(show(await read(second, ["a"], { epoch: "e0", seq: 2 }))).toBe("e2-4..e2-5 5:a gap=epoch(1,5)");
  // what is kept of the epoch before has its place in this one
  expect(show(await read(second, ["a"], { epoch: "e2", seq: 0 }))).toBe("e2-0..e2-5 1:a 3:a 4:a 5:a");
  await second.close();
  await first.close();
});

test("with synchronous=full nothing can be taken back, so no epoch begins", async () => {
  using kept = folder();
  const settings = new Settings();
  const first = await open(join(kept.path, "store.db"), settings, "boot-1", "full");
  await publishAll(first, "app", [draft("a")]);
  const second = await open(crashed(join(kept.path, "store.db")), settings, "boot-2", "normal");
  expect(show(await read(second, ["a"], { epoch: "e1", seq: 0 }))).toBe("e1-0..e1-1 1:a");
  await second.close();
  await first.close();
});

test("a transaction that fails refuses its publishes, and what is held is what the file has", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const broker = await open(path, settings);
  await publishAll(broker, "app", [draft("a", "kept")]);
  // fails in the middle of the third publish, with two in the file already
  const { retention } = settings;
  let calls = 0;
  const failing = (): Retention => {
    if (++calls > 2) throw new Error("no");
    return NO_LIMITS;
  };
  Object.assign(settings, { retention: failing });
  const results = await Promise.allSettled([
    broker.publish("app", [draft("a", "x")], { key: "k", subscribers: [] }),
    broker.publish("app", [draft("new", "y")]),
    broker.publish("other", [draft("a", "z")]),
  ]);
  for (const result of results) expect(result).toMatchObject({ status: "rejected", reason: { type: "unavailable" } });
  Object.assign(settings, { retention });
  expect(show(await read(broker, ["**"], { epoch: "e1", seq: 0 }))).toBe("e1-0..e1-1 1:a");
  expect(await broker.publish("app", [draft("new", "y")], { key: "k", subscribers: [] })).toMatchObject({
    seq: 2,
    repeated: null,
  });
  await broker.close();
});

test.each([
  ["text", () => Buffer.from("this is no database at all, but long enough to look at. ".repeat(40))],
  ["the database of another program", () => foreign()],
])("a file that is %s is refused in one line and left as it was", async (_what, make) => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const content = make();
  writeFileSync(path, content);
  expect(await refusal(open(path, new Settings()))).toMatch(
    /^The store \S+ is (no database|the database of another program)\.$/,
  );
  expect(readFileSync(path).equals(content)).toBe(true);
});

test("a damaged file is refused in one line", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const broker = await open(path, new Settings());
  await publishAll(
    broker,
    "app",
    Array.from({ length: 200 }, (_, i) => draft(`c${i}`, "x".repeat(500))),
  );
  await broker.close();
  const content = readFileSync(path);
  content.fill(0xa5, 4096); // all but the first page
  writeFileSync(path, content);
  expect(await refusal(open(path, new Settings()))).toMatch(/^The store \S+ is damaged: [^\n]+\.$/);
});

test("a file of a newer version is refused in one line and left as it was", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  await (await open(path, new Settings())).close();
  const db = new Database(path);
  db.run("PRAGMA user_version = 99");
  db.close();
  const before = readFileSync(path);
  expect(await refusal(open(path, new Settings()))).toMatch(/^The store \S+ was written by a newer version \(.+\)\.$/);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test("a folder that cannot be made is told in one line", async () => {
  using kept = folder();
  writeFileSync(join(kept.path, "file"), "");
  expect(await refusal(open(join(kept.path, "file", "store.db"), new Settings()))).toMatch(
    /^The store \S+ cannot be opened: [^\n]+\.$/,
  );
});

test("a turn stores a bounded part of what waits, and the rest follows in order", async () => {
  using kept = folder();
  const turns: (() => void)[] = [];
  const settings = new Settings();
  const options: SqliteOptions = Object.assign(settings, { schedule: (flush: () => void) => void turns.push(flush) });
  const broker = new SqliteBroker(join(kept.path, "store.db"), "normal", options);
  const ear = new Ear();
  await broker.start(ear);
  const receipts = Array.from({ length: 600 }, (_, i) => broker.publish("app", [draft("a", String(i))]));
  expect(turns).toHaveLength(1);
  turns[0]!();
  expect(ear.heard.at(-1)).toBe("app mark 500");
  expect(turns).toHaveLength(2);
  turns[1]!();
  expect(ear.heard.at(-1)).toBe("app mark 600");
  expect((await Promise.all(receipts)).map(({ seq }) => seq)).toEqual(receipts.map((_, i) => i + 1));

  const large = Array.from({ length: 3 }, () => broker.publish("app", [draft("a", "x".repeat(700_000))]));
  const closed = broker.close(); // what was published before is stored
  expect((await Promise.all(large)).map(({ seq }) => seq)).toEqual([601, 602, 603]);
  await closed;
});

test("the log stays short under steady publishing, and a close in the middle of it loses nothing", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const broker = await open(path, settings);
  let largest = 0;
  const publishOn = async (line: number): Promise<void> => {
    for (let i = 0; i < 500; i++) {
      await broker.publish("app", [draft(`c${(line * 7 + i * 13) % 997}`, "x".repeat(200))]);
      if (line === 0) largest = Math.max(largest, statSync(`${path}-wal`).size);
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, line) => publishOn(line))); // never a turn without a commit
  expect(largest).toBeLessThan(48 * 1024 * 1024);
  const last = Array.from({ length: 700 }, () => broker.publish("app", [draft("a")]));
  await broker.close();
  expect((await Promise.all(last)).at(-1)!.seq).toBe(32_700);
  expect(settings.logged).toEqual([]);

  const second = await open(path, settings);
  expect((await second.follow("app", selectionOf(["a"]))).seq).toBe(32_700);
  await second.close();
});

test("a file of the first version is brought forward with all that it holds", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const first = await open(path, settings);
  await first.publish("app", [draft("a", "kept")], { key: "k", subscribers: [3] });
  await first.close();
  const db = new Database(path);
  db.run("DROP TABLE notes");
  db.run("PRAGMA user_version = 1");
  db.close();

  const second = await open(path, settings);
  expect((await read(second, ["a"])).messages.map(({ data }) => data)).toEqual(["kept"]);
  expect((await second.publish("app", [draft("a", "kept")], { key: "k", subscribers: [] })).repeated).toEqual([3]);
  await second.note("app", { key: "a", value: "", until: 2_000_000 });
  await second.close();
});

test("notes outlive the process, the last of each key, until their time", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  const first = await open(path, settings);
  await first.note("app", { key: "a", value: "old", until: 9_000_000 });
  await first.note("app", { key: "a", value: "new", until: 9_000_000 });
  await first.note("app", { key: "b", value: "", until: 1_500_000 });
  await first.note("other", { key: "a", value: "x", until: 9_000_000 });
  await first.close();

  settings.ms = 1_500_001;
  const heard: string[] = [];
  const second = new SqliteBroker(path, "normal", settings);
  await second.start(new Ear(), { noted: (app, { key, value }) => void heard.push(`${app} ${key}=${value}`) });
  expect(heard.sort()).toEqual(["app a=new", "other a=x"]);
  await trimAll(second);
  await second.close();
  const db = new Database(path, { readonly: true });
  expect(db.query("SELECT key, value FROM notes ORDER BY id").values()).toEqual([
    ["a", "new"],
    ["a", "x"],
  ]);
  db.close();
});

test("a stream of an app that is new while the file is full is followed once it is not", async () => {
  using kept = folder();
  const settings = new Settings();
  let db: Database | undefined;
  const opened = (one: Database): void => void (db = one);
  const broker = new SqliteBroker(join(kept.path, "store.db"), "normal", Object.assign(settings, { opened }));
  await broker.start(new Ear());
  const pages = Number(db!.query("PRAGMA page_count").values()[0]![0]);
  db!.run(`PRAGMA max_page_count = ${pages}`);
  // so many that one of them needs a page
  const followed = Array.from({ length: 300 }, (_, i) => broker.follow(`app${i}`, selectionOf(["a"])));
  const all = Promise.all(followed).then(() => "all");
  await new Promise(setImmediate);
  expect(settings.logged).toHaveLength(1);
  expect(Bun.peek.status(all)).toBe("pending");
  db!.run("PRAGMA max_page_count = 1000000");
  await trimAll(broker); // which its owner calls every second
  expect(await all).toBe("all");
  await broker.close();
});

test("a note that a full file does not take is refused and not told, and taken when there is room again", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  let db: Database | undefined;
  const opened = (one: Database): void => void (db = one);
  const broker = new SqliteBroker(path, "normal", Object.assign(settings, { opened }));
  const heard: string[] = [];
  const noted = (_app: string, { key }: { readonly key: string }): void => void heard.push(key);
  await broker.start(new Ear(), { noted });
  db!.run(`PRAGMA max_page_count = ${String(db!.query("PRAGMA page_count").values()[0]![0])}`);
  const taken: string[] = [];
  for (let i = 0; ; i++) {
    const note = { key: String(i), value: "x".repeat(500), until: 9_000_000 };
    const error = await rejection(broker.note("app", note));
    if (error === undefined) taken.push(note.key);
    else {
      expect(error).toMatchObject({ type: "unavailable" });
      break;
    }
  }
  expect(heard).toEqual(taken);
  expect(settings.logged).toHaveLength(1);
  db!.run("PRAGMA max_page_count = 1000000");
  await broker.check();
  await broker.note("app", { key: "last", value: "", until: 9_000_000 });
  await broker.close();

  const again: string[] = [];
  const second = new SqliteBroker(path, "normal", settings);
  await second.start(new Ear(), { noted: (_app, { key }) => void again.push(key) });
  expect(again.sort()).toEqual([...taken, "last"].sort());
  await second.close();
});

function foreign(): Buffer {
  using kept = folder();
  const path = join(kept.path, "other.db");
  const db = new Database(path);
  db.run("CREATE TABLE t (x)");
  db.close();
  return readFileSync(path);
}
