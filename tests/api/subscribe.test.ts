import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { jwtVerify } from "jose";
import { type Call, post, publish, type Result, SECRET, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";
import { claimsOf } from "./tokens.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

/** Every character that a name may hold. */
const PRINTABLE = Array.from({ length: 94 }, (_, i) => String.fromCharCode(0x21 + i))
  .join("")
  .replace("*", "");

interface Address {
  readonly channel: string | readonly string[];
  readonly token: string;
  readonly expires_at: string;
  readonly url: string;
}

function subscribe(call: Call, query = ""): Promise<Result<Address>> {
  return post<Address>(server, `/channel/subscribe${query}`, call);
}

describe("POST /channel/subscribe", () => {
  const inBody = { channel: "news", app_secret: SECRET };
  const ways: readonly [string, Call, string][] = [
    ["the query, as the API document has it", { secret: null }, `?channel=news&app_secret=${SECRET}`],
    ["a JSON body", { secret: null, json: inBody }, ""],
    ["a form", { secret: null, form: inBody }, ""],
    ["the body, with the secret in the header", { json: { channel: "news" } }, ""],
    ["the query, with the secret in the header", {}, "?channel=news"],
    ["the query and the body", { secret: null, json: { app_secret: SECRET } }, "?channel=news"],
  ];
  for (const [name, call, query] of ways) {
    test(`takes its parameters from ${name}, and gives an address that streams`, async () => {
      const { status, data } = await subscribe(call, query);
      expect(status).toBe(200);
      expect(Object.keys(data)).toEqual(["channel", "token", "expires_at", "url"]);
      expect(data.channel).toBe("news");
      expect(data.url).toBe(`${server.url}/channel/news/stream?token=${data.token}`);
      await using stream = await listen(data.url, { authorization: null });
      expect(await stream.told("open")).toMatchObject({ channels: ["news"], expires_at: data.expires_at });
      await stream.told("live");
      const { id } = await publish(server, "news", "hello");
      expect(await stream.next()).toEqual({ id, event: undefined, data: "hello" });
    });
  }

  test("gives a token that any JWT library verifies with the secret", async () => {
    const { data } = await subscribe({ json: { channel: "news", ttl: 60, user: "ann" } });
    const { payload, protectedHeader } = await jwtVerify(data.token, new TextEncoder().encode(SECRET), {
      audience: "service-socket",
    });
    expect(protectedHeader).toEqual({ alg: "HS256", typ: "JWT", kid: "default" });
    expect(payload).toMatchObject({ channels: ["news"], sub: "ann", aud: "service-socket" });
    expect(payload.exp! - payload.iat!).toBeOneOf([60, 61]); // whole seconds, and never less than was asked for
    expect(data.expires_at).toBe(new Date(payload.exp! * 1000).toISOString());
  });

  test("gives a token of an hour, without a user, when nothing else is asked", async () => {
    const { data } = await subscribe({ json: { channel: "news", ttl: null, user: null } });
    const { exp, iat, sub } = claimsOf(data.token);
    expect(Number(exp) - Number(iat)).toBeOneOf([3600, 3601]);
    expect(sub).toBeUndefined();
    expect(data.expires_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
  });

  test("takes several channels and patterns, in each form, and gives one stream of all", async () => {
    const names = ["news", "room.*", "a/b&c=d%"];
    const query = names.map((name) => `channel=${encodeURIComponent(name)}`).join("&");
    for (const { data } of [
      await subscribe({ json: { channel: names } }),
      await subscribe({}, `?${query}`),
      await subscribe({ form: query }),
    ]) {
      expect(data.channel).toEqual(names);
      expect(claimsOf(data.token)["channels"]).toEqual(names);
      await using stream = await listen(data.url, { authorization: null });
      await stream.live();
      for (const name of ["news", "room.1", "a/b&c=d%", "other"]) await publish(server, name, name);
      expect((await stream.messages(3)).map((frame) => frame.data)).toEqual(["news", "room.1", "a/b&c=d%"]);
    }
  });

  test("gives an address that streams for every name that is odd in a URL", async () => {
    for (const channel of ["subscribe", ".", "..", "a/b", "%2f", "a?b#c", "stream", "%", PRINTABLE]) {
      const { data } = await subscribe({ json: { channel } });
      await using stream = await listen(data.url, { authorization: null });
      await stream.live();
      await publish(server, channel, channel);
      expect(await stream.next()).toMatchObject({ data: channel });
    }
  });

  test("gives an address that streams for a pattern alone", async () => {
    const { data } = await subscribe({ json: { channel: "room.**" } });
    expect(data.channel).toBe("room.**");
    await using stream = await listen(data.url, { authorization: null });
    await stream.live();
    await publish(server, "room.1.chat", "deep");
    expect(await stream.next()).toMatchObject({ data: "deep" });
  });

  const bad: readonly [string, unknown, string, string][] = [
    ["channel absent", {}, "channel_invalid", "channel"],
    ["channel null", { channel: null }, "channel_invalid", "channel"],
    ["no channel in the list", { channel: [] }, "channel_invalid", "channel"],
    ["a channel that is no text", { channel: ["a", 1] }, "channel_invalid", "channel[1]"],
    ["a name with a space", { channel: "a b" }, "channel_invalid", "channel"],
    ["a pattern with `**` before the end", { channel: "a.**.b" }, "channel_invalid", "channel"],
    ["51 channels", { channel: Array.from({ length: 51 }, (_, i) => `c${i}`) }, "channel_invalid", "channel"],
    ["names that no address holds", { channel: longNames(50) }, "channel_invalid", "channel"],
    ["ttl 0", { channel: "a", ttl: 0 }, "parameter_invalid", "ttl"],
    ["ttl over the longest life", { channel: "a", ttl: 86_401 }, "parameter_invalid", "ttl"],
    ["ttl with a fraction", { channel: "a", ttl: 1.5 }, "parameter_invalid", "ttl"],
    ["ttl as text in JSON", { channel: "a", ttl: "60" }, "parameter_invalid", "ttl"],
    ["an empty user", { channel: "a", user: "" }, "parameter_invalid", "user"],
    ["a user that is too long", { channel: "a", user: "u".repeat(257) }, "parameter_invalid", "user"],
    ["the secret twice", { channel: "a", app_secret: SECRET }, "parameter_repeated", "app_secret"],
  ];
  for (const [name, json, type, field] of bad) {
    test(`refuses ${name}`, async () => {
      expect((await subscribe({ json })).error).toMatchObject({ type, field });
    });
  }

  test("refuses a secret that is absent, wrong or no text, whatever else is wrong", async () => {
    for (const call of [
      { secret: null, json: { channel: "a" } },
      { secret: null, json: { channel: "a b", app_secret: "wrong" } },
      { secret: "wrong", json: {} },
      { secret: null, json: { channel: "a", app_secret: "" } },
      { secret: null, json: { channel: "a", app_secret: `${SECRET}x` } },
    ]) {
      const { status, headers } = await subscribe(call);
      expect(status).toBe(401);
      expect(headers.get("WWW-Authenticate")).toBe("Bearer");
    }
    const { error } = await subscribe({ secret: null, json: { channel: "a", app_secret: 1 } });
    expect(error).toMatchObject({ type: "parameter_invalid", field: "app_secret" });
  });
});

function longNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}.`.padEnd(200, "x"));
}
