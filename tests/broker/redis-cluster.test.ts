import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { slotOf } from "../../src/broker/redis/servers.ts";
import { selectionOf } from "../../src/core/channel.ts";
import { program } from "../setup/programs.ts";
import { freePort } from "../setup/gateway.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";
import { draft, read, rejection } from "./fixture.ts";
import { startNode, until } from "./redis-fixture.ts";

const ALL = selectionOf(["**"]);
const SLOTS = 16_384;

/** A Cluster of some primaries, each with its part of the slots. */
class Cluster implements AsyncDisposable {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start(count: number): Promise<Cluster> {
    // Its own port for what the servers say to each other: 10,000 above the other, as it is by default, may be none.
    const buses = Array.from({ length: count }, () => String(freePort()));
    const servers = await Promise.all(
      buses.map((port) =>
        startRedis({
          settings: { "cluster-enabled": "yes", "cluster-port": port, "cluster-node-timeout": "2000" },
        }),
      ),
    );
    const cluster = new Cluster(servers);
    try {
      for (const [i, server] of servers.entries()) {
        const [from, to] = [Math.ceil((i * SLOTS) / count), Math.ceil(((i + 1) * SLOTS) / count) - 1];
        await server.command("CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
        await server.command("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1));
      }
      for (const [i, { port }] of servers.entries()) {
        if (i > 0) await servers[0]!.command("CLUSTER", "MEET", "127.0.0.1", String(port), buses[i]!);
      }
      for (const server of servers) {
        await until(async () => {
          const info = String(await server.command("CLUSTER", "INFO"));
          if (!info.includes("cluster_state:ok") || !info.includes(`cluster_size:${count}`)) throw new Error(info);
        });
      }
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return `redis+cluster://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  /** Who has the app's slot. */
  of(app: string): RedisServer {
    return this.servers[Math.floor((slotOf(app) * this.servers.length) / SLOTS)]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.servers) await server[Symbol.asyncDispose]();
  }
}

test("slots are those of the specification", () => {
  expect(slotOf("123456789")).toBe(0x31c3);
  expect(slotOf("")).toBe(0);
});

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("a Cluster of three", () => {
    test("holds each app whole at one server, and every node hears all of them", async () => {
      await using cluster = await Cluster.start(3);
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
      await using cluster = await Cluster.start(3);
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
      await using cluster = await Cluster.start(3);
      await using near = await startNode(cluster.url);
      await near.broker.publish("app", [draft("a", "1")]);
      await near.broker.follow("app", ALL);
      const from = cluster.of("app");
      const to = cluster.servers.find((server) => server !== from)!;
      const slot = String(slotOf("app"));
      const [fromId, toId] = [await from.command("CLUSTER", "MYID"), await to.command("CLUSTER", "MYID")].map(String);
      await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId!);
      await from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", toId!);
      const keys = (await from.command("CLUSTER", "GETKEYSINSLOT", slot, "1000")) as string[];
      await from.command("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...keys);
      for (const server of [to, ...cluster.servers]) await server.command("CLUSTER", "SETSLOT", slot, "NODE", toId!);
      await near.ear.until("app broken");
      await near.broker.follow("app", ALL);
      const { seq } = await until(() => near.broker.publish("app", [draft("a", "2")]));
      expect(seq).toBe(2);
      await near.ear.until("app mark 2");
      expect((await read(near.broker, ["a"])).messages.map(({ data }) => data)).toEqual(["1", "2"]);
    }, 30_000);
  });
}
