import { createPublicKey, type KeyObject } from "node:crypto";
import { ConfigError } from "../config/error.ts";
import { type Key, publicKey, secretKey } from "./key.ts";

/** So many keys of an app are tried at most for one token, each for some 0.1 ms. */
export const MAX_KEYS = 10;
/** RFC 7518 3.3. */
const MIN_RSA_BITS = 2048;
/** RFC 7518 3.2. */
const MIN_SECRET_BYTES = 32;
/** It stands in the header of every token. */
const KEY_ID = /^[\x21-\x7e]{1,256}$/;

export interface KeyFile {
  readonly keys: readonly Key[];
  /** Some of them are secrets, so that the file is one. */
  readonly secret: boolean;
  /** Sentences for the log: keys of the set that are for something else (RFC 7517 5). */
  readonly warnings: readonly string[];
}

/**
 * The keys of a file: a JWK Set (RFC 7517 5) with `RSA`, `EC` and `oct` keys, or public keys in PEM, one or several.
 * RSA keys are for RS256 and have 2048 bits or more, EC keys are for ES256 and of the curve P-256, `oct` keys are for
 * HS256 and have 32 bytes or more. Throws ConfigError, which holds nothing of the file but `kid`s and algorithms.
 */
export function parseKeyFile(text: string, path: string, app: string): KeyFile {
  const file =
    text.includes("-----BEGIN") && !text.trimStart().startsWith("{") ? ofPem(text, path) : ofSet(text, path, app);
  if (file.keys.length > 0) return file;
  throw new ConfigError(
    path,
    `takes at least one key: RS256, ES256 or HS256${file.warnings.length > 0 ? "; none of its keys is for these" : ""}`,
  );
}

function ofPem(text: string, path: string): KeyFile {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g)];
  const keys = blocks.map(([block, label], i) => {
    const which = `key ${i + 1}`;
    if (label?.includes("PRIVATE") === true) throw isPrivate(path, which);
    if (label !== "PUBLIC KEY" && label !== "RSA PUBLIC KEY") throw new ConfigError(path, `${which} is no PUBLIC KEY`);
    const key = read(path, which, () => createPublicKey(block));
    const found = ofPublic(key, null, path, which);
    if (found === null) throw new ConfigError(path, `${which} takes an RSA key, or an EC key of the curve P-256`);
    return found;
  });
  return { keys, secret: false, warnings: [] };
}

function ofSet(text: string, path: string, app: string): KeyFile {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    set = null; // the parser's own sentence may quote a secret
  }
  const list: unknown = isTable(set) ? set["keys"] : null;
  if (!Array.isArray(list) || !list.every(isTable)) {
    throw new ConfigError(path, "takes a JWK Set (an object with a list `keys`) or public keys in PEM");
  }
  const [keys, warnings]: [Key[], string[]] = [[], []];
  for (const [i, jwk] of list.entries()) {
    const which = `key ${i + 1}`;
    const key = isForTokens(jwk) ? ofJwk(jwk, path, which, app) : null;
    if (key === null)
      warnings.push(`${path}: ${which} is left out, since it is for something else than RS256, ES256 and HS256`);
    else keys.push(key);
  }
  return { keys, secret: keys.some(({ algorithm }) => algorithm === "HS256"), warnings };
}

type Jwk = Readonly<Record<string, unknown>>;

/** RFC 7517 4.2, 4.3: a key may say that it is for encryption. */
function isForTokens({ use, key_ops: operations }: Jwk): boolean {
  if (use !== undefined && use !== "sig") return false;
  return operations === undefined || (Array.isArray(operations) && operations.includes("verify"));
}

/** Null for a key of a kind, curve or algorithm that is not taken here. */
function ofJwk(jwk: Jwk, path: string, which: string, app: string): Key | null {
  const { kid = null, kty, alg } = jwk;
  if (kid !== null && (typeof kid !== "string" || !KEY_ID.test(kid))) {
    throw new ConfigError(path, `${which} has a \`kid\` that is not 1 to 256 printable ASCII characters without space`);
  }
  if (kty === "oct") return alg === undefined || alg === "HS256" ? ofSecret(jwk["k"], kid, path, which, app) : null;
  if (kty !== "RSA" && kty !== "EC") return null;
  if (jwk["d"] !== undefined) throw isPrivate(path, which);
  if (kty === "EC" && jwk["crv"] !== "P-256") return null;
  const key = read(path, which, () => createPublicKey({ key: jwk, format: "jwk" }));
  const found = ofPublic(key, kid, path, which);
  return alg === undefined || alg === found?.algorithm ? found : null;
}

function ofSecret(k: unknown, kid: string | null, path: string, which: string, app: string): Key {
  const bytes = typeof k === "string" && /^[\w-]+$/.test(k) ? Buffer.from(k, "base64url") : Buffer.alloc(0);
  if (bytes.length < MIN_SECRET_BYTES) {
    throw new ConfigError(path, `${which} takes in \`k\` ${MIN_SECRET_BYTES} bytes or more, in base64url`);
  }
  // Whoever has the public key would sign tokens with it.
  if (bytes.includes("-----BEGIN")) throw new ConfigError(path, `${which} is a key in PEM, which is no secret`);
  return secretKey(bytes, app, kid);
}

/** Null for a kind or curve that is not taken. */
function ofPublic(key: KeyObject, kid: string | null, path: string, which: string): Key | null {
  const { modulusLength = 0, publicExponent = 0n, namedCurve } = key.asymmetricKeyDetails ?? {};
  const pem = key.export({ type: "spki", format: "pem" });
  if (key.asymmetricKeyType === "ec") return namedCurve === "prime256v1" ? publicKey("ES256", pem, kid) : null;
  if (key.asymmetricKeyType !== "rsa") return null;
  if (modulusLength < MIN_RSA_BITS) {
    throw new ConfigError(path, `${which} is an RSA key of ${modulusLength} bits; RS256 takes ${MIN_RSA_BITS} or more`);
  }
  // With the exponent 1 a signature is what is signed, so that anyone makes one.
  if (publicExponent < 3n || publicExponent % 2n === 0n) throw new ConfigError(path, `${which} is no sound RSA key`);
  return publicKey("RS256", pem, kid);
}

/** What the platform says of a bad key may quote it. */
function read(path: string, which: string, parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch {
    throw new ConfigError(path, `${which} cannot be read`);
  }
}

function isPrivate(path: string, which: string): ConfigError {
  return new ConfigError(path, `${which} is a private key; whoever mints tokens keeps it, give its public half here`);
}

function isTable(value: unknown): value is Jwk {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
