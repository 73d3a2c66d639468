import { beforeAll, describe, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, sign as signAsymmetric } from "node:crypto";
import type { Apps } from "../../src/auth/app.ts";
import { openApps } from "../../src/auth/open-apps.ts";
import { mintToken, verifyToken } from "../../src/auth/token.ts";
import { loadConfig } from "../../src/config.ts";
import {
  BLOG,
  CLAIMS,
  DAY_MS,
  encode,
  NOW,
  NOW_S,
  oneApp,
  refusal,
  SHOP,
  SHOP_OLD,
  sign,
  token,
  twoApps,
} from "./apps.ts";

let apps: Apps;
beforeAll(async () => {
  apps = twoApps();
});

/** The detail of the refusal, which never holds a part of the token. */
async function refused(text: string, maxTtlMs = DAY_MS): Promise<string> {
  const { detail } = await refusal("unauthorized", () => verifyToken(apps, text, NOW, maxTtlMs));
  for (const part of text.split(".").filter((part) => part.length > 3)) expect(detail).not.toContain(part);
  return detail;
}

/** When a token that expires so long after now is taken to expire. */
function endOf(ms: number): number {
  return verifyToken(apps, token({ exp: (NOW + ms) / 1000 }), NOW, DAY_MS).expiresAt;
}

/** A token whose signature is not even base64url. */
const broken = (kid: string) => `${encode({ alg: "HS256", kid })}.${encode(CLAIMS)}.!!`;

const UNKNOWN = "The token is not signed by a known key.";
const ALGORITHM = "The token is signed with an algorithm that is not taken; HS256 is.";

describe("tokens that are taken", () => {
  test("one minted here says whom it is for, for what and how long", async () => {
    const request = { channels: ["room.1", "news.**"], ttlSeconds: 60, user: "ann", now: NOW + 999, jti: "id-1" };
    const minted = mintToken(apps.byId("shop")!.signer!, request);
    expect(minted.expiresAt).toBe(NOW + 61_000); // a token lives for no less than was asked
    const [header, claims, signature] = minted.token.split(".");
    expect(JSON.parse(Buffer.from(header!, "base64url").toString())).toEqual({ alg: "HS256", typ: "JWT", kid: "shop" });
    expect(JSON.parse(Buffer.from(claims!, "base64url").toString())).toEqual({
      channels: ["room.1", "news.**"],
      aud: "service-socket",
      iat: NOW_S,
      exp: NOW_S + 61,
      jti: "id-1",
      sub: "ann",
    });
    expect(signature).toBe(createHmac("sha256", SHOP).update(`${header}.${claims}`).digest("base64url"));
    expect(verifyToken(apps, minted.token, NOW, DAY_MS)).toEqual({
      app: apps.byId("shop")!,
      channels: ["room.1", "news.**"],
      user: "ann",
      issuedAt: NOW,
      expiresAt: NOW + 61_000,
      jti: "id-1",
      digest: Bun.SHA256.hash(`${header}.${claims}`, "base64"),
      key: Bun.SHA256.hash(SHOP, "base64"),
    });
  });

  test("one issued in the future, which no revocation of its user would reach, counts as one that does not say when", () => {
    for (const iat of [NOW_S + 31, NOW, 1e300]) {
      expect(verifyToken(apps, token({ iat }), NOW, DAY_MS).issuedAt).toBeNull();
    }
    expect(verifyToken(apps, token({ iat: NOW_S + 30 }), NOW, DAY_MS).issuedAt).toBe(NOW + 30_000);
  });

  test("one minted by another implementation", async () => {
    const grant = verifyToken(apps, token({ sub: "ann" }), NOW, DAY_MS);
    expect(grant).toMatchObject({
      app: apps.byId("shop")!,
      channels: ["room.1"],
      user: "ann",
      issuedAt: null,
      expiresAt: NOW + 3_600_000,
      jti: null,
    });
  });

  test("one signed with a secret that is being rotated out", async () => {
    expect(verifyToken(apps, token({}, SHOP_OLD), NOW, DAY_MS).app.id).toBe("shop");
  });

  test("one for several audiences, ours among them", async () => {
    expect(verifyToken(apps, token({ aud: ["x", "service-socket"] }), NOW, DAY_MS).app.id).toBe("shop");
  });

  test("one without kid, where there is only one app", async () => {
    const text = sign(SHOP, { alg: "HS256" }, CLAIMS);
    expect(verifyToken(oneApp(), text, NOW, DAY_MS).app.id).toBe("default");
    expect(await refused(text)).toBe("The token does not name its app; its header must have a `kid`.");
  });

  test("one of exactly the longest life, also from a clock that is half a minute ahead", async () => {
    expect(endOf(DAY_MS)).toBe(NOW + DAY_MS);
    expect(endOf(DAY_MS + 30_000)).toBe(NOW + DAY_MS + 30_000);
  });

  test("many at once, each with its own answer", async () => {
    const texts = Array.from({ length: 200 }, (_, i) => token({ jti: `t${i}` }, i % 3 === 0 ? BLOG : SHOP));
    for (const [i, text] of texts.entries()) {
      if (i % 3 === 0) expect(() => verifyToken(apps, text, NOW, DAY_MS)).toThrow("not signed by a known key");
      else expect(verifyToken(apps, text, NOW, DAY_MS).jti).toBe(`t${i}`);
    }
  });
});

