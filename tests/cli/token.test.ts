import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { run, secretOf } from "../setup/command.ts";
import { freePort, type Gateway, startGateway } from "../setup/gateway.ts";

setDefaultTimeout(60_000);

let gateway: Gateway;
let env: Record<string, string>;
beforeAll(async () => {
  gateway = await startGateway({ settings: { SOCKET_BROKER: "memory:" } });
  env = secretOf(gateway);
});
afterAll(async () => gateway[Symbol.asyncDispose]());

async function statusOf(address: string): Promise<number> {
  const response = await fetch(address);
  await response.body!.cancel();
  return response.status;
}

describe("service-socket token", () => {
  test("prints a token of the gateway that opens what it names and nothing else", async () => {
    const { code, out, err } = await run(
      ["token", "news", "room.*", "--user", "ann", "--ttl", "10m", "--url", gateway.url],
      {
        env,
      },
    );
    expect([code, err]).toEqual([0, ""]);
    const token = out.trim();
    const { channels, sub, exp, iat } = decodeJwt(token);
    expect({ channels, sub }).toEqual({ channels: ["news", "room.*"], sub: "ann" });
    expect(exp! - iat!).toBeWithin(600, 602);
    expect(await statusOf(`${gateway.url}/channel/room.1/stream?token=${token}`)).toBe(200);
    expect(await statusOf(`${gateway.url}/channel/other/stream?token=${token}`)).toBe(403);
  });

  test("--offline signs one that the gateway takes, without asking it", async () => {
    const args = ["token", "news", "room.*", "--offline", "--user", "ann", "--ttl", "10m", "--json"];
    const { code, out } = await run([...args, "--url", `http://127.0.0.1:${freePort()}`], { env });
    expect(code).toBe(0);
    const { token, channel, expires_at: expiresAt } = JSON.parse(out) as Record<string, string>;
    expect(channel as unknown).toEqual(["news", "room.*"]);
    expect(decodeProtectedHeader(token!)).toMatchObject({ alg: "HS256", kid: "default" });
    expect(decodeJwt(token!).exp! * 1000).toBe(Date.parse(expiresAt!));
    expect(await statusOf(`${gateway.url}/channel/room.1/stream?token=${token}`)).toBe(200);
  });

  test("--address prints an address that opens, asked for or signed here, of one channel and of several", async () => {
    for (const how of [[], ["--offline"]]) {
      for (const names of [["a/b"], ["."], ["a", "b.*"]]) {
        const { out } = await run(["token", ...names, ...how, "--address", "--url", gateway.url], { env });
        expect(await statusOf(out.trim())).toBe(200);
      }
    }
  });

  test("ends with a code that says what is wrong", async () => {
    for (const [args, code, says] of [
      [["token"], 64, "it takes a channel"],
      [["token", "room*"], 64, "neither a channel nor a pattern"],
      [["token", "a", "--ttl", "10"], 64, "--ttl takes a duration"],
      [["token", "a", "--ttl", "2d", "--url", gateway.url], 65, "parameter_invalid"],
      [["token", "a", "--url", `http://127.0.0.1:${freePort()}`], 69, "does not answer"],
    ] as const) {
      const ended = await run(args, { env });
      expect([args, ended.code, ended.out, ended.err]).toEqual([args, code, "", expect.stringContaining(says)]);
    }
    const wrong = { APP_SECRET: "a-wrong-secret-that-is-as-long-as-others" };
    expect((await run(["token", "a", "--url", gateway.url], { env: wrong })).code).toBe(77);
  });
});
