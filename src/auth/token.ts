import { isChannel, isPattern } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import type { App, Apps } from "./app.ts";
import { type Claims, headerOf, type Key, type SigningKey, TokenProblem } from "./key.ts";

/** The audience of every token. */
const AUDIENCE = "service-socket";
/** The most channels and patterns that one token grants. */
export const MAX_TOKEN_CHANNELS = 100;
/** The longest user (`sub`) that a token names, in characters. */
export const MAX_USER_LENGTH = 256;

/**
 * How far ahead a signer's clock may be (RFC 7519 4.1.5 allows some leeway): for `nbf`, `iat` and the longest life. A token
 * refused for half a second would end an EventSource for good. `exp` has no leeway: a stream ends at it.
 */
const LEEWAY_MS = 30_000;

export interface TokenRequest {
  /** Valid names and patterns, at least one. */
  readonly channels: readonly string[];
  readonly ttlSeconds: number;
  /** Who listens, told to the app alone. */
  readonly user?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Unique: names this token in a log and for revocation. */
  readonly jti: string;
  /** Up to when the user's tokens were revoked; null for never. `iat` comes after it, though it counts seconds only. */
  readonly revokedUpTo?: number | null;
}

/** What a token grants, verified. */
export interface TokenGrant {
  readonly app: App;
  readonly channels: readonly string[];
  readonly user: string | null;
  /** Milliseconds since 1970; null where the token does not say it, or names a time that is still to come. */
  readonly issuedAt: number | null;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly jti: string | null;
  /** Names what was signed, where there is no `jti`; cannot be presented in its place. */
  readonly digest: string;
  /** The fingerprint of the key that verified it. */
  readonly key: string;
}

/** A JWT for a listener (RFC 7519). `expiresAt` is in milliseconds since 1970. */
export function mintToken(key: SigningKey, request: TokenRequest): { token: string; expiresAt: number } {
  const { channels, now, ttlSeconds, jti, user, revokedUpTo = null } = request;
  const exp = Math.ceil(now / 1000) + ttlSeconds; // never less than what was asked for
  const iat = Math.max(Math.floor(now / 1000), revokedUpTo === null ? 0 : Math.floor(revokedUpTo / 1000) + 1);
  const claims = { channels: [...channels], aud: AUDIENCE, iat, exp, jti };
  return { token: key.sign(user === undefined ? claims : { ...claims, sub: user }), expiresAt: exp * 1000 };
}

/** As `readToken`, and throws ApiError `unauthorized` for a token that has expired as well. */
export function verifyToken(apps: Apps, token: string, now: number, maxTtlMs: number): TokenGrant {
  const grant = readToken(apps, token, now, maxTtlMs);
  checkExpiry(grant, now);
  return grant;
}

/** Throws ApiError `unauthorized` when the token has expired. */
export function checkExpiry({ expiresAt }: Pick<TokenGrant, "expiresAt">, now: number): void {
  if (expiresAt <= now) throw expired(expiresAt);
}

/**
 * Verifies a listener's token, but for whether it has expired: by a key of the app that its `kid` names, by the key that
 * it names, or without `kid` by a key of the only app, each for its own algorithm; for our audience, with an `exp` that is
 * ahead by at most `maxTtlMs` (0: no limit), and with a list of channels. Throws ApiError `unauthorized`; the detail says
 * what is wrong and never holds a part of the token.
 */
export function readToken(apps: Apps, token: string, now: number, maxTtlMs: number): TokenGrant {
  const { app, keys } = keysOf(apps, token);
  const { claims, key } = claimsOf(keys, token);
  if (app === null) throw unknownSignature();
  checkAudience(claims);
  // Not of the signature, whose last character can be written in four ways (RFC 4648 3.5), and of ES256 each in two: a
  // revoked token would be let in with another.
  const digest = Bun.SHA256.hash(token.slice(0, token.lastIndexOf(".")), "base64");
  return { app, ...lifeOf(claims, now, maxTtlMs), channels: channelsOf(claims), ...namesOf(claims), digest, key };
}

/**
 * The keys that may have signed the token, and their app; the signature is not looked at yet. A token that names no app
 * or key, or an algorithm for which that has none, has some other app's keys and no app: it goes the same way, so that
 * its answer is that of a wrong signature in every case.
 */
function keysOf(apps: Apps, token: string): { readonly app: App | null; readonly keys: readonly Key[] } {
  const { alg, kid } = told(() => headerOf(token));
  const algorithm = apps.algorithms.find((one) => one === alg);
  if (algorithm === undefined) throw wrongAlgorithm(apps);
  if (kid !== undefined && typeof kid !== "string") throw malformed("its `kid` is no text");
  if (kid === undefined && apps.only === null) {
    throw refusal("The token does not name its app; its header must have a `kid`.");
  }
  const named = apps.byKid(kid ?? apps.only!.id);
  const keys = named?.keys.filter((key) => key.algorithm === algorithm) ?? [];
  if (named === null || keys.length === 0) return { app: null, keys: apps.decoys(algorithm) };
  return { app: named.app, keys };
}

