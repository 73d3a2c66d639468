import { expect, test } from "bun:test";
import { call, request, serve, type Server } from "../api/fixture.ts";
import { listen, type Listening, type Way } from "../api/listening.ts";

const MOST = 8;
const NONE: Way = { authorization: null };

async function probe(server: Server): Promise<Listening> {
  const stream = await listen(`${server.url}/stream?probe=5m`, NONE);
  await stream.told("probe");
  return stream;
}

test("a flood of probes, which need no credential, holds eight streams and no more", async () => {
  await using server = await serve();
  const open: Listening[] = [];
  try {
    for (let i = 0; i < MOST; i++) open.push(await probe(server));
    const { status, error, headers } = await call(server, "GET", "/stream?probe=5m", { secret: null });
    expect([status, error!.type]).toEqual([429, "limit_exceeded"]);
    expect(headers.get("Retry-After")).toBe("1");
    await using told = await listen(`${server.url}/stream?probe=5m`, {
      ...NONE,
      headers: { Accept: "text/event-stream" },
    });
    expect(await told.told("close")).toMatchObject({ reason: "limit", reconnect: true });
    await using stream = await (await listen(`${server.url}/channel/news/stream`)).live();
    expect(stream.ended).toBe(false);
  } finally {
    for (const stream of open) await stream[Symbol.asyncDispose]();
  }
});

test("many that ask for a probe at the same moment get eight", async () => {
  await using server = await serve();
  const asked = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const abort = new AbortController();
      const response = await fetch(`${server.url}/stream?probe=1m`, { signal: abort.signal });
      const first = await response.body!.getReader().read();
      const text = new TextDecoder().decode(first.value);
      return { abort, isOpen: response.status === 200 && text.includes("socket:probe") };
    }),
  );
  expect(asked.filter(({ isOpen }) => isOpen)).toHaveLength(MOST);
  for (const { abort } of asked) abort.abort();
});

test("a probe whose listener has left gives its place to another", async () => {
  await using server = await serve();
  for (let i = 0; i < 3 * MOST; i++) {
    let stream: Listening | null = null;
    while (stream === null) stream = await probe(server).catch(() => null); // the end of one may be seen a little later
    await stream[Symbol.asyncDispose]();
  }
});

test("probes count as streams of the node: neither passes the limit by the other", async () => {
  await using server = await serve({ settings: { SOCKET_MAX_STREAMS: "1" } });
  const first = await probe(server);
  expect((await call(server, "GET", "/channel/news/stream")).status).toBe(429);
  await first[Symbol.asyncDispose]();
  let stream: Listening | null = null;
  while (stream === null) stream = await listen(`${server.url}/channel/news/stream`).catch(() => null);
  expect((await call(server, "GET", "/stream?probe=5m")).status).toBe(429);
  await stream[Symbol.asyncDispose]();
});

test("a probe lasts no longer than five minutes and is asked for in one way", async () => {
  await using server = await serve();
  for (const query of [
    "probe=6m",
    "probe=0",
    "probe=999ms",
    "probe=",
    "probe=1",
    "probe=1s&probe=1s",
    "probe=9999999d",
  ]) {
    const { status, error } = await call(server, "GET", `/stream?${query}`);
    expect([query, status, error!.field]).toEqual([query, 400, "probe"]);
  }
  expect((await call(server, "GET", "/stream?probe=1s&app_secret=x")).status).toBe(401);
});

test("HEAD of a probe begins none", async () => {
  await using server = await serve();
  for (let i = 0; i < 2 * MOST; i++) {
    expect((await request(server, "HEAD", "/stream?probe=5m")).status).toBe(200);
  }
});
