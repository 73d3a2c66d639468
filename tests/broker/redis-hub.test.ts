import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { program } from "../setup/programs.ts";
import { startRedis } from "../setup/redis.ts";
import { TcpProxy } from "../setup/tcp-proxy.ts";
import { draft, rejection } from "./fixture.ts";
import { HubNode } from "./redis-hub-fixture.ts";

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("streams over Redis", () => {
    test("hear what is published at another node, each channel alone and by pattern, in order", async () => {
      await using server = await startRedis();
      await using near = await HubNode.start(server.url);
      await using far = await HubNode.start(server.url);
      const streams = [["a"], ["a", "b"], ["*"], ["c", "room.**"]].map((names) => near.listen(names).seen);
      for (const seen of streams) await seen.until(() => seen.isLive);
      const names = ["a", "b", "a", "room.1", "c", "b", "room.2.x", "a"];
      await far.broker.publish(
        "app",
        names.map((name, i) => draft(name, `${i}`)),
      );
      await far.broker.publish("app", [draft("a", "end"), draft("b", "end"), draft("c", "end")]);
      for (const seen of streams) await seen.until(() => seen.data.includes("end"));
      expect(streams.map(({ data }) => data.filter((one) => one !== "end").join(" "))).toEqual([
        "0 2 7",
        "0 1 2 5 7",
        "0 1 2 4 5 7",
        "3 4 6",
      ]);
      expect(far.hub.streams()).toBe(0);
    });

    test("single channels are heard alone; a pattern follows the one for all, and no more once it ended", async () => {
      await using server = await startRedis();
      await using near = await HubNode.start(server.url);
      await using far = await HubNode.start(server.url);
      const heard = async (): Promise<number> => {
        return ((await server.command("PUBSUB", "SHARDCHANNELS")) as string[]).length;
      };
      const idle = await heard();
      const one = near.listen(["a"]).seen;
      await one.until(() => one.isLive);
      expect(await heard()).toBe(idle + 1);
      const { seen: all, subscriber } = near.listen(["*"]);
      await all.until(() => all.isLive);
      near.hub.leave(subscriber);
      const publish = async (data: string): Promise<void> => {
        await far.broker.publish("app", [draft("a", data)]);
        await one.until(() => one.data.at(-1) === data);
      };
      await publish("1");
      while ((await heard()) !== idle + 1) await publish("again");
      await publish("2");
      expect(one.told).not.toContain("gap");
    });

    test("miss nothing when their node's connection is killed, again and again", async () => {
      await using server = await startRedis();
      await using near = await HubNode.start(server.url);
      await using far = await HubNode.start(server.url);
      const streams = [["a"], ["a", "b"], ["*"]].map((names) => near.listen(names).seen);
      for (const seen of streams) await seen.until(() => seen.isLive);
      const sent: string[] = [];
      for (let i = 0; i < 200; i++) {
        sent.push(`${i}`);
        await far.broker.publish("app", [draft("a", `${i}`)]);
        if (i % 40 === 20) await server.command("CLIENT", "KILL", "TYPE", "pubsub");
        if (i % 40 === 39) for (const seen of streams) await seen.until(() => seen.data.length > i - 40);
      }
      for (const seen of streams) {
        await seen.until(() => seen.data.length >= 200);
        expect(seen.data).toEqual(sent);
        expect(seen.told).toEqual(["socket:open", "socket:live"]);
      }
      expect(near.logged.filter((line) => line.includes("cannot be reached")).length).toBeGreaterThan(0);
    }, 30_000);

    test("a connection that hears nothing any more is found by its mark, and cut", async () => {
      await using server = await startRedis();
      await using proxy = await TcpProxy.start(server.port);
      await using near = await HubNode.start(`redis://127.0.0.1:${proxy.port}`);
      await using far = await HubNode.start(server.url);
      const { seen } = near.listen(["a"]);
      await seen.until(() => seen.isLive);
      proxy.mute("announcements");
      await far.broker.publish("app", [draft("a", "unheard")]);
      await seen.until(() => seen.data.length === 1);
      expect(near.logged.join("\n")).toContain("what is announced is not heard any more");
      await near.ready();
      expect(seen.told).toEqual(["socket:open", "socket:live"]);
    }, 15_000);

    test("stay open while Redis is frozen, and resume complete", async () => {
      await using server = await startRedis();
      await using near = await HubNode.start(server.url);
      const { seen } = near.listen(["a"]);
      await seen.until(() => seen.isLive);
      await near.broker.publish("app", [draft("a", "before")]);
      server.freeze();
      expect(await rejection(near.broker.publish("app", [draft("a", "during")]))).toMatchObject({
        type: "unavailable",
      });
      expect(near.hub.streams()).toBe(1);
      server.thaw();
      const from = performance.now();
      await near.ready();
      expect(performance.now() - from).toBeLessThan(5000);
      await near.broker.publish("app", [draft("a", "after")]);
      await seen.until(() => seen.data.includes("after"));
      expect(seen.data.filter((data) => data !== "during")).toEqual(["before", "after"]);
      expect(seen.told).toEqual(["socket:open", "socket:live"]);
    }, 15_000);

    test("are told of a gap where the data was lost", async () => {
      await using server = await startRedis();
      await using near = await HubNode.start(server.url);
      const { seen } = near.listen(["a"]);
      await seen.until(() => seen.isLive);
      await near.broker.publish("app", [draft("a", "lost")]);
      await seen.until(() => seen.data.length === 1);
      await server.command("FLUSHALL");
      await near.broker.publish("app", [draft("a", "new")]);
      await seen.until(() => seen.data.length === 2);
      expect(seen.data).toEqual(["lost", "new"]);
      expect(seen.told).toContain("gap epoch");
    });

    test("ten thousand behind one break are few commands", async () => {
      await using server = await startRedis();
      await using near = await HubNode.start(server.url);
      await using far = await HubNode.start(server.url);
      const streams = Array.from({ length: 10_000 }, (_, i) => near.listen([`c.${i}`]).seen);
      for (const seen of streams) await seen.until(() => seen.isLive);
      // The head is ahead of what each of them stands at: all have to read.
      await far.broker.publish("app", [draft("c.0", "before")]);
      await streams[0]!.until(() => streams[0]!.data.length === 1);
      await server.command("CONFIG", "RESETSTAT");
      await server.command("CLIENT", "KILL", "TYPE", "pubsub");
      await far.ready();
      const last = Array.from({ length: 100 }, (_, i) => draft(`c.${i * 100}`, "after"));
      await far.broker.publish("app", last);
      for (let i = 0; i < 100; i++) {
        const seen = streams[i * 100]!;
        await seen.until(() => seen.data.at(-1) === "after");
      }
      while (near.live < 10_000) await new Promise(setImmediate);
      const calls = await server.calls();
      expect(calls["ssubscribe"]).toBeLessThanOrEqual(20); // a thousand channels each
      expect(calls["evalsha"]).toBeLessThanOrEqual(1000); // fewer, the longer one takes; 42 on an idle machine
      expect(calls["lrange"]).toBeLessThanOrEqual(400); // of those that have something to read
    }, 60_000);
  });
}
