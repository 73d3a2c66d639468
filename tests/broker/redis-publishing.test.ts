import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { Once } from "../../src/broker/broker.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { TcpProxy } from "../setup/tcp-proxy.ts";
import { NO_LIMITS, draft, read, refusal, rejection, show, trimAll } from "./fixture.ts";
import { startNode, until } from "./redis-fixture.ts";

const ALL = selectionOf(["**"]);
const once = (key: string): Once => ({ key, subscribers: [1] });
const UNKNOWN = "it is not known whether this was kept";

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("publishing to Redis", () => {
    test("what waits for the network goes in one call", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url);
      await node.broker.publish("app", [draft("a")]);
      await server.command("CONFIG", "RESETSTAT");
      const receipts = await Promise.all(
        Array.from({ length: 1500 }, (_, i) => node.broker.publish("app", [draft("a", `${i}`)])),
      );
      expect(receipts.map(({ seq }) => seq)).toEqual(Array.from({ length: 1500 }, (_, i) => i + 2));
      expect((await server.calls())["evalsha"]).toBeLessThanOrEqual(5); // 500 messages each, and perhaps a mark
    });

    test("a call whose answer was lost is asked for again, and keeps its messages once", async () => {
      await using server = await startRedis();
      await using proxy = await TcpProxy.start(server.port);
      await using witness = await startNode(server.url);
      await witness.broker.follow("app", ALL);
      await using node = await startNode(`redis://127.0.0.1:${proxy.port}`);
      await node.broker.publish("app", [draft("a", "first")]);
      proxy.mute("commands");
      const second = node.broker.publish("app", [draft("a", "second")]);
      await witness.ear.until("app mark 2"); // it was kept
      proxy.cut();
      expect(await second).toMatchObject({ seq: 2, repeated: null });
      expect(await node.broker.publish("app", [draft("a", "third")])).toMatchObject({ seq: 3 });
      expect((await read(witness.broker, ["a"])).messages.map(({ data }) => data)).toEqual([
        "first",
        "second",
        "third",
      ]);
      await witness.ear.until("app mark 3");
      expect(witness.ear.heard.filter((line) => line.endsWith("second"))).toHaveLength(1);
    });

    test("while Redis is frozen publishes are refused within 2 s, and with their key they are kept once", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url);
      await using other = await startNode(server.url);
      await node.broker.publish("app", [draft("a", "before")]);
      server.freeze();
      let from = performance.now();
      expect(await refusal(node.broker.publish("app", [draft("a", "during")], once("k")))).toContain(UNKNOWN);
      expect(performance.now() - from).toBeLessThan(2000);
      from = performance.now();
      expect(await rejection(node.broker.publish("app", [draft("a", "late")]))).toMatchObject({ type: "unavailable" });
      expect(await rejection(node.broker.check())).toMatchObject({ type: "unavailable" });
      expect(performance.now() - from).toBeLessThan(2000);
      server.thaw();
      from = performance.now();
      await node.ready();
      await other.ready();
      expect(performance.now() - from).toBeLessThan(5000);
      // The first one ran when the server went on, or did not: the key tells, at any node.
      await other.broker.publish("app", [draft("a", "during")], once("k"));
      await node.broker.publish("app", [draft("a", "during")], once("k"));
      const { messages } = await read(node.broker, ["a"]);
      expect(messages.map(({ data }) => data)).toEqual(["before", "during"]);
    });

    test("one that waits for a server that is away is refused as not kept", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url);
      await node.broker.publish("app", [draft("a", "before")]);
      await server.kill();
      await until(async () => {
        const said = await refusal(node.broker.publish("app", [draft("a")]));
        if (!said.includes("nothing was kept")) throw new Error(said);
      });
      const from = performance.now();
      await refusal(node.broker.publish("app", [draft("a")]));
      expect(performance.now() - from).toBeLessThan(100); // away for so long that nobody waits any more
      expect(node.logged.filter((line) => line.startsWith("error: the store cannot be reached"))).toHaveLength(1);
      await server.start();
      await node.ready();
      expect(node.logged.some((line) => line.startsWith("info: the store is reached again"))).toBe(true);
      await node.broker.publish("app", [draft("a")]);
    });

    test("an idempotency key holds at every node", async () => {
      await using server = await startRedis();
      await using one = await startNode(server.url);
      await using two = await startNode(server.url);
      const first = await one.broker.publish("app", [draft("a", "x")], once("k"));
      expect(await two.broker.publish("app", [draft("a", "x")], once("k"))).toEqual({ ...first, repeated: [1] });
      expect(await rejection(two.broker.publish("app", [draft("a", "y")], once("k")))).toMatchObject({
        type: "idempotency_conflict",
      });
    });

    test("a server that forgot its scripts is given them again", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url);
      await node.broker.publish("app", [draft("a")]);
      await server.command("SCRIPT", "FLUSH");
      expect(await node.broker.publish("app", [draft("a")])).toMatchObject({ seq: 2 });
      await server.command("SCRIPT", "FLUSH");
      expect((await read(node.broker, ["a"])).messages).toHaveLength(2);
    });

    test("where memory is full publishes are refused whole, and retention still makes room", async () => {
      await using server = await startRedis();
      let kept = NO_LIMITS;
      await using node = await startNode(server.url, { retention: () => kept });
      await node.broker.publish("app", [draft("a", "x".repeat(2_000_000)), draft("a", "x")]);
      const used = /^used_memory:(\d+)/m.exec(String(await server.command("INFO", "memory")))![1]!;
      await server.command("CONFIG", "SET", "maxmemory", String(Number(used) - 500_000));
      const batch = [draft("a", "y"), draft("b", "y")];
      expect(await rejection(node.broker.publish("app", batch, once("k")))).toMatchObject({ type: "unavailable" });
      expect(await rejection(node.broker.check())).toMatchObject({ type: "unavailable" });
      expect(show(await read(node.broker, ["b"]))).toContain("-0..");
      kept = { ...NO_LIMITS, count: 1 };
      await trimAll(node.broker);
      await trimAll(node.broker);
      await node.ready();
      expect(await node.broker.publish("app", batch, once("k"))).toMatchObject({ seq: 3, repeated: null });
    });

    test("where the disk takes nothing publishes are refused, and streams are followed all the same", async () => {
      await using server = await startRedis({ settings: { save: "3600 1" } });
      await using node = await startNode(server.url);
      await node.broker.publish("app", [draft("a", "before")]);
      mkdirSync(join(server.folder, "dump.rdb")); // no file can take its place
      await server.command("BGSAVE");
      await until(async () => {
        if ((await rejection(node.broker.publish("app", [draft("a")]))) === undefined) throw new Error("not yet");
      });
      expect(await rejection(node.broker.check())).toMatchObject({ type: "unavailable" });
      expect(node.logged.filter((line) => line.includes("does not take messages"))).toHaveLength(1);
      const at = await node.broker.follow("app", ALL);
      await node.ear.until(`app mark ${at.seq}`, 3); // the connection is not taken for a deaf one
      expect(node.ear.heard).not.toContain("app broken");
      rmdirSync(join(server.folder, "dump.rdb"));
      await server.command("BGSAVE");
      await node.ready();
      expect((await node.broker.publish("app", [draft("a")])).seq).toBe(at.seq + 1);
      expect(node.logged.at(-1)).toStartWith("info: the store takes messages again");
    }, 20_000);

    test("a batch of thousands on as many channels is one step", async () => {
      await using server = await startRedis();
      await using node = await startNode(server.url);
      const drafts = Array.from({ length: 4500 }, (_, i) => draft(i % 2 === 0 ? `c.${i}` : "one", `${i}`));
      expect((await node.broker.publish("app", drafts)).seq).toBe(1);
      expect((await read(node.broker, ["c.4498"])).messages.map(({ seq }) => seq)).toEqual([4499]);
      expect(show(await read(node.broker, ["one"], undefined, 1))).toContain(" 2:one ");
      expect(await node.broker.channels("app", "c.", "", 10_000)).toHaveLength(2250);
    });

    test("nothing is kept by a replica", async () => {
      await using primary = await startRedis();
      await using server = await startRedis();
      await using node = await startNode(server.url);
      await node.broker.publish("app", [draft("a")]);
      await server.command("REPLICAOF", "127.0.0.1", String(primary.port));
      expect(await rejection(node.broker.publish("app", [draft("a")]))).toMatchObject({ type: "unavailable" });
      await server.command("REPLICAOF", "NO", "ONE");
      await node.ready();
      await node.broker.publish("app", [draft("a")]);
    }, 20_000);
  });
}
