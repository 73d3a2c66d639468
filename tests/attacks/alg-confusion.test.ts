import { createHmac, createSign, generateKeyPairSync, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { read, serve, type Server } from "../api/fixture.ts";
import { claims, sign } from "../api/tokens.ts";

const SHOP = "secret-of-the-shop-in-these-tests-1";
const BLOG = "secret-of-the-blog-in-these-tests-1";
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

let server: Server;
beforeAll(async () => {
  server = await serve({
    apps: [
      { id: "shop", secrets: [SHOP], public_channels: ["news"] },
      { id: "blog", secrets: [BLOG] },
    ],
  });
});
afterAll(() => server[Symbol.asyncDispose]());

const GOOD = claims(["orders", "news"]);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** With an HMAC of another length. */
function hmac(alg: string, hash: string, secret = SHOP): string {
  const signed = `${encode({ alg, kid: "shop" })}.${encode(GOOD)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest("base64url")}`;
}

function rsa(header: object, key = privateKey): string {
  const signed = `${encode(header)}.${encode(GOOD)}`;
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(key).toString("base64url")}`;
}

function unsigned(header: object, signature = ""): string {
  return `${encode(header)}.${encode(GOOD)}.${signature}`;
}

const HEADER = { alg: "HS256", kid: "shop" };
const PEM = publicKey.export({ type: "spki", format: "pem" });
const [SIGNED_HEAD, SIGNED_CLAIMS, SIGNATURE] = sign(GOOD, SHOP, HEADER).split(".");

const TOKENS: readonly [string, string][] = [
  ["alg none without a signature", unsigned({ alg: "none", kid: "shop" })],
  ["alg None", unsigned({ alg: "None", kid: "shop" })],
  ["alg nOnE", unsigned({ alg: "nOnE", kid: "shop" })],
  ["alg none with a good signature", sign(GOOD, SHOP, { alg: "none", kid: "shop" })],
  ["an empty alg", sign(GOOD, SHOP, { alg: "", kid: "shop" })],
  ["no alg", sign(GOOD, SHOP, { kid: "shop" })],
  ["a list of algs", sign(GOOD, SHOP, { alg: ["HS256"], kid: "shop" })],
  ["hs256 in lower case", sign(GOOD, SHOP, { alg: "hs256", kid: "shop" })],
  ["HS384", hmac("HS384", "sha384")],
  ["HS512", hmac("HS512", "sha512")],
  ["HS512, called HS256", hmac("HS256", "sha512")],
  ["RS256 by a key of its own", rsa({ alg: "RS256", kid: "shop" })],
  ["RS256 with its key in the header", rsa({ alg: "RS256", kid: "shop", jwk: publicKey.export({ format: "jwk" }) })],
  ["RS256, called HS256", rsa(HEADER)],
  ["HS256 with a public key as the secret", sign(GOOD, PEM, HEADER)],
  ["the secret as if it were a public key", sign(GOOD, SHOP, { alg: "RS256", kid: "shop" })],
  ["ES256", sign(GOOD, SHOP, { alg: "ES256", kid: "shop" })],
  ["a secret of its own in the header", sign(GOOD, "mine".repeat(10), { ...HEADER, jwk: { kty: "oct", k: "bWluZQ" } })],
  ["an address for keys in the header", sign(GOOD, "mine".repeat(10), { ...HEADER, jku: "http://127.0.0.1:1/" })],
  ["the kid of another app", sign(GOOD, SHOP, { alg: "HS256", kid: "blog" })],
  ["the secret of another app", sign(GOOD, BLOG, HEADER)],
  ["a kid that is a path", sign(GOOD, SHOP, { alg: "HS256", kid: "../shop" })],
  ["a kid of the prototype", sign(GOOD, SHOP, { alg: "HS256", kid: "__proto__" })],
  ["no kid, where there are two apps", sign(GOOD, SHOP, { alg: "HS256" })],
  ["the empty secret", sign(GOOD, "", HEADER)],
  ["the app's id as its secret", sign(GOOD, "shop", HEADER)],
  ["the secret's digest as the secret", sign(GOOD, Bun.SHA256.hash(SHOP, "base64"), HEADER)],
  ["an empty signature", unsigned(HEADER)],
  ["a signature of zeros", unsigned(HEADER, Buffer.alloc(32).toString("base64url"))],
  ["half a signature", `${SIGNED_HEAD}.${SIGNED_CLAIMS}.${SIGNATURE!.slice(0, 20)}`],
  ["a signature that is too long", `${SIGNED_HEAD}.${SIGNED_CLAIMS}.${SIGNATURE}AAAA`],
  ["claims of another token", `${SIGNED_HEAD}.${encode(claims(["**"]))}.${SIGNATURE}`],
  ["a header of another token", `${encode({ ...HEADER, typ: "JWT" })}.${SIGNED_CLAIMS}.${SIGNATURE}`],
  ["crit", sign(GOOD, SHOP, { ...HEADER, crit: ["exp"] })],
  ["crit for what is not understood", sign(GOOD, SHOP, { ...HEADER, crit: ["x"], x: 1 })],
  ["an unencoded body (b64)", sign(GOOD, SHOP, { ...HEADER, crit: ["b64"], b64: false })],
  ["five parts, as an encrypted one has", `${SIGNED_HEAD}.${SIGNED_CLAIMS}.${SIGNATURE}.${SIGNED_CLAIMS}.${SIGNATURE}`],
  ["two signatures in JSON", JSON.stringify({ payload: SIGNED_CLAIMS, signatures: [{ protected: SIGNED_HEAD }] })],
];

describe("a token is refused, in the query and in the header, for its own and for a public channel:", () => {
  for (const [name, token] of TOKENS) {
    test(name, async () => {
      for (const channel of ["orders", "news"]) {
        const path = `${server.url}/channel/${channel}/stream`;
        const answers = await Promise.all([
          fetch(`${path}?token=${encodeURIComponent(token)}`),
          fetch(path, { headers: { Authorization: `Bearer ${token}` } }),
        ]);
        for (const answer of answers) {
          const { status, error } = await read(answer);
          expect([status, error?.type]).toEqual([401, "unauthorized"]);
          expect(error!.detail).not.toContain(SHOP);
          expect(error!.detail).not.toContain("eyJ");
        }
      }
    });
  }
});

test("and the same claims with the one algorithm and the right secret open the stream", async () => {
  const abort = new AbortController();
  const token = sign({ ...GOOD, jti: randomUUID() }, SHOP, HEADER);
  const answer = await fetch(`${server.url}/channel/orders/stream?token=${token}`, { signal: abort.signal });
  expect(answer.status).toBe(200);
  abort.abort();
});

test("a token is no secret: it publishes nothing and reads no history", async () => {
  const headers = { Authorization: `Bearer ${sign(GOOD, SHOP, HEADER)}` };
  for (const [method, path] of [
    ["POST", "/chat/send?channel=orders"],
    ["POST", "/chat/send-multi?body=[]"],
    ["POST", "/channel/subscribe?channel=orders"],
    ["GET", "/channel/orders"],
    ["GET", "/channel/orders/history"],
    ["GET", "/channels"],
  ] as const) {
    expect((await read(await fetch(server.url + path, { method, headers }))).status).toBe(401);
  }
});
