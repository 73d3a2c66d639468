import { covers } from "../core/channel.ts";
import { ApiError } from "../core/errors.ts";
import type { App, Apps } from "./app.ts";
import type { Rulings } from "./rulings.ts";
import { checkExpiry, readToken, type TokenGrant } from "./token.ts";

/** What a request for a stream may do. */
export interface Grant {
  readonly app: App;
  /** By what it was granted: the app's secret, a token, one in a cookie, or nothing but public channels. */
  readonly kind: "secret" | "token" | "cookie" | "public";
  /** Whether a channel, or everything that a pattern matches, may be listened to. */
  readonly allows: (name: string) => boolean;
  /** When the grant ends, in milliseconds since 1970; null for one that does not. */
  readonly expiresAt: number | null;
  /** The token that was presented, and behind it the one that it was renewed with. Empty without a token. */
  readonly tokens: readonly TokenGrant[];
  /** The fingerprint of the secret that granted it; null where none did. */
  readonly secret: string | null;
}

/** What a listener's request holds; null for what is absent. An empty text is something given, and bad. */
export interface ListenerRequest {
  /** The `Authorization` header. */
  readonly authorization: string | null;
  /** The `token` parameter of the query. */
  readonly token: string | null;
  /** A token in a cookie of an app that takes them; it comes by itself, so it is null where another credential is given. */
  readonly cookie: { readonly app: App; readonly token: string } | null;
  /** The `app` parameter of the query: an app's id. */
  readonly app: string | null;
  /** Valid names and patterns; all of them are granted or none. */
  readonly wanted: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The longest life of a token; 0 for none. */
  readonly maxTtlMs: number;
  readonly rulings: Rulings;
}

const SEND_SECRET = "send the header `Authorization: key=<app secret>` or `Authorization: Bearer <app secret>`";
const SEND_TOKEN =
  "give a token as `?token=` or in `Authorization: Bearer`, or the app's secret in `Authorization: key=`";

/** The app that publishes, by its secret in the `Authorization` header; throws ApiError `unauthorized`. */
export function authenticatePublisher(apps: Apps, authorization: string | null): App {
  if (authorization === null) throw refusal(`No secret is given; ${SEND_SECRET}.`);
  const credential = parse(authorization);
  if (credential === null) throw refusal(`The Authorization header is not understood; ${SEND_SECRET}.`);
  const owner = apps.bySecret(credential.value);
  if (owner !== null) return owner.app;
  if (credential.scheme === "bearer" && isToken(credential.value)) {
    throw refusal(`A token grants listening only; ${SEND_SECRET}.`);
  }
  throw refusal(`The secret is not known; ${SEND_SECRET}.`);
}

/**
 * Grants a stream by its credential, else because all that is wanted is public. A token grants public channels of its
 * app as well, since leaving it away would.
 *
 * Throws ApiError: `unauthorized` for a credential that is bad, and for none where one is needed, in the same
 * words whether the app exists or not; `forbidden` for a channel that the credential does not cover and for one of
 * another app; `parameter_repeated` for two credentials.
 */
export function grantListener(apps: Apps, request: ListenerRequest): Grant {
  const grant = grantOf(apps, request) ?? publicGrantOf(apps, request.app);
  if (grant === null || (grant.kind === "public" && !request.wanted.every((name) => grant.allows(name)))) {
    throw refusal(`Listening needs a credential: ${SEND_TOKEN}${apps.only === null ? NAME_APP : "."}`);
  }
  if (request.app !== null && request.app !== grant.app.id) {
    throw new ApiError("forbidden", "The credential is of another app than `app` names.", "app");
  }
  const refused = request.wanted.find((name) => !grant.allows(name));
  if (refused !== undefined) {
    throw new ApiError("forbidden", `The token does not grant ${what(refused)}.`, "channel");
  }
  return grant;
}

const NAME_APP = ". For public channels name the app as `?app=`.";

