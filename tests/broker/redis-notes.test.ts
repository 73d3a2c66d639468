import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AppId, Note } from "../../src/broker/broker.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { rejection } from "./fixture.ts";
import { startNode, until } from "./redis-fixture.ts";

const LATER = Date.now() + 3_600_000;

/** What a node was told. */
class Told {
  readonly lines: string[] = [];
  #changed = Promise.withResolvers<void>();

  readonly noted = (app: AppId, { key, value }: Note): void => {
    this.lines.push(`${app} ${key}=${value}`);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  };

  async until(line: string): Promise<void> {
    while (!this.lines.includes(line)) await this.#changed.promise;
  }
}

const apps = { apps: () => ["app", "other"] };

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("notes in Redis", () => {
    test("reach every node, and one that starts later before it is started", async () => {
      await using server = await startRedis();
      const [one, two, three] = [new Told(), new Told(), new Told()];
      await using near = await startNode(server.url, apps, one);
      await using far = await startNode(server.url, apps, two);
      await near.broker.note("app", { key: "k", value: "1", until: LATER });
      expect(one.lines).toEqual(["app k=1"]); // before it was acknowledged
      await two.until("app k=1");
      await far.ready();
      await near.broker.note("app", { key: "k", value: "2 3", until: LATER });
      await near.broker.note("other", { key: "gone", value: "", until: 1 });
      await using late = await startNode(server.url, apps, three);
      expect(three.lines).toEqual(["app k=2 3"]);
      await late.ready();
    });

    test("that were kept while a node was cut off are told to it after", async () => {
      await using server = await startRedis();
      const told = new Told();
      await using node = await startNode(server.url, apps, told);
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      await server.command("HSET", "socket:{app}:notes", "k", `${LATER} unheard`); // by nobody who announces it
      await told.until("app k=unheard");
      await node.ready();
    });

    test("of the same key hold in the order in which they were kept, at every node", async () => {
      await using server = await startRedis();
      const [one, two] = [new Told(), new Told()];
      await using near = await startNode(server.url, apps, one);
      await using far = await startNode(server.url, apps, two);
      await Promise.all(
        Array.from({ length: 200 }, (_, i) => {
          const { broker } = i % 2 === 0 ? near : far;
          return broker.note("app", { key: "k", value: `${i}`, until: LATER });
        }),
      );
      const kept = String(await server.command("HGET", "socket:{app}:notes", "k")).split(" ")[1]!;
      await two.until(`app k=${kept}`);
      await one.until(`app k=${kept}`);
      expect([one.lines.length, two.lines.length]).toEqual([200, 200]);
      expect(one.lines).toEqual(two.lines);
      expect(one.lines.at(-1)).toBe(`app k=${kept}`);
    });

    test("are refused while Redis is away, and kept after", async () => {
      await using server = await startRedis();
      const told = new Told();
      await using node = await startNode(server.url, apps, told);
      await server.kill();
      const note = { key: "k", value: "1", until: LATER };
      expect(await rejection(node.broker.note("app", note))).toMatchObject({ type: "unavailable" });
      await server.start();
      await until(() => node.broker.note("app", note));
      expect(told.lines).toEqual(["app k=1"]);
    });

    test("that hold no more are dropped by retention", async () => {
      await using server = await startRedis();
      let now = 1_000_000;
      await using node = await startNode(server.url, { ...apps, now: () => now });
      await node.broker.note("app", { key: "short", value: "", until: 1_000_500 });
      await node.broker.note("app", { key: "long", value: "", until: 2_000_000 });
      now += 501;
      while (await node.broker.trim());
      expect(await server.command("HKEYS", "socket:{app}:notes")).toEqual(["long"]);
    });
  });
}
