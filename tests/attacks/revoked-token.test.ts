import { describe, expect, test } from "bun:test";
import { HandClock, post, serve, type Server } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { claims, sign } from "../api/tokens.ts";

/** How a token that was revoked could be let in all the same. */

const QUIET = { SOCKET_HEARTBEAT: "0" };
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function tokenOf(clock: HandClock, ttlSeconds: number, more: Record<string, unknown> = {}, channels = ["a"]): string {
  return sign({ ...claims(channels, clock.ms, ttlSeconds), sub: "ann", ...more });
}

const urlOf = (server: Server, token: string, channel = "a") =>
  `${server.url}/channel/${channel}/stream?token=${token}`;
const open = (server: Server, token: string, channel?: string) =>
  listen(urlOf(server, token, channel), { authorization: null });
const revoke = (server: Server, json: Record<string, unknown>) =>
  post<{ streams: number; complete: boolean }>(server, "/channel/revoke", { json });
const renew = (server: Server, stream: unknown, token: string) =>
  post(server, "/channel/renew", { secret: null, json: { stream, token } });

async function statusOf(url: string): Promise<number> {
  const { status, body } = await fetch(url);
  await body?.cancel();
  return status;
}

/** Opens a stream with the first token and renews it with each further one; gives its id. */
async function renewed(server: Server, [first, ...fresh]: readonly string[], channel?: string): Promise<unknown> {
  await using stream = await open(server, first!, channel);
  const { stream: id } = await stream.told("open");
  for (const token of fresh) expect((await renew(server, id, token)).status).toBe(200);
  return id;
}

describe("a revoked token", () => {
  test("with the last character of its signature written in another way stays out", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const token = tokenOf(clock, 60);
    const others = BASE64URL.split("").map((last) => token.slice(0, -1) + last);
    const statuses = async () => new Set(await Promise.all(others.map((other) => statusOf(urlOf(server, other)))));
    expect(await statuses()).toEqual(new Set([200, 401]));
    await revoke(server, { token });
    expect(await statuses()).toEqual(new Set([401]));
  });

  test("stays out when it has expired and something stands for it still", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const old = tokenOf(clock, 60);
    await renewed(server, [old, tokenOf(clock, 600)]);
    clock.ms += 1000;
    await revoke(server, { token: old });
    clock.ms += 70_000; // the token would be forgotten, the renewal not
    await revoke(server, { token: "has what holds no more forgotten" });
    clock.ms += 70_000;
    await revoke(server, { token: "and again" });
    expect(await statusOf(urlOf(server, old))).toBe(401);
  });

  test("stays out when the clock is set back after it has expired", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const token = tokenOf(clock, 60);
    await revoke(server, { token });
    clock.ms += 90_000;
    await revoke(server, { token: "has what holds no more forgotten" });
    clock.ms -= 50_000;
    expect(await statusOf(urlOf(server, token))).toBe(401);
  });

  test("stays out for ever where tokens may live for ever", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: { ...QUIET, SOCKET_MAX_TOKEN_TTL: "0" } });
    const token = tokenOf(clock, 1e9, { jti: "t1" });
    await revoke(server, { token: "t1" });
    clock.ms += 9e11;
    await revoke(server, { token: "has what holds no more forgotten" });
    expect(await statusOf(urlOf(server, token))).toBe(401);
  });

  test("stays out of streams whose beginning is still being looked for", async () => {
    let elapsed = 0;
    // Every look at the store takes a whole turn, so that the streams begin one after the other.
    const clock = { now: Date.now, elapsed: () => (elapsed += 6), random: () => 0.5 };
    await using server = await serve({ clock, settings: { ...QUIET, SOCKET_STREAM_AGE: "0", SOCKET_STALL: "0" } });
    const url = `${urlOf(server, sign({ ...claims(["a"]), sub: "ann" }))}&since=earliest`;
    const opening = Array.from({ length: 60 }, () => fetch(url));
    const first = await opening[0]!;
    await revoke(server, { user: "ann" });
    // Each ends by itself, or was refused: else this would wait until the test is given up.
    const texts = await Promise.all([first, ...opening.slice(1)].map(async (answer) => (await answer).text()));
    for (const text of texts) expect(text).toMatch(/"reason":"revoked"|The token was revoked/);
  });

  test("of a stream is each that it was ever renewed with", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const tokens = [60, 120, 180].map((ttl) => tokenOf(clock, ttl));
    await using stream = await open(server, tokens[0]!);
    const { stream: id } = await stream.told("open");
    for (const token of tokens.slice(1)) expect((await renew(server, id, token)).status).toBe(200);
    expect((await revoke(server, { stream: id })).data).toEqual({ streams: 1, complete: true });
    for (const token of tokens) expect(await statusOf(urlOf(server, token))).toBe(401);
  });

  test("is revoked by its `jti` also where that has the form of a token", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    for (const jti of ["order.2030.7", "..", "e30.e30.x"]) {
      const token = tokenOf(clock, 60, { jti });
      await using stream = await (await open(server, token)).live();
      expect((await revoke(server, { token: jti })).data).toEqual({ streams: 1, complete: true });
      expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
    }
  });

  test("of a user stays out when the user is revoked again by a clock that went back", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    clock.ms += 3_600_000; // too far ahead
    const token = tokenOf(clock, 600, { iat: clock.ms / 1000 });
    await revoke(server, { user: "ann" });
    clock.ms -= 3_600_000;
    await revoke(server, { user: "ann" });
    expect(await statusOf(urlOf(server, token))).toBe(401);
  });

  test.each(["\0", "null", "ann bob", "token x", "ünï 🎉", "%00", " ", "a\nb", "__proto__", "x".repeat(256)])(
    "of the user %j stays out, and another's is let in",
    async (user) => {
      await using server = await serve({ settings: QUIET });
      const tokens = [user, `${user.slice(1)}y`].map((sub) => sign({ ...claims(["a"]), sub }));
      await revoke(server, { user });
      expect(await Promise.all(tokens.map((token) => statusOf(urlOf(server, token))))).toEqual([401, 200]);
    },
  );
});

describe("a renewed token", () => {
  test("gains no channel that it did not grant itself, whoever has it", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const old = tokenOf(clock, 60);
    await renewed(server, [old, tokenOf(clock, 120, {}, ["**"])]);
    for (const wait of [0, 61_000]) {
      clock.ms += wait;
      expect(await statusOf(urlOf(server, old, "a"))).toBe(200);
      expect(await statusOf(urlOf(server, old, "b"))).toBe(403);
    }
  });

  test("keeps what it was renewed for in one page when it is renewed for another channel in another", async () => {
    const clock = new HandClock();
    await using server = await serve({ clock, settings: QUIET });
    const old = tokenOf(clock, 60, {}, ["a", "b"]);
    await renewed(server, [old, tokenOf(clock, 600, {}, ["a"])], "a");
    await renewed(server, [old, tokenOf(clock, 300, {}, ["b"])], "b");
    clock.ms += 61_000;
    await using one = await open(server, old, "a");
    expect(await one.told("open")).toMatchObject({ expires_at: "2030-01-01T00:10:00.000Z" });
    await using two = await open(server, old, "b");
    expect(await two.told("open")).toMatchObject({ expires_at: "2030-01-01T00:05:00.000Z" });
  });
});
