import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { SqliteBroker, type SqliteOptions } from "../../src/broker/sqlite.ts";
import { ApiError } from "../../src/core/errors.ts";
import { draft, Ear, folder, Settings } from "./fixture.ts";

let kept: ReturnType<typeof folder>;
let broker: SqliteBroker;
/** Transactions that were asked for and not begun: the store stands still until they are called. */
let turns: (() => void)[];

beforeEach(async () => {
  kept = folder();
  turns = [];
  const options: SqliteOptions = Object.assign(new Settings(), {
    schedule: (flush: () => void) => void turns.push(flush),
  });
  broker = new SqliteBroker(join(kept.path, "store.db"), "normal", options);
  await broker.start(new Ear());
});

afterEach(async () => {
  await broker.close();
  kept[Symbol.dispose]();
});

function goOn(): void {
  for (let flush = turns.shift(); flush !== undefined; flush = turns.shift()) flush();
}

/** What it was refused as, or its seq. */
async function outcome(publish: Promise<{ readonly seq: number }>): Promise<unknown> {
  return publish.then(
    ({ seq }) => seq,
    (error: unknown) => (error instanceof ApiError ? error.type : error),
  );
}

test("while the store stands still an app has a bounded number of messages waiting, and another app its own", async () => {
  const batch = Array.from({ length: 100 }, () => draft("a"));
  const waiting = Array.from({ length: 500 }, () => outcome(broker.publish("app", batch)));
  expect(await outcome(broker.publish("app", [draft("a")]))).toBe("unavailable");
  const other = outcome(broker.publish("other", [draft("a")]));
  goOn();
  expect(await Promise.all(waiting)).toEqual(waiting.map((_, i) => 1 + i * 100));
  expect(await other).toBe(1);
  const next = outcome(broker.publish("app", [draft("a")]));
  goOn();
  expect(await next).toBe(50_001); // what was refused took no place
});

test("while the store stands still an app has a bounded size of data waiting", async () => {
  const data = "x".repeat(1024 * 1024);
  const waiting = Array.from({ length: 64 }, () => outcome(broker.publish("app", [draft("a", data)])));
  expect(await outcome(broker.publish("app", [draft("a", "x")]))).toBe("unavailable");
  goOn();
  expect(await Promise.all(waiting)).toEqual(waiting.map((_, i) => i + 1));
});

test("a publish that is larger than what may wait is kept when nothing else waits", async () => {
  const large = outcome(broker.publish("app", [draft("a", "x".repeat(65 * 1024 * 1024))]));
  expect(await outcome(broker.publish("app", [draft("a")]))).toBe("unavailable");
  goOn();
  expect(await large).toBe(1);
});