/** Null where no credential is given. */
function grantOf(apps: Apps, request: ListenerRequest): Grant | null {
  const { authorization, token, cookie } = request;
  if (authorization !== null && token !== null) {
    throw new ApiError("parameter_repeated", "Give either `token` or the Authorization header, not both.", "token");
  }
  if (token !== null) return tokenGrant(apps, token, request);
  if (authorization === null) return cookie === null ? null : cookieGrant(apps, cookie, request);
  const credential = parse(authorization);
  if (credential === null) throw refusal(`The Authorization header is not understood; ${SEND_TOKEN}.`);
  const owner = apps.bySecret(credential.value);
  if (owner !== null) {
    const { app, fingerprint } = owner;
    return { app, kind: "secret", allows: () => true, expiresAt: null, tokens: [], secret: fingerprint };
  }
  if (credential.scheme === "bearer" && isToken(credential.value)) {
    return tokenGrant(apps, credential.value, request);
  }
  throw refusal(`The secret is not known; ${SEND_TOKEN}.`);
}

/** A token that was renewed grants what the fresh one does of its own, also once it has expired itself. */
function tokenGrant(apps: Apps, token: string, { wanted, now, maxTtlMs, rulings }: ListenerRequest): Grant {
  const presented = readToken(apps, token, now, maxTtlMs);
  const renewed = rulings.renewals(presented, now).map((fresh) => grantOfTokens([presented, fresh]));
  const lasting = renewed.findLast(({ allows }) => wanted.every(allows));
  // Until it expires the presented one still grants what no fresh one does.
  const other = presented.expiresAt > now ? undefined : renewed.at(-1);
  const grant = lasting ?? other ?? grantOfTokens([presented]);
  checkExpiry({ expiresAt: grant.expiresAt! }, now);
  if (isRevoked(grant, rulings)) throw refusal("The token was revoked.");
  return grant;
}

function cookieGrant(apps: Apps, { app, token }: { app: App; token: string }, request: ListenerRequest): Grant {
  const grant = tokenGrant(apps, token, request);
  if (grant.app.id !== app.id) throw refusal("The cookie holds a token of another app.");
  return { ...grant, kind: "cookie" };
}

/** Whether a token of the grant was revoked. */
export function isRevoked({ tokens }: Pick<Grant, "tokens">, rulings: Rulings): boolean {
  return tokens.some((token) => rulings.revoked(token));
}

/** What all of the tokens grant, until the last one expires: so whoever has the presented one never gains a channel. */
export function grantOfTokens(tokens: readonly [TokenGrant, ...TokenGrant[]]): Grant {
  const { app, expiresAt } = tokens.at(-1)!;
  const allows = (name: string) =>
    tokens.every(({ channels }) => includes(channels, name)) || includes(app.publicPatterns, name);
  return { app, kind: "token", allows, expiresAt, tokens, secret: null };
}

function publicGrantOf(apps: Apps, id: string | null): Grant | null {
  const app = id === null ? apps.only : apps.byId(id);
  return app === null ? null : publicGrant(app);
}

/** What anyone may listen to. */
export function publicGrant(app: App): Grant {
  const allows = (name: string) => includes(app.publicPatterns, name);
  return { app, kind: "public", allows, expiresAt: null, tokens: [], secret: null };
}

function includes(granted: readonly string[], wanted: string): boolean {
  return granted.some((one) => covers(one, wanted));
}

/** `key=<value>` or `Bearer <value>`, the scheme in any case (RFC 9110 11.1). */
function parse(header: string): { scheme: "key" | "bearer"; value: string } | null {
  const match = /^(?:(key)=|bearer +)([\x21-\x7e]+)$/i.exec(header.trim());
  return match === null ? null : { scheme: match[1] === undefined ? "bearer" : "key", value: match[2]! };
}

/** The form of a JWS (RFC 7515 7.1). A secret may look like one, so it is looked up first. */
export function isToken(text: string): boolean {
  return /^[\w-]*\.[\w-]*\.[\w-]*$/.test(text);
}

function what(name: string): string {
  return name.includes("*") ? `the pattern ${name}` : `the channel ${name}`;
}

function refusal(detail: string): ApiError {
  return new ApiError("unauthorized", detail);
}
