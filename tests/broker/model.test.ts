import type { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { Broker, Receipt, Retention, Start } from "../../src/broker/broker.ts";
import { MemoryBroker } from "../../src/broker/memory.ts";
import { SqliteBroker } from "../../src/broker/sqlite.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { ApiError } from "../../src/core/errors.ts";
import type { Draft } from "../../src/core/message.ts";
import type { Position } from "../../src/core/position.ts";
import { Ear, NO_LIMITS, Settings, folder, trimAll } from "./fixture.ts";
import { Model } from "./model.ts";

/** More runs where more time is given: `SOCKET_TEST_RUNS=5000 bun test tests/broker/model.test.ts`. */
const RUNS = Number(process.env["SOCKET_TEST_RUNS"] ?? 80);

const NAMES = ["a", "b", "room", "room.1", "room.2", "room.1.x", "room.2.x", "c.1", "c.2", "c.3"];
const PATTERNS = ["*", "**", "room.*", "room.**", "*.1", "*.*.x", "none.**"];

type Step =
  | { readonly kind: "publish"; readonly drafts: readonly Draft[]; readonly key: string | null }
  | { readonly kind: "publishMany"; readonly count: number; readonly stride: number; readonly offset: number }
  | { readonly kind: "clock"; readonly byMs: number }
  | { readonly kind: "limits"; readonly limits: Retention }
  | { readonly kind: "trim" }
  | { readonly kind: "read"; readonly names: readonly string[]; readonly at: At; readonly limit: number }
  | { readonly kind: "seek"; readonly names: readonly string[]; readonly count: number; readonly agoMs: number | null }
  | { readonly kind: "channels"; readonly prefix: string; readonly after: string; readonly limit: number }
  | { readonly kind: "restart"; readonly how: "clean" | "killed" | "power" }
  /** From now on the file may grow by so many pages; null: by any number. */
  | { readonly kind: "room"; readonly pages: number | null };

/** Where a read begins: so much of the way to the head, so many positions beyond it, of the n-th epoch from the end. */
interface At {
  readonly part: number;
  readonly beyond: number;
  readonly age: number;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  channel: fc.constantFrom(...NAMES),
  event: fc.constantFrom(null, "e"),
  data: fc.string({ maxLength: 12, unit: "grapheme" }),
  json: fc.boolean(),
});
const names = fc.array(fc.constantFrom(...NAMES, ...NAMES, ...PATTERNS), { minLength: 1, maxLength: 5 });
const limit = (max: number): fc.Arbitrary<number> => fc.oneof(fc.constant(0), fc.integer({ min: 1, max }));

const limits: fc.Arbitrary<Retention> = fc.record({
  count: limit(20),
  ageMs: limit(800),
  bytes: limit(100),
  appBytes: limit(400),
  channels: limit(6),
});

const plain: fc.WeightedArbitrary<Step>[] = [
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      drafts: fc.array(draft, { minLength: 1, maxLength: 5 }),
      key: fc.option(fc.constantFrom("k1", "k2", "k3"), { nil: null, freq: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("publishMany" as const),
      count: fc.integer({ min: 1, max: 120 }),
      stride: fc.integer({ min: 0, max: 9 }),
      offset: fc.integer({ min: 0, max: 9 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("clock" as const), byMs: fc.integer({ min: -50, max: 400 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("trim" as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      names,
      at: fc.record({
        part: fc.double({ min: 0, max: 1, noNaN: true }),
        beyond: fc.constantFrom(0, 0, 0, 0, 1, 7),
        age: fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3, 99),
      }),
      limit: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 300 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("seek" as const),
      names,
      count: fc.integer({ min: 0, max: 30 }),
      agoMs: fc.option(fc.integer({ min: -10, max: 1000 }), { nil: null }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("channels" as const),
      prefix: fc.constantFrom("", "room", "room.", "c.", "zz"),
      after: fc.constantFrom("", "a", "room.1", "c.2"),
      limit: fc.integer({ min: 1, max: 8 }),
    }),
  },
];
const lasting: fc.WeightedArbitrary<Step>[] = [
  {
    weight: 1,
    // a limit that is lowered takes hold of a channel when it is published to, or at the next start
    arbitrary: fc.record({ kind: fc.constant("limits" as const), limits }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("restart" as const),
      how: fc.constantFrom("clean" as const, "killed" as const, "power" as const),
    }),
  },
];

const full: fc.WeightedArbitrary<Step>[] = [
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("room" as const),
      pages: fc.option(fc.integer({ min: 0, max: 4 }), { nil: null, freq: 4 }),
    }),
  },
  {
    // what fills pages, and fails at one place or another of what it writes
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      drafts: fc.array(
        fc.record({
          channel: fc.constantFrom(...NAMES),
          event: fc.constant(null),
          data: fc.integer({ min: 0, max: 6000 }).map((length) => "x".repeat(length)),
          json: fc.constant(false),
        }),
        { minLength: 1, maxLength: 8 },
      ),
      key: fc.option(fc.constantFrom("k1", "k2", "k3"), { nil: null, freq: 2 }),
    }),
  },
];

