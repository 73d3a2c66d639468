import { expect, test } from "bun:test";
import { join } from "node:path";
import { SqliteBroker } from "../../src/broker/sqlite.ts";
import type { Message } from "../../src/core/message.ts";
import { openFiles } from "../setup/open-files.ts";
import { Ear, Settings, draft, folder, read, rejection } from "./fixture.ts";

const ROUNDS = 12;
const PUBLISHER = join(import.meta.dir, "publisher.ts");

interface Acknowledged {
  readonly seq: number;
  readonly line: number;
  readonly key: string;
}

/** Runs a publisher until it acknowledged `count`, kills it in the middle of its work, and gives all it acknowledged. */
async function killAfter(count: number, path: string, round: number): Promise<Acknowledged[]> {
  await using child = Bun.spawn([process.execPath, PUBLISHER, path, String(round)], { stdout: "pipe" });
  let text = "";
  let lines = 0;
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const part = decoder.decode(chunk, { stream: true });
    text += part;
    lines += part.split("\n").length - 1;
    if (lines >= count && !child.killed) child.kill("SIGKILL");
  }
  await child.exited;
  const whole = text.slice(0, text.lastIndexOf("\n")).split("\n");
  return whole.map((one) => {
    const [seq, line, key] = one.split(" ");
    return { seq: Number(seq), line: Number(line), key: key! };
  });
}

test("after every kill -9 each acknowledged message is read back in order and once, and its key is known", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const acknowledged: Acknowledged[] = [];
  let epoch = "";
  for (let round = 0; round < ROUNDS; round++) {
    // some rounds are long enough to be killed beside a checkpoint
    acknowledged.push(...(await killAfter(round % 6 === 5 ? 8000 : 20 + ((round * 97) % 400), path, round)));
    const settings = new Settings();
    settings.idempotencyTtlMs = 0;
    const broker = new SqliteBroker(path, "normal", settings);
    await broker.start(new Ear());
    try {
      const head = await broker.follow("app", { channels: [], patterns: [], key: "" });
      expect(head.epoch).toBe(epoch === "" ? head.epoch : epoch);
      ({ epoch } = head);

      const messages: Message[] = [];
      for (let after = { epoch, seq: 0 }; after.seq < head.seq;) {
        const page = await read(broker, ["**"], after, 5000);
        expect(page.gap).toBeNull();
        messages.push(...page.messages);
        after = page.through;
      }
      expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, i) => i + 1));
      expect(messages).toHaveLength(head.seq);
      expect(new Set(messages.map(({ channel, data }) => `${channel} ${data}`)).size).toBe(messages.length);
      for (const { seq, line, key } of acknowledged) {
        expect(messages[seq - 1]).toMatchObject({ channel: `c${line}`, data: key });
      }

      for (const { seq, line, key } of acknowledged.slice(-20)) {
        const isBatch = messages[seq]?.channel === "both" && messages[seq].data === key;
        const drafts = isBatch ? [draft(`c${line}`, key), draft("both", key)] : [draft(`c${line}`, key)];
        const receipt = await broker.publish("app", drafts, { key, subscribers: [] });
        expect(receipt).toEqual({ epoch, seq, repeated: [line] });
      }
    } finally {
      await broker.close();
    }
  }
  expect(acknowledged.length).toBeGreaterThan(ROUNDS * 20);
}, 60_000);

test("a second process waits while the first runs, without opening the file, and is let in once it was killed", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const settings = new Settings();
  settings.ms = Date.now(); // as the publisher's
  const child = Bun.spawn([process.execPath, PUBLISHER, path, "0"], { stdout: "pipe" });
  let asked = 0;
  const pause = async (): Promise<void> => {
    if (++asked < 3) return;
    expect(openFiles(process.pid).filter((file) => file.startsWith(kept.path))).toEqual([]);
    child.kill("SIGKILL");
    await child.exited;
  };
  const second = new SqliteBroker(path, "normal", Object.assign(settings, { pause }));
  try {
    await child.stdout.getReader().read();
    await second.start(new Ear());
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
  expect(asked).toBe(3);
  expect(settings.logged).toEqual([
    "info: waiting for the store, which another process has in use",
    "info: the other process has let go of the store",
  ]);
  expect((await second.follow("app", { channels: [], patterns: [], key: "" })).seq).toBeGreaterThan(0);
  await second.close();
});

test("a wait for the store ends with the signal, and leaves the one that has it alone", async () => {
  using kept = folder();
  const path = join(kept.path, "store.db");
  const first = new SqliteBroker(path, "normal", new Settings());
  await first.start(new Ear());
  const ended = new AbortController();
  const pause = async (): Promise<void> => ended.abort("SIGTERM");
  const second = new SqliteBroker(path, "normal", Object.assign(new Settings(), { pause }));
  expect(await rejection(second.start(new Ear(), { signal: ended.signal }))).toBe("SIGTERM");
  expect((await first.publish("app", [draft("a")])).seq).toBe(1);
  await first.close();
});
