import { generateKeyPairSync, type KeyObject } from "node:crypto";

/** A key pair of a test, with its public half in the forms in which a file of keys has it. */
export interface Pair {
  readonly privateKey: KeyObject;
  readonly pem: string;
  readonly jwk: Readonly<Record<string, unknown>>;
}

function pairOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Pair {
  const pem = publicKey.export({ type: "spki", format: "pem" });
  return { privateKey, pem, jwk: publicKey.export({ format: "jwk" }) as Record<string, unknown> };
}

export function rsaPair(modulusLength = 2048): Pair {
  return pairOf(generateKeyPairSync("rsa", { modulusLength }));
}

export function ecPair(namedCurve = "P-256"): Pair {
  return pairOf(generateKeyPairSync("ec", { namedCurve }));
}