interface Driven {
  readonly broker: () => Broker;
  /** Bounds the file, so that what needs more pages fails as on a full disk. */
  readonly room?: (pages: number | null) => void;
  readonly restart: (how: "clean" | "killed" | "power") => Promise<void>;
}

/** Takes the steps on a broker and on the model; every answer must be the same. */
async function drive(driven: Driven, settings: Settings, steps: readonly Step[]): Promise<number> {
  const epochs = ["e1"];
  let refused = 0;
  let bounded = false;
  const giveRoom = async (): Promise<void> => {
    if (!bounded) return;
    bounded = false;
    driven.room?.(null);
    await driven.broker().check(); // which finds that it takes writes again
  };
  /** Null for a publish that was refused because the file is full. */
  const outcome = async (publish: Promise<Receipt>): Promise<Receipt | null> => {
    try {
      return await publish;
    } catch (error) {
      if (!(bounded && error instanceof ApiError && error.type === "unavailable")) throw error;
      refused++;
      return null;
    }
  };
  const model = new Model("e1", settings.idempotencyTtlMs);
  await driven.broker().follow("app", selectionOf(["a"])); // the app begins, and its epoch
  for (const step of steps) {
    const broker = driven.broker();
    switch (step.kind) {
      case "publish": {
        const once = step.key === null ? undefined : { key: step.key, subscribers: [] };
        const receipt = await outcome(broker.publish("app", step.drafts, once)).catch((error: unknown) => {
          if (error instanceof ApiError && error.type === "idempotency_conflict") return "conflict";
          throw error;
        });
        if (receipt === null) break; // and nothing of it is kept
        expect(receipt).toEqual(model.publish(step.drafts, step.key, settings.ms) ?? "conflict");
        break;
      }
      case "publishMany": {
        const many = Array.from({ length: step.count }, (_, i) => {
          const channel = NAMES[(step.offset + i * step.stride) % NAMES.length]!;
          return [{ channel, event: null, data: String(i), json: false }];
        });
        const receipts = await Promise.all(many.map((drafts) => outcome(broker.publish("app", drafts))));
        for (const [i, receipt] of receipts.entries()) {
          if (receipt !== null) expect(receipt).toEqual(model.publish(many[i]!, null, settings.ms)!);
        }
        break;
      }
      case "clock":
        settings.ms += step.byMs;
        break;
      case "limits":
        settings.keep(step.limits);
        await driven.restart("clean");
        bounded = false;
        break;
      case "trim":
        await trimAll(broker); // which may fail after some of its steps
        if (bounded) {
          await giveRoom();
          await trimAll(broker);
        }
        model.trim(settings.kept, settings.ms);
        break;
      case "read": {
        const seq = Math.round(step.at.part * model.head) + step.at.beyond;
        const at: Position =
          step.at.age === 3 ? { epoch: "", seq: 0 } : { epoch: epochs.at(-1 - step.at.age) ?? "unknown", seq };
        const selection = selectionOf(step.names);
        expect(await broker.read("app", selection, at, step.limit)).toEqual(model.read(selection, at, step.limit));
        break;
      }
      case "seek": {
        const { count, agoMs } = step;
        const start: Start =
          agoMs === null ? { kind: "last", count } : { kind: "since", sinceMs: settings.ms - agoMs, count };
        const selection = selectionOf(step.names);
        expect(await broker.seek("app", selection, start)).toEqual(model.seek(selection, start));
        break;
      }
      case "channels": {
        const { prefix, after, limit } = step;
        expect(await broker.channels("app", prefix, after, limit)).toEqual(model.channels(prefix, after, limit));
        break;
      }
      case "room":
        await giveRoom();
        bounded = step.pages !== null;
        driven.room?.(step.pages);
        break;
      case "restart":
        await driven.restart(step.how);
        bounded = false;
        if (step.how === "power") {
          epochs.push(`e${settings.epochs}`);
          model.renew(`e${settings.epochs}`);
        }
    }
  }
  return refused;
}

