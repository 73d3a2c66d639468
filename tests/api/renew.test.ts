import { describe, expect, test } from "bun:test";
import { call, HandClock, post, publish, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

const QUIET = { SOCKET_HEARTBEAT: "0" };

/** A token of `sub` for these channels, in the clock's time. */
function tokenOf(clock: HandClock, ttlSeconds: number, more: Record<string, unknown> = {}, channels = ["a", "b.*"]) {
  return sign({ ...claims(channels, clock.ms, ttlSeconds), iat: clock.ms / 1000, sub: "ann", ...more });
}

const renew = (server: Server, stream: unknown, token: unknown) =>
  post<{ stream: string; expires_at: string }>(server, "/channel/renew", { secret: null, json: { stream, token } });

const urlOf = (server: Server, token: string, path = "/stream?channel=a&channel=b.*&") =>
  `${server.url}${path}token=${token}`;

describe("renewing", () => {
  test("a stream is told ahead of its token's expiry, and goes on when it is renewed", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    await using stream = await listen(urlOf(server, tokenOf(clock, 600)), { authorization: null });
    const { stream: id } = await stream.told("open");
    await stream.told("live");
    clock.ms += 509_900;
    await publish(server, "a", "not told yet");
    await stream.messages(1);
    clock.ms += 15_200; // a minute before, and up to half as much again: the hand clock's chance is the middle
    expect(await stream.told("token")).toEqual({ id: undefined, stream: id, expires_at: "2030-01-01T00:10:00.000Z" });

    const fresh = await renew(server, id, tokenOf(clock, 1200));
    expect(fresh.data).toEqual({ stream: String(id), expires_at: "2030-01-01T00:28:45.000Z" });
    clock.ms += 120_000; // past the first token's end
    await publish(server, "b.1", "goes on");
    expect(await stream.next()).toMatchObject({ data: "goes on" });
    clock.ms = Date.parse(fresh.data.expires_at) - 70_000;
    expect(await stream.told("token")).toMatchObject({ expires_at: fresh.data.expires_at });
    clock.ms += 70_000;
    expect(await stream.told("close")).toMatchObject({ reason: "expired", reconnect: false });
  });

  test("a reconnect with the old address is let in while the renewal stands, also with one after another", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const url = urlOf(server, tokenOf(clock, 60));
    await using first = await listen(url, { authorization: null });
    const { stream: id } = await first.told("open");
    const { data } = await renew(server, id, tokenOf(clock, 120));
    clock.ms += 61_000;
    await using second = await listen(url, { authorization: null });
    const opened = await second.told("open");
    expect(opened["expires_at"]).toBe(data.expires_at);
    expect((await renew(server, opened["stream"], tokenOf(clock, 120))).status).toBe(200);
    clock.ms += 100_000;
    await using third = await listen(url, { authorization: null });
    await third.told("open");
    clock.ms += 60_000;
    const late = await fetch(url);
    expect(late.status).toBe(401);
    expect(await late.text()).toContain("expired");
  });

  test("never with more rights than the fresh token gives, and never fewer in silence", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const old = tokenOf(clock, 60, {}, ["a", "c"]);
    await using stream = await listen(urlOf(server, old, "/channel/a/stream?"), { authorization: null });
    const { stream: id } = await stream.told("open");

    const narrow = await renew(server, id, tokenOf(clock, 120, {}, ["b.*"]));
    expect(narrow.error).toMatchObject({ type: "forbidden", field: "token" });
    expect(narrow.error!.detail).toContain("does not grant a");
    const short = await renew(server, id, tokenOf(clock, 59));
    expect(short.error).toMatchObject({ type: "parameter_invalid", field: "token" });

    expect((await renew(server, id, tokenOf(clock, 120, {}, ["a"]))).status).toBe(200);
    // The old token grants `c` until it expires, and the renewal never did.
    await using other = await listen(urlOf(server, old, "/channel/c/stream?"), { authorization: null });
    expect((await other.told("open"))["expires_at"]).toBe("2030-01-01T00:01:00.000Z");
    clock.ms += 61_000;
    expect((await fetch(urlOf(server, old, "/channel/c/stream?"))).status).toBe(403);
    await using again = await listen(urlOf(server, old, "/channel/a/stream?"), { authorization: null });
    await again.told("open");
  });

  test("a revocation goes before a renewal, whichever of its tokens it names", async () => {
    for (const revoked of [{ token: "old" }, { token: "fresh" }, { user: "ann" }]) {
      const clock = new HandClock();
      await using server = await serve({ clock, settings: QUIET });
      const url = urlOf(server, tokenOf(clock, 60, { jti: "old" }));
      await using stream = await listen(url, { authorization: null });
      const { stream: id } = await stream.told("open");
      await stream.told("live");
      const fresh = tokenOf(clock, 120, { jti: "fresh" });
      await renew(server, id, fresh);
      expect((await post(server, "/channel/revoke", { json: revoked })).data).toEqual({ streams: 1, complete: true });
      expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
      expect((await fetch(url)).status).toBe(401);
      if (revoked.token !== "old") expect((await renew(server, id, fresh)).status).toBe(401);
    }
  });

  test("what a page sends needs no preflight, and its answer can be read", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { ...QUIET, SOCKET_CORS_ORIGINS: "https://app.example" } });
    const headers = { Origin: "https://app.example" };
    await using stream = await listen(urlOf(server, tokenOf(clock, 60)), { authorization: null, headers });
    const { stream: id } = await stream.told("open");
    const form = { stream: String(id), token: tokenOf(clock, 120) };
    const answer = await post(server, "/channel/renew", { secret: null, form, headers });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Access-Control-Allow-Origin")).toBe("https://app.example");
    const other = await post(server, "/channel/renew", {
      secret: null,
      form,
      headers: { Origin: "https://b.example" },
    });
    expect(other.error).toMatchObject({ type: "forbidden" });
    const preflight = await fetch(`${server.url}/channel/renew`, { method: "OPTIONS", headers });
    expect(preflight.headers.get("Access-Control-Allow-Methods")).toBe("POST");
    expect(preflight.headers.get("Access-Control-Allow-Headers")).toContain("Content-Type");
  });

  test("what is missing or wrong is told, and changes nothing", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const old = tokenOf(clock, 60);
    await using stream = await listen(urlOf(server, old), { authorization: null });
    const { stream: id } = await stream.told("open");
    await stream.told("live");
    const fresh = tokenOf(clock, 120);
    expect((await renew(server, undefined, fresh)).error).toMatchObject({ type: "parameter_invalid", field: "stream" });
    expect((await renew(server, id, undefined)).error).toMatchObject({ type: "parameter_invalid", field: "token" });
    expect((await renew(server, id, "no token")).error).toMatchObject({ type: "unauthorized" });
    expect((await renew(server, "nope", fresh)).error).toMatchObject({ type: "stream_not_found", field: "stream" });
    expect((await renew(server, id, tokenOf(clock, -1))).error).toMatchObject({ type: "unauthorized" });
    expect((await call(server, "GET", "/channel/renew")).status).toBe(405);
    clock.ms += 60_000;
    await stream.when(() => stream.frames.find(({ event }) => event === "socket:close"));
  });
});
