import { describe, expect, test } from "bun:test";
import { HandClock, history, post, type Result, type Sent, serve, type Server } from "./fixture.ts";
import { headersOf, listen } from "./listening.ts";

const SHOP = "secret-of-the-shop-in-these-tests-1";
const BLOG = "secret-of-the-blog-in-these-tests-1";

function send(server: Server, data: string, headers: Record<string, string> = {}): Promise<Result<Sent>> {
  return post<Sent>(server, "/chat/send", { json: { channel: "news", data }, headers });
}

describe("publishes over their rate", () => {
  test("are refused until the time that is told, and change nothing", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_PUBLISH_RATE: "2" } });
    expect((await send(server, "1")).status).toBe(200);
    expect((await send(server, "2")).status).toBe(200);
    for (let i = 0; i < 5; i++) {
      const refused = await send(server, "over");
      expect(refused.error).toMatchObject({ type: "limit_exceeded" });
      expect(refused.headers.get("Retry-After")).toBe("1");
    }
    clock.ms += 500; // the five that were refused took nothing
    expect((await send(server, "3")).status).toBe(200);
    expect((await history(server, "news")).messages.map(({ data }) => data)).toEqual(["1", "2", "3"]);
  });

  test("count each message of a batch; a batch of more than a second's worth passes after a quiet one", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_PUBLISH_RATE: "2" } });
    const json = Array.from({ length: 7 }, () => ({ channel: "news" }));
    expect((await post(server, "/chat/send-multi", { json })).status).toBe(200);
    const refused = await send(server, "over");
    expect(refused.headers.get("Retry-After")).toBe("3");
    clock.ms += 3000;
    expect((await send(server, "then")).status).toBe(200);
    expect((await post(server, "/chat/send-multi", { json })).status).toBe(429);
    expect((await post(server, "/chat/send-multi", { json: [] })).status).toBe(200);
  });

  test("leave their idempotency key free", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_PUBLISH_RATE: "1" } });
    await send(server, "first");
    expect((await send(server, "refused", { "Idempotency-Key": "k" })).status).toBe(429);
    clock.ms += 1000;
    expect((await send(server, "other", { "Idempotency-Key": "k" })).status).toBe(200);
  });

  test("are counted for each IP address of each app", async () => {
    const apps = [
      { id: "shop", secrets: [SHOP], publish_rate_per_ip: 1 },
      { id: "blog", secrets: [BLOG], publish_rate_per_ip: 1 },
      { id: "free", secrets: ["secret-of-the-free-in-these-tests-1"] },
    ];
    const settings = { SOCKET_TRUSTED_PROXIES: "127.0.0.1" };
    await using server = await serve({ clock: new HandClock(), apps, settings });
    const statusOf = async (secret: string, address: string): Promise<number> => {
      const call = { secret, json: { channel: "news" }, headers: { "X-Forwarded-For": address } };
      return (await post(server, "/chat/send", call)).status;
    };
    expect(await statusOf(SHOP, "192.0.2.1")).toBe(200);
    expect(await statusOf(SHOP, "192.0.2.1")).toBe(429);
    expect(await statusOf(SHOP, "192.0.2.2")).toBe(200);
    expect(await statusOf(BLOG, "192.0.2.1")).toBe(200);
    for (let i = 0; i < 3; i++) expect(await statusOf("secret-of-the-free-in-these-tests-1", "192.0.2.1")).toBe(200);
  });
});

describe("streams opened over their rate", () => {
  test("are told to come back, an EventSource not before they would be let in", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { SOCKET_OPEN_RATE: "1", SOCKET_RETRY: "100ms" } });
    const path = `${server.url}/channel/news/stream`;
    await using first = await (await listen(path)).live();
    const plain = await fetch(path, { headers: headersOf({}) });
    expect([plain.status, plain.headers.get("Retry-After")]).toEqual([429, "1"]);
    await using refused = await listen(path, { headers: { Accept: "text/event-stream" } });
    expect(await refused.told("close")).toMatchObject({ reason: "limit", reconnect: true });
    expect(refused.retries[0]!).toBeWithin(1000, 2001);
    clock.ms += 1000;
    await using later = await (await listen(path)).live();
    expect([first.ended, later.ended]).toEqual([false, false]);
  });

  test("are counted for each IP address", async () => {
    const settings = { SOCKET_OPEN_RATE_PER_IP: "1", SOCKET_TRUSTED_PROXIES: "127.0.0.1" };
    await using server = await serve({ clock: new HandClock(), settings });
    const path = `${server.url}/channel/news/stream`;
    await using one = await (await listen(path, from("192.0.2.1"))).live();
    await using two = await (await listen(path, from("192.0.2.2"))).live();
    expect((await fetch(path, { headers: headersOf(from("192.0.2.1")) })).status).toBe(429);
    expect([one.ended, two.ended]).toEqual([false, false]);
  });
});

function from(address: string) {
  return { headers: { "X-Forwarded-For": address } };
}
