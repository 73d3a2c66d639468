import { describe, expect, test } from "bun:test";
import { post, raw, SECRET, serve, type Server, WHOLE } from "./fixture.ts";

/** The address of a stream, without its token. */
async function addressBy(server: Server, headers: Record<string, string>, query = "?channel=news"): Promise<string> {
  const { data } = await post<{ url: string }>(server, `/channel/subscribe${query}`, { headers });
  return data.url.replace(/token=.*/, "");
}

const FORWARDED = { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "events.example.com" };

describe("the address of a stream", () => {
  test("is the one that the request was sent to", async () => {
    await using server = await serve();
    expect(await addressBy(server, {})).toBe(`${server.url}/channel/news/stream?`);
    expect(await addressBy(server, { Host: "events.test:8080" })).toBe("http://events.test:8080/channel/news/stream?");
  });

  test("is the public one that is set, with its path", async () => {
    await using server = await serve({ settings: { SOCKET_PUBLIC_URL: "https://example.com/live/events/" } });
    expect(await addressBy(server, FORWARDED)).toBe("https://example.com/live/events/channel/news/stream?");
    expect(await addressBy(server, {}, "?channel=a&channel=b.*")).toBe(
      "https://example.com/live/events/stream?channel=a&channel=b.*&",
    );
  });

  test("is the one that a trusted proxy tells, and never the one that anyone else tells", async () => {
    await using open = await serve();
    expect(await addressBy(open, FORWARDED)).toBe(`${open.url}/channel/news/stream?`);
    await using other = await serve({ settings: { SOCKET_TRUSTED_PROXIES: "10.0.0.0/8,::1" } });
    expect(await addressBy(other, FORWARDED)).toBe(`${other.url}/channel/news/stream?`);
    await using behind = await serve({ settings: { SOCKET_TRUSTED_PROXIES: "127.0.0.0/8" } });
    expect(await addressBy(behind, FORWARDED)).toBe("https://events.example.com/channel/news/stream?");
    expect(await addressBy(behind, { "X-Forwarded-Proto": "https" })).toBe(
      `https://127.0.0.1:${behind.port}/channel/news/stream?`,
    );
    const list = { "X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "first.example, second.example" };
    expect(await addressBy(behind, list)).toBe("https://first.example/channel/news/stream?");
    const bad = { "X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "a b" };
    expect(await addressBy(behind, bad)).toBe(`${behind.url}/channel/news/stream?`);
  });

  test("cannot be told for a request without a Host, unless it is set", async () => {
    const request = `POST /channel/subscribe?channel=a HTTP/1.0\r\nAuthorization: key=${SECRET}\r\n\r\n`;
    await using unset = await serve();
    expect(await raw(unset, request, WHOLE)).toMatch(/^HTTP\/1.1 400 .*"bad_request".*`Host`/s);
    await using proxied = await serve({ settings: { SOCKET_TRUSTED_PROXIES: "127.0.0.1" } });
    expect(await raw(proxied, request, WHOLE)).toMatch(/^HTTP\/1.1 400 .*"bad_request"/s);
    await using set = await serve({ settings: { SOCKET_PUBLIC_URL: "https://example.com" } });
    expect(await raw(set, request, WHOLE)).toContain('"url":"https://example.com/channel/a/stream?');
  });
});

describe("the limit of streams from one IP address", () => {
  const settings = { SOCKET_MAX_STREAMS_PER_IP: "1", SOCKET_PUBLIC_CHANNELS: "news" };

  test("counts the listeners behind a trusted proxy apart", async () => {
    await using server = await serve({ settings: { ...settings, SOCKET_TRUSTED_PROXIES: "127.0.0.1" } });
    const forged = "192.0.2.9, 192.0.2.1"; // only the last was written by the proxy
    expect(await statuses(server, ["192.0.2.1", "192.0.2.2", "192.0.2.1", forged])).toEqual([200, 200, 429, 429]);
  });

  test("counts the peer where no proxy is trusted", async () => {
    await using server = await serve({ settings });
    expect(await statuses(server, ["192.0.2.1", "192.0.2.2"])).toEqual([200, 429]);
  });

  test("counts no streams of another app", async () => {
    await using server = await serve({ apps: [appOf("shop"), appOf("blog")] });
    for (const [id, status] of [
      ["shop", 200],
      ["blog", 200],
      ["shop", 429],
    ] as const) {
      expect((await fetch(`${server.url}/channel/news/stream?app=${id}`)).status).toBe(status);
    }
  });
});

function appOf(id: string) {
  return {
    id,
    secrets: [`secret-of-the-${id}-in-these-tests-1`],
    public_channels: ["news"],
    max_streams_per_ip: 1,
  };
}

/** The answers to a stream for each `X-Forwarded-For`, in turn. Not read: the streams end with the server. */
async function statuses(server: Server, forwarded: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const address of forwarded) {
    found.push((await fetch(`${server.url}/channel/news/stream`, { headers: { "X-Forwarded-For": address } })).status);
  }
  return found;
}
