import type { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SqliteBroker } from "../../src/broker/sqlite.ts";
import { ApiError } from "../../src/core/errors.ts";
import type { Message } from "../../src/core/message.ts";
import { Ear, Settings, draft, folder, read, trimAll } from "./fixture.ts";

const RUNS = Number(process.env["SOCKET_TEST_RUNS"] ?? 40);
const PAGE = 4096;
const CHANNELS = ["a", "b", "c", "d"];

/** A damaged page, counted round the file, and what stands there now. */
interface Damage {
  readonly page: number;
  readonly with: "zeros" | "noise";
}

const damages: fc.Arbitrary<readonly Damage[]> = fc.array(
  fc.record({ page: fc.integer({ min: 0, max: 1000 }), with: fc.constantFrom("zeros", "noise") }),
  { minLength: 1, maxLength: 4 },
);

/** Overwrites whole pages behind the first. */
function damage(path: string, places: readonly Damage[]): void {
  const pages = readFileSync(path).length / PAGE;
  const file = openSync(path, "r+");
  for (const { page: counted, with: what } of places) {
    const page = 1 + (counted % (pages - 1));
    const noise = Buffer.from(Array.from({ length: PAGE }, (_, i) => (i * 7919 + page * 104_729) % 251));
    writeSync(file, what === "zeros" ? Buffer.alloc(PAGE) : noise, 0, PAGE, page * PAGE);
  }
  closeSync(file);
}

interface Open {
  readonly broker: SqliteBroker;
  readonly db: Database;
  readonly settings: Settings;
}

async function open(path: string): Promise<Open> {
  const settings = new Settings();
  let db: Database | undefined;
  const opened = (one: Database): void => void (db = one);
  const broker = new SqliteBroker(path, "normal", Object.assign(settings, { bootId: () => "boot", opened }));
  await broker.start(new Ear());
  return { broker, db: db!, settings };
}

/** Publishes, and gives what is kept. */
async function fill(broker: SqliteBroker): Promise<readonly Message[]> {
  const drafts = Array.from({ length: 240 }, (_, i) =>
    draft(CHANNELS[(i * i) % 4]!, `${i} ${"x".repeat((i * 37) % 900)}`),
  );
  await Promise.all(drafts.map((one) => broker.publish("app", [one])));
  return (await read(broker, ["**"], { epoch: "e1", seq: 0 })).messages;
}

async function rejectsOr<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError);
    expect((error as ApiError).type).toBe("unavailable");
    return null;
  }
}

/** That every read is refused, or gives what was published and all of it. Resolves with how many were refused. */
async function readAll({ broker }: Open, published: readonly Message[]): Promise<number> {
  let refused = 0;
  for (const names of [["a"], ["b", "d"], ["**"]]) {
    for (let seq = 0; seq < published.length; seq += 40) {
      const page = await rejectsOr(read(broker, names, { epoch: "e1", seq }, 30));
      if (page === null) refused++;
      else {
        const { messages, from, through, gap } = page;
        const within = published.filter(
          (one) => one.seq > from.seq && one.seq <= through.seq && (names[0] === "**" || names.includes(one.channel)),
        );
        expect([gap, from.seq, messages]).toEqual([null, seq, within]);
      }
    }
  }
  return refused;
}

test("pages that are damaged while it runs are refused, and never give anything else than what was published", async () => {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(damages, async (places) => {
      using kept = folder();
      const path = join(kept.path, "store.db");
      const opened = await open(path);
      const { broker, db, settings } = opened;
      const published = await fill(broker);
      db.run("PRAGMA wal_checkpoint(TRUNCATE)");
      db.run("PRAGMA cache_size = 1");
      db.run("PRAGMA shrink_memory"); // so that what it reads comes from the file
      damage(path, places);
      refused += await readAll(opened, published);
      const receipt = await rejectsOr(broker.publish("app", [draft("a", "later")]));
      if (receipt !== null) expect(receipt.seq).toBe(published.length + 1);
      else {
        expect(await rejectsOr(broker.check().then(() => "ready"))).toBeNull();
        await trimAll(broker);
        await trimAll(broker);
        expect(settings.logged.filter((line) => line.includes("takes messages again"))).toEqual([]);
      }
      expect(new Set(settings.logged).size).toBe(settings.logged.length); // each fault told once
      await broker.close();
    }),
    { numRuns: RUNS },
  );
  expect(refused).toBeGreaterThan(0);
}, 600_000);

test("of a file that was damaged while nobody ran it, the start is refused in one line, or reads are as above", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const before = await open(path);
  const published = await fill(before.broker);
  await before.broker.close();
  const whole = readFileSync(path);
  let [starts, refused] = [0, 0];
  await fc.assert(
    fc.asyncProperty(damages, async (places) => {
      for (const end of ["-wal", "-shm"]) rmSync(path + end, { force: true });
      writeFileSync(path, whole);
      damage(path, places);
      const opened = await open(path).catch((error: unknown) => error as Error);
      if (opened instanceof Error) {
        expect(opened.message).toMatch(/^The store \S+ is (damaged|no database)[^\n]*\.$/);
        return;
      }
      starts++;
      refused += await readAll(opened, published);
      await opened.broker.close();
    }),
    { numRuns: RUNS },
  );
  expect(Math.min(starts, refused)).toBeGreaterThan(0);
}, 600_000);
