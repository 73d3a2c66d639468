/**
 * Publishes to the store that its first argument names until it is killed, and writes a line for every receipt:
 * its number, the seq, the key. Each third publish is a batch.
 */
import { writeSync } from "node:fs";
import { SqliteBroker } from "../../src/broker/sqlite.ts";
import { draft } from "./fixture.ts";

const [path = "", round = ""] = process.argv.slice(2);

const broker = new SqliteBroker(path, "normal", {
  now: () => Date.now(),
  retention: () => ({ count: 0, ageMs: 0, bytes: 0, appBytes: 0, channels: 0 }),
  idempotencyTtlMs: 0,
  log: () => {},
});
await broker.start({ deliver: () => {}, mark: () => {}, broken: () => {} });

let count = 0;

async function publishOn(line: number): Promise<never> {
  for (;;) {
    const key = `${round}.${count++}`;
    const drafts = [draft(`c${line}`, key)];
    if (count % 3 === 0) drafts.push(draft("both", key));
    const { seq } = await broker.publish("app", drafts, { key, subscribers: [line] });
    writeSync(1, `${seq} ${line} ${key}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, line) => publishOn(line)));
