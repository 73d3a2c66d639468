import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { openBroker } from "../../src/broker/open.ts";
import { parseRedisAddress } from "../../src/broker/redis/address.ts";
import { program } from "../setup/programs.ts";
import { freePort } from "../setup/gateway.ts";
import { RedisServer, startRedis } from "../setup/redis.ts";
import { TcpProxy } from "../setup/tcp-proxy.ts";
import { Ear, Settings, draft, folder, refusal, rejection } from "./fixture.ts";
import { startNode } from "./redis-fixture.ts";

/** What is read of an address, in one line. */
function read(text: string): string {
  const { kind, tls, hosts, username, password, database, master } = parseRedisAddress(text)!;
  const where = hosts.map(({ host, port }) => `${host} ${port}`).join(", ");
  return [kind, tls, where, username, password, database, master].join("|");
}

test("addresses of every form are read", () => {
  expect(read("redis://host")).toBe("single|false|host 6379|||0|");
  expect(read("redis://:p%40ss@10.0.0.1:7000/3")).toBe("single|false|10.0.0.1 7000||p@ss|3|");
  expect(read("rediss://user:pa:ss@[::1]:7000")).toBe("single|true|::1 7000|user|pa:ss|0|");
  expect(read("redis+sentinel://u:p@one,two:26380/main/2")).toBe("sentinel|false|one 26379, two 26380|u|p|2|main");
  expect(read("rediss+cluster://one:1,two:2")).toBe("cluster|true|one 1, two 2|||0|");
  expect(parseRedisAddress("redis+sentinel://h/m?sentinel_password=s")!.sentinel.password).toBe("s");
});

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("a start over Redis", () => {
    test("opens what the address names", async () => {
      await using server = await startRedis({ password: "secret" });
      const broker = await openBroker(`${server.url}/1`, new Settings());
      await broker.start(new Ear());
      expect((await broker.publish("app", [draft("a")])).seq).toBe(1);
      await broker.close();
      expect(await server.command("DBSIZE")).toBe(0); // it is in the other database
    });

    test("hears nothing of what is announced in another database of the server", async () => {
      await using server = await startRedis();
      await using one = await startNode(`${server.url}/1`);
      await using two = await startNode(`${server.url}/2`);
      for (const { broker } of [one, two]) await broker.follow("app", { channels: [], patterns: ["**"], key: "**" });
      await one.broker.publish("app", [draft("a")]);
      await two.broker.publish("app", [draft("b")]);
      await one.ear.until("app mark 1");
      await two.ear.until("app mark 1");
      expect(two.ear.heard.filter((line) => line.includes(" a "))).toEqual([]);
    });

    test("is refused in one line by a wrong password, and no line holds one", async () => {
      await using server = await startRedis({ password: "right" });
      for (const url of [server.url.replace("right", "wrong"), server.url.replace(":right@", "")]) {
        const settings = new Settings();
        const broker = await openBroker(url, settings);
        const said = await refusal(broker.start(new Ear()));
        expect(said).toMatch(/^Redis refuses the user or the password of SOCKET_BROKER \((WRONGPASS|NOAUTH)\)\.$/);
        expect(settings.logged.join()).not.toContain("wrong");
        await broker.close();
      }
    });

    test("is refused in one line by a version that is too old", async () => {
      await using server = await startRedis();
      await using proxy = await TcpProxy.start(server.port);
      proxy.replace((text) => text.replace(/redis_version:\d/, "redis_version:6"));
      const broker = await openBroker(`redis://127.0.0.1:${proxy.port}`, new Settings());
      expect(await refusal(broker.start(new Ear()))).toBe("Redis 6 is too old: it takes Redis 7 or Valkey.");
      await broker.close();
    });

    test("warns of an eviction policy that drops what is kept", async () => {
      await using server = await startRedis({ settings: { "maxmemory-policy": "allkeys-lru" } });
      await using node = await startNode(server.url);
      expect(node.logged.filter((line) => line.startsWith("warn:"))).toEqual([
        'warn: Redis may evict what is kept: set maxmemory-policy to noeviction {"policy":"allkeys-lru"}',
      ]);
      await using plain = await startRedis();
      await using other = await startNode(plain.url);
      expect(other.logged).toEqual([]);
    });

    test("waits for a server that is not there yet, until it is called off", async () => {
      using kept = folder();
      const server = new RedisServer(kept.path, { port: freePort() });
      const settings = new Settings();
      const stop = new AbortController();
      const called = await openBroker(server.url, settings);
      const off = rejection(called.start(new Ear(), { signal: stop.signal }));
      const broker = await openBroker(server.url, settings);
      const started = broker.start(new Ear());
      stop.abort("SIGTERM");
      expect(await off).toBe("SIGTERM");
      await called.close();
      await server.start();
      await started;
      expect((await broker.publish("app", [draft("a")])).seq).toBe(1);
      await broker.close();
      await server.kill();
    });
  });
}