describe("forged signatures", () => {
  test("alg none, in any case, with and without a signature", async () => {
    for (const alg of ["none", "None", "NONE", "nOnE"]) {
      const head = `${encode({ alg, kid: "shop" })}.${encode(CLAIMS)}`;
      expect(await refused(`${head}.`)).toBe(ALGORITHM);
      expect(await refused(`${head}.${createHmac("sha256", SHOP).update(head).digest("base64url")}`)).toBe(ALGORITHM);
    }
  });

  test("another algorithm, also one that the right secret signed", async () => {
    expect(await refused(sign(SHOP, { alg: "HS512", kid: "shop" }, CLAIMS, "sha512"))).toBe(ALGORITHM);
    expect(await refused(sign(SHOP, { alg: "HS384", kid: "shop" }, CLAIMS, "sha384"))).toBe(ALGORITHM);
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const jwk = publicKey.export({ format: "jwk" });
    const head = `${encode({ alg: "RS256", kid: "shop", jwk })}.${encode(CLAIMS)}`;
    expect(
      await refused(`${head}.${signAsymmetric("sha256", Buffer.from(head), privateKey).toString("base64url")}`),
    ).toBe(ALGORITHM);
    expect(await refused(sign(SHOP, { alg: ["HS256"], kid: "shop" }, CLAIMS))).toBe(ALGORITHM);
    expect(await refused(sign(SHOP, { kid: "shop" }, CLAIMS))).toBe(ALGORITHM);
  });

  test("a key that the token brings along is not used", async () => {
    const mine = "m".repeat(40);
    const jwk = { kty: "oct", k: Buffer.from(mine).toString("base64url") };
    expect(await refused(sign(mine, { alg: "HS256", kid: "shop", jwk, jku: "http://127.0.0.1:1/" }, CLAIMS))).toBe(
      UNKNOWN,
    );
  });

  test("another app's secret with this app's kid, and this secret with another's kid", async () => {
    expect(await refused(token({}, BLOG, "shop"))).toBe(UNKNOWN);
    expect(await refused(token({}, SHOP, "blog"))).toBe(UNKNOWN);
  });

  test("a kid of no app answers as a wrong signature does, and so do names of an object's prototype", async () => {
    for (const kid of ["nobody", "__proto__", "constructor", "toString", "", "../shop", "shop\0"]) {
      expect(await refused(token({}, SHOP, kid))).toBe(UNKNOWN);
      expect(await refused(token({}, BLOG, kid))).toBe(UNKNOWN);
    }
    expect(await refused(broken("nobody"))).toBe(await refused(broken("shop")));
  });

  test("a kid that is no text", async () => {
    for (const kid of [1, null, ["shop"], { a: 1 }]) expect(await refused(token({}, SHOP, kid))).toContain("malformed");
  });

  test("the empty secret, the digest and the id as the secret", async () => {
    for (const secret of ["", "shop", Bun.SHA256.hash(SHOP, "base64")])
      expect(await refused(token({}, secret))).toBe(UNKNOWN);
  });

  test("claims, header or signature changed after signing", async () => {
    const [header, claims, signature] = token().split(".");
    expect(await refused(`${header}.${encode({ ...CLAIMS, channels: ["**"] })}.${signature}`)).toBe(UNKNOWN);
    expect(await refused(`${encode({ alg: "HS256", kid: "shop", x: 1 })}.${claims}.${signature}`)).toBe(UNKNOWN);
    expect(await refused(`${header}.${claims}.${signature!.slice(0, -2)}`)).toContain("The token is ");
    expect(await refused(`${header}.${claims}.`)).toContain("The token is ");
  });

  test("a critical header that is not understood, and an unencoded body", async () => {
    expect(await refused(sign(SHOP, { alg: "HS256", kid: "shop", crit: ["x"], x: 1 }, CLAIMS))).toContain("malformed");
    expect(await refused(sign(SHOP, { alg: "HS256", kid: "shop", crit: ["b64"], b64: false }, CLAIMS))).toContain(
      "malformed",
    );
  });
});

