import { createSigner, createVerifier, TokenError } from "fast-jwt";

/** The one algorithm of tokens (RFC 7518 3.2). */
export const ALGORITHM = "HS256";

export type Claims = Readonly<Record<string, unknown>>;

/** Why a token is not taken, as far as its form and signature go. */
export class TokenProblem extends Error {
  readonly kind: "malformed" | "algorithm";

  constructor(kind: "malformed" | "algorithm") {
    super(kind);
    this.kind = kind;
  }
}

/** One secret of an app, as it signs and verifies tokens; the secret cannot be read from it. */
export interface Key {
  /** A JWT with these claims and no others. `iat` must be one of them. */
  sign(claims: Claims): string;
  /** The claims of a token that this secret signed, else null. Throws TokenProblem for what is no token to be taken. */
  verify(token: string): Claims | null;
}

/** `app` stands in the `kid` of what it signs. */
export function keyOf(secret: string, app: string): Key {
  const sign = createSigner({ key: secret, algorithm: ALGORITHM, kid: app });
  // Times and the audience are checked by the caller, against its own clock and in words for the listener.
  const verify = createVerifier({
    key: secret,
    algorithms: [ALGORITHM],
    ignoreExpiration: true,
    ignoreNotBefore: true,
  });
  return Object.freeze({
    sign: (claims: Claims) => sign({ ...claims }),
    verify(token: string): Claims | null {
      try {
        return claimsOf(verify(token));
      } catch (error) {
        if (error instanceof TokenError && UNSIGNED.has(error.code)) return null;
        throw problemOf(error);
      }
    },
  });
}

const UNSIGNED = new Set<string>([TokenError.codes.invalidSignature, TokenError.codes.missingSignature]);

/**
 * The header of a token, to find the key with which the whole of it is verified; nothing else of it is looked at. Throws
 * TokenProblem.
 */
export function headerOf(token: string): Readonly<Record<string, unknown>> {
  const segment = token.slice(0, token.indexOf("."));
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(segment, "base64url").toString());
  } catch {
    throw new TokenProblem("malformed");
  }
  return claimsOf(header);
}

function claimsOf(value: unknown): Claims {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Claims;
  throw new TokenProblem("malformed");
}

function problemOf(error: unknown): unknown {
  if (!(error instanceof TokenError)) return error;
  return new TokenProblem(error.code === TokenError.codes.invalidAlgorithm ? "algorithm" : "malformed");
}
