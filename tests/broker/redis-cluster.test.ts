import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { slotOf } from "../../src/broker/redis/servers.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { program } from "../setup/programs.ts";
import { RedisCluster } from "../setup/redis-cluster.ts";
import { draft, NO_LIMITS, read, rejection } from "./fixture.ts";
import { startNode, until } from "./redis-fixture.ts";

const ALL = selectionOf(["**"]);

test("slots are those of the specification", () => {
  expect(slotOf("123456789")).toBe(0x31c3);
  expect(slotOf("")).toBe(0);
});

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("a Cluster of three", () => {
    test("holds each app whole at one server, and every node hears all of them", async () => {
      await using cluster = await RedisCluster.start(3);
      const apps = Array.from({ length: 9 }, (_, i) => `app-${i}`);
      expect(new Set(apps.map((app) => cluster.of(app))).size).toBe(3);
      await using near = await startNode(cluster.url, { apps: () => apps });
      await using far = await startNode(`redis+cluster://127.0.0.1:${cluster.servers[1]!.port}`, { apps: () => apps });
      for (const app of apps) {
        await far.broker.follow(app, ALL);
        await near.broker.publish(app, [draft("a", app), draft("b", app)]);
      }
      for (const app of apps) await far.ear.until(`${app} mark 2`);
      expect(far.ear.heard.filter((line) => !line.includes("mark"))).toHaveLength(2 * apps.length);
      for (const app of apps) {
        const keys = (await cluster.of(app).command("KEYS", `socket:{${app}}:*`)) as string[];
        expect(keys).toContain(`socket:{${app}}:app`);
        expect(await near.broker.trim()).toBe(false);
      }
      await near.ready();
    }, 30_000);

    test("loses one server: its apps are refused, the others go on", async () => {
      await using cluster = await RedisCluster.start(3);
      const apps = Array.from({ length: 9 }, (_, i) => `app-${i}`);
      await using near = await startNode(cluster.url, { apps: () => apps });
      const lost = cluster.of("app-0");
      const other = apps.find((app) => cluster.of(app) !== lost)!;
      // Else the others refuse too, as Redis has it by default.
      for (const server of cluster.servers)
        await server.command("CONFIG", "SET", "cluster-require-full-coverage", "no");
      await near.broker.publish("app-0", [draft("a")]);
      await near.broker.publish(other, [draft("a")]);
      await lost.kill();
      expect(await rejection(near.broker.publish("app-0", [draft("a")]))).toMatchObject({ type: "unavailable" });
      await until(() => near.broker.publish(other, [draft("a")]));
      expect(await rejection(near.broker.check())).toMatchObject({ type: "unavailable" });
    }, 30_000);

    test("moves a slot: the app is found where it went, and its streams are told of the break", async () => {
      await using cluster = await RedisCluster.start(3);
      await using near = await startNode(cluster.url);
      await near.broker.publish("app", [draft("a", "1")]);
      await near.broker.follow("app", ALL);
      const from = cluster.of("app");
      const to = cluster.servers.find((server) => server !== from)!;
      await cluster.move("app", from, to, 1000);
      await near.ear.until("app broken");
      await near.broker.follow("app", ALL);
      const { seq } = await until(() => near.broker.publish("app", [draft("a", "2")]));
      expect(seq).toBe(2);
      await near.ear.until("app mark 2");
      expect((await read(near.broker, ["a"])).messages.map(({ data }) => data)).toEqual(["1", "2"]);
    }, 30_000);

    test("moves a slot key by key: what is refused meanwhile leaves nothing behind, and retention drops nothing untold", async () => {
      await using cluster = await RedisCluster.start(3);
      await using near = await startNode(cluster.url, {
        retention: () => ({ ...NO_LIMITS, count: 2 }),
      });
      const kept: string[] = [];
      const publishBoth = async (data: string): Promise<void> => {
        const drafts = [draft("a", `${data} a`), draft("b", `${data} b`)];
        try {
          await near.broker.publish("app", drafts);
          kept.push(...drafts.map((one) => one.data));
        } catch (error) {
          expect(error).toMatchObject({ type: "unavailable" });
        }
        await near.broker.trim();
      };
      for (let i = 0; i < 3; i++) await publishBoth(`before ${i}`);
      const from = cluster.of("app");
      const to = cluster.servers.find((server) => server !== from)!;
      let steps = 0;
      await cluster.move("app", from, to, 1, () => publishBoth(`during ${steps++}`));
      expect(steps).toBeGreaterThan(8);
      const { seq } = await until(() => near.broker.publish("app", [draft("c")]));
      expect(seq).toBe(kept.length + 1);
      const { messages } = await read(near.broker, ["a", "b"]);
      expect(messages.map(({ data }) => data)).toEqual(kept.slice(-4));
      expect(messages.map((message) => message.seq)).toEqual([-4, -3, -2, -1].map((back) => seq + back));
    }, 60_000);
  });
}
