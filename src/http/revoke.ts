import type { App } from "../auth/app.ts";
import { headerOf } from "../auth/key.ts";
import { revocation } from "../auth/rulings.ts";
import { isToken } from "../auth/grant.ts";
import { MAX_USER_LENGTH, readToken, type TokenGrant } from "../auth/token.ts";
import type { AppId, Note } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import { success } from "./answer.ts";
import { askOthers, silentNode } from "./asking.ts";
import { findStream, streamNotFound } from "./find.ts";
import type { Gateway } from "./gateway.ts";
import { type Parameters, readParameters } from "./parameters.ts";
import { requestIdOf } from "./request-id.ts";
import { publisher } from "./send.ts";

/**
 * `POST /channel/revoke`: ends the streams of a token, of a user or the one that is named, and keeps the tokens out that
 * they have: the token with that `jti`, all of the user's that were issued until now, or those that the stream has.
 */
export async function revoke(gateway: Gateway, request: Request): Promise<Response> {
  const app = publisher(gateway, request);
  const { maxBodyBytes, maxJsonDepth } = gateway.settings;
  const { kind, name } = named(
    await readParameters(request, { maxBodyBytes, maxJsonDepth, room: gateway.rooms.of(app.id) }),
  );
  return success(await REVOKE[kind](gateway, app, name), requestIdOf(request));
}

interface Ended {
  /** How many streams it ended, on all nodes. */
  readonly streams: number;
  /** Whether every node has told how many it ended. */
  readonly complete: boolean;
}

async function revokeUser(gateway: Gateway, app: App, user: string): Promise<Ended> {
  // Never less far than before, though the clock may have gone back.
  const issuedUpTo = Math.max(gateway.clock.now(), gateway.rulings.revokedUpTo(app.id, user) ?? 0);
  return await end(gateway, app, [revocation({ kind: "user", name: user, issuedUpTo }, longest(gateway, issuedUpTo))]);
}

/** By its `jti`, or by the token itself, which may have none. */
async function revokeToken(gateway: Gateway, app: App, text: string): Promise<Ended> {
  const { apps, clock, settings } = gateway;
  const now = clock.now();
  if (!isWhole(text)) {
    return await end(gateway, app, [revocation({ kind: "token", name: text }, longest(gateway, now))]);
  }
  const token = readToken(apps, text, now, settings.maxTokenTtlMs);
  if (token.app.id !== app.id) throw new ApiError("forbidden", "The token is of another app.", "token");
  return await end(gateway, app, [ofDigest(gateway, token)]);
}

/** A `jti` may have the form of a token, two dots, but for the header. */
function isWhole(text: string): boolean {
  try {
    return isToken(text) && headerOf(text)["alg"] !== undefined;
  } catch {
    return false;
  }
}

/** Holds as long as anything stands for the token, and longer, since a clock may be set back by a little. */
function ofDigest({ clock, rulings }: Gateway, token: TokenGrant): Note {
  return revocation({ kind: "digest", name: token.digest }, rulings.endOf(token, clock.now()) + SPARE_MS);
}

/** When the last token expires that was issued until then. */
function longest({ settings: { maxTokenTtlMs } }: Gateway, issuedUpTo: number): number {
  return maxTokenTtlMs === 0 ? FOR_EVER : issuedUpTo + maxTokenTtlMs + SPARE_MS;
}

/** Longer than one that could be in a request's headers. */
const MAX_TOKEN_LENGTH = 16_384;
/** The last time that there is (ECMA-262 21.4.1.1). */
const FOR_EVER = 8.64e15;
/** More than the leeway with which a token's life is looked at, and than a clock is set back by when it is corrected. */
const SPARE_MS = 60_000;

async function revokeStream(gateway: Gateway, app: App, id: string): Promise<Ended> {
  const found = await findStream(gateway, app.id, id);
  if (found === null) throw streamNotFound();
  const [facts] = found.tokens;
  if (facts === undefined) return await endStream(gateway, app, id);
  const presented = { ...facts, app };
  // All that stand for it, since each would open a stream by itself.
  const tokens = [presented, ...gateway.rulings.renewals(presented, gateway.clock.now())];
  return await end(
    gateway,
    app,
    tokens.map((token) => ofDigest(gateway, token)),
  );
}

/** Opened by the app's secret, or because its channels are public: there is nothing to keep out. */
async function endStream(gateway: Gateway, app: App, id: string): Promise<Ended> {
  if (endHere(gateway, app.id, { id })) return { streams: 1, complete: true };
  const { answers, complete } = await askOthers(gateway, app.id, "end", { id });
  if (answers.includes(true)) return { streams: 1, complete: true };
  throw complete ? streamNotFound() : silentNode();
}

export function endHere({ hub, streams }: Gateway, app: AppId, { id }: { readonly id: string }): boolean {
  const stream = streams.get(app, id);
  if (stream?.subscriber == null || stream.grant.tokens.length > 0) return false;
  hub.close(stream.subscriber, "revoked", false);
  return true;
}

/** Has the notes kept, which ends the streams that they hit on every node. */
async function end(gateway: Gateway, app: App, notes: readonly Note[]): Promise<Ended> {
  const { broker, clock, rulings } = gateway;
  for (const note of notes) {
    rulings.checkRevocation(app.id, note, clock.now());
    await broker.note(app.id, note);
  }
  const keys = notes.map(({ key }) => key);
  const [here, others] = await Promise.all([
    endedHere(gateway, app.id, { keys }),
    askOthers(gateway, app.id, "ended", { keys }, ENDED_MS),
  ]);
  return { streams: others.answers.reduce((sum, ended) => sum + ended, here), complete: others.complete };
}

/** A node that has to end thousands of streams takes a while. */
const ENDED_MS = 2000;

export function endedHere({ sweep }: Gateway, app: AppId, { keys }: { readonly keys: readonly string[] }) {
  return sweep.ended(app, keys);
}

const REVOKE = { token: revokeToken, user: revokeUser, stream: revokeStream } as const;
const KINDS = Object.keys(REVOKE) as (keyof typeof REVOKE)[];

function named(parameters: Parameters): { kind: keyof typeof REVOKE; name: string } {
  const given = KINDS.flatMap((kind) => {
    const name = parameters.text(kind);
    return name === undefined ? [] : [{ kind, name }];
  });
  const [only] = given;
  if (only === undefined || given.length > 1) {
    const detail = "Give one of `token` (its `jti`, or the token), `user` and `stream` (a stream's id).";
    throw new ApiError("parameter_invalid", detail, given[1]?.kind ?? "token");
  }
  const most = only.kind === "token" && isWhole(only.name) ? MAX_TOKEN_LENGTH : MAX_USER_LENGTH;
  if (only.name.length > 0 && only.name.length <= most) return only;
  throw new ApiError("parameter_invalid", `\`${only.kind}\` takes 1 to ${MAX_USER_LENGTH} characters.`, only.kind);
}
