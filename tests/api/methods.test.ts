import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { publish, raw, read, request, SECRET, serve, type Server, WHOLE } from "./fixture.ts";
import { listen } from "./listening.ts";

let server: Server;
beforeAll(async () => {
  server = await serve();
  await publish(server, "news", "hello");
});
afterAll(() => server[Symbol.asyncDispose]());

const POST = ["/chat/send", "/chat/send-multi", "/channel/subscribe"];
const GET = ["/", "/healthz", "/readyz", "/channels", "/channel/news", "/channel/news/history"];
const STREAMS = ["/stream?channel=news", "/channel/news/stream"];
const UNKNOWN = [
  "/nope",
  "/chat",
  "/chat/send/",
  "/channel/",
  "/channel/news/",
  "/channel/news/stream/",
  "/stream/",
  "/channel/a/b/stream",
];

describe("every answer has an X-Request-Id of its own:", () => {
  test("of every address by every method", async () => {
    const seen = new Set<string>();
    for (const path of [...POST, ...GET, ...STREAMS, ...UNKNOWN]) {
      for (const method of ["GET", "HEAD", "POST", "OPTIONS", "DELETE"]) {
        const abort = new AbortController();
        const headers = { Authorization: `key=${SECRET}` };
        const response = await fetch(server.url + path, { method, headers, signal: abort.signal });
        const id = response.headers.get("X-Request-Id") ?? expect.unreachable(`${method} ${path}`);
        expect(seen).not.toContain(id);
        seen.add(id);
        abort.abort();
      }
    }
  });
});

describe("a method that an address does not take", () => {
  const cases: readonly [readonly string[], readonly string[], string][] = [
    [POST, ["GET", "HEAD", "PUT", "DELETE", "PATCH"], "POST, OPTIONS"],
    [[...GET, ...STREAMS], ["POST", "PUT", "DELETE", "PATCH"], "GET, HEAD, OPTIONS"],
  ];
  for (const [paths, methods, allow] of cases) {
    for (const path of paths) {
      test(`is answered with 405 and Allow: ${path}`, async () => {
        for (const method of methods) {
          const response = await request(server, method, path);
          expect(response.status).toBe(405);
          expect(response.headers.get("Allow")).toBe(allow);
          if (method !== "HEAD") expect((await read(response)).error!.type).toBe("method_not_allowed");
        }
      });
    }
  }

  test("is answered with 405 where Bun takes a method that no one else knows", async () => {
    for (const method of ["PROPFIND", "TRACE", "CONNECT"]) {
      const answer = await raw(server, `${method} /channel/news HTTP/1.1\r\nHost: x\r\n\r\n`, WHOLE);
      expect(answer).toMatch(/^HTTP\/1.1 405 .*\r\nAllow: GET, HEAD, OPTIONS\r\n.*method_not_allowed/s);
    }
  });

  test("says that there is no channel named subscribe to GET, but its stream and history are as any other's", async () => {
    expect((await request(server, "GET", "/channel/subscribe")).headers.get("Allow")).toBe("POST, OPTIONS");
    expect((await read(await request(server, "GET", "/channel/subscribe/history"))).status).toBe(200);
    await using stream = await listen(`${server.url}/channel/subscribe/stream`);
    await stream.live();
  });
});

describe("an unknown address", () => {
  test("is answered with 404 by every method", async () => {
    for (const path of [...UNKNOWN, "/chat//send", "/channel/a%2fstream/x"]) {
      for (const method of ["GET", "HEAD", "POST", "OPTIONS", "DELETE"]) {
        const response = await request(server, method, path);
        expect([path, method, response.status]).toEqual([path, method, 404]);
        if (method !== "HEAD") expect((await read(response)).error!.type).toBe("not_found");
      }
    }
  });
});

describe("OPTIONS", () => {
  test("tells the methods of an address and has no body", async () => {
    for (const path of [...POST, ...GET, ...STREAMS]) {
      const response = await request(server, "OPTIONS", path, { secret: null });
      expect(response.status).toBe(204);
      expect(response.headers.get("Allow")).toBe(POST.includes(path) ? "POST, OPTIONS" : "GET, HEAD, OPTIONS");
      expect(await response.text()).toBe("");
    }
  });
});

describe("HEAD", () => {
  test("has the status and headers of GET and no body", async () => {
    for (const path of [...GET, "/nope", "/channel/a%20b"]) {
      const [get, head] = [await request(server, "GET", path), await request(server, "HEAD", path)];
      expect(head.status).toBe(get.status);
      const names = ["Content-Type", "Content-Length", "Cache-Control", "Content-Security-Policy"];
      for (const name of names) expect(head.headers.get(name)).toBe(get.headers.get(name));
      expect(await head.text()).toBe("");
    }
    expect((await request(server, "HEAD", "/channels", { secret: null })).status).toBe(401);
  });
});

describe("a request", () => {
  test("whose Host is missing or is none gets its answer", async () => {
    for (const host of [
      "",
      "Host: [\r\n",
      "Host: a b\r\n",
      "Host: x:99999\r\n",
      "Host: \r\n",
      "Host: a/b?c\r\n",
      "Host: web\r\n",
    ]) {
      const version = host === "" ? "1.0" : "1.1";
      for (const [line, status] of [
        ["GET /healthz", 200],
        ["GET /nope", 404],
        ["DELETE /healthz", 405],
      ] as const) {
        expect(await raw(server, `${line} HTTP/${version}\r\n${host}\r\n`, WHOLE)).toStartWith(`HTTP/1.1 ${status} `);
      }
      const head = await raw(server, `HEAD /healthz HTTP/${version}\r\n${host}\r\n`, /\r\n\r\n$/);
      expect(head).toStartWith("HTTP/1.1 200 ");
    }
  });

  test("to a host of few letters, or to none, is not taken for one to the end of its path", async () => {
    for (const [version, host] of [
      ["1.1", "Host: x\r\n"],
      ["1.1", "Host: web\r\n"],
      ["1.1", "Host: a:1\r\n"],
      ["1.0", ""],
    ] as const) {
      for (const path of [
        "/nope/",
        "/healthz/",
        "/stream/?channel=news",
        "/a/healthz",
        "/aa/healthz",
        "/nope/aaaaa/healthz",
      ]) {
        const answer = await raw(server, `GET ${path} HTTP/${version}\r\n${host}\r\n`, WHOLE);
        expect([host, path, answer]).toEqual([host, path, expect.stringMatching(/^HTTP\/1.1 404 .*not_found/s)]);
      }
    }
  });
});
