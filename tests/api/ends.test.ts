import { describe, expect, test } from "bun:test";
import { HandClock, post, publish, raw, SECRET, serve, subscribers } from "./fixture.ts";
import { headersOf, listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

describe("a stream ends", () => {
  test("at its token's expiry, told a moment before and not to reconnect", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock });
    const { data } = await post<{ url: string; expires_at: string }>(server, "/channel/subscribe", {
      json: { channel: "news", ttl: 60 },
    });
    expect(data.expires_at).toBe("2030-01-01T00:01:00.000Z");
    await using stream = await listen(data.url, { authorization: null });
    await using other = await listen(`${server.url}/channel/news/stream`);
    expect(await stream.told("open")).toMatchObject({ expires_at: data.expires_at });
    await stream.told("live");
    await other.live();
    clock.ms += 59_000;
    await publish(server, "news", "last");
    await stream.messages(1);
    clock.ms += 800; // so late that the next look may come after the expiry
    expect(await stream.told("close")).toEqual({ id: undefined, reason: "expired", reconnect: false });
    clock.ms += 200;
    await stream.end();
    expect(await subscribers(server, "news")).toBe(1);

    const again = await fetch(data.url);
    expect(again.status).toBe(401);
    expect(await again.text()).toContain("The token expired at 2030-01-01T00:01:00.000Z.");
  });

  test("at its age, jittered, and is told to reconnect", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_STREAM_AGE: "10m", SOCKET_HEARTBEAT: "0" } });
    await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
    clock.ms += 600_000; // the hand clock's chance is the middle
    expect(await stream.told("close")).toMatchObject({ reason: "max_age", reconnect: true });
    await stream.end();
  });

  test("with its connection, which nobody would look after any more", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_STREAM_AGE: "10m", SOCKET_HEARTBEAT: "0" } });
    const request = `GET /channel/news/stream HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\n\r\n`;
    const whole = raw(server, request, /never/);
    while ((await subscribers(server, "news")) === 0);
    clock.ms += 600_000;
    expect(await whole).toMatch(/^HTTP\/1.1 200 .*\r\nConnection: close\r\n.*socket:close.*\r\n0\r\n\r\n$/s);
  });

  test("when the node is stopped, and is told to reconnect", async () => {
    const server = await serve();
    await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
    const stopped = server.stop();
    expect(await stream.told("close")).toMatchObject({ reason: "drain", reconnect: true });
    await stream.end();
    await stopped;
  });

  test("when the listener leaves, which frees its place", async () => {
    await using server = await serve({ settings: { SOCKET_MAX_STREAMS_PER_APP: "1" } });
    const path = `${server.url}/channel/news/stream`;
    for (let i = 0; i < 5; i++) {
      await using stream = await (await listen(path)).live();
      expect((await fetch(path, { headers: headersOf({}) })).status).toBe(429);
      await stream[Symbol.asyncDispose]();
      // each answer is a turn of the server's loop, in which it may see the end of the connection
      while ((await subscribers(server, "news")) > 0);
    }
  });
});

describe("a refusal that will pass", () => {
  test("is a stream that ends, to an EventSource, and 429 to anyone else", async () => {
    await using server = await serve({ settings: { SOCKET_MAX_STREAMS_PER_APP: "1", SOCKET_RETRY: "5s" } });
    const path = `${server.url}/channel/news/stream`;
    await using only = await (await listen(path)).live();

    await using refused = await listen(path, { headers: { Accept: "text/event-stream", Origin: "https://a.example" } });
    expect(refused.response.status).toBe(200);
    expect(await refused.told("close")).toEqual({ id: undefined, reason: "limit", reconnect: true });
    await refused.end();
    expect(refused.frames).toHaveLength(1);
    expect(refused.retries[0]!).toBeWithin(5000, 10_001);
    expect(refused.response.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(refused.response.headers.get("X-Request-Id")).toMatch(/./);

    for (const Accept of ["*/*", "application/json"]) {
      const plain = await fetch(path, { headers: headersOf({ headers: { Accept } }) });
      expect(plain.status).toBe(429);
      expect(plain.headers.get("Retry-After")).toMatch(/^[1-9]\d*$/);
      expect(await plain.json()).toMatchObject({ code: 429, Error: { type: "limit_exceeded" } });
    }
    await publish(server, "news", "still here");
    expect(await only.next()).toMatchObject({ data: "still here" });
  });

  test("is told only to those who may listen; a refusal that stays is an error to an EventSource as well", async () => {
    await using server = await serve({ settings: { SOCKET_MAX_STREAMS_PER_APP: "1" } });
    await using only = await (await listen(`${server.url}/channel/news/stream`)).live();
    const headers = { Accept: "text/event-stream" };
    expect((await fetch(`${server.url}/channel/news/stream`, { headers })).status).toBe(401);
    const token = sign(claims(["other"]));
    expect((await fetch(`${server.url}/channel/news/stream?token=${token}`, { headers })).status).toBe(403);
    const bad = await fetch(`${server.url}/channel/news/stream?last=x`, {
      headers: { ...headers, Authorization: `key=${SECRET}` },
    });
    expect(bad.status).toBe(400);
    expect(only.ended).toBe(false);
  });

  test("of streams that wait for a turn to look for their beginning lets in as many as may be open", async () => {
    let elapsedMs = 0; // every look at the clock takes 6 ms, so no turn has time for a second read
    const clock = { now: Date.now, elapsed: () => (elapsedMs += 6), random: Math.random };
    await using server = await serve({
      settings: { SOCKET_MAX_STREAMS_PER_APP: "3", SOCKET_PUBLIC_CHANNELS: "news", SOCKET_HEARTBEAT: "0" },
      clock,
    });
    const opens = Array.from({ length: 12 }, () => fetch(`${server.url}/channel/news/stream?last=5`));
    const answers = await Promise.all(opens);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(await subscribers(server, "news")).toBe(3);
  });

  test("of many streams opened at once lets in as many as may be open", async () => {
    await using server = await serve({ settings: { SOCKET_MAX_STREAMS_PER_APP: "3", SOCKET_PUBLIC_CHANNELS: "news" } });
    const token = sign(claims(["news"]));
    const paths = ["", `?token=${token}`, "?last=5"].flatMap((query) => Array<string>(10).fill(query));
    const answers = await Promise.all(paths.map((query) => fetch(`${server.url}/channel/news/stream${query}`)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(await subscribers(server, "news")).toBe(3);
  });
});
