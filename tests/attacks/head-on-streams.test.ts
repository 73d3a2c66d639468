import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { publish, raw, request, SECRET, serve, type Server, subscribers } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";

/** HEAD on a route that streams began a body that nobody reads, and left its subscriber behind. */
let server: Server;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server[Symbol.asyncDispose]());

const STREAMS = [
  "/stream?channel=news",
  "/stream?channel=*&last=5",
  "/channel/news/stream",
  "/channel/news/stream?format=envelope",
  "/channel/news/stream?last_event_id=a-1",
];
const SLASHED = ["/stream/?channel=news", "/stream/", "/channel/news/stream/", "/channel/news/stream//"];

function head(path: string, headers = ""): string {
  return `HEAD ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: key=${SECRET}\r\n${headers}\r\n`;
}

describe("HEAD of a stream is answered, has no body and opens nothing:", () => {
  for (const path of STREAMS) {
    test(path, async () => {
      for (const headers of ["", "Accept: text/event-stream\r\n", "Last-Event-ID: x\r\n", "Connection: close\r\n"]) {
        const answer = await raw(server, head(path, headers), /never/); // to the end of the connection
        expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\ncontent-type: text\/event-stream\r\n.*\r\n\r\n$/is);
        expect(answer).not.toMatch(/content-length/i);
      }
      expect(await subscribers(server, "news")).toBe(0);
    });
  }

  for (const path of SLASHED) {
    test(`${path}, which is no stream`, async () => {
      const answer = await raw(server, head(path), /\r\n\r\n$/);
      expect(answer).toStartWith("HTTP/1.1 404 ");
      expect(await subscribers(server, "news")).toBe(0);
    });
  }

  test("many at once, also refused, also with a body", async () => {
    const paths = [...STREAMS, ...SLASHED];
    const heads = Array.from({ length: 200 }, (_, i) =>
      request(server, "HEAD", paths[i % paths.length]!, i % 3 === 0 ? { secret: null } : {}),
    );
    for (const [i, response] of (await Promise.all(heads)).entries()) {
      expect(response.status).toBe(i % paths.length >= STREAMS.length ? 404 : i % 3 === 0 ? 401 : 200);
    }
    const bytes = `${head(STREAMS[0]!, "Content-Length: 4\r\n")}body`;
    expect(await raw(server, bytes, /\r\n\r\n$/)).toStartWith("HTTP/1.1 200 ");
    expect(await subscribers(server, "news")).toBe(0);
    expect((await publish(server, "news", "x")).subscribers).toBe(0);
  });

  test("none counts against a limit", async () => {
    await using small = await serve({ settings: { SOCKET_MAX_STREAMS_PER_APP: "1", SOCKET_MAX_STREAMS_PER_IP: "1" } });
    for (let i = 0; i < 5; i++) expect((await request(small, "HEAD", "/channel/news/stream")).status).toBe(200);
    await using stream = await listen(`${small.url}/channel/news/stream`);
    await stream.live();
    expect((await request(small, "HEAD", "/channel/news/stream")).status).toBe(429);
  });
});