function claimsOf(keys: readonly Key[], token: string): { readonly claims: Claims; readonly key: string } {
  for (const key of keys) {
    const claims = told(() => key.verify(token));
    if (claims !== null) return { claims, key: key.fingerprint };
  }
  throw unknownSignature();
}

/** Runs what may find a problem with the token, and tells it in words for the listener. */
function told<T>(look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof TokenProblem)) throw error;
    throw malformed();
  }
}

/** RFC 7519 4.1.3: one audience, or several of which we must be one. */
function checkAudience({ aud }: Claims): void {
  if (aud === AUDIENCE || (Array.isArray(aud) && aud.includes(AUDIENCE))) return;
  throw refusal(`The token is for another audience; its \`aud\` must be ${AUDIENCE}.`);
}

function lifeOf(
  { exp, nbf, iat }: Claims,
  now: number,
  maxTtlMs: number,
): { issuedAt: number | null; expiresAt: number } {
  if (exp === undefined) throw refusal("The token has no `exp`; it must say when it expires.");
  if (typeof exp !== "number" || !isTime(nbf) || !isTime(iat)) throw malformed("a time in it is no number");
  if (nbf !== undefined && nbf * 1000 > now + LEEWAY_MS) throw refusal("The token is not valid yet (`nbf`).");
  const expiresAt = Math.floor(exp * 1000);
  // Beyond this a Date holds nothing (ECMA-262 21.4.1.1); a JSON number can be larger than that, or infinite.
  if (expiresAt > 8.64e15) throw malformed("its `exp` is no time");
  // From when it was issued as well, where it says so: else one that is refused now could be presented later, when a
  // revocation of it has been forgotten.
  const lives = expiresAt - Math.min(now, iat === undefined ? now : iat * 1000);
  if (maxTtlMs !== 0 && lives > maxTtlMs + LEEWAY_MS) {
    throw refusal(`The token lives too long; its \`exp\` may be at most ${Math.floor(maxTtlMs / 1000)} seconds ahead.`);
  }
  // No revocation of the user would reach an `iat` in milliseconds, so one that lies ahead says nothing. It is not refused:
  // a clock that is set back would end every EventSource for good.
  const isPast = iat !== undefined && iat * 1000 <= now + LEEWAY_MS;
  return { issuedAt: isPast ? iat * 1000 : null, expiresAt };
}

function isTime(claim: unknown): claim is number | undefined {
  return claim === undefined || typeof claim === "number";
}

function channelsOf(claims: Claims): readonly string[] {
  const { channels } = claims;
  if (
    Array.isArray(channels) &&
    channels.length > 0 &&
    channels.length <= MAX_TOKEN_CHANNELS &&
    channels.every(isName)
  ) {
    return channels as string[];
  }
  throw malformed(`its \`channels\` must be a list of 1 to ${MAX_TOKEN_CHANNELS} channel names or patterns`);
}

function isName(name: unknown): boolean {
  return typeof name === "string" && (isChannel(name) || isPattern(name));
}

function namesOf({ sub, jti }: { sub?: unknown; jti?: unknown }): { user: string | null; jti: string | null } {
  const valid = (text: unknown): text is string | undefined =>
    text === undefined ||
    (typeof text === "string" && text.length > 0 && text.length <= MAX_USER_LENGTH && text.isWellFormed());
  if (!valid(sub)) throw malformed(`its \`sub\` must be text of 1 to ${MAX_USER_LENGTH} characters`);
  if (!valid(jti)) throw malformed(`its \`jti\` must be text of 1 to ${MAX_USER_LENGTH} characters`);
  return { user: sub ?? null, jti: jti ?? null };
}

function refusal(detail: string): ApiError {
  return new ApiError("unauthorized", detail);
}

function malformed(how?: string): ApiError {
  return refusal(`The token is malformed${how === undefined ? "" : `: ${how}`}.`);
}

function wrongAlgorithm({ algorithms }: Apps): ApiError {
  const taken = `${algorithms.join(", ")} ${algorithms.length === 1 ? "is" : "are"}`;
  return refusal(`The token is signed with an algorithm that is not taken; ${taken}.`);
}

function unknownSignature(): ApiError {
  return refusal("The token is not signed by a known key.");
}

function expired(expiresAt: number): ApiError {
  const time = new Date(expiresAt);
  // A time before the year 0 or so is no date that could be written.
  return refusal(Number.isNaN(time.getTime()) ? "The token expired." : `The token expired at ${time.toISOString()}.`);
}
