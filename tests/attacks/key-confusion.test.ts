import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign as signBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { parseKeyFile } from "../../src/auth/key-file.ts";
import { openApps } from "../../src/auth/open-apps.ts";
import { loadConfig } from "../../src/config.ts";
import { post, read, serve, type Server } from "../api/fixture.ts";
import { listen } from "../api/listening.ts";
import { claims, sign } from "../api/tokens.ts";
import { ecPair, rsaPair } from "../auth/keys.ts";

/** How who may mint tokens could publish, and how who may do neither could mint. */

const SHOP = "secret-of-the-shop-in-these-tests-1";
const BLOG = "secret-of-the-blog-in-these-tests-1";
const FORUM = "secret-of-the-forum-in-these-tests-1";
const MINTS = "secret-of-the-tokens-in-these-tests-1";
const [RSA, EC, OTHER_RSA, OTHER_EC] = [rsaPair(), ecPair(), rsaPair(), ecPair()];
const OCT = Buffer.alloc(48, 9);
const GOOD = claims(["orders"]);

let folder: string;
let server: Server;
/** `shop` has a JWK Set of public keys, `blog` a secret of its own for tokens and a key in PEM, `forum` only its secret. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "service-socket-keys-"));
  const [jwks, pem] = [join(folder, "shop.json"), join(folder, "blog.pem")];
  const keys = [
    { ...RSA.jwk, kid: "rsa-1" },
    { ...EC.jwk, kid: "ec-1" },
  ];
  writeFileSync(jwks, JSON.stringify({ keys }));
  writeFileSync(pem, OTHER_EC.pem);
  server = await serve({
    apps: [
      { id: "shop", secrets: [SHOP], token_keys_file: jwks },
      { id: "blog", secrets: [BLOG], token_secrets: [MINTS], token_keys_file: pem },
      { id: "forum", secrets: [FORUM] },
    ],
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const tokenOf = (alg: string, kid: string | undefined, key: KeyObject | Uint8Array) =>
  new SignJWT(GOOD).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);

const urlOf = (token: string) => `${server.url}/channel/orders/stream?token=${encodeURIComponent(token)}`;

async function opened(token: string): Promise<unknown> {
  await using stream = await listen(urlOf(token), { authorization: null });
  return (await stream.told("open"))["app"];
}

async function detailOf(token: string): Promise<string> {
  const { status, error } = await read(await fetch(urlOf(token)));
  expect([status, error?.type]).toEqual([401, "unauthorized"]);
  for (const part of token.split(".").filter((part) => part.length > 3)) expect(error!.detail).not.toContain(part);
  return error!.detail;
}

const UNKNOWN = "The token is not signed by a known key.";

test("keys for tokens, each named by its kid or by the app's id, open streams", async () => {
  expect(await opened(await tokenOf("RS256", "rsa-1", RSA.privateKey))).toBe("shop");
  expect(await opened(await tokenOf("RS256", "shop", RSA.privateKey))).toBe("shop");
  expect(await opened(await tokenOf("ES256", "ec-1", EC.privateKey))).toBe("shop");
  expect(await opened(await tokenOf("ES256", "blog", OTHER_EC.privateKey))).toBe("blog");
  expect(await opened(await tokenOf("HS256", "blog", Buffer.from(MINTS)))).toBe("blog");
  expect(await opened(sign(GOOD, FORUM, { alg: "HS256", kid: "forum" }))).toBe("forum");
});

describe("who mints cannot publish, and who publishes cannot mint:", () => {
  test("a secret for tokens publishes nothing, makes no tokens and reads no history", async () => {
    for (const authorization of [`key=${MINTS}`, `Bearer ${MINTS}`]) {
      const headers = { Authorization: authorization };
      for (const [method, path] of [
        ["POST", "/chat/send?channel=orders"],
        ["POST", "/channel/subscribe?channel=orders"],
        ["POST", "/channel/revoke?user=ann"],
        ["GET", "/channel/orders/history"],
        ["GET", "/streams"],
        ["GET", "/channel/orders/stream"],
      ] as const) {
        expect((await read(await fetch(server.url + path, { method, headers }))).status).toBe(401);
      }
    }
  });

  test("the secret that publishes signs no token where the app names other keys", async () => {
    for (const [kid, secret] of [
      ["shop", SHOP],
      ["blog", BLOG],
    ] as const) {
      expect(await detailOf(sign(GOOD, secret, { alg: "HS256", kid }))).toBe(UNKNOWN);
    }
  });

  test("an app that has only public keys makes no token, and says so", async () => {
    const { status, error } = await post(server, "/channel/subscribe", { secret: SHOP, json: { channel: "orders" } });
    expect([status, error?.type]).toEqual([403, "forbidden"]);
    expect(error!.detail).toBe(
      "The app has only public keys for tokens, so none can be made here; mint them with the private key.",
    );
  });

  test("tokens from `subscribe` are signed with the secret for tokens", async () => {
    const json = { channel: "orders" };
    const { data } = await post<{ token: string }>(server, "/channel/subscribe", { secret: BLOG, json });
    const [header, payload, signature] = data.token.split(".");
    expect(signature).toBe(createHmac("sha256", MINTS).update(`${header}.${payload}`).digest("base64url"));
    expect(await opened(data.token)).toBe("blog");
  });

  test("a secret cannot be both, nor a key be of two apps, in any form", () => {
    const [both, one, other] = [join(folder, "both.json"), join(folder, "one.pem"), join(folder, "other.json")];
    writeFileSync(both, JSON.stringify({ keys: [{ kty: "oct", k: Buffer.from(SHOP).toString("base64url") }] }));
    writeFileSync(one, RSA.pem);
    writeFileSync(other, JSON.stringify({ keys: [{ ...RSA.jwk, kid: "mine" }] }));
    const [shop, blog] = [
      { id: "shop", secrets: [SHOP] },
      { id: "blog", secrets: [BLOG] },
    ];
    expect(startOf({ ...shop, token_secrets: [SHOP] })).toContain("app shop publishes with a key for tokens");
    expect(startOf({ ...shop, token_keys_file: both })).toContain("app shop publishes with a key for tokens");
    expect(startOf(shop, { ...blog, token_secrets: [SHOP] })).toContain("apps shop and blog have the same secret");
    expect(startOf({ ...blog, token_secrets: [SHOP] }, shop)).toContain("apps blog and shop have the same secret");
    expect(startOf({ ...shop, token_secrets: [MINTS] }, { ...blog, token_secrets: [MINTS] })).toContain("same secret");
    expect(startOf({ ...shop, token_keys_file: one }, { ...blog, token_keys_file: other })).toContain(
      "same secret or key",
    );
  });
});

function startOf(...apps: object[]): string {
  const settings = loadConfig({ env: { SOCKET_CONFIG: "c.json" }, readFile: () => JSON.stringify({ apps }) });
  try {
    openApps(settings.apps);
  } catch (error) {
    const { message } = error as Error;
    for (const secret of [SHOP, BLOG, MINTS]) expect(message).not.toContain(secret);
    return message;
  }
  throw new Error("was taken");
}

/** What is public of a key, in all the forms in which an implementation may have it in its hands. */
function publicForms(pem: string, jwk: object): readonly (string | Buffer)[] {
  const body = pem.replaceAll(/-----[A-Z ]+-----|\n/g, "");
  return [
    pem,
    pem.trim(),
    `${pem}\n`,
    pem.replaceAll("\n", "\r\n"),
    body,
    Buffer.from(body, "base64"),
    JSON.stringify(jwk),
    JSON.stringify({ keys: [jwk] }),
  ];
}

