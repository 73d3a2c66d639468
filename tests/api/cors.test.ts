import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { request, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";

const PAGE = "https://page.example";
const PREFLIGHT = {
  Origin: PAGE,
  "Access-Control-Request-Method": "GET",
  "Access-Control-Request-Headers": "authorization",
};

/** The headers of an answer that speak to browsers of other origins. */
function cors(response: Response): Record<string, string> {
  const headers = [...response.headers].filter(([name]) => name.startsWith("access-control-") || name === "vary");
  return Object.fromEntries(headers);
}

describe("by default", () => {
  let server: Server;
  beforeAll(async () => {
    server = await serve();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const ALL = { "access-control-allow-origin": "*", "access-control-expose-headers": "X-Request-Id" };

  test("pages of any origin may open streams, without credentials", async () => {
    for (const path of ["/stream?channel=a", "/channel/a/stream"]) {
      await using stream = await listen(server.url + path, { headers: { Origin: PAGE } });
      expect(cors(stream.response)).toEqual(ALL);
    }
  });

  test("pages of any origin can read why a stream is refused", async () => {
    for (const path of ["/stream", "/stream?channel=a&last=x", "/channel/a/stream", "/channel/a%20b/stream"]) {
      const response = await request(server, "GET", path, { secret: null, headers: { Origin: PAGE } });
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(cors(response)).toEqual(ALL);
    }
  });

  test("a preflight for a stream allows what a listener sends", async () => {
    for (const path of ["/stream?channel=a", "/channel/a/stream"]) {
      const response = await request(server, "OPTIONS", path, { secret: null, headers: PREFLIGHT });
      expect(response.status).toBe(204);
      expect(cors(response)).toEqual({
        ...ALL,
        "access-control-allow-methods": "GET, HEAD",
        "access-control-allow-headers": "Authorization, Cache-Control, Content-Type, Last-Event-ID",
        "access-control-max-age": "7200",
      });
    }
  });

  test("no page of another origin may publish, subscribe, or read what a backend reads", async () => {
    const paths = ["/chat/send?channel=a", "/chat/send-multi?body=[]", "/channel/subscribe?channel=a"];
    for (const path of [...paths, "/channels", "/channel/a", "/channel/a/history", "/healthz", "/"]) {
      const method = paths.includes(path) ? "POST" : "GET";
      const headers = { Origin: PAGE };
      expect(cors(await request(server, method, path, { headers }))).toEqual({});
      expect(cors(await request(server, "OPTIONS", path, { secret: null, headers: PREFLIGHT }))).toEqual({});
    }
  });
});

describe("with origins that are set", () => {
  let server: Server;
  beforeAll(async () => {
    server = await serve({
      settings: { SOCKET_CORS_ORIGINS: `${PAGE},http://localhost:5173`, SOCKET_PUBLIC_CHANNELS: "news" },
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function ask(method: string, origin: string | null, path = "/channel/news/stream") {
    const abort = new AbortController();
    const headers: Record<string, string> = origin === null ? {} : { Origin: origin };
    const response = await fetch(server.url + path, { method, headers, signal: abort.signal });
    abort.abort();
    return {
      status: response.status,
      allowed: response.headers.get("Access-Control-Allow-Origin"),
      vary: response.headers.get("Vary"),
    };
  }

  test("only their pages may open streams; a request without an origin is no page's", async () => {
    for (const origin of [PAGE, "http://localhost:5173"]) {
      expect(await ask("GET", origin)).toEqual({ status: 200, allowed: origin, vary: "Origin" });
      expect(await ask("HEAD", origin)).toEqual({ status: 200, allowed: origin, vary: "Origin" });
      expect(await ask("OPTIONS", origin)).toEqual({ status: 204, allowed: origin, vary: "Origin" });
      expect(await ask("GET", origin, "/channel/private/stream")).toEqual({
        status: 401,
        allowed: origin,
        vary: "Origin",
      });
    }
    expect(await ask("GET", null)).toEqual({ status: 200, allowed: null, vary: "Origin" });
    for (const origin of ["https://evil.example", "null", `${PAGE}.evil.example`, PAGE.toUpperCase(), `${PAGE}:8443`]) {
      expect(await ask("GET", origin)).toEqual({ status: 403, allowed: null, vary: "Origin" });
      expect(await ask("OPTIONS", origin)).toEqual({ status: 204, allowed: null, vary: "Origin" });
    }
  });
});
