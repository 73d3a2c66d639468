import { describe, expect, test } from "bun:test";
import { call, post, type Server, serve } from "./fixture.ts";
import { headersOf, listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

const PAGE = "https://app.example.com";
const settings = { SOCKET_COOKIE_ORIGINS: PAGE, SOCKET_PUBLIC_CHANNELS: "open" };

const setCookie = (server: Server, token: string, headers: Record<string, string> = { Origin: PAGE }) =>
  post<{ expires_at: string }>(server, "/channel/cookie", { secret: null, form: { token }, headers });

/** What a browser would send of what it was given. */
function kept(answer: { readonly headers: Headers }): string {
  return answer.headers.get("Set-Cookie")!.split(";")[0]!;
}

const open = (server: Server, cookie: string, headers: Record<string, string> = {}, path = "/channel/news/stream") =>
  fetch(server.url + path, { headers: { Cookie: cookie, ...headers } });

async function statusOf(answer: Promise<Response>): Promise<number> {
  const { status, body } = await answer;
  await body?.cancel();
  return status;
}

describe("a cookie", () => {
  test("grants a page of a listed origin what its token does, and cannot be read by scripts nor sent by other sites", async () => {
    await using server = await serve({ settings });
    const token = sign({ ...claims(["news"]), sub: "ann" });
    const answer = await setCookie(server, token);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Set-Cookie")).toMatch(
      new RegExp(`^__Host-socket-default=${token}; Path=/; Max-Age=(59|60); HttpOnly; Secure; SameSite=Strict$`),
    );
    expect(answer.headers.get("Access-Control-Allow-Origin")).toBe(PAGE);
    expect(answer.headers.get("Access-Control-Allow-Credentials")).toBe("true");

    const headers = { Cookie: `theme=dark; ${kept(answer)}`, Origin: PAGE };
    await using stream = await listen(`${server.url}/channel/news/stream`, { authorization: null, headers });
    expect(stream.response.headers.get("Access-Control-Allow-Origin")).toBe(PAGE);
    expect(stream.response.headers.get("Access-Control-Allow-Credentials")).toBe("true");
    expect(stream.response.headers.get("Vary")).toBe("Origin");
    expect(await stream.told("open")).toMatchObject({ expires_at: answer.data.expires_at });
    const listed = await call<{ streams: object[] }>(server, "GET", "/streams");
    expect(listed.data.streams).toMatchObject([{ user: "ann", grant: "cookie" }]);
    expect(await statusOf(open(server, kept(answer), { Origin: PAGE }, "/channel/other/stream"))).toBe(403);
  });

  test("counts for listed origins and for pages of the gateway's own, whoever else has it sent", async () => {
    await using server = await serve({ settings });
    const cookie = kept(await setCookie(server, sign(claims(["news"]))));
    for (const headers of [{ Origin: PAGE }, {}, { "Sec-Fetch-Site": "same-origin" }]) {
      expect(await statusOf(open(server, cookie, headers))).toBe(200);
    }
    for (const headers of [
      { Origin: "https://evil.example.com" },
      { Origin: "null" },
      { Origin: `${PAGE}.evil.example` },
      { "Sec-Fetch-Site": "same-site" },
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "none" },
    ] as Record<string, string>[]) {
      expect(await statusOf(open(server, cookie, headers))).toBe(403);
    }
  });

  test("is set for pages of listed origins alone", async () => {
    await using server = await serve({ settings });
    const token = sign(claims(["news"]));
    for (const headers of [{}, { Origin: "https://evil.example.com" }, { Origin: "null" }] as Record<
      string,
      string
    >[]) {
      const answer = await setCookie(server, token, headers);
      expect(answer.error).toMatchObject({ type: "forbidden" });
      expect(answer.headers.get("Set-Cookie")).toBeNull();
      expect(answer.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    }
    const bad = await setCookie(server, sign(claims(["news"]), "x".repeat(32)));
    expect(bad.error).toMatchObject({ type: "unauthorized" });
    expect(bad.headers.get("Access-Control-Allow-Origin")).toBe(PAGE); // so that the page can read why
    const open = await fetch(`${server.url}/channel/open/stream`, { method: "HEAD" });
    expect(open.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(open.headers.get("Vary")).toBe("Origin"); // a cache must not give it to a listed page
    expect((await post(server, "/channel/cookie", { secret: null, headers: { Origin: PAGE } })).status).toBe(400);
  });

  test("that is bad is refused, and one with another credential beside it is not looked at", async () => {
    await using server = await serve({ settings });
    const name = "__Host-socket-default";
    const expired = `${name}=${sign(claims(["news"], Date.now() - 120_000))}`;
    expect(await statusOf(open(server, expired))).toBe(401);
    expect(await statusOf(open(server, `${name}=nonsense`, {}, "/channel/open/stream"))).toBe(401);
    const headers = { ...headersOf({}), Cookie: expired, Origin: "https://evil.example.com" };
    expect(await statusOf(fetch(`${server.url}/channel/news/stream`, { headers }))).toBe(200);
    const token = sign(claims(["news"]));
    expect(await statusOf(open(server, expired, {}, `/channel/news/stream?token=${token}`))).toBe(200);
  });

  test("is taken back, and ends with a revocation of its token", async () => {
    await using server = await serve({ settings });
    const token = sign({ ...claims(["news"]), sub: "ann" });
    const cookie = kept(await setCookie(server, token));
    const drop = await call(server, "DELETE", "/channel/cookie", { secret: null, headers: { Origin: PAGE } });
    expect(drop.headers.get("Set-Cookie")).toStartWith("__Host-socket-default=; Path=/; Max-Age=0;");
    expect((await call(server, "DELETE", "/channel/cookie", { secret: null })).status).toBe(403);
    await post(server, "/channel/revoke", { json: { user: "ann" } });
    expect(await statusOf(open(server, cookie))).toBe(401);
    expect((await setCookie(server, token)).status).toBe(401);
  });

  test("is nothing to an app that lists no origins for it", async () => {
    await using server = await serve({ settings: { SOCKET_PUBLIC_CHANNELS: "open" } });
    const cookie = `__Host-socket-default=${sign(claims(["news"]))}`;
    expect(await statusOf(open(server, cookie))).toBe(401);
    expect(await statusOf(open(server, "__Host-socket-default=nonsense", {}, "/channel/open/stream"))).toBe(200);
    expect((await setCookie(server, sign(claims(["news"])))).status).toBe(403);
    const stream = await open(server, cookie, { Origin: PAGE }, "/channel/open/stream");
    expect(stream.headers.get("Access-Control-Allow-Origin")).toBe("*");
    expect(stream.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    await stream.body!.cancel();
  });

  test("of one of several apps is found by its name, and a token of another app in it is refused", async () => {
    const secrets = ["one", "two"].map((id) => `secret-of-${id}`.padEnd(32, "x"));
    const apps = ["one", "two"].map((id, i) => ({ id, secrets: [secrets[i]], cookie_origins: [PAGE] }));
    await using server = await serve({ apps });
    const [one, two] = ["one", "two"].map((id, i) => sign(claims(["news"]), secrets[i], { alg: "HS256", kid: id }));
    const both = `__Host-socket-one=${one}; __Host-socket-two=${two}`;
    expect(await statusOf(open(server, both))).toBe(400);
    expect(await statusOf(open(server, both, {}, "/channel/news/stream?app=two"))).toBe(200);
    expect(await statusOf(open(server, `__Host-socket-two=${two}`))).toBe(200);
    expect(await statusOf(open(server, `__Host-socket-two=${one}`))).toBe(401);
    expect(await statusOf(open(server, both, {}, `/channel/news/stream?token=${one}`))).toBe(200);
    expect(await statusOf(open(server, both, headersOf({ authorization: `key=${secrets[1]}` })))).toBe(200);
    const drop = (query: string, origin = PAGE) =>
      call(server, "DELETE", `/channel/cookie${query}`, { secret: null, headers: { Origin: origin } });
    expect((await drop("")).status).toBe(400);
    expect((await drop("?app=two")).headers.get("Set-Cookie")).toStartWith("__Host-socket-two=;");
    expect((await drop("?app=none")).error).toEqual((await drop("?app=two", "https://evil.example.com")).error);
  });

  test("is kept by a stream that is renewed", async () => {
    await using server = await serve({ settings });
    const headers = { Cookie: kept(await setCookie(server, sign({ ...claims(["news"]), sub: "ann" }))) };
    await using stream = await listen(`${server.url}/channel/news/stream`, { authorization: null, headers });
    const { stream: id } = await stream.told("open");
    const token = sign({ ...claims(["news"], Date.now(), 120), sub: "ann" });
    const renewed = await post(server, "/channel/renew", { secret: null, json: { stream: id, token } });
    expect(renewed.status).toBe(200);
    const { data } = await call<{ streams: object[] }>(server, "GET", "/streams");
    expect(data.streams).toMatchObject([{ user: "ann", grant: "cookie" }]);
  });

  test("that browsers would drop is refused", async () => {
    await using server = await serve({ settings });
    expect((await setCookie(server, sign({ ...claims(["news"]), note: "x".repeat(2800) }))).status).toBe(200);
    const { error, headers } = await setCookie(server, sign({ ...claims(["news"]), note: "x".repeat(3200) }));
    expect(error).toMatchObject({ type: "parameter_invalid", field: "token" });
    expect(headers.get("Set-Cookie")).toBeNull();
  });

  test("never goes with `*`: the start says so", async () => {
    for (const list of ["*", `${PAGE},*`]) {
      expect(serve({ settings: { SOCKET_COOKIE_ORIGINS: list } })).rejects.toThrow(/SOCKET_COOKIE_ORIGINS.* and no \*/);
    }
  });
});
