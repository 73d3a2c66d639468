import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call, HandClock, publish, SECRET, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

interface Listed {
  readonly stream: string;
  readonly channels: readonly string[];
  readonly user: string | null;
  readonly state: string;
  readonly position: string | null;
}

interface List {
  readonly streams: readonly Listed[];
  readonly next: string | null;
  readonly complete: boolean;
}

const clock = new HandClock();
let server: Server;
beforeAll(async () => {
  server = await serve({ clock, settings: { SOCKET_PUBLIC_CHANNELS: "open", SOCKET_HEARTBEAT: "0" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function list(query = ""): Promise<List> {
  const { status, data } = await call<List>(server, "GET", `/streams${query}`);
  expect(status).toBe(200);
  return data;
}

describe("GET /streams", () => {
  test("tells who listens to what, since when, by which grant, up to where, and whether it is level", async () => {
    const token = sign({ ...claims(["news", "room.*"], clock.ms, 600), sub: "ann", jti: "t1" });
    const path = `${server.url}/stream?channel=news&channel=room.*&token=${token}`;
    await using stream = await listen(path, { authorization: null });
    const { stream: id } = await stream.told("open");
    await stream.told("live");
    const sent = await publish(server, "room.1", "hello");
    await stream.next();
    expect(await list()).toEqual({
      streams: [
        {
          stream: String(id),
          node: expect.stringMatching(/^[0-9a-f]{16}$/),
          channels: ["news", "room.*"],
          user: "ann",
          grant: "token",
          token: "t1",
          since: "2030-01-01T00:00:00.000Z",
          expires_at: "2030-01-01T00:10:00.000Z",
          position: sent.id,
          state: "live",
        },
      ],
      next: null,
      complete: true,
    } as unknown as List);
  });

  test("finds those that a channel reaches, and those of a user", async () => {
    const bob = sign({ ...claims(["**"], clock.ms), sub: "bob" });
    await using one = await listen(`${server.url}/channel/room.1/stream?token=${bob}`, { authorization: null });
    await using two = await listen(`${server.url}/stream?channel=room.**&token=${bob}`, { authorization: null });
    await using three = await (await listen(`${server.url}/channel/open/stream`, { authorization: null })).live();
    await using four = await (await listen(`${server.url}/channel/room.1.chat/stream`)).live();
    for (const stream of [one, two]) await stream.live();
    const channels = async (query: string) => (await list(query)).streams.map((stream) => stream.channels.join());
    expect(await channels("?channel=room.1")).toEqual(["room.1", "room.**"]);
    expect(await channels("?channel=room.1.chat")).toEqual(["room.**", "room.1.chat"]);
    expect(await channels("?user=bob")).toEqual(["room.1", "room.**"]);
    expect(await channels("?user=bob&channel=room.1.chat")).toEqual(["room.**"]);
    expect(await channels("?user=nobody")).toEqual([]);
    expect((await list("?channel=open")).streams[0]).toMatchObject({ grant: "public", user: null, expires_at: null });
    expect([three.ended, four.ended]).toEqual([false, false]);
  });

  test("comes in pages, in the order in which they were opened", async () => {
    const streams = [];
    for (let i = 0; i < 5; i++) streams.push(await (await listen(`${server.url}/channel/p${i}/stream`)).live());
    const seen: string[] = [];
    for (let after = "", next: string | null = ""; next !== null; after = `&after=${next}`) {
      const page: List = await list(`?limit=2${after}`);
      expect(page.streams.length).toBeLessThanOrEqual(2);
      seen.push(...page.streams.map(({ channels }) => channels.join()));
      ({ next } = page);
    }
    expect(seen.filter((name) => name.startsWith("p"))).toEqual(["p0", "p1", "p2", "p3", "p4"]);
    for (const stream of streams) await stream[Symbol.asyncDispose]();
  });

  test("counts nothing of another app", async () => {
    const secrets = ["one", "two"].map((id) => `secret-of-${id}`.padEnd(32, "x"));
    await using both = await serve({ apps: ["one", "two"].map((id, i) => ({ id, secrets: [secrets[i]] })) });
    const open = async (secret: string) =>
      (await listen(`${both.url}/channel/a/stream`, { authorization: `key=${secret}` })).live();
    const streams = [];
    for (const secret of [secrets[0]!, secrets[0]!, secrets[1]!, secrets[1]!]) streams.push(await open(secret));
    const { data } = await call<List>(both, "GET", "/streams?limit=1", { secret: secrets[1]! });
    expect(data).toMatchObject({ streams: [{ channels: ["a"] }], next: expect.stringMatching(/^[0-9a-f]{16}-1$/) });
    for (const stream of streams) await stream[Symbol.asyncDispose]();
  });

  test("one whose listener does not read is behind", async () => {
    const slow = connect(server.port, "127.0.0.1");
    slow.write(`GET /channel/slow/stream HTTP/1.0\r\nAuthorization: key=${SECRET}\r\n\r\n`);
    while ((await list("?channel=slow")).streams[0]?.state !== "live");
    slow.pause();
    const data = "x".repeat(60_000);
    let last = "";
    while ((await list("?channel=slow")).streams[0]?.state === "live") last = (await publish(server, "slow", data)).id;
    const [stream] = (await list("?channel=slow")).streams;
    expect(stream).toMatchObject({ state: "behind" });
    expect(Number(stream!.position!.split("-")[1])).toBeLessThanOrEqual(Number(last.split("-")[1]));
    slow.destroy();
    while ((await list("?channel=slow")).streams.length > 0);
  });

  test("takes the app's secret alone, and good parameters", async () => {
    expect((await call(server, "GET", "/streams", { secret: null })).status).toBe(401);
    const bearer = { Authorization: `Bearer ${sign(claims(["**"], clock.ms))}` };
    expect((await call(server, "GET", "/streams", { secret: null, headers: bearer })).status).toBe(401);
    for (const query of [
      "?limit=0",
      "?limit=1001",
      "?after=x",
      "?after=1",
      "?channel=room.*",
      "?channel=a&channel=b",
    ]) {
      expect((await call(server, "GET", `/streams${query}`)).status).toBe(400);
    }
  });
});
