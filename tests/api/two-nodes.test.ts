import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Gateway, publish, publishAll, startGateway, subscribe } from "../setup/gateway.ts";
import { program } from "../setup/programs.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";
import { listen } from "./listening.ts";

setDefaultTimeout(30_000); // servers start, break and recover, on a busy machine

if (program("redis-server") !== null) {
  describe("two gateways on one Redis", () => {
    let redis: RedisServer;
    let one: Gateway;
    let two: Gateway;
    beforeAll(async () => {
      redis = await startRedis({ password: "a-password" });
      const settings = { SOCKET_BROKER: redis.url, SOCKET_LOG_LEVEL: "debug" };
      [one, two] = await Promise.all([startGateway({ settings }), startGateway({ settings })]);
    });
    afterAll(async () => {
      for (const each of [one, two, redis]) await each[Symbol.asyncDispose]();
    });

    const authorization = () => `key=${one.secret}`;
    const post = async (gateway: Gateway, path: string, body: unknown, key?: string): Promise<Response> =>
      await fetch(`${gateway.url}${path}`, {
        method: "POST",
        headers: {
          Authorization: authorization(),
          "Content-Type": "application/json",
          ...(key !== undefined && { "Idempotency-Key": key }),
        },
        body: JSON.stringify(body),
      });

    test("what is published at one is heard at the other, in one order", async () => {
      await using single = await (
        await listen(`${two.url}/stream?channel=a`, { authorization: authorization() })
      ).live();
      await using all = await (await listen(`${two.url}/stream?channel=**`, { authorization: authorization() })).live();
      const ids: string[] = [];
      for (let i = 0; i < 20; i++) {
        const { id } = await publish(i % 2 === 0 ? one : two, { channel: "a", data: `${i}` });
        ids.push(id);
      }
      for (const stream of [single, all]) {
        const messages = await stream.messages(20);
        expect(messages.map(({ id, data }) => [id!, data])).toEqual(ids.map((id, i) => [id, `${i}`]));
      }
    });

    test("a stream that breaks at one goes on at the other with its last id", async () => {
      const ids = (
        await publishAll(
          one,
          [1, 2, 3].map((n) => ({ channel: "b", data: `${n}` })),
        )
      ).map(({ id }) => id);
      await using at = await listen(`${two.url}/stream?channel=b`, {
        authorization: authorization(),
        lastEventId: ids[0]!,
      });
      expect(await at.told("open")).toMatchObject({ recovered: true, id: ids[0] });
      expect((await at.messages(2)).map(({ data }) => data)).toEqual(["2", "3"]);
      expect(await at.told("live")).toMatchObject({ replayed: 2 });
    });

    test("a revocation at one ends the user's streams at the other, and keeps the tokens out there", async () => {
      const { url } = await subscribe(two, "c", { user: "ann" });
      await using stream = await (await listen(url, { authorization: null })).live();
      expect((await post(one, "/channel/revoke", { user: "ann" })).status).toBe(200);
      expect(await stream.told("close")).toMatchObject({ reason: "revoked", reconnect: false });
      for (const address of [url, url.replace(two.url, one.url)]) expect((await fetch(address)).status).toBe(401);
    });

    test("a renewal at one is taken at the other", async () => {
      const old = await subscribe(one, "d", { user: "bob", ttl: 60 });
      const fresh = await subscribe(one, "d", { user: "bob", ttl: 600 });
      await using stream = await listen(old.url, { authorization: null });
      const { stream: id } = await stream.told("open");
      expect((await post(one, "/channel/renew", { stream: id, token: fresh.token })).status).toBe(200);
      await using again = await listen(old.url.replace(one.url, two.url), { authorization: null });
      expect(await again.told("open")).toMatchObject({ expires_at: fresh.expires_at });
    });

    test("an idempotency key that was used at one gives the same answer at the other", async () => {
      const message = { channel: "e", data: "once" };
      const first: unknown = await (await post(one, "/chat/send", message, "order-1")).json();
      expect(await (await post(two, "/chat/send", message, "order-1")).json()).toEqual(first as object);
      expect((await post(two, "/chat/send", { ...message, data: "other" }, "order-1")).status).toBe(409);
    });

    test("while Redis is away streams stay open, publishes and readiness answer 503; then all goes on", async () => {
      await using stream = await (
        await listen(`${two.url}/stream?channel=f`, { authorization: authorization() })
      ).live();
      redis.freeze();
      const from = performance.now();
      const answer = await post(one, "/chat/send", { channel: "f", data: "during" }, "order-2");
      expect(answer.status).toBe(503);
      expect(performance.now() - from).toBeLessThan(2500); // two seconds, and a busy machine
      expect(await answer.text()).toContain("not known whether this was kept");
      await Promise.all([unready(one), unready(two)]);
      expect(stream.ended).toBe(false);
      redis.thaw();
      for (const gateway of [one, two]) while (!(await fetch(`${gateway.url}/readyz`)).ok);
      expect((await post(one, "/chat/send", { channel: "f", data: "during" }, "order-2")).status).toBe(200);
      await publish(one, { channel: "f", data: "after" });
      expect((await stream.messages(2)).map(({ data }) => data)).toEqual(["during", "after"]);
      for (const { output } of [one, two]) expect(output).not.toContain("a-password");
    }, 30_000);
  });
}

async function unready(gateway: Gateway): Promise<void> {
  while ((await fetch(`${gateway.url}/readyz`)).status !== 503);
}
