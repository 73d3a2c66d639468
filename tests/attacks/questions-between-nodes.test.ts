import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call, post, serve, type Server } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { claims, sign } from "../api/tokens.ts";
import { program } from "../setup/programs.ts";
import { type RedisServer, startRedis } from "../setup/redis.ts";

const SECRETS = ["one", "two"].map((id) => `secret-of-${id}`.padEnd(32, "x"));

const tokenOf = (app: number, sub: string, ttl = 600) =>
  sign({ ...claims(["**"], Date.now(), ttl), sub }, SECRETS[app], { alg: "HS256", kid: `app-${app}` });

/** A stream, and its id. */
async function victimOf(url: string) {
  const stream = await listen(url, { authorization: null });
  return { stream, id: (await stream.told("open"))["stream"] };
}

/** What must keep apps apart that share nodes, and nodes at work whatever they are asked. */
if (program("redis-server") !== null) {
  describe("questions between nodes", () => {
    let redis: RedisServer;
    let here: Server;
    let there: Server;
    beforeAll(async () => {
      redis = await startRedis();
      const apps = SECRETS.map((secret, i) => ({ id: `app-${i}`, secrets: [secret], public_channels: ["open"] }));
      const node = () => serve({ apps, settings: { SOCKET_BROKER: redis.url } });
      [here, there] = [await node(), await node()];
    }, 30_000);
    afterAll(async () => {
      for (const each of [here, there, redis]) await each[Symbol.asyncDispose]();
    });

    test("another app's streams on another node: neither counted, listed, renewed nor revoked, nor told to be there", async () => {
      const named = await victimOf(`${there.url}/channel/secret.plans/stream?token=${tokenOf(0, "victim", 60)}`);
      const nameless = await victimOf(`${there.url}/channel/open/stream?app=app-0`);
      const secret = SECRETS[1]!;
      const seen = async (path: string) => (await call<object>(here, "GET", path, { secret })).data;
      expect(await seen("/channel/secret.plans")).toMatchObject({ subscribers: 0, complete: true });
      expect(await seen("/channels")).toEqual({ channels: [], next: null, complete: true });
      expect(await seen("/streams")).toEqual({ streams: [], next: null, complete: true });

      const renew = async (stream: unknown, app: number) =>
        await post(here, "/channel/renew", { secret: null, json: { stream, token: tokenOf(app, "victim") } });
      const unknown = (await renew("0123456789abcdef", 1)).error;
      for (const { id } of [named, nameless]) {
        expect((await renew(id, 1)).error).toEqual(unknown);
        const { error } = await post(here, "/channel/revoke", { secret, json: { stream: id } });
        expect(error).toMatchObject({ type: "stream_not_found" });
      }
      expect((await post<object>(here, "/channel/revoke", { secret, json: { user: "victim" } })).data).toEqual({
        streams: 0,
        complete: true,
      });
      // All this left them as they were; their own app finds them there.
      for (const { stream } of [named, nameless]) expect(stream.ended).toBe(false);
      expect((await renew(named.id, 0)).status).toBe(200);
      for (const { stream } of [named, nameless]) await stream[Symbol.asyncDispose]();
    });

    test("a flood of looks at counts asks the other nodes some fifty times a second", async () => {
      const before = (await redis.calls())["spublish"] ?? 0;
      const from = performance.now();
      for (let wave = 0; wave < 10; wave++) {
        const looks = Array.from({ length: 50 }, () =>
          call<object>(here, "GET", "/channel/polled", { secret: SECRETS[0]! }),
        );
        for (const { data } of await Promise.all(looks)) expect(data).toMatchObject({ subscribers: 0 });
      }
      const seconds = (performance.now() - from) / 1000;
      const asked = ((await redis.calls())["spublish"] ?? 0) - before;
      // A question and its answer each time; beside them the marks of every second.
      expect(asked).toBeLessThan(2 * (50 * seconds + 2) + 8 * (seconds + 1));
    }, 20_000);

    test("what no node asks, and answers that nobody asked for, are dropped", async () => {
      const questions = ["no JSON", '["secrets",{}]', '["__proto__",{}]', "[]", "null"];
      const word = JSON.stringify(["ask", "a-node", questions.map((text, i) => [i + 1, text])]);
      await redis.command("SPUBLISH", "socket:{app-1}:0:word", word);
      const { data } = await call<object>(here, "GET", "/channel/a", { secret: SECRETS[1]! });
      expect(data).toMatchObject({ subscribers: 0, complete: true });
    });

    test("a stream's id that is none is asked of nobody", async () => {
      const before = (await redis.calls())["spublish"] ?? 0;
      for (const stream of ["x".repeat(8000), "0123456789ABCDEF", "\u0000", "../../x", "0123456789abcdef "]) {
        const { error } = await post(here, "/channel/revoke", { secret: SECRETS[0]!, json: { stream } });
        expect(error?.type).toMatch(/^(stream_not_found|parameter_invalid)$/);
      }
      expect(((await redis.calls())["spublish"] ?? 0) - before).toBeLessThan(10); // marks
    });
  });
}
