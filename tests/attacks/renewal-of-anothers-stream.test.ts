import { expect, test } from "bun:test";
import { HandClock, post, serve } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { claims, sign } from "../api/tokens.ts";

const SECRETS = ["one", "two"].map((id) => `secret-of-${id}`.padEnd(32, "x"));

/** What must keep one listener from prolonging, or taking over, what another was granted. */
test("renewal of another's stream: only a token of the same user of the same app renews it, and nothing tells that it is there", async () => {
  const clock = new HandClock();
  await using server = await serve({
    clock,
    apps: SECRETS.map((secret, i) => ({ id: `app-${i}`, secrets: [secret], public_channels: ["open"] })),
  });
  const tokenOf = (more: Record<string, unknown>, app = 0, ttl = 120) =>
    sign({ ...claims(["a"], clock.ms, ttl), ...more }, SECRETS[app], { alg: "HS256", kid: `app-${app}` });
  const open = (query: string) => listen(`${server.url}/stream?channel=a&${query}`, { authorization: null });
  const renew = (stream: unknown, token: string) =>
    post(server, "/channel/renew", { secret: null, json: { stream, token } });

  await using victim = await open(`token=${tokenOf({ sub: "victim" }, 0, 60)}`);
  await using nameless = await open(`token=${tokenOf({}, 0, 60)}`);
  await using visitor = await listen(`${server.url}/stream?channel=open&app=app-0`, { authorization: null });
  const [id, namelessId, visitorId] = await Promise.all(
    [victim, nameless, visitor].map(async (stream) => (await stream.told("open"))["stream"]),
  );

  const unknown = (await renew("no-such-stream", tokenOf({ sub: "mallory" }))).error;
  for (const [stream, token] of [
    [id, tokenOf({ sub: "mallory" })], // another user of the app
    [id, tokenOf({ sub: "victim" }, 1)], // the same name in another app
    [namelessId, tokenOf({ sub: "mallory" })],
    [visitorId, tokenOf({ sub: "mallory" })],
  ] as const) {
    expect((await renew(stream, token)).error).toEqual(unknown);
  }
  // Nothing shows that two tokens without a user are of the same listener.
  expect((await renew(namelessId, tokenOf({}))).error).toMatchObject({ type: "forbidden", field: "token" });
  expect((await renew(id, tokenOf({}))).error).toMatchObject({ type: "forbidden", field: "token" });
  // An app's secret is no token.
  expect((await renew(id, SECRETS[0]!)).error).toMatchObject({ type: "unauthorized" });

  clock.ms += 60_000;
  for (const stream of [victim, nameless]) {
    const close = await stream.when(() => stream.frames.find(({ event }) => event === "socket:close"));
    expect(JSON.parse(close.data)).toEqual({ reason: "expired", reconnect: false });
  }
});
