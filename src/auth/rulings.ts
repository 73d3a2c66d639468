import type { AppId, Note } from "../broker/broker.ts";
import { ApiError } from "../core/errors.ts";
import type { TokenGrant } from "./token.ts";

/** What is revoked: a token, named by its `jti` or its digest, or all of a user's that were issued up to a time. */
export type Revoked =
  | { readonly kind: "token" | "digest"; readonly name: string }
  | { readonly kind: "user"; readonly name: string; readonly issuedUpTo: number };

/** A revocation as the broker keeps it; `until`: when the last token that it could hit has expired. */
export function revocation(revoked: Revoked, until: number): Note {
  const value = revoked.kind === "user" ? String(revoked.issuedUpTo) : "";
  return { key: `${REVOKED}${revoked.kind} ${revoked.name}`, value, until };
}

/** Whether a revocation is of this token. */
export function hits(note: Note, token: TokenGrant): boolean {
  return keysOf(token).includes(note.key) && reaches(note, token);
}

function keysOf({ digest, jti, user }: TokenGrant): string[] {
  const keys = [`${REVOKED}digest ${digest}`];
  if (jti !== null) keys.push(`${REVOKED}token ${jti}`);
  if (user !== null) keys.push(`${REVOKED}user ${user}`);
  return keys;
}

/** A token that does not say when it was issued may have been issued before. */
function reaches({ value }: Note, { issuedAt }: TokenGrant): boolean {
  return value === "" || issuedAt === null || issuedAt <= Number(value);
}

/** Of a token that is presented: that a fresh one stands for it until that expires. Holds no token. */
export function renewal(presented: TokenGrant, fresh: TokenGrant): Note {
  const { channels, issuedAt, expiresAt, jti, digest } = fresh;
  const value = JSON.stringify({ channels, issuedAt, expiresAt, jti, digest });
  return { key: `${RENEWED}${presented.digest}`, value, until: expiresAt };
}

const REVOKED = "revoked ";
const RENEWED = "renewed ";

/** An app whose listeners renewed so many tokens that have not expired renews no more of them. */
const MAX_RENEWALS = 100_000;

/** How often what holds no more is looked for. */
const FORGET_MS = 60_000;

interface OfApp {
  readonly revoked: Map<string, Note>;
  readonly renewed: Map<string, Note>;
}

/** What was decided about the tokens of every app after they were signed. */
export class Rulings {
  readonly #apps = new Map<AppId, OfApp>();
  #forgotAt = 0;

  /** Takes in what the broker told. */
  apply(app: AppId, note: Note): void {
    let of = this.#apps.get(app);
    if (of === undefined) this.#apps.set(app, (of = { revoked: new Map(), renewed: new Map() }));
    (note.key.startsWith(REVOKED) ? of.revoked : of.renewed).set(note.key, note);
  }

  revoked(token: TokenGrant): boolean {
    const revoked = this.#apps.get(token.app.id)?.revoked;
    if (revoked === undefined || revoked.size === 0) return false;
    return keysOf(token).some((key) => {
      const note = revoked.get(key);
      return note !== undefined && reaches(note, token);
    });
  }

  /** Up to when tokens of the user must have been issued to be revoked; null where none are. */
  revokedUpTo(app: AppId, user: string): number | null {
    const note = this.#apps.get(app)?.revoked.get(`${REVOKED}user ${user}`);
    return note === undefined ? null : Number(note.value);
  }

  /** The token that stands for a presented one, which names the same user; null where there is none. */
  renewal(presented: TokenGrant, now: number): TokenGrant | null {
    const note = this.#apps.get(presented.app.id)?.renewed.get(`${RENEWED}${presented.digest}`);
    if (note === undefined || note.until <= now) return null;
    const fresh = JSON.parse(note.value) as Omit<TokenGrant, "app" | "user">;
    return { ...fresh, app: presented.app, user: presented.user };
  }

  /** Throws ApiError `limit_exceeded` when the app can renew no further token. */
  checkRenewal(presented: TokenGrant): void {
    const renewed = this.#apps.get(presented.app.id)?.renewed;
    if (renewed === undefined || renewed.size < MAX_RENEWALS || renewed.has(`${RENEWED}${presented.digest}`)) return;
    throw new ApiError("limit_exceeded", "The app's renewed tokens are at their limit; open the stream afresh.");
  }

  /** Forgets what holds no more; to be called now and then. `now` is in milliseconds since 1970. */
  forget(now: number): void {
    if (now - this.#forgotAt < FORGET_MS) return;
    this.#forgotAt = now;
    for (const { revoked, renewed } of this.#apps.values()) {
      for (const notes of [revoked, renewed]) {
        for (const [key, { until }] of notes) if (until < now) notes.delete(key);
      }
    }
  }
}
