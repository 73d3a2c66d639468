import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { read, SECRET, serve, type Server } from "./fixture.ts";
import { listen } from "./listening.ts";
import { claims, sign } from "./tokens.ts";

let server: Server;
beforeAll(async () => {
  server = await serve({ settings: { SOCKET_PUBLIC_CHANNELS: "news,open.*" } });
});
afterAll(() => server[Symbol.asyncDispose]());

const query = (names: readonly string[]) => names.map((name) => `channel=${encodeURIComponent(name)}`).join("&");

/** The status of a stream on these, and the refusal when there is one. */
async function ask(names: readonly string[], more = "", headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await fetch(`${server.url}/stream?${query(names)}${more}`, { headers, signal: abort.signal });
  if (response.status !== 200) return read(response);
  abort.abort();
  return { status: 200, error: null };
}

describe("a token that a backend made by itself", () => {
  test("with jose opens a stream", async () => {
    const token = await new SignJWT({ channels: ["room.*", "desk"] })
      .setProtectedHeader({ alg: "HS256", kid: "default" })
      .setAudience("service-socket")
      .setExpirationTime("1h")
      .setSubject("ann")
      .sign(new TextEncoder().encode(SECRET));
    await using stream = await listen(`${server.url}/stream?${query(["room.*", "desk"])}&token=${token}`, {
      authorization: null,
    });
    expect(await stream.told("open")).toMatchObject({ channels: ["desk", "room.*"], app: "default" });
  });

  test("with an HMAC alone opens a stream, in the query and in the header", async () => {
    const token = sign(claims(["room.1"]));
    expect(await ask(["room.1"], `&token=${token}`)).toMatchObject({ status: 200 });
    expect(await ask(["room.1"], "", { Authorization: `Bearer ${token}` })).toMatchObject({ status: 200 });
  });

  test("without a `kid` is of the only app", async () => {
    expect(await ask(["room.1"], `&token=${sign(claims(["room.1"]), SECRET, { alg: "HS256" })}`)).toMatchObject({
      status: 200,
    });
  });
});

describe("a token", () => {
  const cases: readonly [readonly string[], readonly string[], boolean][] = [
    [["room.1"], ["room.1"], true],
    [["room.1"], ["room.2"], false],
    [["room.1"], ["room.*"], false],
    [["room.1"], ["room.1", "room.2"], false],
    [["room.1"], ["room.1", "news"], true], // public besides
    [["room.1"], ["room"], false],
    [["room.*"], ["room.1"], true],
    [["room.*"], ["room.*"], true],
    [["room.*"], ["room.**"], false],
    [["room.*"], ["room.1.chat"], false],
    [["room.*"], ["*.1"], false],
    [["room.**"], ["room.*", "room.1", "room.1.chat", "room.*.chat", "room.**"], true],
    [["room.**"], ["room"], false],
    [["*"], ["a", "b"], true],
    [["*"], ["a.b"], false],
    [["**"], ["a", "a.b", "**"], true],
    [["room.*.chat"], ["room.1.chat"], true],
    [["room.*.chat"], ["room.1.log"], false],
    [["a", "b"], ["b", "a"], true],
  ];
  for (const [granted, wanted, opens] of cases) {
    test(`for ${granted.join(" and ")} ${opens ? "opens" : "does not open"} ${wanted.join(" with ")}`, async () => {
      const { status, error } = await ask(wanted, `&token=${sign(claims(granted))}`);
      expect(status).toBe(opens ? 200 : 403);
      if (!opens) expect(error).toMatchObject({ type: "forbidden", field: "channel" });
    });
  }
});

describe("a credential that is bad is refused, never ignored, on a public channel as well:", () => {
  const good = claims(["news"]);
  const past = Math.floor(Date.now() / 1000) - 60;
  const tokens: readonly [string, string, RegExp][] = [
    ["no exp", sign({ channels: ["news"], aud: "service-socket" }), /no `exp`/],
    ["an exp that is past", sign({ ...good, exp: past }), /expired at 20/],
    ["an exp that is text", sign({ ...good, exp: "2030" }), /malformed/],
    ["an exp that is too far", sign(claims(["news"], Date.now(), 86_400 + 60)), /lives too long/],
    ["another audience", sign({ ...good, aud: "other" }), /audience/],
    ["no audience", sign({ ...good, aud: undefined }), /audience/],
    ["no channels", sign({ ...good, channels: undefined }), /`channels`/],
    ["an empty list of channels", sign({ ...good, channels: [] }), /`channels`/],
    ["channels that are text", sign({ ...good, channels: "news" }), /`channels`/],
    ["a channel that is none", sign({ ...good, channels: ["news", "a b"] }), /`channels`/],
    ["not yet", sign({ ...good, nbf: past + 3600 }), /not valid yet/],
    ["text that is no token", "x", /malformed/],
    ["an empty text", "", /malformed/],
    ["the secret itself", SECRET, /malformed/],
  ];
  for (const [name, token, detail] of tokens) {
    test(`a token with ${name}`, async () => {
      const { status, error } = await ask(["news"], `&token=${encodeURIComponent(token)}`);
      expect(status).toBe(401);
      expect(error!.type).toBe("unauthorized");
      expect(error!.detail).toMatch(detail);
      expect(error!.detail).not.toContain("eyJ");
    });
  }

  const headers = [
    "key=wrong",
    "Bearer wrong",
    "Basic abc",
    "wrong",
    SECRET,
    `Bearer ${sign(good)}x`,
    `key=${sign(good)}`,
  ];
  for (const [i, header] of headers.entries()) {
    test(`an Authorization header, number ${i + 1}`, async () => {
      const { status, error } = await ask(["news"], "", { Authorization: header });
      expect(status).toBe(401);
      expect(error!.detail).not.toContain("eyJ");
      expect(error!.detail).not.toContain(SECRET);
    });
  }

  test("two credentials at once", async () => {
    const { error } = await ask(["news"], `&token=${sign(good)}`, { Authorization: `key=${SECRET}` });
    expect(error).toMatchObject({ type: "parameter_repeated", field: "token" });
  });
});

test("the app's secret opens every channel and pattern, as `key=` and as `Bearer`", async () => {
  for (const scheme of ["key=", "Bearer "]) {
    const headers = { Authorization: `${scheme}${SECRET}` };
    expect(await ask(["private", "**", "a.*.b"], "", headers)).toMatchObject({ status: 200 });
    expect(await ask(["private"], "&app=default", headers)).toMatchObject({ status: 200 });
    expect(await ask(["private"], "&app=other", headers)).toMatchObject({ status: 403 });
  }
});

describe("without a credential", () => {
  test("public channels can be listened to, by patterns that they cover as well", async () => {
    for (const names of [["news"], ["open.1", "news"], ["open.*"]]) {
      expect(await ask(names)).toMatchObject({ status: 200 });
      expect(await ask(names, "&app=default")).toMatchObject({ status: 200 });
    }
  });

  test("everything else is refused, and one channel refused refuses the stream", async () => {
    for (const names of [["private"], ["news", "private"], ["open.**"], ["**"], ["open.1.2"], ["*"]]) {
      const { status, error } = await ask(names);
      expect(status).toBe(401);
      expect(error).toMatchObject({ type: "unauthorized" });
    }
  });
});

test("a stream whose channel stands in the path takes no further one in the query", async () => {
  const answer = await fetch(`${server.url}/channel/news/stream?channel=other`, {
    headers: { Authorization: `key=${SECRET}` },
  });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ Error: { type: "parameter_repeated", field: "channel" } });
});
