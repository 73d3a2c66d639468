import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { parseKeyFile } from "../../src/auth/key-file.ts";
import { ConfigError } from "../../src/config.ts";
import { ecPair, rsaPair } from "./keys.ts";

const [RSA, EC] = [rsaPair(), ecPair()];
const SECRET = Buffer.alloc(32, 7);
const OCT = { kty: "oct", k: SECRET.toString("base64url") };

const parse = (text: string) => parseKeyFile(text, "keys.json", "shop");
const set = (...keys: unknown[]) => JSON.stringify({ keys });

function refusal(text: string): string {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("was taken");
}

const sign = (alg: string, key: Parameters<SignJWT["sign"]>[0]) =>
  new SignJWT({ a: 1 }).setProtectedHeader({ alg }).sign(key);

describe("a file of keys", () => {
  test("is a JWK Set of RSA, EC and oct keys, each for its one algorithm", async () => {
    const { keys, secret, warnings } = parse(
      set({ ...RSA.jwk, kid: "r1", use: "sig", alg: "RS256" }, { ...EC.jwk, kid: "e1", key_ops: ["verify"] }, OCT),
    );
    expect(keys.map(({ id, algorithm }) => [id, algorithm])).toEqual([
      ["r1", "RS256"],
      ["e1", "ES256"],
      [null, "HS256"],
    ]);
    expect(secret).toBe(true);
    expect(warnings).toEqual([]);
    const tokens = [
      await sign("RS256", RSA.privateKey),
      await sign("ES256", EC.privateKey),
      await sign("HS256", SECRET),
    ];
    for (const [i, key] of keys.entries()) expect(key.verify(tokens[i]!)).toEqual({ a: 1 });
  });

  test("or public keys in PEM, one or several", async () => {
    const { keys, secret } = parse(`# of the accounts service\n${RSA.pem}\n${EC.pem}`);
    expect(keys.map(({ algorithm }) => algorithm)).toEqual(["RS256", "ES256"]);
    expect(secret).toBe(false);
    expect(keys[1]!.verify(await sign("ES256", EC.privateKey))).toEqual({ a: 1 });
  });

  test("gives the same key the same fingerprint in either form", () => {
    const [pem, jwk] = [parse(RSA.pem), parse(set({ ...RSA.jwk, kid: "x" }))];
    expect(pem.keys[0]!.fingerprint).toBe(jwk.keys[0]!.fingerprint);
  });

  test("may hold keys that are for something else, which are left out and told", () => {
    const others = [
      { ...RSA.jwk, use: "enc" },
      { ...RSA.jwk, alg: "PS256" },
      { ...RSA.jwk, alg: "HS256" },
      { ...EC.jwk, key_ops: ["encrypt"] },
      ecPair("P-384").jwk,
      generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" }),
      { ...OCT, alg: "HS512" },
      { kty: "new" },
    ];
    const { keys, warnings } = parse(set(...others, EC.jwk));
    expect(keys).toHaveLength(1);
    expect(warnings).toHaveLength(others.length);
    expect(warnings[0]).toBe(
      "keys.json: key 1 is left out, since it is for something else than RS256, ES256 and HS256",
    );
    expect(refusal(set(...others))).toContain("takes at least one key");
  });

  test.each([
    ["no JSON", "{"],
    ["a list", JSON.stringify([RSA.jwk])],
    ["keys that are no list", JSON.stringify({ keys: RSA.jwk })],
    ["a key that is no object", JSON.stringify({ keys: ["x"] })],
    ["a kid that is no text", set({ ...RSA.jwk, kid: 5 })],
    ["a kid with a line end", set({ ...RSA.jwk, kid: "a\nb" })],
    ["a point that is not on the curve", set({ ...EC.jwk, x: Buffer.alloc(32, 1).toString("base64url") })],
    ["an RSA key without a modulus", set({ kty: "RSA", e: "AQAB" })],
    ["a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
    ["half a key in PEM", RSA.pem.slice(0, 200)],
    ["nothing in PEM", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"],
    ["a curve in PEM that is not taken", ecPair("P-384").pem],
    ["nothing", ""],
    ["no keys", set()],
  ])("that holds %s is refused", (_name, text) => {
    expect(refusal(text)).toStartWith("keys.json: ");
  });
});