describe("a public key is no secret:", () => {
  test("HS256 with the public key as the secret, in every form", async () => {
    for (const [kid, pem, jwk] of [
      ["shop", RSA.pem, RSA.jwk],
      ["rsa-1", RSA.pem, { ...RSA.jwk, kid: "rsa-1" }],
      ["ec-1", EC.pem, { ...EC.jwk, kid: "ec-1" }],
      ["blog", OTHER_EC.pem, OTHER_EC.jwk],
    ] as const) {
      for (const secret of publicForms(pem, jwk)) {
        expect(await detailOf(sign(GOOD, secret as string, { alg: "HS256", kid }))).toBe(UNKNOWN);
      }
    }
  });

  test("a key in PEM that stands as an `oct` key stops the start", () => {
    const keys = [{ kty: "oct", k: Buffer.from(RSA.pem).toString("base64url") }];
    expect(() => parseKeyFile(JSON.stringify({ keys }), "k", "shop")).toThrow("which is no secret");
  });
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const head = (alg: string, kid: string) => `${encode({ alg, kid })}.${encode(GOOD)}`;

function signed(text: string, key: KeyObject, dsaEncoding: "der" | "ieee-p1363" = "der", hash = "sha256"): string {
  return `${text}.${signBytes(hash, Buffer.from(text), { key, dsaEncoding }).toString("base64url")}`;
}

describe("a key verifies its own algorithm alone:", () => {
  test("RS256 called ES256, ES256 called RS256, each called HS256", async () => {
    const [rsa, ec] = [RSA.privateKey, EC.privateKey];
    expect(await detailOf(signed(head("ES256", "rsa-1"), rsa))).toBe(UNKNOWN);
    expect(await detailOf(signed(head("ES256", "shop"), rsa))).toBe(UNKNOWN);
    expect(await detailOf(signed(head("RS256", "ec-1"), ec, "ieee-p1363"))).toBe(UNKNOWN);
    expect(await detailOf(signed(head("HS256", "rsa-1"), rsa))).toBe(UNKNOWN);
    expect(await detailOf(signed(head("HS256", "ec-1"), ec, "ieee-p1363"))).toBe(UNKNOWN);
  });

  test.each(["none", "RS384", "RS512", "PS256", "ES384", "ES256K", "EdDSA", "rs256", "HS512"])(
    "%s, signed by the right key",
    async (alg) => {
      const detail = await detailOf(signed(head(alg, "rsa-1"), RSA.privateKey));
      expect(detail).toBe("The token is signed with an algorithm that is not taken; HS256, ES256, RS256 are.");
    },
  );

  test("a hash of another length, called RS256", async () => {
    expect(await detailOf(signed(head("RS256", "rsa-1"), RSA.privateKey, undefined, "sha512"))).toBe(UNKNOWN);
  });

  test("ES256 signatures of zeros, in DER, half and doubled (CVE-2022-21449)", async () => {
    const text = head("ES256", "ec-1");
    const good = signBytes("sha256", Buffer.from(text), { key: EC.privateKey, dsaEncoding: "ieee-p1363" });
    for (const bytes of [
      Buffer.alloc(64),
      Buffer.alloc(64, 255),
      Buffer.alloc(0),
      Buffer.alloc(8),
      good.subarray(0, 32),
      Buffer.concat([good, good]),
      signBytes("sha256", Buffer.from(text), EC.privateKey),
    ]) {
      expect(await detailOf(`${text}.${bytes.toString("base64url")}`)).toBe(UNKNOWN);
    }
    expect(await opened(`${text}.${good.toString("base64url")}`)).toBe("shop");
  });
});

describe("a token is taken for the app of its key and for no other:", () => {
  test("the kid of another app or of its key, the key's own with another's signature", async () => {
    expect(await detailOf(await tokenOf("ES256", "shop", OTHER_EC.privateKey))).toBe(UNKNOWN);
    expect(await detailOf(await tokenOf("ES256", "ec-1", OTHER_EC.privateKey))).toBe(UNKNOWN);
    expect(await detailOf(await tokenOf("ES256", "blog", EC.privateKey))).toBe(UNKNOWN);
    expect(await detailOf(await tokenOf("RS256", "rsa-1", OTHER_RSA.privateKey))).toBe(UNKNOWN);
    expect(await detailOf(await tokenOf("ES256", "forum", EC.privateKey))).toBe(UNKNOWN);
    expect(await detailOf(sign(GOOD, MINTS, { alg: "HS256", kid: "shop" }))).toBe(UNKNOWN);
  });

  test("a kid that is no key, or a path, or of an object's prototype, is answered as a wrong signature", async () => {
    for (const kid of ["nobody", "../../etc/passwd", "__proto__", "constructor", "", "ec-1\0", "x".repeat(4000)]) {
      expect(await detailOf(await tokenOf("ES256", kid, EC.privateKey))).toBe(UNKNOWN);
    }
  });

  test("no kid, where there are several apps", async () => {
    expect(await detailOf(await tokenOf("RS256", undefined, RSA.privateKey))).toContain("must have a `kid`");
  });

  test("a key that the token brings along, or an address for one", async () => {
    const mine = OTHER_RSA;
    for (const header of [
      { jwk: mine.jwk },
      { jku: "http://127.0.0.1:1/keys" },
      { x5u: "http://127.0.0.1:1/cert" },
      { x5c: [mine.pem] },
    ]) {
      const token = new SignJWT(GOOD).setProtectedHeader({ alg: "RS256", kid: "rsa-1", ...header });
      expect(await detailOf(await token.sign(mine.privateKey))).toBe(UNKNOWN);
    }
  });

  test("a kid that is another app's id or key stops the start", () => {
    const [one, two] = [join(folder, "kid-1.json"), join(folder, "kid-2.json")];
    writeFileSync(one, JSON.stringify({ keys: [{ ...RSA.jwk, kid: "blog" }] }));
    writeFileSync(two, JSON.stringify({ keys: [{ ...OTHER_RSA.jwk, kid: "same" }] }));
    const shop = { id: "shop", secrets: [SHOP], token_keys_file: one };
    expect(startOf(shop, { id: "blog", secrets: [BLOG] })).toContain("the `kid` blog is of app");
    writeFileSync(one, JSON.stringify({ keys: [{ ...RSA.jwk, kid: "same" }] }));
    expect(startOf(shop, { id: "blog", secrets: [BLOG], token_keys_file: two })).toContain("the `kid` same is of app");
  });
});

/** Why a JWK Set with these keys is refused. */
function refused(...keys: object[]): string {
  try {
    parseKeyFile(JSON.stringify({ keys }), "keys.json", "shop");
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("was taken");
}

describe("a weak key stops the start:", () => {
  test("RSA of less than 2048 bits, in either form", () => {
    const weak = rsaPair(1024);
    const line = "keys.json: key 1 is an RSA key of 1024 bits; RS256 takes 2048 or more";
    expect(refused(weak.jwk)).toBe(line);
    expect(() => parseKeyFile(weak.pem, "keys.json", "shop")).toThrow(line);
  });

  test("RSA with the exponent 1, whose signatures anyone makes", () => {
    expect(refused({ ...RSA.jwk, e: "AQ" })).toBe("keys.json: key 1 is no sound RSA key");
    expect(refused({ ...RSA.jwk, e: "Ag" })).toMatch(/key 1 (is no sound RSA key|cannot be read)/);
  });

  test("a secret of less than 32 bytes, empty or none", () => {
    for (const k of ["", "short", undefined, 5, Buffer.alloc(31).toString("base64url")]) {
      expect(refused({ kty: "oct", k })).toContain("takes in `k` 32 bytes or more");
    }
    expect(
      parseKeyFile(JSON.stringify({ keys: [{ kty: "oct", k: OCT.toString("base64url") }] }), "k", "a").secret,
    ).toBe(true);
  });

  test("a private key, which would mint here, in either form; nothing of it is shown", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const [jwk, pem] = [privateKey.export({ format: "jwk" }), privateKey.export({ type: "pkcs8", format: "pem" })];
    const line = "keys.json: key 1 is a private key; whoever mints tokens keeps it, give its public half here";
    expect(refused(jwk)).toBe(line);
    expect(refused(createPrivateKey(pem).export({ format: "jwk" }))).toBe(line);
    expect(() => parseKeyFile(pem, "keys.json", "shop")).toThrow(line);
  });

  test("more keys than a token should be held against", () => {
    const secrets = Array.from({ length: 11 }, (_, i) => `${MINTS}${i}`);
    expect(startOf({ id: "shop", secrets: [SHOP], token_secrets: secrets })).toContain("takes at most 10 keys");
  });
});
