import { expect, setDefaultTimeout, test } from "bun:test";
import { MemoryBroker } from "../../src/broker/memory.ts";
import { RedisBroker } from "../../src/broker/redis.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import type { Broker } from "../../src/broker/broker.ts";
import type { Position } from "../../src/core/position.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { Random } from "../hub/simulation/random.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { Ear, Settings, draft, publishAll, show, trimAll } from "./fixture.ts";

const NAMES = [
  "a",
  "b",
  "a-%.x",
  "room",
  "room.1",
  "room.2.x",
  "room.",
  "x".repeat(200),
  ...Array.from({ length: 90 }, (_, i) => `many.${i}`),
  ...Array.from({ length: 40 }, (_, i) => `deep.${i % 4}.${i}`),
];
const SELECTIONS = [
  ["a"],
  ["a", "b", "room.1"],
  ["a", "none"],
  ["**"],
  ["many.*"],
  ["room.**"],
  ["room.*", "a-%.x"],
  ["deep.*.7", "many.3", "b"],
  ["deep.2.*", "room"],
  ["none.*"],
  NAMES.slice(0, 80),
];

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  test("pages, starts and lists are those of the reference, whatever was published, trimmed and forgotten", async () => {
    await using server = await startRedis();
    for (let seed = 1; seed <= 5; seed++) {
      await server.command("FLUSHALL");
      const random = new Random(seed);
      const settings = [new Settings(), new Settings()] as const;
      const memory = new MemoryBroker(settings[0]);
      const redis = new RedisBroker(parseRedisAddress(server.url)!, settings[1]);
      const both: readonly Broker[] = [memory, redis];
      for (const broker of both) await broker.start(new Ear());
      const kept = {
        count: random.pick([0, 3, 20]),
        ageMs: random.pick([0, 0, 4000]),
        bytes: random.pick([0, 60]),
        appBytes: random.pick([0, 0, 2000]),
        channels: random.pick([0, 5, 60]),
      };
      for (const one of settings) one.keep(kept);
      const names = NAMES.filter(() => random.chance(seed % 3 === 0 ? 1 : 0.4));
      let head = 0;
      for (let step = 0; step < 60; step++) {
        for (const one of settings) one.ms += 500;
        const drafts = Array.from({ length: random.between(1, 40) }, (_, i) => {
          return draft(random.pick(names), `${step} ${i} ${random.chance(0.02) ? "long".repeat(20_000) : ""}`);
        });
        for (const broker of both) head = await publishAll(broker, "app", drafts);
        if (random.chance(0.3)) {
          for (const broker of both) await trimAll(broker);
        }
        for (let look = 0; look < 4; look++) await compare(both, random, head);
      }
      expect(settings[1].logged).toEqual([]);
      for (const broker of both) await broker.close();
    }
  }, 60_000);
}

async function compare(both: readonly Broker[], random: Random, head: number): Promise<void> {
  const selection = selectionOf(random.pick(SELECTIONS));
  const [from, limit] = [random.below(head + 2), random.pick([1, 7, 256])];
  const pages = async (broker: Broker): Promise<string[]> => {
    const lines: string[] = [];
    for (let after: Position = { epoch: "e1", seq: from }; ;) {
      const page = await broker.read("app", selection, after, limit);
      // Where the limit was met with the last message, either end is true.
      const { messages, through } = page;
      const isCut = messages.length > 0 && through.seq === messages.at(-1)!.seq;
      lines.push(show(isCut && messages.length === limit ? { ...page, through: { epoch: "e1", seq: 0 } } : page));
      after = through;
      if (after.seq >= head || lines.length === 6) return lines;
    }
  };
  const start = random.chance(0.5)
    ? ({ kind: "last", count: random.pick([0, 1, 5, 1000]) } as const)
    : ({ kind: "since", sinceMs: 1_000_000 + 500 * random.below(70), count: random.pick([3, 1000]) } as const);
  const [prefix, after] = [random.pick(["", "many.", "room", "z"]), random.pick(["", "many.5", "a"])];
  const seen = await Promise.all(
    both.map(async (broker) => ({
      pages: await pages(broker),
      seek: await broker.seek("app", selection, start),
      list: await broker.channels("app", prefix, after, random.pick([10, 10])),
      one: await broker.channel("app", selection.channels[0] ?? "a"),
    })),
  );
  expect(seen[1]).toEqual(seen[0]);
}
