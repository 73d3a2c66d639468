import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call, post, type Sent, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

const SHOP = "secret-of-the-shop-in-these-tests-1";
const SHOP_OLD = "secret-of-the-shop-that-is-rotated-out";
const BLOG = "secret-of-the-blog-in-these-tests-1";

let server: Server;
beforeAll(async () => {
  server = await serve({
    apps: [
      { id: "shop", secrets: [SHOP, SHOP_OLD], public_channels: ["news"], cors_origins: ["https://shop.example"] },
      { id: "blog", secrets: [BLOG], public_channels: ["news", "posts.*"], max_data_bytes: 10, max_streams_per_app: 3 },
    ],
  });
});
afterAll(() => server[Symbol.asyncDispose]());

function tokenOf(app: string, secret: string, channels: readonly string[] = ["orders"]): string {
  return sign(claims(channels), secret, { alg: "HS256", kid: app });
}

describe("an app", () => {
  test("is named by its secret, each of several while it is rotated", async () => {
    for (const secret of [SHOP, SHOP_OLD]) {
      expect((await post(server, "/chat/send", { secret, json: { channel: "rotated" } })).status).toBe(200);
      const token = tokenOf("shop", secret);
      await using stream = await listen(`${server.url}/channel/orders/stream?token=${token}`, { authorization: null });
      expect(await stream.told("open")).toMatchObject({ app: "shop" });
    }
  });

  test("never sees, counts or numbers what another publishes", async () => {
    await using shop = await (await listen(`${server.url}/stream?channel=**`, { authorization: `key=${SHOP}` })).live();
    await using blog = await (await listen(`${server.url}/stream?channel=**`, { authorization: `key=${BLOG}` })).live();
    const one = await post<Sent>(server, "/chat/send", { secret: SHOP, json: { channel: "orders", data: "s1" } });
    const two = await post<Sent>(server, "/chat/send", { secret: BLOG, json: { channel: "orders", data: "b1" } });
    const three = await post<Sent>(server, "/chat/send", { secret: SHOP, json: { channel: "orders", data: "s2" } });
    expect((await shop.messages(2)).map(({ data }) => data)).toEqual(["s1", "s2"]);
    expect((await blog.messages(1)).map(({ data }) => data)).toEqual(["b1"]);
    expect([one, two, three].map(({ data }) => data.subscribers)).toEqual([1, 1, 1]);
    const seq = ({ data }: typeof one) => Number(data.id.split("-")[1]);
    expect(seq(three)).toBe(seq(one) + 1);
    expect(seq(two)).toBe(1);

    const seen = await call<{ messages: { data: string }[] }>(server, "GET", "/channel/orders/history", {
      secret: BLOG,
    });
    expect(seen.data.messages.map(({ data }) => data)).toEqual(["b1"]);
    const list = await call<{ channels: { channel: string }[] }>(server, "GET", "/channels", { secret: BLOG });
    expect(list.data.channels.map(({ channel }) => channel)).toEqual(["orders"]);
    const state = await call(server, "GET", "/channel/rotated", { secret: BLOG });
    const empty = { oldest: null, newest: null, complete: true };
    expect(state.data).toEqual({ channel: "rotated", subscribers: 1, ...empty }); // its own `**`
  });

  test("gives nothing for another app's position but what a foreign one gives", async () => {
    const shop = await post<Sent>(server, "/chat/send", { secret: SHOP, json: { channel: "positions", data: "s" } });
    const { id } = shop.data;
    await using blog = await listen(`${server.url}/channel/positions/stream`, {
      authorization: `key=${BLOG}`,
      lastEventId: id,
    });
    expect(await blog.told("open")).toMatchObject({ id: undefined, recovered: false, app: "blog" });
    expect(await blog.told("gap")).toMatchObject({ reason: "epoch", oldest: null });
    expect(await blog.told("live")).toMatchObject({ replayed: 0 });
    const { data } = await call<object>(server, "GET", `/channel/positions/history?after=${id}`, { secret: BLOG });
    expect(data).toMatchObject({ messages: [], gap: { reason: "epoch", asked: id } });
  });

  test("takes no token of another app, whichever of the two its `kid` names", async () => {
    const cases: readonly [string, number][] = [
      [tokenOf("shop", BLOG), 401],
      [tokenOf("blog", SHOP), 401],
      [sign(claims(["orders"]), SHOP, { alg: "HS256" }), 401], // which app?
      [`${tokenOf("shop", SHOP)}&app=blog`, 403],
      [`${tokenOf("shop", SHOP)}&app=nobody`, 403],
      [`${tokenOf("shop", SHOP)}&app=shop`, 200],
    ];
    for (const [query, status] of cases) {
      const abort = new AbortController();
      const { signal } = abort;
      expect((await fetch(`${server.url}/channel/orders/stream?token=${query}`, { signal })).status).toBe(status);
      abort.abort();
    }
  });

  test("has limits of its own", async () => {
    const json = { channel: "limits", data: "longer than ten" };
    expect((await post(server, "/chat/send", { secret: BLOG, json })).error).toMatchObject({
      type: "payload_too_large",
    });
    expect((await post(server, "/chat/send", { secret: SHOP, json })).status).toBe(200);
    const path = `${server.url}/channel/limits/stream`;
    await using one = await listen(path, { authorization: `key=${BLOG}` });
    await using two = await listen(path, { authorization: `key=${BLOG}` });
    await using three = await listen(path, { authorization: `key=${BLOG}` });
    await Promise.all([one, two, three].map((stream) => stream.live()));
    expect((await fetch(path, { headers: { Authorization: `key=${BLOG}` } })).status).toBe(429);
    await using other = await listen(path, { authorization: `key=${SHOP}` });
    await other.live();
  });
});

describe("a public channel, where there are several apps,", () => {
  test("needs `?app=` to say whose", async () => {
    await using shop = await listen(`${server.url}/channel/news/stream?app=shop`, { authorization: null });
    await using blog = await listen(`${server.url}/stream?app=blog&channel=posts.*`, { authorization: null });
    expect(await shop.told("open")).toMatchObject({ app: "shop" });
    expect(await blog.told("open")).toMatchObject({ app: "blog" });
  });

  test("is refused in the same words whether the app has none, or is none", async () => {
    const details = new Set<string>();
    for (const query of ["", "?app=shop", "?app=nobody", "?app="]) {
      const response = await fetch(`${server.url}/channel/posts.1/stream${query}`);
      expect(response.status).toBe(401);
      const { Error } = (await response.json()) as { Error: { detail: string } };
      details.add(Error.detail);
    }
    expect(details.size).toBe(1);
  });
});

describe("origins", () => {
  test("that an app lists may open its streams, others may not", async () => {
    const origin = "https://shop.example";
    expect(await ask("shop", origin)).toEqual({ status: 200, vary: "Origin", allowed: origin });
    expect(await ask("shop", null)).toEqual({ status: 200, vary: "Origin", allowed: null });
    expect((await ask("shop", "https://evil.example")).status).toBe(403);
    expect((await ask("shop", "null")).status).toBe(403);
    expect(await ask("blog", "https://evil.example")).toEqual({ status: 200, vary: null, allowed: "*" });
  });
});

async function ask(app: string, origin: string | null) {
  const headers: Record<string, string> = origin === null ? {} : { Origin: origin };
  const abort = new AbortController();
  const response = await fetch(`${server.url}/channel/news/stream?app=${app}`, { headers, signal: abort.signal });
  const { status } = response;
  abort.abort();
  const vary = response.headers.get("Vary");
  return { status, vary, allowed: response.headers.get("Access-Control-Allow-Origin") };
}