describe("times", () => {
  test("no exp", async () => {
    expect(await refused(token({ exp: undefined }))).toBe("The token has no `exp`; it must say when it expires.");
  });

  test("exp that is no number", async () => {
    for (const exp of [String(NOW_S + 60), null, true, [NOW_S + 60], { a: 1 }]) {
      expect(await refused(token({ exp }))).toContain("malformed");
    }
  });

  test("expired, also by one millisecond; the detail says when", async () => {
    expect(await refused(token({ exp: NOW_S - 60 }))).toBe("The token expired at 2025-12-31T23:59:00.000Z.");
    expect(await refused(token({ exp: NOW_S - 5 }))).toBe("The token expired at 2025-12-31T23:59:55.000Z.");
    expect(await refused(token({ exp: NOW_S }))).toBe("The token expired at 2026-01-01T00:00:00.000Z.");
    expect(await refused(token({ exp: -1e300 }))).toBe("The token expired.");
    verifyToken(apps, token({ exp: NOW_S + 0.001 }), NOW, DAY_MS);
  });

  test("exp further ahead than a token may live, and exp beyond all dates", async () => {
    const detail = "The token lives too long; its `exp` may be at most 86400 seconds ahead.";
    expect(await refused(token({ exp: NOW_S + 86_400 + 31 }))).toBe(detail);
    expect(await refused(token({ exp: NOW_S * 1000 }))).toBe(detail);
    for (const exp of ["1e300", "1e999"]) {
      const claims = Buffer.from(JSON.stringify({ ...CLAIMS, exp: 0 }).replace('"exp":0', `"exp":${exp}`));
      const text = sign(SHOP, { alg: "HS256", kid: "shop" }, claims.toString("base64url"));
      expect(await refused(text)).toContain("malformed");
      expect(await refused(text, 0)).toContain("malformed");
    }
    expect(verifyToken(apps, token({ exp: NOW_S + 1e6 }), NOW, 0).expiresAt).toBe(NOW + 1e9);
  });

  test("not valid yet, but for half a minute between two clocks", async () => {
    expect(await refused(token({ nbf: NOW_S + 31 }))).toBe("The token is not valid yet (`nbf`).");
    expect(await refused(token({ nbf: "0" }))).toContain("malformed");
    verifyToken(apps, token({ nbf: NOW_S + 30 }), NOW, DAY_MS);
  });

  test("living too long since it was issued: it could be kept until a revocation of it is forgotten", async () => {
    expect(await refused(token({ iat: NOW_S - 83_000 }))).toContain("lives too long");
    verifyToken(apps, token({ iat: NOW_S - 82_800 }), NOW, DAY_MS);
  });
});

describe("claims", () => {
  test("another audience, and none", async () => {
    const detail = "The token is for another audience; its `aud` must be service-socket.";
    for (const aud of ["other", ["other"], [], "", "service-socket2", 5, undefined]) {
      expect(await refused(token({ aud }))).toBe(detail);
    }
  });

  test("channels that are no list of names and patterns", async () => {
    const many = Array.from({ length: 101 }, (_, i) => `c${i}`);
    for (const channels of [
      undefined,
      null,
      "room.1",
      [],
      [1],
      [""],
      ["a b"],
      ["a", "r*m"],
      ["**.a"],
      many,
      { 0: "a" },
    ]) {
      expect(await refused(token({ channels }))).toContain("its `channels` must be a list of 1 to 100");
    }
    expect(verifyToken(apps, token({ channels: many.slice(1) }), NOW, DAY_MS).channels).toHaveLength(100);
  });

  test("a user or jti that is no short text", async () => {
    for (const text of [5, "", "x".repeat(257), null, ["a"], "\ud800"]) {
      expect(await refused(token({ sub: text }))).toContain("malformed");
      expect(await refused(token({ jti: text }))).toContain("malformed");
    }
  });

  test("what is no JWT at all", async () => {
    const dots = encode({ alg: "HS256", kid: "shop" });
    for (const text of ["", ".", "..", "a.b.c", SHOP, dots, `${dots}.`, `${dots}.${dots}.${dots}.${dots}.${dots}`]) {
      expect(await refused(text)).toMatch(/malformed|algorithm/);
    }
    for (const claims of ["[]", "5", "null", "{", '"x"']) {
      const body = Buffer.from(claims).toString("base64url");
      expect(await refused(sign(SHOP, { alg: "HS256", kid: "shop" }, body))).toContain("malformed");
    }
  });
});

test("without kid, an app whose secrets were all replaced takes no old token", async () => {
  const settings = loadConfig({ env: { APP_SECRET: BLOG } });
  const { apps: now } = openApps(settings.apps);
  const text = sign(SHOP, { alg: "HS256" }, CLAIMS);
  expect((await refusal("unauthorized", () => verifyToken(now, text, NOW, DAY_MS))).detail).toBe(UNKNOWN);
});
