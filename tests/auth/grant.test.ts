import { beforeAll, describe, expect, test } from "bun:test";
import type { Apps } from "../../src/auth/app.ts";
import { openApps } from "../../src/auth/open-apps.ts";
import { authenticatePublisher, grantListener, type ListenerRequest } from "../../src/auth/grant.ts";
import { Rulings } from "../../src/auth/rulings.ts";
import { loadConfig } from "../../src/config.ts";
import { BLOG, DAY_MS, NOW, oneApp, refusal, SHOP, SHOP_OLD, token, twoApps } from "./apps.ts";

let apps: Apps;
let single: Apps;
beforeAll(() => {
  [apps, single] = [twoApps(), oneApp()];
});

const NOTHING = { authorization: null, token: null, cookie: null, app: null, rulings: new Rulings() };

function request(part: Partial<ListenerRequest>): ListenerRequest {
  return { ...NOTHING, wanted: ["room.1"], now: NOW, maxTtlMs: DAY_MS, ...part };
}
const grant = (part: Partial<ListenerRequest>, of = apps) => grantListener(of, request(part));
const unauthorized = async (part: Partial<ListenerRequest>, of = apps) =>
  (await refusal("unauthorized", () => grant(part, of))).detail;

describe("publishers", () => {
  test.each([`key=${BLOG}`, `KEY=${BLOG}`, `Bearer ${BLOG}`, `bearer  ${BLOG}`, ` Key=${BLOG} `])(
    "%p names blog",
    (header) => {
      expect(authenticatePublisher(apps, header).id).toBe("blog");
    },
  );

  test("every secret of an app names it, while one is rotated out", () => {
    expect(authenticatePublisher(apps, `key=${SHOP}`).id).toBe("shop");
    expect(authenticatePublisher(apps, `key=${SHOP_OLD}`).id).toBe("shop");
  });

  test.each([
    null,
    "",
    SHOP,
    "key=",
    "Bearer",
    "Bearer ",
    `Basic ${SHOP}`,
    `key=${SHOP.slice(0, -1)}`,
    `key=${SHOP}x`,
    `key=${SHOP.toUpperCase()}`,
    `key=${SHOP}, key=${SHOP}`,
    `key=${SHOP} ${BLOG}`,
    `key="${SHOP}"`,
    "key=__proto__",
    `Bearer ${token()}`,
    `key=${Bun.SHA256.hash(SHOP, "base64")}`,
  ])("%p is refused, and the detail shows the header to send", async (header) => {
    const { detail } = await refusal("unauthorized", () => authenticatePublisher(apps, header));
    expect(detail).toContain("`Authorization: key=<app secret>`");
    expect(detail).not.toContain(SHOP.slice(0, 12));
  });
});

describe("by the app's secret", () => {
  test("everything of that app may be listened to", async () => {
    for (const authorization of [`key=${SHOP}`, `Bearer ${SHOP}`]) {
      const granted = grant({ authorization, wanted: ["room.1", "**"] });
      expect(granted).toMatchObject({ kind: "secret", expiresAt: null, tokens: [] });
      expect(granted.app.id).toBe("shop");
    }
  });

  test("a secret that looks like a token is a secret", async () => {
    const dotted = "aaaaaaaaaaaa.bbbbbbbbbbbb.cccccccccccc";
    const opened = openApps(loadConfig({ env: { APP_SECRET: dotted } }).apps);
    expect(grant({ authorization: `Bearer ${dotted}` }, opened.apps).kind).toBe("secret");
  });

  test("a secret in the query is no token", async () => {
    expect(await unauthorized({ token: SHOP })).toContain("malformed");
  });
});

