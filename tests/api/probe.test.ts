import { expect, test } from "bun:test";
import { call, HandClock, serve, type Server } from "./fixture.ts";
import { listen, type Way } from "./listening.ts";

const NONE: Way = { authorization: null };

/** Opens a probe; past its first tick. */
async function probe(server: Server, query = "probe=1m", way: Way = NONE) {
  const stream = await listen(`${server.url}/stream?${query}`, way);
  return { stream, opening: await stream.told("probe") };
}

/** A clock that tells when it is looked at, which the server does ten times a second. */
class WatchedClock extends HandClock {
  #looked = Promise.withResolvers<void>();
  override readonly elapsed = (): number => {
    this.#looked.resolve();
    return this.ms;
  };

  /** Turns it, and resolves once the server has seen that. */
  async turn(ms: number): Promise<void> {
    this.ms += ms;
    this.#looked = Promise.withResolvers();
    await this.#looked.promise;
  }
}

test("a probe ticks densely at first, then as seldom as heartbeats come, and ends by itself", async () => {
  const clock = new WatchedClock();
  await using server = await serve({ clock, settings: { SOCKET_HEARTBEAT: "10s" } });
  const { stream, opening } = await probe(server);
  await using _ = stream;
  expect(opening).toMatchObject({ sent_ms: 0, for_ms: 60_000, heartbeat_ms: 10_000 });
  for (const ms of [1000, 1900, 3000, 7000, 6000, 43_000]) await clock.turn(ms);
  await stream.end();
  const sent = stream.frames
    .filter(({ event }) => event === "socket:probe")
    .map(({ data }) => JSON.parse(data).sent_ms);
  expect([...new Set(sent)]).toEqual([0, 1000, 2900, 12_900]); // not 5,900 or 18,900
  expect(stream.frames.at(-1)).toMatchObject({
    event: "socket:close",
    data: '{"reason":"max_age","reconnect":false}',
  });
});

test("a probe tells which headers of proxies arrived, and nothing of what they say", async () => {
  await using server = await serve();
  const headers = {
    "Accept-Encoding": "br",
    "X-Forwarded-For": "10.1.2.3",
    Via: "1.1 inner",
    Authorization: "Basic aW5uZXI6aW5uZXI=",
    Cookie: "of=inner",
  };
  const { stream, opening } = await probe(server, "probe=1s", { ...NONE, headers });
  await using _ = stream;
  expect(opening).toMatchObject({ accept_encoding: "br", forwarded_by: ["via", "x-forwarded-for"] });
  await stream.end();
  expect(stream.text).not.toContain("inner");
  expect(stream.text).not.toContain("10.1.2.3");
});

test("a probe tells whether streams' addresses are made on the one that was asked for, and not on which", async () => {
  await using server = await serve({ settings: { SOCKET_PUBLIC_URL: "https://events.example.com" } });
  for (const [address, known] of [
    ["https://events.example.com", true],
    ["http://events.example.com", false],
  ] as const) {
    const { stream, opening } = await probe(server, `probe=1s&address=${encodeURIComponent(address)}`);
    await using _ = stream;
    expect(opening["address_known"]).toBe(known);
  }
  const { stream, opening } = await probe(server);
  await using _ = stream;
  expect(opening["address_known"]).toBeNull();
  expect(stream.text).not.toContain("example.com");
});

test("a probe stands at a channel's address too, needs no credential and is no stream of an app", async () => {
  await using server = await serve();
  await using stream = await listen(`${server.url}/channel/news/stream?probe=1m&token=no-token`, NONE);
  await stream.told("probe");
  expect(stream.response.headers.get("X-Accel-Buffering")).toBe("no");
  expect(stream.response.headers.get("Cache-Control")).toBe("no-store, no-transform");
  expect((await call<{ streams: unknown[] }>(server, "GET", "/streams")).data.streams).toEqual([]);
});

test("pages of the apps' origins can read a probe, and no others", async () => {
  await using server = await serve({ settings: { SOCKET_CORS_ORIGINS: "https://app.example" } });
  for (const [origin, allowed] of [
    ["https://app.example", "https://app.example"],
    ["https://other.example", null],
  ] as const) {
    const { stream } = await probe(server, "probe=1s", { ...NONE, headers: { Origin: origin } });
    await using _ = stream;
    expect(stream.response.headers.get("Access-Control-Allow-Origin")).toBe(allowed);
  }
});

test("a stop ends probes and tells them to come back", async () => {
  const server = await serve();
  const { stream } = await probe(server);
  const stopped = server.stop();
  let last = await stream.next();
  while (last.event === "socket:probe") last = await stream.next();
  expect(last).toMatchObject({ event: "socket:close", data: '{"reason":"drain","reconnect":true}' });
  await stopped;
  await stream.end();
});
