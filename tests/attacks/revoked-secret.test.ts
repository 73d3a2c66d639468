import { expect, test } from "bun:test";
import { HandClock, post, serve, type Server } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { claims, sign } from "../api/tokens.ts";

/** How whoever has a secret that was taken out, or a token of it, could go on listening. */

const NEW = "secret-of-the-shop-that-is-the-new-one";
const OLD = "secret-of-the-shop-that-is-rotated-out";
const QUIET = { SOCKET_HEARTBEAT: "0" };
const HEADER = { alg: "HS256", kid: "shop" };

const tokenOf = (secret: string, now: number, ttl: number) =>
  sign({ ...claims(["a"], now, ttl), sub: "ann" }, secret, HEADER);
const urlOf = (server: Server, token: string) => `${server.url}/stream?channel=a&token=${token}`;
const open = (server: Server, token: string) => listen(urlOf(server, token), { authorization: null });
const renew = (server: Server, stream: unknown, token: string) =>
  post(server, "/channel/renew", { secret: null, json: { stream, token } });

const both = () => [{ id: "shop", secrets: [NEW, OLD] }];

/** Takes the old secret out. */
async function rotate(server: Server, apps: { secrets: string[] }[]): Promise<void> {
  apps[0]!.secrets = [NEW];
  await server.reload();
}

test("a stream whose beginning is still being looked for when its secret is taken out ends", async () => {
  let elapsed = 0;
  // Every look at the store takes a whole turn, so that the streams begin one after the other.
  const clock = { now: Date.now, elapsed: () => (elapsed += 6), random: () => 0.5 };
  const apps = both();
  const settings = { ...QUIET, SOCKET_STREAM_AGE: "0", SOCKET_STALL: "0" };
  await using server = await serve({ apps, clock, settings });
  const url = `${urlOf(server, tokenOf(OLD, Date.now(), 60))}&since=earliest`;
  const opening = Array.from({ length: 60 }, () => fetch(url));
  const first = await opening[0]!;
  await rotate(server, apps);
  // Each ends by itself, or was refused: else this would wait until the test is given up.
  const texts = await Promise.all([first, ...opening.slice(1)].map(async (answer) => (await answer).text()));
  for (const text of texts) expect(text).toMatch(/"reason":"revoked"|not signed by a known key/);
});

test("a token of it that was renewed by one of the new secret ends the stream, and the other way round", async () => {
  const [apps, clock] = [both(), new HandClock()];
  await using server = await serve({ apps, clock, settings: QUIET });
  await using one = await (await open(server, tokenOf(OLD, clock.ms, 60))).live();
  await using other = await (await open(server, tokenOf(NEW, clock.ms, 61))).live();
  for (const [stream, fresh] of [
    [one, NEW],
    [other, OLD],
  ] as const) {
    const { stream: id } = JSON.parse(stream.frames[0]!.data) as { stream: string };
    expect((await renew(server, id, tokenOf(fresh, clock.ms, 600))).status).toBe(200);
  }
  await rotate(server, apps);
  for (const stream of [one, other]) expect(await stream.told("close")).toMatchObject({ reason: "revoked" });
});

test("a renewal by a token of it does not let the first token in after its own end", async () => {
  const [apps, clock] = [both(), new HandClock()];
  await using server = await serve({ apps, clock, settings: QUIET });
  const presented = tokenOf(NEW, clock.ms, 60);
  {
    await using stream = await open(server, presented);
    expect((await renew(server, (await stream.told("open"))["stream"], tokenOf(OLD, clock.ms, 600))).status).toBe(200);
  }
  clock.ms += 61_000;
  const status = async () => {
    const answer = await fetch(urlOf(server, presented));
    await answer.body?.cancel();
    return answer.status;
  };
  expect(await status()).toBe(200);
  await rotate(server, apps);
  expect(await status()).toBe(401);
});

test("a stream that it opened by the header ends, and one of the new secret goes on", async () => {
  const [apps, clock] = [both(), new HandClock()];
  await using server = await serve({ apps, clock, settings: QUIET });
  await using old = await (await listen(`${server.url}/stream?channel=a`, { authorization: `key=${OLD}` })).live();
  await using fresh = await (await listen(`${server.url}/stream?channel=a`, { authorization: `key=${NEW}` })).live();
  await rotate(server, apps);
  await rotate(server, apps); // what stands once stands again
  expect(await old.told("close")).toMatchObject({ reason: "revoked", reconnect: false });
  expect((await post(server, "/chat/send", { secret: NEW, json: { channel: "a", data: "on" } })).status).toBe(200);
  expect((await fresh.next()).data).toBe("on");
});
