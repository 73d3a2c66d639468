import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call, post, publish, SECRET, serve, type Server, subscribers } from "./fixture.ts";
import { listen } from "./listening.ts";
import { claims, claimsOf, sign } from "./tokens.ts";

let server: Server;
beforeAll(async () => {
  server = await serve({ settings: { SOCKET_PUBLIC_CHANNELS: "open" } });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function addressOf(json: Record<string, unknown>): Promise<{ url: string; token: string }> {
  return (await post<{ url: string; token: string }>(server, "/channel/subscribe", { json })).data;
}

const revoke = (json: Record<string, unknown>, place = server) =>
  post<{ streams: number; complete: boolean }>(place, "/channel/revoke", { json });

async function refused(url: string): Promise<void> {
  const response = await fetch(url);
  expect(response.status).toBe(401);
  expect(await response.text()).toContain("The token was revoked.");
}

describe("POST /channel/revoke", () => {
  test("of a user ends all of the user's streams at once, and keeps out what was issued before", async () => {
    const address = await addressOf({ channel: ["a", "b.*"], user: "ann" });
    await using first = await (await listen(address.url, { authorization: null })).live();
    await using second = await (await listen(address.url, { authorization: null })).live();
    const bob = await addressOf({ channel: "a", user: "bob" });
    await using other = await (await listen(bob.url, { authorization: null })).live();

    expect((await revoke({ user: "ann" })).data).toEqual({ streams: 2, complete: true });
    for (const stream of [first, second]) {
      expect(await stream.told("close")).toMatchObject({ reason: "revoked", reconnect: false });
      await stream.end();
    }
    await refused(address.url);
    await publish(server, "a", "for bob");
    expect(await other.next()).toMatchObject({ data: "for bob" });

    const later = await addressOf({ channel: "a", user: "ann" });
    await using again = await (await listen(later.url, { authorization: null })).live();
    expect(again.ended).toBe(false);
  });

  test("of a token by its jti, also by a backend that was never asked for it", async () => {
    const token = sign({ ...claims(["a"]), jti: "order-7" });
    const url = `${server.url}/channel/a/stream?token=${token}`;
    await using stream = await (await listen(url, { authorization: null })).live();
    expect((await revoke({ token: "order-7" })).data).toEqual({ streams: 1, complete: true });
    expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
    await refused(url);
    await refused(`${server.url}/stream?channel=a&token=${token}`);
    expect((await revoke({ token: "order-8" })).data).toEqual({ streams: 0, complete: true });
  });

  test("of a token by itself, where it has no jti", async () => {
    const token = sign(claims(["a"]));
    const url = `${server.url}/channel/a/stream?token=${token}`;
    await using stream = await (await listen(url, { authorization: null })).live();
    expect((await revoke({ token })).data).toEqual({ streams: 1, complete: true });
    expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
    await refused(url);
  });

  test("of a stream, with the token that opened it", async () => {
    const address = await addressOf({ channel: "a" });
    await using stream = await listen(address.url, { authorization: null });
    const { stream: id } = await stream.told("open");
    expect((await revoke({ stream: id })).data).toEqual({ streams: 1, complete: true });
    await stream.told("live");
    expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
    await refused(address.url);
    expect((await revoke({ stream: id })).error).toMatchObject({ type: "stream_not_found", field: "stream" });
  });

  test("of a stream without a token ends it, and there is nothing to keep out", async () => {
    await using stream = await listen(`${server.url}/channel/open/stream`, { authorization: null });
    const { stream: id } = await stream.told("open");
    expect((await revoke({ stream: id })).data).toEqual({ streams: 1, complete: true });
    await stream.told("live");
    expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
    await using again = await (await listen(`${server.url}/channel/open/stream`, { authorization: null })).live();
    expect(again.ended).toBe(false);
  });

  test.each([
    [{}, "token"],
    [{ user: "ann", token: "t" }, "user"],
    [{ user: "" }, "user"],
    [{ user: "x".repeat(257) }, "user"],
    [{ stream: 7 }, "stream"],
  ])("%p is a 400 that names the parameter", async (json, field) => {
    expect((await revoke(json)).error).toMatchObject({ type: "parameter_invalid", field });
  });

  test("takes the app's secret, and no token", async () => {
    for (const secret of [null, "x".repeat(32), sign(claims(["a"]))]) {
      expect((await post(server, "/channel/revoke", { secret, json: { user: "ann" } })).status).toBe(401);
    }
    expect((await call(server, "GET", "/channel/revoke")).status).toBe(405);
  });

  test("reaches the streams of its own app alone", async () => {
    const [one, two] = ["one", "two"].map((id) => ({ id, secrets: [`secret-of-${id}`.padEnd(32, "x")] }));
    await using both = await serve({ apps: [one!, two!] });
    const [first, second] = [one!, two!].map(({ id, secrets }) =>
      sign({ ...claims(["a"]), sub: "ann", jti: "j" }, secrets[0], { alg: "HS256", kid: id }),
    );
    const open = (token: string) => listen(`${both.url}/channel/a/stream?token=${token}`, { authorization: null });
    await using mine = await open(first!);
    await using theirs = await open(second!);
    const { stream: id } = await theirs.told("open");
    await theirs.told("live");
    const secret = one!.secrets[0]!;
    for (const json of [{ user: "ann" }, { token: "j" }]) {
      await post(both, "/channel/revoke", { secret, json });
    }
    expect((await post(both, "/channel/revoke", { secret, json: { stream: id } })).status).toBe(404);
    expect((await post(both, "/channel/revoke", { secret, json: { token: second } })).status).toBe(403);
    await mine.live();
    expect(await mine.told("close")).toMatchObject({ reason: "revoked" });
    expect(await subscribers(both, "a", two!.secrets[0])).toBe(1);
    expect(theirs.ended).toBe(false);
  });
});

const path = (token: string): string => `/channel/a/stream?token=${token}`;

test("what was revoked stays out after a restart, and what was renewed stays in", async () => {
  const folder = mkdtempSync(join(tmpdir(), "service-socket-"));
  const settings = { SOCKET_BROKER: `sqlite:${folder}/messages.db`, SOCKET_DRAIN: "0" };
  try {
    const old = sign({ ...claims(["a"], Date.now(), 2), sub: "bob" });
    const [ann, fresh] = [sign({ ...claims(["a"]), sub: "ann" }), sign({ ...claims(["a"]), sub: "bob" })];
    const first = await serve({ settings });
    await using stream = await listen(first.url + path(old), { authorization: null });
    const { stream: id } = await stream.told("open");
    expect((await post(first, "/channel/renew", { secret: null, json: { stream: id, token: fresh } })).status).toBe(
      200,
    );
    await revoke({ user: "ann" }, first);
    await first[Symbol.asyncDispose]();

    const expired = claimsOf(old)["exp"] as number;
    const clock = { now: () => expired * 1000 + 1, elapsed: () => performance.now(), random: Math.random };
    await using second = await serve({ settings, clock });
    await refused(second.url + path(ann));
    await using again = await listen(second.url + path(old), { authorization: null });
    expect((await again.told("open"))["expires_at"]).toBe(
      new Date((claimsOf(fresh)["exp"] as number) * 1000).toISOString(),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("another's secret in place of a name tells nothing", async () => {
  const { error } = await revoke({ user: SECRET, stream: "x" });
  expect(JSON.stringify(error)).not.toContain(SECRET);
});