test("the memory broker answers as the model does, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(fc.oneof(...plain), { maxLength: 60, size: "max" }), async (kept, steps) => {
      const settings = new Settings();
      settings.idempotencyTtlMs = 300;
      settings.keep(kept);
      const broker = new MemoryBroker(settings);
      await broker.start(new Ear());
      await drive({ broker: () => broker, restart: async () => {} }, settings, steps);
    }),
    { numRuns: RUNS },
  );
}, 600_000);

/** Takes the steps on a file of its own. Gives how many publishes a full file refused. */
async function driveFile(steps: readonly Step[]): Promise<number> {
  using kept = folder();
  const settings = new Settings();
  settings.idempotencyTtlMs = 300;
  let files = 0;
  let boots = 0;
  let file: Database | null = null;
  const path = (): string => join(kept.path, `store${files}.db`);
  const open = async (): Promise<SqliteBroker> => {
    const options = { bootId: () => String(boots), opened: (db: Database) => (file = db) };
    const opened = new SqliteBroker(path(), "normal", Object.assign(settings, options));
    await opened.start(new Ear());
    return opened;
  };
  let broker = await open();
  const driven: Driven = {
    broker: () => broker,
    room: (pages) => {
      const [[count = 0] = []] = file!.query<unknown, []>("PRAGMA page_count").values() as number[][];
      file!.run(`PRAGMA max_page_count = ${pages === null ? 0xfffffffe : count + pages}`);
    },
    restart: async (how) => {
      const before = path();
      const last = broker;
      if (how === "clean") {
        await last.close();
      } else {
        // what the system holds of the file at this moment is what a kill leaves
        files++;
        for (const end of ["", "-wal"]) if (existsSync(before + end)) copyFileSync(before + end, path() + end);
        await last.close();
      }
      if (how === "power") boots++;
      broker = await open();
    },
  };
  try {
    return await drive(driven, settings, steps);
  } finally {
    await broker.close();
  }
}

test("the SQLite broker answers as the model does, over restarts, kills and losses of power too", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...plain, ...lasting), { maxLength: 60, size: "max" }), async (steps) => {
      await driveFile(steps);
    }),
    { numRuns: RUNS },
  );
}, 600_000);

test("a file that is full, at whatever statement, refuses whole publishes and keeps to the model", async () => {
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(...plain, ...lasting, ...full), { minLength: 20, maxLength: 60, size: "max" }),
      async (steps) => void (refused += await driveFile(steps)),
    ),
    { numRuns: RUNS },
  );
  expect(refused).toBeGreaterThan(RUNS); // it was full, and not only once
}, 600_000);

test("without limits nothing is ever dropped", async () => {
  const settings = new Settings();
  settings.keep(NO_LIMITS);
  const broker = new MemoryBroker(settings);
  await broker.start(new Ear());
  await broker.publish("app", [{ channel: "a", event: null, data: "x", json: false }]);
  settings.ms += 1e12;
  await trimAll(broker);
  expect(await broker.channel("app", "a")).not.toBeNull();
});