describe("by a token", () => {
  test("in the query or as Bearer, with its user, id and end", async () => {
    const text = token({ sub: "ann", jti: "t1" });
    for (const part of [{ token: text }, { authorization: `Bearer ${text}` }, { token: text, app: "shop" }]) {
      const granted = grant(part);
      expect(granted).toMatchObject({
        kind: "token",
        expiresAt: NOW + 3_600_000,
        tokens: [{ user: "ann", jti: "t1" }],
      });
      expect(granted.app.id).toBe("shop");
      expect(granted.allows("room.1")).toBe(true);
      expect(granted.allows("room.2")).toBe(false);
    }
  });

  test("for room.1 opens no room.*, no room.** and no **", async () => {
    for (const name of ["room.*", "room.**", "*.1", "**", "*.*", "room.1.x", "room", "Room.1"]) {
      const { detail, field } = await refusal("forbidden", () => grant({ token: token(), wanted: ["room.1", name] }));
      expect(detail).toContain(` ${name}.`);
      expect(detail).toStartWith("The token ");
      expect(field).toBe("channel");
    }
  });

  test("for room.* opens room.1 and room.*, and neither room.** nor room.1.x", async () => {
    const text = token({ channels: ["room.*"] });
    const granted = grant({ token: text, wanted: ["room.1", "room.*"] });
    expect([granted.allows("room.**"), granted.allows("room.1.x")]).toEqual([false, false]);
  });

  test("two names of a token that cover a pattern only together do not open it", async () => {
    await refusal("forbidden", () => grant({ token: token({ channels: ["room.1", "room.2"] }), wanted: ["room.*"] }));
  });

  test("it opens public channels of its own app beside its own, and not those of another", async () => {
    expect(grant({ token: token(), wanted: ["room.1", "news"] }).kind).toBe("token");
    await refusal("forbidden", () => grant({ token: token({}, BLOG, "blog"), wanted: ["room.1", "news"] }));
  });

  test("a token after key= is no secret", async () => {
    expect(await unauthorized({ authorization: `key=${token()}` })).toContain("The secret is not known");
  });
});

describe("public channels", () => {
  test("need no credential, and the app only where there are several", async () => {
    expect(grant({ wanted: ["news"] }, single)).toMatchObject({ kind: "public", expiresAt: null });
    expect(grant({ wanted: ["news", "open.*", "open.1"], app: "shop" }).app.id).toBe("shop");
    expect(await unauthorized({ wanted: ["news"] })).toContain("?app=");
  });

  test("one that is not public refuses all, with a way in", async () => {
    for (const name of ["room.1", "open.**", "open", "*", "**"]) {
      const detail = await unauthorized({ wanted: ["news", name], app: "shop" });
      expect(detail).toContain("?token=");
    }
    expect(await unauthorized({}, single)).not.toContain("?app=");
  });

  test("an app that is not there answers as one whose channel is not public", async () => {
    const known = await unauthorized({ app: "blog" });
    for (const app of ["nobody", "__proto__", "", "SHOP"]) expect(await unauthorized({ app })).toBe(known);
  });
});

describe("credentials that are given and bad", () => {
  test.each<[string, Partial<ListenerRequest>]>([
    ["an empty token", { token: "" }],
    ["a token that is none", { token: "x" }],
    ["an expired token", { token: token({ exp: 1 }) }],
    ["an empty header", { authorization: "" }],
    ["a header without a value", { authorization: "Bearer" }],
    ["an unknown secret", { authorization: "key=wrong" }],
    ["an unknown secret as Bearer", { authorization: `Bearer ${"x".repeat(40)}` }],
    ["a token that another app signed", { authorization: `Bearer ${token({}, BLOG)}` }],
    ["another scheme", { authorization: "Basic Og==" }],
  ])("%s is refused though the channel is public", async (_what, part) => {
    await unauthorized({ ...part, wanted: ["news"], app: "shop" });
    await unauthorized({ ...part, wanted: ["news"] }, single);
  });

  test("two at once are refused, also two good ones", async () => {
    const { status, field } = await refusal("parameter_repeated", () =>
      grant({ token: token(), authorization: `key=${SHOP}` }),
    );
    expect([status, field]).toEqual([400, "token"]);
    await refusal("parameter_repeated", () => grant({ token: "", authorization: "" }));
  });

  test("of another app than the request names", async () => {
    for (const app of ["blog", "nobody", ""]) {
      for (const part of [{ token: token() }, { authorization: `key=${SHOP}` }]) {
        expect((await refusal("forbidden", () => grant({ ...part, app }))).field).toBe("app");
      }
    }
  });
});
